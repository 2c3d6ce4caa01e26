// The rail beside a long list by date: years and months, each a way to where its pictures begin.

import * as api from "./api.js";
import { count, monthName } from "./text.js";

const rail = document.querySelector(".rail");
const LEAST = 60; // pictures: fewer are seen at once
let busy = null;
let chosen = null; // the place gone to last, and how far the page was scrolled for it

export const on = { go: () => {} };

// Takes its room before the pictures are laid out, which would else be moved by it.
export function prepare(question) {
  busy?.abort();
  chosen = null;
  rail.querySelector("ul").replaceChildren();
  rail.hidden = !question.isEmpty || !question.sort.endsWith("date");
}

// Marks the month and the year of the pictures in view, and keeps them in view themselves.
export function follow(place) {
  const buttons = [...rail.querySelectorAll("button")];
  const wanted = chosen && Math.abs(chosen.scrollY - scrollY) < 2 ? chosen.place : place;
  const last = (some) => some.filter((one) => Number(one.dataset.offset) <= wanted).at(-1);
  const year = last(buttons.filter((one) => one.matches(".rail > ul > li > button")));
  const month = year && last([...year.parentElement.querySelectorAll("ul button")]);
  for (const one of buttons) {
    if (one === year || one === month) one.setAttribute("aria-current", "true");
    else one.removeAttribute("aria-current");
  }
  const shown = month?.checkVisibility() ? month : year;
  if (!shown) return;
  const [area, spot] = [rail.getBoundingClientRect(), shown.getBoundingClientRect()];
  if (spot.top < area.top) rail.scrollTop -= area.top - spot.top;
  else if (spot.bottom > area.bottom) rail.scrollTop += spot.bottom - area.bottom;
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
  one.dataset.offset = offset;
  one.addEventListener("click", () => {
    on.go(offset);
    chosen = { place: offset, scrollY };
    follow(offset);
  });
  return one;
}
