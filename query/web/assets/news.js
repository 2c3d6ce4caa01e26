// What an ingest that runs meanwhile adds is told, and not shown under somebody's hands.

import * as api from "./api.js";
import { count, howFar } from "./text.js";

const NEWS_SECONDS = 15;
const RUN_SECONDS = 5; // while an ingest is running
const news = document.querySelector(".news");
const firstRun = document.querySelector(".first-run");
const logOut = document.querySelector(".log-out");
let told = ""; // of which collection it was
let known = null; // a collection's name to how many pictures it had

// Set by the page. `collection`: the name of the one that is shown, or `all`; `show`: have it all anew.
export const on = { collection: () => "", show: () => {} };

// What is shown: the collections as they are now.
export function begin(collections) {
  known = new Map(collections.map(({ name, pictures }) => [name, pictures]));
  news.hidden = true;
}

// Hides what was told of another collection.
export function reset() {
  if (on.collection() !== told) news.hidden = true;
}

const sum = (numbers) => numbers.reduce((all, one) => all + one, 0);

// How many pictures more the collection has that is shown.
function added(name, now) {
  const there = now.find((one) => one.name === name);
  if (there) return known.has(name) ? there.pictures - known.get(name) : 0;
  return name === "all" ? sum(now.map(({ pictures }) => pictures)) - sum([...known.values()]) : 0;
}

// Whether an ingest is running.
async function tell() {
  if (document.hidden) return null;
  const now = await api.collections();
  if (!firstRun.hidden) {
    if (now.some(({ pictures }) => pictures)) on.show();
    return null;
  }
  if (!known) return null;
  const name = on.collection();
  const { run } = now.some((one) => one.name === name) ? await api.progress(name) : {};
  if (name !== on.collection()) return null;
  told = name;
  const isRunning = run && !run.silent;
  const more = added(name, now);
  const sentence = more > 0 ? `${count(more, "picture")} more since this page was opened.` : `${count(-more, "picture")} fewer now.`;
  news.hidden = !more && !isRunning;
  news.querySelector("button").hidden = !more;
  news.querySelector("span").textContent = [isRunning && `An ingest is running: ${howFar(run)}.`, more && sentence].filter(Boolean).join(" ");
  return isRunning;
}

async function tellWhoAsks() {
  logOut.hidden = !(await api.status()).has_token;
}

export async function watch() {
  const running = await tell().catch(() => null); // the next answer tells what is wrong
  setTimeout(watch, (running ? RUN_SECONDS : NEWS_SECONDS) * 1000);
}

news.querySelector("button").addEventListener("click", () => {
  news.hidden = true;
  on.show();
});
tellWhoAsks().catch(() => null);
