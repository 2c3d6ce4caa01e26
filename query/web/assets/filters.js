// The filter beside the pictures: folders, labels, days, a camera; and what is chosen of it, as chips.

import { number } from "./text.js";

const filters = document.querySelector(".filters");
const tree = filters.querySelector(".tree");
const list = filters.querySelector(".labels ul");
const find = filters.querySelector(".find-label");
const chips = document.querySelector(".chips");
const dates = filters.querySelector(".dates");
const item = document.querySelector("#label").content.firstElementChild;
const chip = document.querySelector("#chip").content.firstElementChild;
const SEARCHED = 15; // more labels than this can be searched
const LISTED = 300; // labels in the page at once; the others are found by typing

export const on = { change: () => {}, clear: () => {} };
let labels = [];
let hits = new Map(); // label to answers that have it
let chosen = { labels: [], under: "" };

// Fills the filter with what a collection has.
export function fill(detail) {
  labels = detail.labels; // the most frequent first
  find.hidden = labels.length <= SEARCHED;
  find.value = "";
  tree.replaceChildren(...branches(detail.folders, ""));
  filters.querySelector(".labels").hidden = !labels.length;
  filters.querySelector(".folder").hidden = !detail.folders.length;
  filters.hidden = !detail.pictures;
  listLabels();
}

// What several collections have: each label once. Their folders are of different places, and are left out.
export function together(details) {
  const many = new Map();
  for (const { name, pictures } of details.flatMap(({ labels }) => labels)) many.set(name, (many.get(name) ?? 0) + pictures);
  const labels = [...many].map(([name, pictures]) => ({ name, pictures })).sort((a, b) => b.pictures - a.pictures);
  return { pictures: details.reduce((sum, { pictures }) => sum + pictures, 0), labels, folders: [] };
}

// The folders below one, each opened when it is asked for: a dataset can have many thousands.
function branches(folders, parent) {
  const depth = parent ? parent.split("/").length + 1 : 1;
  const here = folders.filter(({ name }) => name.split("/").length === depth && (!parent || name.startsWith(`${parent}/`)));
  return here.map((folder) => branch(folders, folder));
}

function branch(folders, { name, pictures }) {
  const li = document.createElement("li");
  const button = document.createElement("button");
  button.type = "button";
  button.dataset.under = name;
  button.dir = "auto";
  button.textContent = name.split("/").at(-1);
  const many = document.createElement("span");
  many.className = "count";
  many.textContent = number.format(pictures);
  button.append(many);
  const inside = folders.filter((other) => other.name.startsWith(`${name}/`));
  if (!inside.length) {
    li.append(button);
    return li;
  }
  const details = document.createElement("details");
  const summary = document.createElement("summary");
  summary.append(button);
  const below = document.createElement("ul");
  details.append(summary, below);
  details.addEventListener("toggle", () => {
    if (details.open && !below.children.length) {
      below.append(...branches(inside, name));
      markFolder();
    }
  });
  li.append(details);
  return li;
}

function markFolder() {
  for (const button of tree.querySelectorAll("button")) {
    if (button.dataset.under === chosen.under) button.setAttribute("aria-current", "true");
    else button.removeAttribute("aria-current");
  }
}

// Puts the labels first that most of what stands out has, as far as it was loaded.
export function order(answers) {
  const { results, standing } = answers.first;
  const found = answers.question.isEmpty ? [] : results.slice(0, standing || results.length);
  hits = new Map();
  for (const { label } of found) if (label !== null) hits.set(label, (hits.get(label) ?? 0) + 1);
  listLabels();
}

function listLabels() {
  const wanted = find.value.trim().toLowerCase();
  const byHits = (a, b) => (hits.get(b.name) ?? 0) - (hits.get(a.name) ?? 0);
  const fitting = labels.filter(({ name }) => name.toLowerCase().includes(wanted)).sort(byHits); // the others as they were
  const ticked = fitting.filter(({ name }) => chosen.labels.includes(name));
  const others = fitting.filter(({ name }) => !chosen.labels.includes(name)).slice(0, LISTED);
  list.replaceChildren(...[...ticked, ...others].map(labelItem));
  list.dataset.empty = fitting.length ? "" : "No label with that in it";
}

