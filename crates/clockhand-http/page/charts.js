// Charts of a history, each with a legend that says the values and a table of them.

const HEIGHT = 176;
/** How opaque areas are, in hexadecimal. */
const TINT = "33";
/** Steps of an axis of bytes: powers of two. */
const BINARY = Array.from({ length: 60 }, (_, power) => 2 ** power);
const style = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

class Chart {
  constructor(definition, part) {
    this.definition = definition;
    this.format = definition.amounts ? (part.unit === "bytes" ? bytes : count) : definition.format;
    this.build(definition.amounts ? part.unit : definition.unit);
    this.resizes = new ResizeObserver(() => this.resize());
  }

  build(unit) {
    const { title, series } = this.definition;
    this.values = series.map(() => el("span", { class: "now" }, "–"));
    const legend = el("ul", { class: "legend" }, ...series.map((one, nth) => {
      const swatch = el("span", { class: "swatch", "aria-hidden": "true" });
      swatch.style.background = `var(${one.colour})`;
      return el("li", {}, swatch, one.label, this.values[nth]);
    }));
    this.plot = el("div", { class: "plot", role: "img", "aria-label": `Chart: ${title}. The table below has the values.` });
    this.rows = el("tbody");
    const columns = ["Series", "Now", "Lowest", "Highest"];
    const head = columns.map((text, nth) => el("th", { scope: "col", class: nth ? "number" : "" }, text));
    this.details = el("details", {}, el("summary", {}, "Table"),
      el("table", { "aria-label": title }, el("thead", {}, el("tr", {}, ...head)), this.rows));
    this.details.addEventListener("toggle", () => this.history && this.tabulate());
    const heading = el("div", { class: "title" }, el("h2", {}, title), el("span", { class: "unit" }, unit));
    this.element = el("section", { class: "card chart", "aria-label": title }, heading, this.plot, legend, this.details);
  }

  /** Shows a history as it is now. */
  update(history, part) {
    this.history = history;
    const { measured, absent } = this.definition;
    if (measured && !part[measured]) {
      if (!this.plot.firstChild) setProse(this.plot.appendChild(el("p", { class: "absent" })), absent);
      return;
    }
    if (!this.drawn) this.draw();
    this.drawn.setData(this.numbers(), false);
    const end = history.times.at(-1);
    // The charts begin with a minute and grow with what is known.
    const span = Math.min(WINDOW, Math.max(60, end - history.times[0]));
    this.drawn.setScale("x", { min: end - span, max: end });
    this.tell(this.drawn.cursor.idx);
    if (this.details.open) this.tabulate();
  }

  /** The columns that are drawn: those of a stack are sums. */
  numbers() {
    const { series, stacked } = this.definition;
    let below = null;
    const columns = series.map((one) => {
      const column = this.history.column(one.name);
      if (!stacked || one.apart) return column;
      const under = below;
      below = column.map((number, nth) => (number === null ? null : number + (under?.[nth] ?? 0)));
      return below;
    });
    return [this.history.times, ...columns.reverse()];
  }

  draw() {
    this.plot.replaceChildren();
    this.drawn = new uPlot(this.options(), this.numbers(), this.plot);
    this.resizes.observe(this.plot);
  }

  options() {
    const { stacked, logarithmic, top } = this.definition;
    // The last one is drawn first: where layers of a stack lie on each other, the lowest one is seen.
    const series = this.definition.series.toReversed();
    const axis = { stroke: style("--muted"), font: "11px system-ui, sans-serif", ticks: { show: false }, grid: { stroke: style("--grid"), width: 1 } };
    const stack = series.flatMap((one, nth) => (stacked && !one.apart && nth + 1 < series.length ? [{ series: [nth + 1, nth + 2], fill: style(one.colour) + TINT }] : []));
    const power = (number, round) => 10 ** round(Math.log10(number));
    const range = (_, low, high) => (logarithmic ? [power(low || 1e-7, Math.floor), power((high || 1e-4) * 1.01, Math.ceil)] : [0, top ?? Math.max(high ?? 0, 1) * 1.08]);
    const powers = (_u, _axis, low, high) => Array.from({ length: Math.round(Math.log10(high / low)) + 1 }, (_p, nth) => low * 10 ** nth);
    return {
      width: Math.max(this.plot.clientWidth, 120),
      height: HEIGHT,
      padding: [10, 28, 0, 0],
      legend: { show: false },
      cursor: { y: false, sync: { key: "clockhand" }, drag: { x: false, y: false }, points: { size: 6 } },
      scales: { x: { time: true, auto: false }, y: { distr: logarithmic ? 3 : 1, range } },
      bands: stack,
      axes: [
        { ...axis, size: 24, gap: 4, space: 70, grid: { show: false }, values: (_, ticks) => ticks.map((tick) => clockTime(tick).slice(0, tick % 60 ? 8 : 5)), incrs: [15, 30, 60, 120, 300] },
        { ...axis, size: 58, gap: 6, space: 34, values: (_, ticks) => ticks.map((tick) => (tick === null ? "" : brief(this.format(tick)))), ...(logarithmic ? { splits: powers, filter: (_, ticks) => ticks } : {}), ...(this.format === bytes ? { incrs: BINARY } : {}) },
      ],
      series: [{}, ...series.map((one) => ({
        label: one.label,
        stroke: style(one.colour),
        width: 1.75,
        dash: one.dashed ? [5, 4] : undefined,
        fill: one.filled || (stacked && !one.apart) ? style(one.colour) + TINT : undefined,
        points: { show: false },
        spanGaps: false,
      }))],
      hooks: { setCursor: [(plot) => this.tell(plot.cursor.idx)] },
    };
  }

  /** Says the values at the cursor or, without one, the latest. */
  tell(at) {
    this.definition.series.forEach((one, nth) => {
      const column = this.history.column(one.name);
      setText(this.values[nth], shown(this.format, column[at ?? column.length - 1]));
    });
  }

  tabulate() {
    const { series } = this.definition;
    const rows = setRows(this.rows, series.length, (nth) => el("tr", {}, el("th", { scope: "row" }, series[nth].label), ...[0, 1, 2].map(() => el("td", { class: "number" }))));
    series.forEach((one, nth) => {
      const known = this.history.column(one.name).filter((number) => number !== null);
      const values = [known.at(-1), known.length ? Math.min(...known) : null, known.length ? Math.max(...known) : null];
      values.forEach((value, at) => setText(rows[nth].children[at + 1], shown(this.format, value)));
    });
  }

  resize() {
    const width = this.plot.clientWidth;
    if (this.drawn && width && width !== this.drawn.width) this.drawn.setSize({ width, height: HEIGHT });
  }

  /** In other colours, once the system has chosen others. */
  recolour() {
    this.drop();
    if (this.history) this.draw();
  }

  drop() {
    this.resizes.disconnect();
    this.drawn?.destroy();
    this.drawn = null;
  }
}
