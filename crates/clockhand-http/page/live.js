// The stream of events, and what is known of the service without one.

/** After how many milliseconds without an event that is due the service is taken for gone. */
const SILENCE = 2500;
const LONGEST = 5000;

class Live {
  constructor(hear, tell) {
    this.hear = hear;
    this.tell = tell;
    this.heard = null;
    this.time = null;
    /** Milliseconds between two events. */
    this.interval = 1000;
    this.wait = 500;
    this.open();
    setInterval(() => this.watch(), 500);
  }

  open() {
    this.opened = Date.now();
    this.source = new EventSource("cache/events");
    this.source.addEventListener("figures", (event) => {
      const report = JSON.parse(event.data);
      this.heard = Date.now();
      this.wait = 500;
      this.interval = report.interval * 1000;
      this.time = Date.parse(report.timestamp) / 1000;
      this.tell("live", `Live, ${clockTime(this.time)}`);
      this.hear(report, this.time);
    });
    // A stream that has broken off is opened again by the browser; one that was refused is not.
    this.source.addEventListener("error", () => this.source.readyState === EventSource.CLOSED && this.again());
  }

  again() {
    this.source.close();
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.open(), this.wait);
    this.wait = Math.min(this.wait * 2, LONGEST);
  }

  watch() {
    const silent = Date.now() - (this.heard ?? this.opened);
    const long = this.interval + SILENCE;
    if (silent < long) return;
    const since = this.time === null ? "" : ` Figures of ${clockTime(this.time)}.`;
    this.tell("gone", `No connection. Trying again.${since}`);
    // A connection that is open and says nothing may be half dead.
    if (this.source.readyState !== EventSource.CLOSED && Date.now() - this.opened > LONGEST + long) this.again();
  }
}