function labelItem({ name, pictures }) {
  const one = item.cloneNode(true);
  const box = one.querySelector("input");
  box.value = name;
  box.checked = chosen.labels.includes(name);
  one.querySelector(".what").textContent = name;
  one.querySelector(".count").textContent = number.format(pictures);
  return one;
}

// Shows what the question filters by.
export function reflect(question) {
  chosen = { labels: question.labels, under: question.under };
  listLabels();
  markFolder();
  for (const name of ["after", "before", "camera"]) dates.elements[name].value = question.one(name);
  dates.querySelector(".wrong").hidden = true;
  const made = [
    ...question.labels.map((label) => makeChip(`Label: ${label}`, { label: question.labels.filter((other) => other !== label) })),
    ...(question.under ? [makeChip(`Folder: ${question.under}`, { under: "" })] : []),
    ...["after", "before", "camera", "near"].filter((name) => question.one(name)).map((name) => makeChip(`${sentenceOf[name]}: ${question.one(name)}`, { [name]: "" })),
    ...(question.without.length ? [makeChip(`Left out: ${question.without.length}`, { without: [] })] : []),
  ];
  chips.replaceChildren(...made);
  chips.hidden = !made.length;
  filters.querySelector(".chosen").textContent = made.length ? ` (${made.length})` : "";
  filters.querySelector(".clear").hidden = !made.length;
}

// A sentence of the server's, with a field's name in the page for that of an option.
export const named = (told) => told.replace(/^(?:--)?(after|before|camera|near)\b/i, (name) => sentenceOf[name.replace("--", "").toLowerCase()]);

const sentenceOf = { after: "From", before: "Before", camera: "Camera", near: "Near" };

function makeChip(text, changes) {
  const one = chip.cloneNode(true);
  one.querySelector(".what").textContent = text;
  const button = one.querySelector("button");
  button.setAttribute("aria-label", `Remove the filter ${text}`);
  button.addEventListener("click", () => on.change(changes));
  return one;
}

tree.addEventListener("click", (event) => {
  const button = event.target.closest("button");
  if (!button) return;
  event.preventDefault();
  const { under } = button.dataset;
  const details = button.closest("details");
  if (details && details.querySelector("summary")?.contains(button)) details.open = true;
  on.change({ under: under === chosen.under ? "" : under });
});
list.addEventListener("change", () => {
  const shown = [...list.querySelectorAll("input")];
  const kept = chosen.labels.filter((name) => !shown.some((box) => box.value === name));
  on.change({ label: [...kept, ...shown.filter((box) => box.checked).map((box) => box.value)] });
});
dates.addEventListener("submit", (event) => {
  event.preventDefault();
  const given = Object.fromEntries(["after", "before", "camera"].map((name) => [name, dates.elements[name].value.trim()]));
  if (areDates(given)) on.change(given);
});
// What the server would refuse is told beside what was typed.
function areDates(given) {
  const wrong = ["before", "after"].filter((name) => given[name] && !isDate(given[name]));
  for (const name of ["before", "after"]) dates.elements[name].setAttribute("aria-invalid", String(wrong.includes(name)));
  const told = dates.querySelector(".wrong");
  told.hidden = !wrong.length;
  told.textContent = wrong.length ? `${given[wrong.at(-1)]} is no date: write a year, a month or a day, such as 2019, 2019-07 or 2019-07-03.` : "";
  if (wrong.length) dates.elements[wrong.at(-1)].focus();
  return !wrong.length;
}

// A time may follow, as in an address that was written by hand.
function isDate(text) {
  const [, year, month = 1, day = 1] = /^(\d{4})(?:-(\d\d?)(?:-(\d\d?)(?:[T ].*)?)?)?$/.exec(text) ?? [];
  const date = new Date(Date.UTC(2000, month - 1, day));
  date.setUTCFullYear(year);
  return year > 0 && date.getUTCMonth() === month - 1 && date.getUTCDate() === Number(day);
}

filters.querySelector(".clear").addEventListener("click", () => on.clear());
find.addEventListener("input", listLabels);

const wide = matchMedia("(min-width: 56rem)");
// Where there is room it is always open, and its heading is no button.
const openWhereWide = () => {
  filters.open = wide.matches;
  filters.querySelector("summary").tabIndex = wide.matches ? -1 : 0;
};
wide.addEventListener("change", openWhereWide);
openWhereWide();
