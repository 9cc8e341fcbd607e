// Elements. Text becomes text nodes and nothing else, whatever is in it.

function el(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

/** Sets a text, if it is another one: what did not change is not announced, selected text stays. */
function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** Sets a text in which names are between backticks. */
function setProse(element, text) {
  if (element.dataset.prose === text) return;
  element.dataset.prose = text;
  element.replaceChildren(...text.split("`").map((part, nth) => (nth % 2 ? el("code", {}, part) : part)));
}

/** Makes a list of rows as long as it should be. Rows that stay keep their place and their focus. */
function setRows(parent, length, make) {
  while (parent.children.length > length) parent.lastElementChild.remove();
  while (parent.children.length < length) parent.append(make(parent.children.length));
  return parent.children;
}

const MARKS = {
  healthy: "M12 2a10 10 0 1 0 0 20a10 10 0 0 0 0-20zm-1.6 14.6l-4.2-4.2 1.7-1.7 2.5 2.5 5.7-5.7 1.7 1.7z",
  warning: "M12 2.5L23 21.5H1zM11 9v6h2V9zm0 7.5v2h2v-2z",
  degraded: "M12 1.5L22.5 12 12 22.5 1.5 12zM11 6.5v7h2v-7zm0 8.8v2.2h2v-2.2z",
  critical: "M7.5 2h9L22 7.5v9L16.5 22h-9L2 16.5v-9zM8.2 6.8L6.8 8.2l3.8 3.8-3.8 3.8 1.4 1.4 3.8-3.8 3.8 3.8 1.4-1.4-3.8-3.8 3.8-3.8-1.4-1.4-3.8 3.8z",
};

/** The shape of a status, which says the same as its colour. */
function mark(status) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
  path.setAttribute("fill-rule", "evenodd");
  svg.append(path);
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("class", "mark");
  svg.setAttribute("aria-hidden", "true");
  setMark(svg, status);
  return svg;
}

function setMark(svg, status) {
  if (svg.dataset.status === status) return;
  svg.dataset.status = status;
  svg.firstElementChild.setAttribute("d", MARKS[status] ?? "");
}
