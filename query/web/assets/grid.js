// The pictures found, as tiles: only those near the window are in the page, however many there are.

import { Answers, PAGE } from "./answers.js";
import { makeCard, whyMissing } from "./cards.js";
import { sentence } from "./text.js";

const grid = document.querySelector(".grid");
const rest = document.querySelector(".rest");
const GAP = 12;
const CAPTION = 30; // pixels below a picture
const lineHeight = () => (innerWidth < 640 ? 66 : 44); // of the sentence between what stands out and the others
const BESIDE = 1; // windows above and below that are filled too
const WIDTHS = { small: 120, medium: 176, large: 280 };

let answers = null;
let shape = { columns: 1, width: 100, height: 100 };
let shown = new Map(); // place to card
let current = 0; // the place of the card that the keyboard is at
let line = null;

// Set by the page. `told`: called when more is known of the answers.
export const on = { told: () => {}, card: () => {}, failed: () => {} };

// Shows the answers to a question; those shown before stay until there are others.
export async function show(question, at = null) {
  answers?.stop();
  const mine = new Answers(question);
  answers = mine;
  grid.setAttribute("aria-busy", "true");
  try {
    await mine.load(0);
    if (answers !== mine) return null;
    clear();
    layOut();
    if (at) goTo(at);
    on.told(mine);
    await draw();
    return mine;
  } catch (error) {
    if (error.name === "AbortError") return null;
    if (answers === mine) clear();
    grid.style.height = "";
    throw error;
  } finally {
    if (answers === mine) grid.removeAttribute("aria-busy");
  }
}

const topOfGrid = () => grid.getBoundingClientRect().top + scrollY;

// Where in the list one is, whatever stands above it and however many columns there are: the tile at the top of the
// window, and how many pixels beyond its own top; null at the top of the page.
export function where() {
  if (!scrollY || !answers) return null;
  const inside = scrollY - topOfGrid();
  const [place] = span(inside, inside);
  return { place, beyond: inside - spot(place).top };
}

export const goTo = ({ place, beyond }) => scrollTo(0, topOfGrid() + spot(place).top + beyond);

export const all = () => answers;
export const total = () => answers?.total ?? 0;

function clear() {
  grid.replaceChildren();
  shown = new Map();
  line = null;
  current = 0;
  rest.hidden = true;
}

// How many columns, and how large a tile is: by the width there is, and the density chosen.
export function layOut() {
  if (!answers) return;
  const least = innerWidth < 640 ? Math.min(WIDTHS[grid.dataset.density] ?? 176, 150) : WIDTHS[grid.dataset.density] ?? 176;
  const columns = Math.max(1, Math.floor((grid.clientWidth + GAP) / (least + GAP)));
  const width = (grid.clientWidth - GAP * (columns - 1)) / columns;
  shape = { columns, width, height: width * 0.75 + CAPTION };
  grid.style.height = `${heightOf()}px`;
}

const rows = (many) => Math.ceil(many / shape.columns);

function heightOf() {
  if (answers.line < 0) return rows(answers.total) * (shape.height + GAP);
  return (rows(answers.line) + rows(answers.total - answers.line)) * (shape.height + GAP) + lineHeight() + GAP;
}

// Left and top of a tile, pixels.
function spot(place) {
  const below = answers.line >= 0 && place >= answers.line;
  const inside = below ? place - answers.line : place;
  const before = below ? rows(answers.line) * (shape.height + GAP) + lineHeight() + GAP : 0;
  return {
    left: (inside % shape.columns) * (shape.width + GAP),
    top: before + Math.floor(inside / shape.columns) * (shape.height + GAP),
  };
}

// The first place of the row at a height, and of the one after the last.
function span(from, to) {
  const step = shape.height + GAP;
  const split = answers.line < 0 ? answers.total : answers.line;
  const above = rows(split) * step;
  const first = (height) => {
    if (height < above || split === answers.total) return Math.max(0, Math.floor(height / step)) * shape.columns;
    return split + Math.max(0, Math.floor((height - above - lineHeight() - GAP) / step)) * shape.columns;
  };
  return [Math.min(first(from), answers.total), Math.min(first(to) + shape.columns, answers.total)];
}

let drawing = 0;
export function redraw() {
  cancelAnimationFrame(drawing);
  drawing = requestAnimationFrame(() => draw());
}

async function draw() {
  const mine = answers;
  if (!mine) return;
  const above = scrollY - topOfGrid();
  const [from, to] = span(above - innerHeight * BESIDE, above + innerHeight * (1 + BESIDE));
  for (const [place, card] of shown) {
    const isHeld = card.contains(document.activeElement);
    if ((place < from || place >= to) && !isHeld) {
      card.remove();
      shown.delete(place);
    }
  }
  for (let place = from; place < to; place += 1) put(place);
  putLine(from, to);
  await need(mine, from, to);
}

