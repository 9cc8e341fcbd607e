// What each kind of part shows: its numbers over time, its tiles, its charts, its groups of figures.

const ratio = (part, whole) => (whole > 0 ? part / whole : null);
const sum = (...numbers) => numbers.reduce((all, one) => (one === null ? all : all + one), 0);

const CAUSES = ["never_seen", "evicted", "expired", "invalidated", "refused", "absent"];
const COLOURS = ["--one", "--two", "--three", "--four", "--five", "--six"];

const cacheMeasure = {
  counters: [
    "hits", "misses", ...CAUSES.map((cause) => `misses_by.${cause}`), "insertions", "replacements", "evictions",
    "expirations", "invalidations", "removed_charge.replaced", "removed_charge.evicted", "removed_charge.expired",
    "removed_charge.invalidated", "refusals", "refusals_by.too_large", "refusals_by.no_room",
    "refusals_by.contended", "loads_started", "loads_succeeded", "loads_failed", "loads_joined",
    "loads_timed_out", "loads_relieved", "load_time", "renewals", "renewals_failed",
  ],
  leaves: (part) => leaves(part.stats),
  restarted: (before, part) => part.stats.hits < before.stats.hits || part.stats.insertions < before.stats.insertions,
  values(part, before, seconds) {
    const now = this.leaves(part);
    const values = rates(now, before && this.leaves(before), seconds, this.counters);
    const [hits, misses] = [values["hits/s"], values["misses/s"]];
    values.reads = before && hits + misses;
    values.hit_ratio = before && ratio(hits, hits + misses);
    values.writes = before && values["insertions/s"] + values["replacements/s"];
    for (const name of ["charged", "capacity", "entries"]) values[name] = now.get(name);
    values.garbage = now.get("lingering") + now.get("retired");
    return Object.assign(values, latencyValues(part));
  },
  tiles(part, history) {
    const stats = part.stats;
    const amount = part.unit === "bytes" ? bytes : count;
    const garbage = stats.lingering + stats.retired;
    const holders = stats.holders.length;
    return [
      ["Hit ratio", shown(percent, history.now("hit_ratio")),
        `${shown(percent, ratio(stats.hits, stats.hits + stats.misses))} since the start`],
      ["Reads/s", shown(count, history.now("reads")), `${shown(count, history.now("writes"))} writes/s`],
      ["Entries", count(stats.entries), `${percent(stats.probation_share)} on probation`],
      ["Charge", amount(stats.charged), `${shown(percent, ratio(stats.charged, stats.capacity))} of ${amount(stats.capacity)}`],
      ["Garbage", amount(garbage), holders ? `${holders} ${holders === 1 ? "thread holds" : "threads hold"} it` : `of ${amount(stats.retired_capacity)} allowed`],
      ["Loads under way", count(Math.max(0, stats.loads_started - stats.loads_succeeded - stats.loads_failed)),
        `${shown(count, history.now("loads_failed/s"))} failed/s`],
    ];
  },
  charts: [
    { title: "Hit ratio", unit: "hits of reads", format: percent, top: 1,
      series: [{ name: "hit_ratio", label: "hits", colour: "--one", filled: true }] },
    { title: "Charge against capacity", amounts: true, stacked: true,
      series: [
        { name: "charged", label: "entries", colour: "--one" },
        { name: "garbage", label: "garbage", colour: "--two" },
        { name: "capacity", label: "capacity", colour: "--six", dashed: true, apart: true },
      ] },
    { title: "Throughput", unit: "per second", format: count,
      series: [
        { name: "reads", label: "reads", colour: "--one" },
        { name: "writes", label: "writes", colour: "--two" },
        { name: "invalidations/s", label: "invalidations", colour: "--four" },
      ] },
    { title: "Latency", unit: "10 to 20 s, sampled", format: duration, logarithmic: true, measured: "latencies",
      absent: "Latencies are not taken: `Builder::sample_every` does it, with the feature `histograms`.",
      series: [
        { name: "get.p50", label: "reads p50", colour: "--three" },
        { name: "get.p99", label: "reads p99", colour: "--one" },
        { name: "get.p999", label: "reads p99.9", colour: "--two" },
        { name: "insert.p99", label: "inserts p99", colour: "--four" },
        { name: "load.p50", label: "loads p50", colour: "--six" },
        { name: "load.p99", label: "loads p99", colour: "--five" },
      ] },
    { title: "Evictions and expirations", unit: "per second", format: count,
      series: [
        { name: "evictions/s", label: "evictions", colour: "--two" },
        { name: "expirations/s", label: "expirations", colour: "--three" },
        { name: "refusals/s", label: "refusals", colour: "--five" },
      ] },
    { title: "Misses by cause", unit: "per second", format: count, stacked: true,
      series: CAUSES.map((cause, nth) => ({ name: `misses_by.${cause}/s`, label: cause.replace("_", " "), colour: COLOURS[nth] })) },
    { title: "Loads", unit: "per second", format: count,
      series: [
        { name: "loads_started/s", label: "started", colour: "--one" },
        { name: "loads_joined/s", label: "joined", colour: "--three" },
        { name: "renewals/s", label: "renewals", colour: "--four" },
        { name: "loads_failed/s", label: "failed", colour: "--five" },
      ] },
  ],
  groups: [
    ["Reads and writes", /^(hits|misses|insertions|replacements|evictions|expirations|invalidations|removed_charge|refusals)/],
    ["Loads", /^(load|renewals)/],
    ["Memory and policy", /./],
  ],
};

