// Numbers as people read them.

const NARROW = "\u202f";
const grouped = new Intl.NumberFormat("en", { maximumFractionDigits: 4 });

/** A number in full, its digits in groups of three. */
function exact(number) {
  return grouped.format(number).replaceAll(",", NARROW);
}

function digits(number) {
  const size = Math.abs(number);
  return number.toFixed(size >= 100 || Number.isInteger(number) ? 0 : size >= 10 ? 1 : 2);
}

function scaled(number, base, names) {
  let step = 0;
  while (Math.abs(number) >= base * 0.9995 && step < names.length - 1) {
    number /= base;
    step += 1;
  }
  return digits(number) + (names[step] ? NARROW + names[step] : "");
}

const count = (number) => scaled(number, 1000, ["", "k", "M", "G", "T"]);
const bytes = (number) => scaled(number, 1024, ["B", "KiB", "MiB", "GiB", "TiB"]);
const percent = (ratio) => (ratio * 100).toFixed(ratio >= 0.9995 || ratio === 0 ? 0 : 1) + NARROW + "%";

/** A time in seconds. */
function duration(seconds) {
  if (seconds >= 3600) return digits(seconds / 3600) + NARROW + "h";
  if (seconds >= 90) return digits(seconds / 60) + NARROW + "min";
  if (seconds >= 1 || seconds === 0) return digits(seconds) + NARROW + "s";
  if (seconds >= 1e-3) return digits(seconds * 1e3) + NARROW + "ms";
  if (seconds >= 1e-6) return digits(seconds * 1e6) + NARROW + "µs";
  return digits(seconds * 1e9) + NARROW + "ns";
}

/** The same as an axis has room for: without noughts at the end of a fraction. */
const brief = (text) => text.replace(/\.0+(?!\d)|(\.\d*[1-9])0+(?!\d)/, "$1");

/** A figure's path in the statistics, in words; times are seconds. */
function figureName(path) {
  if (path === "at") return "age, seconds";
  return path.replaceAll("_", " ").replaceAll(".", ": ") + (path.endsWith("_time") ? ", seconds" : "");
}

/** A number that may not be there. */
function shown(format, number) {
  return number === null || number === undefined || Number.isNaN(number) ? "–" : format(number);
}

const clock = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const clockTime = (seconds) => clock.format(new Date(seconds * 1000));

const capital = (text) => text.charAt(0).toUpperCase() + text.slice(1);
