// What is to be looked after in collections: pictures that are one, side by side, and files that could not be read.

import * as api from "./api.js";
import { isPassing } from "./recovery.js";
import { count, howFar, number, sizeOf } from "./text.js";

const review = document.querySelector(".review");
const body = review.querySelector(".review-body");
const PAGE = 20;
const STATUS_SECONDS = 4;
const TITLES = { duplicates: "Duplicates", failures: "Files that could not be read", status: "This server" };
const NOTHING = "There are no pictures yet.";
let busy = null;

// Set by the page. `collections`: the names of those that are shown.
export const on = { collections: async () => [] };

function element(name, text = "", ...children) {
  const made = document.createElement(name);
  made.append(text, ...children);
  return made;
}

export async function show(kind) {
  busy?.abort();
  busy = new AbortController();
  const { signal } = busy;
  review.querySelector("h2").textContent = TITLES[kind];
  body.replaceChildren(element("p", "…"));
  if (!review.open) review.showModal();
  try {
    await VIEWS[kind](signal);
  } catch (error) {
    if (!signal.aborted) tellProblem(error, () => show(kind));
  }
}

function tellProblem(error, again) {
  body.replaceChildren(element("p", error.message));
  if (!isPassing(error)) return;
  const button = element("button", "Try again");
  button.addEventListener("click", again);
  body.append(button);
}

// One part for each of the collections, which come one after the other, under their names where there are several.
async function each(signal, waiting, fill) {
  const names = await on.collections();
  if (signal.aborted) return;
  const several = names.length > 1;
  body.replaceChildren(...(names.length ? [] : [element("p", NOTHING)]));
  for (const name of names) {
    const part = element("section");
    const inside = element("div", "", element("p", waiting));
    if (several) part.append(element("h3", name));
    part.append(inside);
    body.append(part);
    const made = await fill(name, several).catch((error) => {
      if (!several || signal.aborted) throw error;
      return [element("p", error.message)]; // the others can be looked at
    });
    if (signal.aborted) return;
    inside.replaceChildren(...made);
  }
}

const VIEWS = {
  duplicates: (signal) => each(signal, "Looking: this takes a minute for every few thousand pictures…", (name, several) => duplicatesOf(name, several ? "h4" : "h3", signal)),
  failures: (signal) => each(signal, "…", failuresOf),
  async status(signal) {
    while (!signal.aborted) {
      const shown = await readStatus().catch((error) => {
        if (isPassing(error)) return [element("p", error.message)];
        throw error;
      });
      if (signal.aborted) return;
      if (shown.map((one) => one.textContent).join() !== [...body.children].map((one) => one.textContent).join()) body.replaceChildren(...shown);
      await new Promise((done) => setTimeout(done, STATUS_SECONDS * 1000));
    }
  },
};

async function duplicatesOf(name, heading, signal) {
  const list = element("div");
  const more = element("button", "More");
  let offset = 0;
  const load = async () => {
    const { groups, total } = await api.duplicates(name, offset, PAGE, signal);
    list.append(...groups.map((group) => groupOf(group, heading)));
    offset += groups.length;
    more.hidden = offset >= total;
    return total;
  };
  more.addEventListener("click", load);
  const total = await load();
  const told = total
    ? `${count(total, "group")} of pictures that are one. The first of each is the one with most pixels: nothing is changed from here.`
    : "No two pictures are one.";
  return [element("p", told), list, more];
}

async function failuresOf(name) {
  const { failures } = await api.failures(name);
  if (!failures.length) return [element("p", "Every file could be read.")];
  const rows = failures.slice(0, 1000).map((one) => {
    const path = element("td", one.path);
    path.dir = "auto";
    return element("tr", "", path, element("td", one.reason), element("td", one.shown ? "shown damaged" : "left out"));
  });
  const table = element("table", "", element("tbody", "", ...rows));
  return [element("p", `${count(failures.length, "file")}; \`ingest run\` tries those again that have changed.`), table];
}

async function readStatus() {
  const [server, collections] = await Promise.all([api.status(), api.collections()]);
  const runs = await Promise.all(collections.map(({ name }) => api.progress(name).then(({ run }) => run, () => null)));
  const rows = collections.map((one, place) =>
    element("tr", "", element("td", one.name), element("td", count(one.pictures, "picture")), element("td", `${one.encoder}, ${one.words}`), element("td", stateOf(one, runs[place]))));
  return [
    element("p", `wordsight ${server.version}, ${count(server.pictures, "picture")} in ${count(server.collections, "collection")}.`),
    element("table", "", element("tbody", "", ...rows)),
  ];
}

function stateOf({ updated }, run) {
  if (run) return run.silent ? `an ingest ended early: ${howFar(run)}; \`ingest run\` goes on` : `an ingest is running: ${howFar(run)}`;
  return updated ? `brought up to date ${updated.slice(0, 16).replace("T", " ")}` : "not complete yet";
}

function groupOf({ kind, members }, heading) {
  const pictures = members.map(({ kind: what, picture }) => {
    const link = element("a");
    const image = element("img");
    image.src = picture.thumbnail;
    image.alt = picture.path;
    image.loading = "lazy";
    link.href = picture.original;
    link.target = "_blank";
    link.rel = "noopener";
    link.append(image);
    const path = element("span", picture.path);
    path.dir = "auto";
    return element("li", "", link, path, element("span", `${number.format(picture.width)} × ${number.format(picture.height)}, ${sizeOf(picture.bytes)}, ${what}`));
  });
  const group = element("section", "", element(heading, { copy: "The same bytes", same: "The same picture", alike: "Alike" }[kind]), element("ul", "", ...pictures));
  group.className = "group";
  return group;
}

review.addEventListener("close", () => busy?.abort());
