// What is shown of the part that is chosen.

class Panel {
  constructor(holder, part) {
    this.part = part;
    this.measure = MEASURES[part.kind];
    const content = document.importNode(document.getElementById("part-template").content, true);
    this.at = {};
    for (const element of content.querySelectorAll("[data-id]")) this.at[element.dataset.id] = element;
    setText(this.at.name, part.name);
    setText(this.at.kind, part.kind === "tracker" ? "offset tracker" : part.kind);
    this.charts = this.measure.charts.map((definition) => new Chart(definition, part));
    this.at.charts.append(...this.charts.map((chart) => chart.element));
    if (part.kind === "cache") {
      this.at.charts.append(document.importNode(document.getElementById("keys-template").content, true));
      for (const element of this.at.charts.querySelectorAll("[data-id]")) this.at[element.dataset.id] = element;
      this.explain = new Explain(this.at.explain, this.at.answer, part.name);
    }
    this.at.partitions.hidden = part.kind !== "tracker";
    this.buildGroups();
    holder.replaceChildren(content);
  }

  buildGroups() {
    this.groups = this.measure.groups.map(([title, pattern]) => {
      const rows = el("tbody");
      const head = ["Figure", "Total", "Per second"].map((text, nth) => el("th", { scope: "col", class: nth ? "number" : "" }, text));
      const table = el("table", { "aria-label": title }, el("thead", {}, el("tr", {}, ...head)), rows);
      this.at.groups.append(el("div", { class: "card" }, el("h3", {}, title), table));
      return { pattern, rows };
    });
  }

  update(part, history) {
    this.part = part;
    this.showVerdict(part.health, history.since);
    this.showTiles(this.measure.tiles(part, history));
    for (const chart of this.charts) chart.update(history, part);
    this.showFigures(this.measure.leaves(part), history);
    if (part.kind === "cache") {
      this.showHottest(part.hottest);
      this.showHolders(part.stats.holders);
    }
    if (part.kind === "tracker") this.showPartitions(part);
  }

  showVerdict(health, since) {
    setText(this.at.since, since === null ? "" : `since ${clockTime(since)}`);
    this.at.verdict.dataset.status = health.status;
    this.at.sign.setAttribute("fill-rule", "evenodd");
    this.at.sign.setAttribute("d", MARKS[health.status] ?? "");
    setText(this.at.status, capital(health.status));
    if (!health.reasons.length) {
      this.at.reasons.replaceChildren(el("p", { class: "reason" }, "Nothing is out of bounds."));
      return;
    }
    if (!this.at.reasons.querySelector(".level")) this.at.reasons.replaceChildren();
    const rows = setRows(this.at.reasons, health.reasons.length, () => el("p", { class: "reason" }, el("span", { class: "level" }), el("span")));
    health.reasons.forEach((reason, nth) => {
      const [level, message] = rows[nth].children;
      level.dataset.status = reason.status;
      setText(level, capital(reason.status));
      setProse(message, reason.message);
    });
  }

  showTiles(tiles) {
    const make = () => el("div", { class: "tile" }, el("dt"), el("dd", { class: "value" }), el("dd", { class: "more" }));
    const rows = setRows(this.at.tiles, tiles.length, make);
    tiles.forEach((texts, nth) => texts.forEach((text, at) => setText(rows[nth].children[at], text)));
  }

  showFigures(leaves, history) {
    const left = new Map(leaves);
    for (const { pattern, rows } of this.groups) {
      const own = [...left].filter(([path]) => pattern.test(path));
      const made = setRows(rows, own.length, () => el("tr", {}, el("th", { scope: "row" }), el("td", { class: "number" }), el("td", { class: "number" })));
      own.forEach(([path, number], nth) => {
        left.delete(path);
        made[nth].dataset.figure = path;
        const [name, total, rate] = made[nth].children;
        setText(name, figureName(path));
        setText(total, exact(number));
        const counts = this.measure.counters.includes(path);
        setText(rate, counts ? shown(count, history.now(path + "/s")) : "");
      });
    }
  }

  /** Who keeps garbage from being freed, below the other figures of memory. */
  showHolders(holders) {
    this.holders ??= this.at.groups.lastElementChild.appendChild(el("ul", { class: "holders", "aria-label": "Threads that keep garbage" }));
    const rows = setRows(this.holders, holders.length, () => el("li", { dir: "auto" }));
    holders.forEach((holder, nth) => {
      const since = duration(holder.since);
      setText(rows[nth], `${holder.thread} has kept garbage for ${since}, ${exact(holder.epochs_behind)} epochs behind`);
    });
  }

  showHottest(keys) {
    const make = () => {
      const button = el("button", { type: "button" }, el("span", { class: "rank" }), el("bdi", { class: "key" }), el("span", { class: "left" }));
      button.addEventListener("click", () => this.explain.ask(button.querySelector(".key").textContent));
      return el("li", {}, button);
    };
    if (!keys.length) {
      this.at.hottest.replaceChildren(el("li", { class: "empty" }, "No live keys."));
      return;
    }
    if (this.at.hottest.querySelector(".empty")) this.at.hottest.replaceChildren();
    const rows = setRows(this.at.hottest, keys.length, make);
    keys.forEach((hot, nth) => {
      const [rank, key, left] = rows[nth].firstElementChild.children;
      setText(rank, `${nth + 1}`);
      setText(key, hot.key);
      setText(left, hot.left_out ? `and ${exact(hot.left_out)} more characters` : "");
      rows[nth].firstElementChild.disabled = hot.left_out > 0;
    });
  }

  showPartitions({ partitions, partitions_in_all: all }) {
    const make = () => {
      const lag = el("td", { class: "number" }, el("span", { class: "bar", "aria-hidden": "true" }, el("i")), el("span"));
      const plain = () => el("td", { class: "number" });
      return el("tr", {}, el("th", { scope: "row", dir: "auto" }), plain(), lag, ...Array.from({ length: 5 }, plain));
    };
    const rows = setRows(this.at["partition-rows"], partitions.length, make);
    const most = Math.max(1, ...partitions.map((one) => one.lag));
    partitions.forEach((one, nth) => {
      const cells = rows[nth].children;
      const pending = one.pending_offset;
      const texts = [one.topic, exact(one.partition), null, exact(one.watermark), exact(one.end), exact(one.in_progress), shown(exact, pending), shown(duration, one.pending_seconds)];
      texts.forEach((text, at) => text !== null && setText(cells[at], text));
      cells[2].firstElementChild.firstElementChild.style.width = `${(100 * one.lag) / most}%`;
      setText(cells[2].lastElementChild, exact(one.lag));
    });
    setText(this.at["partitions-note"], all > partitions.length ? `Those ${partitions.length} of ${all} that are furthest behind.` : "");
  }

  recolour() {
    for (const chart of this.charts) chart.recolour();
  }

  drop() {
    for (const chart of this.charts) chart.drop();
  }
}