// Asks for what is not there yet, and draws it when it comes.
async function need(mine, from, to) {
  const pages = new Set();
  for (let place = from; place < to; place += 1) if (!mine.at(place)) pages.add(Math.floor(place / PAGE));
  if (!pages.size) return;
  try {
    const before = mine.total;
    await Promise.all([...pages].map((page) => mine.load(page * PAGE)));
    if (mine !== answers) return;
    rest.hidden = true;
    if (mine.total !== before) layOut();
    for (const [place, card] of [...shown]) {
      if (place >= mine.total || (card.dataset.waits && mine.at(place))) {
        card.remove();
        shown.delete(place);
      }
    }
    redraw();
    if (mine.rest && to >= mine.total) tellRest(mine.rest);
  } catch (error) {
    if (error.name === "AbortError" || mine !== answers) return;
    tellRest(error.message, "Try again", freshen);
    on.failed(error);
  }
}

function put(place) {
  if (shown.has(place)) return;
  const found = answers.at(place);
  const card = makeCard(found, place, answers);
  move(card, place);
  on.card(card, found);
  const next = [...shown.keys()].filter((other) => other > place).sort((a, b) => a - b)[0];
  grid.insertBefore(card, next === undefined ? null : shown.get(next));
  shown.set(place, card);
}

function move(card, place) {
  const { left, top } = spot(place);
  card.style.width = `${shape.width}px`;
  card.style.height = `${shape.height}px`;
  card.style.transform = `translate(${left}px, ${top}px)`;
  card.querySelector("a").tabIndex = place === current ? 0 : -1;
}

function putLine(from, to) {
  const place = answers.line;
  if (place < 0 || place < from || place > to) {
    line?.remove();
    line = null;
    return;
  }
  if (!line) {
    line = document.createElement("li");
    line.className = "line";
    line.textContent = "Below are only the nearest of the others.";
  }
  line.style.transform = `translate(0, ${rows(place) * (shape.height + GAP)}px)`;
  const after = shown.get(place);
  if (after && line.nextSibling !== after) grid.insertBefore(line, after);
}

// Places all anew: another width, or another density.
export function reshape() {
  if (!answers) return;
  const kept = where();
  layOut();
  for (const [place, card] of shown) move(card, place);
  if (kept?.place) goTo(kept);
  redraw();
}

export function scrollToPlace(place) {
  scrollTo(0, topOfGrid() + spot(place).top - headerHeight());
}

const headerHeight = () => document.querySelector("header").offsetHeight + 8;

// Below the pictures: why no more come, and what can be done about it.
export function tellRest(why, does = "", action = null) {
  rest.querySelector("p").textContent = why && sentence(why);
  const button = rest.querySelector("button");
  button.textContent = does;
  button.hidden = !does;
  button.onclick = action;
  rest.hidden = false;
}

// The keyboard's place: all tiles are one stop of the Tab key.
export async function focus(place, { scroll = true } = {}) {
  if (!answers || place < 0 || place >= answers.total) return grid.focus({ preventScroll: true });
  for (const card of shown.values()) card.querySelector("a").tabIndex = -1;
  current = place;
  if (scroll) {
    const { top } = spot(place);
    const begin = topOfGrid() + top;
    if (begin - headerHeight() < scrollY) scrollTo(0, begin - headerHeight());
    else if (begin + shape.height > scrollY + innerHeight) scrollTo(0, begin + shape.height + GAP - innerHeight);
  }
  await draw();
  const card = shown.get(place);
  if (!card) return undefined;
  const link = card.querySelector("a");
  link.tabIndex = 0;
  link.focus({ preventScroll: true });
  return undefined;
}

// The first place that the header does not cover.
export function placeInView() {
  const inside = scrollY - topOfGrid() + headerHeight();
  return span(inside, inside)[0];
}

// Asks again for what could not be had while the server did not answer.
export function freshen() {
  if (!rest.querySelector("button").hidden) rest.hidden = true;
  for (const [place, card] of [...shown]) {
    if (card.querySelector("a").dataset.why !== whyMissing(null)) continue;
    card.remove();
    shown.delete(place);
  }
  redraw();
}

export const placeOfCard = (card) => [...shown].find(([, other]) => other === card)?.[0] ?? -1;
export const cards = () => [...shown.values()];

const STEPS = { ArrowLeft: () => -1, ArrowRight: () => 1, ArrowUp: () => -shape.columns, ArrowDown: () => shape.columns, Home: () => -Infinity, End: () => Infinity };

grid.addEventListener("keydown", (event) => {
  const card = event.target.closest(".card");
  if (!card || event.ctrlKey || event.metaKey || event.altKey || !(event.key in STEPS)) return;
  event.preventDefault();
  const place = placeOfCard(card);
  const next = Math.min(answers.total - 1, Math.max(0, place + STEPS[event.key]()));
  focus(next).then(() => on.moved?.(place, next, event.shiftKey));
});
grid.addEventListener("focusin", (event) => {
  const card = event.target.closest(".card");
  if (card) current = placeOfCard(card);
});
addEventListener("scroll", redraw, { passive: true });
let width = 0;
new ResizeObserver(([{ contentRect }]) => {
  if (contentRect.width === width) return; // it grows with what is in it
  width = contentRect.width;
  reshape();
}).observe(grid.parentElement);
