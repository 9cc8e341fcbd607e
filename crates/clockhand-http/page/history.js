// What was heard of a part in the last minutes.

const WINDOW = 300;

/** Columns of numbers by name, and the times to them. */
class History {
  constructor(measure) {
    this.measure = measure;
    this.times = [];
    this.columns = new Map();
    this.last = null;
    /** Since when the status is what it is, if it has changed while somebody looked. */
    this.since = null;
  }

  /** Takes a report of this time in, of which there is one in so many seconds. */
  push(time, part, interval) {
    const before = this.last;
    this.last = { time, part };
    if (before && before.part.health.status !== part.health.status) this.since = time;
    // A service that was started anew counts from zero; one that was away leaves a gap.
    const seconds = before ? time - before.time : 0;
    if (before && seconds <= 0) return;
    const follows = before && seconds < 3 * interval + 2 && !this.measure.restarted(before.part, part);
    if (before && !follows) this.append(before.time + 0.001, {});
    this.append(time, this.measure.values(part, follows ? before.part : null, seconds));
  }

  append(time, values) {
    for (const name of Object.keys(values)) {
      if (!this.columns.has(name)) this.columns.set(name, this.times.map(() => null));
    }
    this.times.push(time);
    for (const [name, column] of this.columns) column.push(values[name] ?? null);
    while (this.times.length && this.times[0] < time - WINDOW - 5) {
      this.times.shift();
      for (const column of this.columns.values()) column.shift();
    }
  }

  column(name) {
    return this.columns.get(name) ?? this.times.map(() => null);
  }

  /** The latest value, if there is one. */
  now(name) {
    return this.columns.get(name)?.at(-1) ?? null;
  }
}

/** The numbers of an object and of those in it, by their paths. */
function leaves(object, path = "", found = new Map()) {
  for (const [name, value] of Object.entries(object)) {
    const own = path ? `${path}.${name}` : name;
    if (typeof value === "number") found.set(own, value);
    else if (value === null || typeof value !== "object" || Array.isArray(value)) continue;
    else leaves(value, own, found);
  }
  return found;
}

/** How fast each number grows, for the names that are wanted. */
function rates(now, before, seconds, names) {
  const found = {};
  for (const name of names) {
    found[name + "/s"] = before && now.has(name) ? (now.get(name) - before.get(name)) / seconds : null;
  }
  return found;
}
