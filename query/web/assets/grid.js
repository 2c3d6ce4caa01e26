// The pictures found: cards, more of them while one scrolls, and the keyboard.

import { find } from "./api.js";
import { number, sentence } from "./text.js";

const PAGE = 48;
const MOST = 200; // that the API gives at once
const grid = document.querySelector(".grid");
const rest = document.querySelector(".rest");
const end = document.querySelector(".end");
const message = document.querySelector(".message");
const card = document.querySelector("#card").content.firstElementChild;

let question = null;
let next = null; // where the following page begins, or null
let busy = null; // the AbortController of the page that is on its way

// Shows the answers to another question, at least `count` of them where there are so many.
export async function show(asked, count = PAGE) {
  busy?.abort();
  question = asked;
  next = 0;
  rest.hidden = true;
  grid.setAttribute("aria-busy", "true");
  try {
    const answer = await load(Math.min(MOST, Math.max(PAGE, count)));
    if (!answer) return;
    tell(answer);
    while (next && shown() < count && (await load(MOST)));
    watchEnd();
  } finally {
    grid.removeAttribute("aria-busy");
  }
}

const cards = () => [...grid.querySelectorAll(".card")];
export const shown = () => cards().length;

// Where the keyboard is after another answer: at the same picture, or at the first, or where one would be.
export function focus(id) {
  const same = cards().find((one) => one.dataset.id === id);
  const place = (same ?? grid).querySelector("a") ?? grid;
  place.focus({ preventScroll: !same });
}

async function load(limit = PAGE) {
  const asked = question;
  const offset = next;
  busy = new AbortController();
  next = null;
  let answer;
  try {
    answer = await find(asked, offset, limit, busy.signal);
  } catch (error) {
    if (error.name === "AbortError") return null;
    if (offset === 0) grid.replaceChildren();
    else next = offset;
    throw error;
  }
  if (asked !== question) return null;
  const made = answer.results.map(makeCard);
  const nearest = answer.results.findIndex((found) => found.stands_out === false);
  if (nearest >= 0 && offset + nearest === answer.standing) made.splice(nearest, 0, makeLine(answer));
  if (offset === 0) grid.replaceChildren(...made);
  else grid.append(...made);
  next = answer.next;
  if (offset && answer.note && !next) tellRest(answer.note);
  else rest.hidden = true;
  return answer;
}

// Between what stands out and what is only near.
function makeLine(answer) {
  const line = document.createElement("li");
  line.className = "line";
  line.textContent = sentence(answer.ends);
  return line;
}

function makeCard(found) {
  const one = card.cloneNode(true);
  const name = found.label ?? found.path.split("/").at(-1);
  const link = one.querySelector("a");
  const picture = one.querySelector("img");
  one.dataset.id = found.id;
  link.href = question.about({ id: found.id }).address;
  link.setAttribute("aria-label", `${found.path}: search by this picture`);
  link.title = `${found.path}\n${found.width} × ${found.height}${found.damaged ? `\nDamaged: ${found.damaged}` : ""}`;
  picture.src = found.thumbnail;
  picture.srcset = `${found.thumbnail} 256w, ${found.thumbnail}&size=512 512w`;
  picture.sizes = "(max-width: 40rem) 45vw, 220px";
  picture.addEventListener("error", () => tellMissing(one, found.thumbnail), { once: true });
  one.querySelector(".label").textContent = found.damaged ? `${name} (damaged)` : name;
  one.classList.toggle("named", found.matched === "name");
  if (found.matched) link.title += `\nFound by ${found.matched}`;
  if (found.score !== undefined && question.vector !== "both") one.querySelector(".score").textContent = found.score.toFixed(2);
  const [plus, minus] = one.querySelectorAll("button");
  plus.setAttribute("aria-label", `Add ${found.path} to the search`);
  minus.setAttribute("aria-label", `Take ${found.path} away from the search`);
  plus.title = "Add to the search (Shift and click)";
  minus.title = "Take away from the search (Shift, Alt and click)";
  const open = one.querySelector(".open");
  open.href = found.original;
  open.title = "Open the file";
  open.setAttribute("aria-label", `Open the file ${found.path}`);
  return one;
}

const MISSING = { 403: "It leads out of the folder", 404: "The file is not here", 415: "The file cannot be read" };

async function tellMissing(one, address) {
  const answer = await fetch(address).catch(() => null);
  const why = answer ? (MISSING[answer.status] ?? "Not available just now") : "The server does not answer";
  one.querySelector("a").dataset.why = why;
  one.classList.add("gone");
}

function tell(answer) {
  const note = answer.note ? ` ${sentence(answer.note)}` : "";
  const total = `${number.format(answer.total)} ${answer.total === 1 ? "picture" : "pictures"}`;
  if (question.isEmpty) {
    message.textContent = answer.total ? `${total}. Write words, drop a picture, or click one.` : "No picture passes the filter.";
  } else if (!answer.results.length) {
    message.textContent = `No picture found.${note}`;
  } else if (answer.standing === 0) {
    message.textContent = `None of ${total} stands out: these are only the nearest.${note}`;
  } else if (answer.standing) {
    const standing = number.format(answer.standing);
    message.textContent = `${standing} of ${total} ${answer.standing === 1 ? "stands" : "stand"} out.${note}`;
  } else {
    message.textContent = `${total}, the nearest first.${note}`;
  }
}

// Below the pictures: why no more come, and what can be done about it.
function tellRest(why, does = "", action = null) {
  rest.querySelector("p").textContent = why && sentence(why);
  const button = rest.querySelector("button");
  button.textContent = does;
  button.hidden = !does;
  button.onclick = action;
  rest.hidden = false;
}

// Set by the page: called with a new question.
export const on = { ask: () => {} };

const observer = new IntersectionObserver(
  (entries) => {
    if (entries.some((entry) => entry.isIntersecting)) more();
  },
  { rootMargin: "600px" },
);

// Observed anew after each page: one too short to push the end out of sight is then followed by the next.
function watchEnd() {
  observer.unobserve(end);
  observer.observe(end);
}

function more() {
  if (next) load().then((answer) => answer && watchEnd(), (error) => tellRest(error.message, "Try again", more));
}

grid.addEventListener("click", (event) => {
  const one = event.target.closest(".card");
  if (!one || event.target.closest(".open")) return;
  const sign = event.target.closest("button")?.dataset.sign;
  if (!sign && (event.ctrlKey || event.metaKey)) return; // a new tab
  event.preventDefault();
  const id = one.dataset.id;
  if (sign) on.ask(question.withPicture(id, sign));
  else if (event.shiftKey) on.ask(question.withPicture(id, event.altKey ? "minus" : "plus"));
  else on.ask(question.about({ id }));
});

const STEPS = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: "up", ArrowDown: "down" };

grid.addEventListener("keydown", (event) => {
  const one = event.target.closest(".card");
  if (!one || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === "+" || event.key === "-") {
    on.ask(question.withPicture(one.dataset.id, event.key === "+" ? "plus" : "minus"));
  } else if (event.key === "o") {
    one.querySelector(".open").click();
  } else if (event.key in STEPS) {
    step(one, STEPS[event.key]);
  } else {
    return;
  }
  event.preventDefault();
});

function step(one, by) {
  const all = cards();
  const columns = getComputedStyle(grid).gridTemplateColumns.split(" ").length;
  const steps = by === "up" ? -columns : by === "down" ? columns : by;
  all[all.indexOf(one) + steps]?.querySelector("a").focus();
}