/** The latencies, where they are taken; nothing where nothing was timed. */
function latencyValues(part) {
  const values = {};
  for (const operation of ["get", "insert", "load"]) {
    for (const name of ["p50", "p99", "p999"]) values[`${operation}.${name}`] = part.latencies?.[operation][name] || null;
  }
  return values;
}

const CLAIMS = [
  { title: "Ids", unit: "per second", format: count,
    series: [
      { name: "checks/s", label: "checks", colour: "--one" },
      { name: "adds/s", label: "completed", colour: "--three" },
      { name: "duplicates/s", label: "duplicates", colour: "--two" },
    ] },
  { title: "In progress", unit: "claims", format: count,
    series: [{ name: "in_progress", label: "in progress", colour: "--one", filled: true }] },
  { title: "What went wrong", unit: "per second", format: count,
    series: [
      { name: "abandoned/s", label: "given back", colour: "--two" },
      { name: "lease_expired/s", label: "taken over", colour: "--four" },
      { name: "late/s", label: "late", colour: "--five" },
      { name: "forgotten_early/s", label: "forgotten", colour: "--six" },
    ] },
];

const dedupMeasure = {
  counters: [
    "checks", "claims", "adds", "duplicates", "in_progress_hits", "abandoned", "lease_expired", "late", "overtaken",
    "forgotten_early", "expired", "leaked", "restored", "untracked", "invalid", "unfolded", "fenced", "cleanups",
    "cleanup_time", "snapshots", "snapshot_failures",
  ],
  leaves: (part) => leaves(part.metrics),
  restarted: (before, part) => part.metrics.checks < before.metrics.checks,
  values(part, before, seconds) {
    const now = this.leaves(part);
    const values = rates(now, before && this.leaves(before), seconds, this.counters);
    values.in_progress = now.get("in_progress");
    values.size = now.get("size");
    values.lag = part.partitions ? sum(...part.partitions.map((one) => one.lag)) : null;
    return values;
  },
  tiles(part, history) {
    const metrics = part.metrics;
    return [
      ["Checks/s", shown(count, history.now("checks/s")), `${count(metrics.checks)} in all`],
      ["Duplicates", count(metrics.duplicates), `${shown(percent, ratio(metrics.duplicates, metrics.checks))} of all checks`],
      ["In progress", count(metrics.in_progress), `${count(metrics.abandoned)} given back`],
      ["Remembered", count(metrics.size), `${shown(percent, ratio(metrics.size, part.capacity))} of ${count(part.capacity)}`],
      ["Forgotten early", count(metrics.forgotten_early), "each may be processed again"],
      ["Leases expired", count(metrics.lease_expired), `${count(metrics.late)} came too late`],
    ];
  },
  charts: CLAIMS,
  groups: [
    ["Claims", /^(checks|claims|adds|duplicates|in_progress|abandoned|lease_expired|late|overtaken|fenced|leaked)/],
    ["Memory", /^(forgotten|expired|restored|untracked|invalid|unfolded|size)/],
    ["Upkeep", /./],
  ],
};

