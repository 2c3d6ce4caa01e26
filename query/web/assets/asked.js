// What is asked, above the answers: the pictures in the search, and words as chips.

import * as api from "./api.js";

const one = (selector) => document.querySelector(selector);
const askedList = one(".asked");
const words = one(".words");
const vector = one(".vector");
const askedPicture = one("#asked-picture").content.firstElementChild;
const word = one("#word").content.firstElementChild;

export const on = { ask: () => {} };
let question = null;
let busy = null;

export function show(asked) {
  question = asked;
  askedList.replaceChildren(
    ...question.ids.map((id, number) => item(id, "plus", number)),
    ...question.minusIds.map((id, number) => item(id, "minus", question.ids.length + number)),
  );
  askedList.hidden = !question.hasPictures;
  vector.hidden = !question.hasPictures || Boolean(question.text);
  for (const choice of vector.querySelectorAll("input")) choice.checked = choice.value === (question.vector || "visual");
  return showWords();
}

function item(id, sign, number) {
  const li = askedPicture.cloneNode(true);
  const [turn, remove] = li.querySelectorAll("button");
  const other = sign === "plus" ? "minus" : "plus";
  li.classList.add(sign);
  li.querySelector("img").src = api.thumbnail(id, question.collection);
  li.querySelector("img").addEventListener("error", () => li.classList.add("gone"), { once: true });
  li.querySelector("img").alt = sign === "plus" ? "Picture looked for" : "Picture turned away from";
  turn.textContent = sign === "plus" ? "+" : "−";
  const which = question.ids.length + question.minusIds.length > 1 ? `picture ${number + 1}` : "this picture";
  turn.setAttribute("aria-label", sign === "plus" ? `Take ${which} away instead` : `Add ${which} instead`);
  turn.addEventListener("click", () => on.ask(question.withPicture(id, other)));
  remove.setAttribute("aria-label", `Leave ${which} out`);
  remove.addEventListener("click", () => on.ask(question.withoutPicture(id)));
  return li;
}

// Words as chips: of the picture asked about, or near the words asked for.
async function showWords() {
  busy?.abort();
  busy = new AbortController();
  if (!question.ids.length && !question.text) {
    words.hidden = true;
    return;
  }
  const about = question;
  try {
    const { results } = await api.words(about, busy.signal);
    one(".words-title").textContent = about.ids.length > 1 ? "In the first picture" : about.ids.length ? "In this picture" : "Near words";
    words.querySelector("ul").replaceChildren(...results.map(makeWord));
    words.hidden = !results.length;
  } catch (error) {
    if (error.name !== "AbortError") words.hidden = true; // the pictures matter; their answer tells what is wrong
  }
}

function makeWord({ word: text }) {
  const li = word.cloneNode(true);
  const [only, plus, minus] = li.querySelectorAll("button");
  only.textContent = text;
  only.title = "Search for this word (Shift and click adds it)";
  only.addEventListener("click", (event) =>
    on.ask(event.shiftKey ? withWord(event.altKey ? "-" : "+", text) : question.about({ q: text })),
  );
  plus.setAttribute("aria-label", `Add ${text} to the search`);
  minus.setAttribute("aria-label", `Take ${text} away from the search`);
  for (const more of [plus, minus]) more.addEventListener("click", () => on.ask(withWord(more.dataset.sign, text)));
  return li;
}

function withWord(sign, text) {
  const before = question.text || (sign === "-" ? "" : null);
  const terms = `+ ${before} `.split(/\s(?=[+-]\s)/).map((term) => term.trim());
  if (terms.includes(`${sign} ${text}`)) return question;
  return question.with({ q: before === null ? text : `${before} ${sign} ${text}`.trim(), vector: "" });
}

vector.addEventListener("change", (event) => on.ask(question.with({ vector: event.target.value })));
