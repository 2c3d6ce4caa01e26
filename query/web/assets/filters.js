// The filter beside the pictures: a folder, and any of the labels.

import { number } from "./text.js";

const filters = document.querySelector(".filters");
const folder = filters.querySelector("select");
const list = filters.querySelector(".labels ul");
const find = filters.querySelector(".find-label");
const clear = filters.querySelector(".clear");
const item = document.querySelector("#label").content.firstElementChild;
const SEARCHED = 15; // more labels than this can be searched

export const on = { change: () => {} };

// Fills the filter with what a collection has.
export function fill(detail) {
  const all = new Option(`All (${number.format(detail.pictures)})`, "");
  folder.replaceChildren(all, ...detail.folders.map(folderOption));
  list.replaceChildren(...detail.labels.map(labelItem));
  find.hidden = detail.labels.length <= SEARCHED;
  find.value = "";
  filters.querySelector(".labels").hidden = !detail.labels.length;
  filters.querySelector(".folder").hidden = !detail.folders.length;
  filters.hidden = !detail.folders.length;
}

function folderOption({ name, pictures }) {
  const parts = name.split("/");
  const indent = "\u2003".repeat(parts.length - 1);
  return new Option(`${indent}${parts.at(-1)} (${number.format(pictures)})`, name);
}

function labelItem({ name, pictures }) {
  const one = item.cloneNode(true);
  one.querySelector("input").value = name;
  one.querySelector(".what").textContent = name;
  one.querySelector(".count").textContent = number.format(pictures);
  return one;
}

// Shows what the question filters by.
export function reflect(question) {
  folder.value = question.under;
  for (const box of boxes()) box.checked = question.labels.includes(box.value);
  const count = question.labels.length + (question.under ? 1 : 0);
  filters.querySelector(".chosen").textContent = count ? ` (${count})` : "";
  clear.hidden = !count;
}

const boxes = () => list.querySelectorAll("input");

function change() {
  const label = [...boxes()].filter((box) => box.checked).map((box) => box.value);
  on.change({ label, under: folder.value });
}

filters.addEventListener("change", (event) => event.target !== find && change());
clear.addEventListener("click", () => on.change({ label: [], under: "" }));
find.addEventListener("input", () => {
  const wanted = find.value.trim().toLowerCase();
  for (const one of list.children) one.hidden = !one.textContent.toLowerCase().includes(wanted);
  list.dataset.empty = [...list.children].every((one) => one.hidden) ? "No label with that in it" : "";
});

const wide = matchMedia("(min-width: 56rem)");
// Where there is room it is always open, and its heading is no button.
const openWhereWide = () => {
  filters.open = wide.matches;
  filters.querySelector("summary").tabIndex = wide.matches ? -1 : 0;
};
wide.addEventListener("change", openWhereWide);
openWhereWide();