const trackerMeasure = {
  ...dedupMeasure,
  tiles(part, history) {
    const metrics = part.metrics;
    const pending = Math.max(0, ...part.partitions.map((one) => one.pending_seconds ?? 0));
    return [
      ["Checks/s", shown(count, history.now("checks/s")), `${count(metrics.checks)} in all`],
      ["Duplicates", count(metrics.duplicates), `${shown(percent, ratio(metrics.duplicates, metrics.checks))} of all checks`],
      ["In progress", count(metrics.in_progress), `${count(metrics.abandoned)} given back`],
      ["Partitions", count(part.partitions_in_all), `${count(metrics.size)} offsets done ahead`],
      ["Lag", count(history.now("lag") ?? 0), "offsets, of all partitions"],
      ["Oldest pending", duration(pending), `${count(metrics.fenced)} tickets fenced`],
    ];
  },
  charts: [
    { ...CLAIMS[0], title: "Offsets" },
    { title: "Lag", unit: "offsets, of all partitions", format: count,
      series: [{ name: "lag", label: "lag", colour: "--two", filled: true }] },
    CLAIMS[2],
  ],
};

const MODELS = ["reuse", "successors"];
const OUTCOMES = ["judged", "loads", "useful", "wasted", "missed", "unknown"];

const predictorMeasure = {
  counters: [
    ...MODELS.flatMap((model) => OUTCOMES.map((outcome) => `${model}.${outcome}`)), "rounds", "evidence",
    "evidence_dropped", "loads", "loads_failed", "loads_held_back", "steps", "working",
  ],
  leaves: (part) => leaves(part.stats),
  restarted: (before, part) => part.stats.rounds < before.stats.rounds,
  values(part, before, seconds) {
    const now = this.leaves(part);
    const values = rates(now, before && this.leaves(before), seconds, this.counters);
    for (const outcome of ["useful", "wasted", "missed"]) {
      values[outcome] = before && sum(...MODELS.map((model) => values[`${model}.${outcome}/s`] ?? null));
    }
    for (const model of MODELS) values[`${model}.precision`] = part.stats[model].recent_precision;
    return values;
  },
  tiles(part, history) {
    const { stats } = part;
    const model = (name) => {
      const { state, precision, recall } = stats[name];
      return [capital(name), state, `precision ${shown(percent, precision)}, recall ${shown(percent, recall)}`];
    };
    const [useful, wasted] = ["useful", "wasted"].map((name) => sum(...MODELS.map((one) => stats[one][name])));
    return [
      model("reuse"), model("successors"),
      ["Loads saved", count(useful), `${shown(count, history.now("useful"))} waits/s`],
      ["Loads wasted", count(wasted), `${shown(count, history.now("wasted"))}/s`],
      ["Held back", count(stats.loads_held_back), `breaker ${stats.breaker.replace("_", " ")}`],
      ["Memory", bytes(stats.memory), `${count(stats.keys)} keys`],
    ];
  },
  charts: [
    { title: "Loads ahead", unit: "per second", format: count,
      series: [
        { name: "useful", label: "asked for", colour: "--one" },
        { name: "wasted", label: "not asked for", colour: "--two" },
        { name: "missed", label: "not loaded", colour: "--five" },
      ] },
    { title: "Precision", unit: "of the last loads", format: percent, top: 1,
      series: [
        { name: "reuse.precision", label: "reuse", colour: "--one" },
        { name: "successors.precision", label: "successors", colour: "--three" },
      ] },
  ],
  groups: [
    ["Reuse", /^reuse/],
    ["Successors", /^successors/],
    ["Work", /./],
  ],
};

const MEASURES = { cache: cacheMeasure, deduplicator: dedupMeasure, tracker: trackerMeasure, predictor: predictorMeasure };
