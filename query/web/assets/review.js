// What is to be looked after in a collection: pictures that are one, side by side, and files that could not be read.

import * as api from "./api.js";
import { count, howFar, number, sizeOf } from "./text.js";

const review = document.querySelector(".review");
const body = review.querySelector(".review-body");
const PAGE = 20;
let busy = null;

export const on = { collection: () => "" };

function element(name, text = "", ...children) {
  const made = document.createElement(name);
  made.append(text, ...children);
  return made;
}

export async function show(kind) {
  busy?.abort();
  busy = new AbortController();
  review.querySelector("h2").textContent = { duplicates: "Duplicates", failures: "Files that could not be read", status: "This server" }[kind];
  body.replaceChildren(element("p", kind === "duplicates" ? "Looking: this takes a minute for every few thousand pictures…" : "…"));
  if (!review.open) review.showModal();
  try {
    body.replaceChildren(...(await VIEWS[kind](busy.signal)));
  } catch (error) {
    if (error.name !== "AbortError") body.replaceChildren(element("p", error.message));
  }
}

const VIEWS = {
  async duplicates(signal) {
    const list = element("div");
    const more = element("button", "More");
    let offset = 0;
    const load = async () => {
      const { groups, total } = await api.duplicates(on.collection(), offset, PAGE, signal);
      list.append(...groups.map(groupOf));
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
  },
  async failures() {
    const { failures } = await api.failures(on.collection());
    if (!failures.length) return [element("p", "Every file could be read.")];
    const rows = failures.slice(0, 1000).map((one) => {
      const path = element("td", one.path);
      path.dir = "auto";
      return element("tr", "", path, element("td", one.reason), element("td", one.shown ? "shown damaged" : "left out"));
    });
    const table = element("table", "", element("tbody", "", ...rows));
    return [element("p", `${count(failures.length, "file")}; \`ingest run\` tries those again that have changed.`), table];
  },
  async status() {
    const [server, collections] = await Promise.all([api.status(), api.collections()]);
    const runs = await Promise.all(collections.map(({ name }) => api.progress(name).then(({ run }) => run, () => null)));
    const rows = collections.map((one, place) =>
      element("tr", "", element("td", one.name), element("td", count(one.pictures, "picture")), element("td", `${one.encoder}, ${one.words}`), element("td", stateOf(one, runs[place]))));
    return [
      element("p", `wordsight ${server.version}, ${count(server.pictures, "picture")} in ${count(server.collections, "collection")}.`),
      element("table", "", element("tbody", "", ...rows)),
    ];
  },
};

function stateOf({ updated }, run) {
  if (run) return run.silent ? `an ingest ended early: ${howFar(run)}; \`ingest run\` goes on` : `an ingest is running: ${howFar(run)}`;
  return updated ? `brought up to date ${updated.slice(0, 16).replace("T", " ")}` : "not complete yet";
}

function groupOf({ kind, members }) {
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
  const group = element("section", "", element("h3", { copy: "The same bytes", same: "The same picture", alike: "Alike" }[kind]), element("ul", "", ...pictures));
  group.className = "group";
  return group;
}

review.addEventListener("close", () => busy?.abort());
