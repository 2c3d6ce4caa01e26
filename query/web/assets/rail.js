// The rail beside a long list by date: years and months, each a way to where its pictures begin.

import * as api from "./api.js";
import { count, monthName } from "./text.js";

const rail = document.querySelector(".rail");
const LEAST = 60; // pictures: fewer are seen at once
let busy = null;

export const on = { go: () => {} };

// Takes its room before the pictures are laid out, which would else be moved by it.
export function prepare(question) {
  busy?.abort();
  rail.querySelector("ul").replaceChildren();
  rail.hidden = !question.isEmpty || !question.sort.endsWith("date");
}

export async function show(question, total) {
  if (total < LEAST) rail.hidden = true;
  if (rail.hidden) return;
  busy = new AbortController();
  try {
    const { months } = await api.timeline(question, busy.signal);
    const list = rail.querySelector("ul");
    list.replaceChildren(...years(months).map(yearItem));
    rail.hidden = !months.length;
  } catch (error) {
    if (error.name !== "AbortError") rail.hidden = true; // the pictures matter; their answer tells what is wrong
  }
}

function years(months) {
  const found = [];
  for (const month of months) {
    const year = month.month.slice(0, 4);
    if (found.at(-1)?.year !== year) found.push({ year, months: [] });
    found.at(-1).months.push(month);
  }
  return found;
}

function yearItem({ year, months }) {
  const li = document.createElement("li");
  li.append(button(year || "No date", months[0].offset, months.reduce((sum, one) => sum + one.pictures, 0)));
  const inside = document.createElement("ul");
  for (const one of year ? months : []) {
    const month = document.createElement("li");
    month.append(button(monthName(one.month).split(" ")[0].slice(0, 3), one.offset, one.pictures, monthName(one.month)));
    inside.append(month);
  }
  if (inside.children.length) li.append(inside);
  return li;
}

function button(text, offset, pictures, name = text) {
  const one = document.createElement("button");
  one.type = "button";
  one.textContent = text;
  one.setAttribute("aria-label", `${name}: ${count(pictures, "picture")}`);
  one.title = one.ariaLabel;
  one.addEventListener("click", () => on.go(offset));
  return one;
}
