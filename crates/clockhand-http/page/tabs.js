// One tab for each part.

class Tabs {
  constructor(list, choose) {
    this.list = list;
    this.choose = choose;
    this.chosen = null;
    list.addEventListener("keydown", (event) => this.move(event));
  }

  /** Shows the parts that there are, each with its status. */
  update(parts) {
    const keys = parts.map((part) => part.id);
    const tabs = setRows(this.list, parts.length, (nth) => this.make(nth));
    const fresh = !keys.includes(this.chosen);
    if (fresh) this.chosen = keys.find((key) => `#${encodeURIComponent(key)}` === location.hash) ?? keys[0] ?? null;
    parts.forEach((part, nth) => {
      const tab = tabs[nth];
      const [sign, name, status] = tab.children;
      tab.dataset.key = part.id;
      tab.setAttribute("aria-selected", String(part.id === this.chosen));
      tab.tabIndex = part.id === this.chosen ? 0 : -1;
      setMark(sign, part.health.status);
      setText(name, part.name);
      setText(status, `, ${part.kind}, ${part.health.status}`);
    });
    if (fresh) this.list.querySelector("[aria-selected=true]")?.scrollIntoView({ block: "nearest", inline: "nearest" });
    return this.chosen;
  }

  make(nth) {
    const name = el("span", { class: "name", dir: "auto" });
    const tab = el("button", { type: "button", class: "tab", role: "tab", id: `tab-${nth}`, "aria-controls": "panel" }, mark("healthy"), name, el("span", { class: "unseen" }));
    tab.addEventListener("click", () => this.take(tab));
    return tab;
  }

  take(tab) {
    this.chosen = tab.dataset.key;
    history.replaceState(null, "", `#${encodeURIComponent(this.chosen)}`);
    tab.scrollIntoView({ block: "nearest", inline: "nearest" });
    this.choose();
  }

  move(event) {
    const tabs = [...this.list.children];
    const at = tabs.indexOf(document.activeElement);
    const to = { ArrowLeft: at - 1, ArrowRight: at + 1, Home: 0, End: tabs.length - 1 }[event.key];
    if (at < 0 || to === undefined) return;
    event.preventDefault();
    const tab = tabs[(to + tabs.length) % tabs.length];
    tab.focus();
    this.take(tab);
  }
}
