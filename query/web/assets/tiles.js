// What a click, a finger or a key does to a tile: look at it, select it, search by it.

import * as grid from "./grid.js";
import * as selection from "./selection.js";

const list = document.querySelector(".grid");
const HOLD_MILLISECONDS = 500;
const STILL = 10; // pixels that a finger held moves
export const on = { ask: () => {}, view: () => {}, question: () => null };
let last = -1; // the place that was selected last

const recordOf = (card) => grid.all().at(grid.placeOfCard(card));

function pick(card, upTo) {
  const place = grid.placeOfCard(card);
  if (upTo && last >= 0) {
    const [from, to] = [Math.min(last, place), Math.max(last, place)];
    selection.add(Array.from({ length: to - from + 1 }, (_, step) => grid.all().at(from + step)));
  } else {
    selection.toggle(recordOf(card));
  }
  last = place;
}

list.addEventListener("click", (event) => {
  const card = event.target.closest(".card");
  if (card) event.preventDefault(); // a tile's address is for other tabs: here it is shown without loading the page
  if (!card?.dataset.id) return;
  const question = on.question();
  if (event.target.closest(".like")) on.ask(question.about({ id: card.dataset.id }));
  else if (event.target.closest(".pick") || event.shiftKey || event.ctrlKey || event.metaKey) pick(card, event.shiftKey);
  else if (selection.size()) pick(card, false);
  else on.view(card.dataset.id);
});

list.addEventListener("keydown", (event) => {
  const card = event.target.closest(".card");
  if (!card?.dataset.id || event.ctrlKey || event.metaKey || event.altKey) return;
  const question = on.question();
  if (event.key === "Enter" && event.target.matches("a")) on.view(card.dataset.id); // also while others are selected
  else if (event.key === "x" || event.key === " ") pick(card, event.shiftKey);
  else if (event.key === "l") on.ask(question.about({ id: card.dataset.id }));
  else if (event.key === "+" || event.key === "-") on.ask(question.withPicture(card.dataset.id, event.key === "+" ? "plus" : "minus"));
  else return;
  event.preventDefault();
});

// A finger held on a tile selects it; then a touch selects or leaves out others. The click that letting go may be is
// none.
let holding = 0;
let from = null; // where the finger came down
let wasHeld = false;
list.addEventListener("pointerdown", (event) => {
  wasHeld = false;
  const card = event.target.closest(".card");
  if (event.pointerType !== "touch" || !card?.dataset.id) return;
  from = event;
  holding = setTimeout(() => {
    wasHeld = true;
    pick(card, false);
  }, HOLD_MILLISECONDS);
});
list.addEventListener("click", (event) => {
  if (!wasHeld) return;
  wasHeld = false;
  event.preventDefault();
  event.stopImmediatePropagation();
}, { capture: true });
list.addEventListener("pointermove", (event) => {
  if (from && Math.hypot(event.clientX - from.clientX, event.clientY - from.clientY) > STILL) clearTimeout(holding);
});
for (const name of ["pointerup", "pointercancel"]) list.addEventListener(name, () => clearTimeout(holding));
list.addEventListener("contextmenu", (event) => {
  if (matchMedia("(hover: none)").matches && event.target.closest(".card")) event.preventDefault();
});

function markOne(card) {
  const isChosen = selection.has(card.dataset.id);
  card.classList.toggle("chosen", isChosen);
  card.querySelector(".pick")?.setAttribute("aria-pressed", String(isChosen));
}

export function mark() {
  for (const card of grid.cards()) markOne(card);
}

grid.on.card = (card, found) => found && markOne(card);
grid.on.moved = (from, to, isSelecting) => {
  if (!isSelecting) return;
  selection.add([grid.all().at(from), grid.all().at(to)]);
  last = to;
};
