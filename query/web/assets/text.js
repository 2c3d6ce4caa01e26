// How the page writes sentences, numbers and dates.

export function sentence(text) {
  return text.charAt(0).toUpperCase() + text.slice(1) + (/[.?]$/.test(text) ? "" : ".");
}

export const number = new Intl.NumberFormat("en");
const month = new Intl.DateTimeFormat("en", { year: "numeric", month: "long", timeZone: "UTC" });
const moment = new Intl.DateTimeFormat("en", { dateStyle: "medium", timeStyle: "short", timeZone: "UTC" });

// Of an ingest.
export const howFar = ({ task, done, total, unit, bad }) =>
  `${task}, ${number.format(done)} of ${number.format(total)} ${unit}${bad ? `; ${number.format(bad)} bad` : ""}`;

export const count = (many, noun) => `${number.format(many)} ${noun}${many === 1 ? "" : "s"}`;

// `2019-07`
export function monthName(text) {
  return text ? month.format(new Date(`${text}-01T00:00:00Z`)) : "Without a date";
}

// Local time, wherever it was: what the camera's clock showed.
export function dateOf(taken) {
  const time = new Date(`${taken.slice(0, 19)}Z`);
  return Number.isNaN(time.getTime()) ? taken : moment.format(time);
}

export function sizeOf(bytes) {
  return bytes < 1e6 ? `${Math.max(1, Math.round(bytes / 1e3))} kB` : `${(bytes / 1e6).toFixed(1)} MB`;
}

export const fileName = (path) => path.split("/").at(-1);
export const folderOf = (path) => path.split("/").slice(0, -1).join("/");

// The words in "... did you mean one, another?"
export function suggestions(text) {
  const found = /did you mean ([^?;]+)\?/.exec(text);
  return found ? found[1].split(/, | or /).map((word) => word.trim()).filter(Boolean) : [];
}

// One scale for all scores: 100 for the best answer, 50 where what stands out begins, as far as that is known; what
// stands out never has less, and the others never have as much.
export function scaled({ score, stands_out: standsOut }, best, floor) {
  const part = best > 0 ? within(score / best) : 0;
  if (typeof standsOut !== "boolean") return Math.round(100 * part);
  if (!standsOut) return Math.round(49 * (floor > 0 ? within(score / floor) : part));
  return Math.round(50 + 50 * (best > floor ? within((score - floor) / (best - floor)) : part));
}

const within = (part) => Math.min(1, Math.max(0, part));
