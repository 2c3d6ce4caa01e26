// Pictures selected: with Shift, Ctrl, a finger held down, or their tick; and what can be done with them together.

import * as api from "./api.js";
import { count } from "./text.js";

const bar = document.querySelector(".selection");
const told = bar.querySelector(".told");
const MOST_ZIPPED = 500;
const MOST_ASKED = 20;

const chosen = new Map(); // id to record
export const on = { ask: () => {}, changed: () => {} };
let question = null;

export const has = (id) => chosen.has(id);
export const size = () => chosen.size;

export function reset(asked) {
  question = asked;
  if (chosen.size) clear();
}

export function clear() {
  chosen.clear();
  changed();
}

export function toggle(picture, isOn = !chosen.has(picture.id)) {
  if (isOn) chosen.set(picture.id, picture);
  else chosen.delete(picture.id);
  changed();
}

export function add(pictures) {
  for (const picture of pictures) if (picture) chosen.set(picture.id, picture);
  changed();
}

function changed(message = "") {
  bar.hidden = !chosen.size;
  bar.querySelector(".number").textContent = `${count(chosen.size, "picture")} selected`;
  told.textContent = message;
  document.body.classList.toggle("selecting", chosen.size > 0);
  on.changed();
}

const ids = () => [...chosen.keys()];

const ACTIONS = {
  clear,
  async copy() {
    const text = [...chosen.values()].map((one) => one.path).join("\n");
    try {
      await navigator.clipboard.writeText(text);
      changed(`${count(chosen.size, "path")} copied.`);
    } catch {
      changed("This page may not write to the clipboard: it needs https, or this machine's own address.");
    }
  },
  zip() {
    if (chosen.size > MOST_ZIPPED) return changed(`No more than ${MOST_ZIPPED} pictures go into one ZIP.`);
    const link = document.createElement("a");
    link.href = api.archive(ids(), question.collection);
    link.download = "pictures.zip";
    link.click();
    return changed("The ZIP is on its way.");
  },
  search() {
    if (chosen.size > MOST_ASKED) return changed(`No more than ${MOST_ASKED} pictures can be added up.`);
    return on.ask(question.about({ id: ids() }));
  },
  out() {
    on.ask(question.with({ without: [...new Set([...question.without, ...ids()])] }));
  },
};

bar.addEventListener("click", (event) => {
  const does = event.target.closest("[data-does]")?.dataset.does;
  if (does) ACTIONS[does]();
});
