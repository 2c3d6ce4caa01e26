// One picture, whole and large, with what is known of it. Its address can be shared.

import * as api from "./api.js";
import { whyMissing } from "./cards.js";
import * as recovery from "./recovery.js";
import { count, dateOf, fileName, folderOf, sizeOf } from "./text.js";

const view = document.querySelector(".view");
const image = view.querySelector(".stage img");
const facts = view.querySelector("dl");
const words = view.querySelector(".view-words");
const missing = view.querySelector(".missing");
const actions = view.querySelector(".view-actions");
const copied = view.querySelector(".copied");

let picture = null;
let busy = null;
let question = null;
let again = () => {}; // once more what was shown last

// Set by the page: `step` goes to the picture before or after, `ask` asks another question.
export const on = { step: () => {}, close: () => {}, ask: () => {}, select: () => {} };


// Shows a picture of the collection; `found` where the page has its record already.
export async function show(id, asked, found = null) {
  busy?.abort();
  busy = new AbortController();
  question = asked;
  const { signal } = busy;
  again = () => signal.aborted || show(id, asked, found);
  if (picture?.id !== id) picture = null;
  if (!view.open) view.showModal();
  words.replaceChildren();
  try {
    picture = found ?? (await api.picture(id, asked.collection || (await nameOfDefault()), signal));
    if (signal.aborted) return;
    fill();
    const { results } = await api.tags(id, picture.collection, signal);
    words.replaceChildren(...results.map(wordItem));
  } catch (error) {
    if (error.name === "AbortError" || picture?.id === id) return;
    picture = null;
    actions.hidden = true;
    facts.replaceChildren();
    view.querySelector("h2").textContent = "";
    const isUnknown = ["invalid", "not-found"].includes(error.code);
    tellMissing(isUnknown ? "This picture is no longer there: it may have been removed or renamed." : error.message, error);
  }
}

function tellMissing(why, error) {
  image.hidden = true;
  missing.querySelector("p").textContent = why;
  missing.querySelector("button").hidden = !recovery.isPassing(error);
  missing.hidden = false;
  recovery.offer(error, again);
}

const nameOfDefault = async () => document.querySelector(".collections").dataset.default ?? "";

function fill() {
  image.hidden = false;
  missing.hidden = true;
  actions.hidden = false;
  image.src = `${picture.thumbnail}&size=2048`;
  image.alt = picture.path;
  view.querySelector("h2").textContent = fileName(picture.path);
  for (const link of view.querySelectorAll(".original")) link.href = picture.original;
  view.querySelector(".download").href = `${picture.original}&download=true`;
  const rows = [
    ["Path", picture.path],
    ["Label", picture.label],
    ["Keywords", picture.keywords?.join(", ")],
    ["Size", `${picture.width} × ${picture.height}, ${sizeOf(picture.bytes)}`],
    ["Taken", picture.taken && dateOf(picture.taken)],
    ["Camera", picture.camera],
    ["Place", picture.place && `${picture.place[0].toFixed(4)}, ${picture.place[1].toFixed(4)}`],
    ["Damaged", picture.damaged],
    ["Collection", picture.collection],
  ];
  facts.replaceChildren(...rows.filter(([, value]) => value).flatMap(([name, value]) => row(name, value)));
  const folder = folderOf(picture.path);
  const button = view.querySelector(".folder-of");
  button.hidden = !folder;
  button.textContent = `Folder ${folder}`;
  copied.textContent = "";
}

function row(name, value) {
  const [term, description] = [document.createElement("dt"), document.createElement("dd")];
  term.textContent = name;
  description.textContent = value;
  description.dir = "auto";
  return [term, description];
}

function wordItem({ word }) {
  const li = document.createElement("li");
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = word;
  button.title = "Search for this word";
  button.addEventListener("click", () => on.ask(question.about({ q: word })));
  li.append(button);
  return li;
}

image.addEventListener("error", async () => {
  const answer = await fetch(image.src).catch(() => null);
  tellMissing(`${whyMissing(answer?.status)}.`, { code: answer ? "" : "offline" });
});

export function close() {
  busy?.abort();
  picture = null;
  if (view.open) view.close();
}

const ACTIONS = {
  close: () => on.close(),
  again: () => again(),
  before: () => on.step(-1),
  after: () => on.step(1),
  like: () => on.ask(question.about({ id: picture.id })),
  plus: () => on.ask(question.withPicture(picture.id, "plus")),
  minus: () => on.ask(question.withPicture(picture.id, "minus")),
  out: () => on.ask(question.with({ without: [...question.without, picture.id], view: "" })),
  folder: () => on.ask(question.with({ under: folderOf(picture.path), view: "" })),
  select: () => on.select(picture),
  copy: () => copy(picture.path, "The path is copied."),
  share: () => copy(location.href, "The address is copied."),
};

async function copy(text, told) {
  try {
    await navigator.clipboard.writeText(text);
    copied.textContent = told;
  } catch {
    copied.textContent = `Copy it from here: ${text}`; // pages without TLS may not write there
  }
}

view.addEventListener("click", (event) => {
  const does = event.target.closest("[data-does]")?.dataset.does;
  if (does && (picture || ["again", "close"].includes(does))) ACTIONS[does]();
});
view.addEventListener("cancel", (event) => {
  event.preventDefault();
  on.close();
});
view.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const does = { ArrowLeft: "before", ArrowRight: "after", "+": "plus", "-": "minus", s: "select", c: "copy", l: "like" }[event.key];
  if (!does || !picture) return;
  event.preventDefault();
  ACTIONS[does]();
});

// A finger moved across the picture goes to the next one.
let from = null;
image.addEventListener("touchstart", (event) => { from = event.touches.length === 1 ? event.touches[0].clientX : null; }, { passive: true });
image.addEventListener("touchend", (event) => {
  const moved = from === null ? 0 : event.changedTouches[0].clientX - from;
  if (Math.abs(moved) > 60) on.step(moved < 0 ? 1 : -1);
}, { passive: true });

// Where among how many it is.
export function tellPlace(place, total) {
  view.querySelector(".place").textContent = place < 0 ? "" : `${place + 1} of ${count(total, "picture")}`;
  view.querySelector("[data-does=before]").disabled = place <= 0;
  view.querySelector("[data-does=after]").disabled = place < 0 || place + 1 >= total;
}
