// The page as a whole.

const KINDS = [["caches", "cache"], ["deduplicators", "deduplicator"], ["trackers", "tracker"], ["predictors", "predictor"]];
const histories = new Map();
const holder = document.getElementById("panel");
const spoken = document.getElementById("spoken");
let parts = [];
let panel = null;
let said = "";

const tabs = new Tabs(document.getElementById("tabs"), show);

/** Takes a report in. */
function hear(report, time) {
  parts = KINDS.flatMap(([list, kind]) => (report[list] ?? []).map((part) => ({ ...part, kind, id: `${kind}/${part.name}` })));
  for (const part of parts) {
    if (!histories.has(part.id)) histories.set(part.id, new History(MEASURES[part.kind]));
    histories.get(part.id).push(time, part, report.interval);
  }
  show();
  speak();
}

/** Shows the part that is chosen. */
function show() {
  const chosen = tabs.update(parts);
  const part = parts.find((one) => one.id === chosen);
  if (!part) {
    holder.replaceChildren(el("p", { class: "empty" }, "There is nothing to show: the service has no caches."));
    panel = null;
    return;
  }
  if (panel?.part.id !== part.id) {
    panel?.drop();
    panel = new Panel(holder, part);
    holder.removeAttribute("aria-label");
    holder.setAttribute("aria-labelledby", `tab-${parts.indexOf(part)}`);
  }
  panel.update(part, histories.get(part.id));
  const worst = part.health.status === "healthy" ? "" : `${capital(part.health.status)}: `;
  document.title = `${worst}${part.name} – clockhand`;
}

/** Announces verdicts when they change, and not the figures in them, which always do. */
function speak() {
  const bad = parts.filter((part) => part.health.status !== "healthy");
  const verdicts = bad.map((part) => {
    const figures = part.health.reasons.map((reason) => reason.figure.replaceAll("_", " "));
    return `${part.name} is ${part.health.status}: ${figures.join(", ")}.`;
  });
  const text = verdicts.join(" ") || (parts.length ? "All is healthy." : "");
  if (text !== said) setText(spoken, text);
  said = text;
}

function tell(state, text) {
  const link = document.getElementById("link");
  if (link.dataset.state !== state && state === "gone") setText(spoken, "The connection to the service is lost.");
  if (link.dataset.state === "gone" && state === "live") setText(spoken, `The connection is back. ${said}`);
  link.dataset.state = state;
  document.body.dataset.state = state;
  setText(document.getElementById("link-text"), text);
}

matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => panel?.recolour());
new Live(hear, tell);
