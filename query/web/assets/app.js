// The page: what is asked, from the address and back into it.

import * as api from "./api.js";
import * as filters from "./filters.js";
import * as grid from "./grid.js";
import { Question } from "./state.js";
import { number } from "./text.js";

const one = (selector) => document.querySelector(selector);
const form = one(".search");
const text = form.elements.q;
const file = one("input[type=file]");
const collections = one(".collections");
const problem = one(".problem");
const message = one(".message");
const askedList = one(".asked");
const words = one(".words");
const vector = one(".vector");
const drop = one(".drop");
const help = one(".help");
const askedPicture = one("#asked-picture").content.firstElementChild;
const word = one("#word").content.firstElementChild;

let question = new Question();
let filled = null; // the collection the filter shows
let wordsBusy = null;

const MOST_PICTURES = 20; // that the API takes

// Asks another question: a new entry of the history, from which one comes back to where one was.
function ask(next) {
  if (Math.max(next.ids.length, next.minusIds.length) > MOST_PICTURES) {
    return tellProblem(`No more than ${MOST_PICTURES} pictures can be added up: leave one out first.`);
  }
  const focus = keptFocus();
  remember();
  const isSame = next.address === location.pathname + location.search;
  history[isSame ? "replaceState" : "pushState"](null, "", next.address);
  scrollTo(0, 0);
  render().then(focus);
}

// Where one is, kept with the entry of the history: for coming back, and for reloading.
let remembering = 0;
function remember() {
  clearTimeout(remembering);
  history.replaceState({ count: grid.shown(), top: scrollY }, "");
}
addEventListener("scroll", () => {
  clearTimeout(remembering);
  remembering = setTimeout(remember, 200);
}, { passive: true });

// What is pressed in the page is written anew with the answer; the keyboard stays where it was.
function keptFocus() {
  const held = document.activeElement;
  const area = [".grid", ".asked", ".words", ".filters", ".rest"].find((selector) => held.closest(selector));
  const id = held.closest(".card")?.dataset.id;
  return () => {
    if (!area || document.activeElement !== document.body) return;
    const place = area === ".filters" ? one(".filters select") : one(`${area}:not([hidden], .grid) button:not([hidden])`);
    if (place) place.focus({ preventScroll: true });
    else grid.focus(id);
  };
}

async function render(back = null) {
  question = new Question();
  tellProblem("");
  text.value = question.text;
  document.title = question.text ? `${question.text} · wordsight` : "wordsight";
  collections.value = question.collection || collections.dataset.default || "";
  showAsked();
  filters.reflect(question);
  const chips = showWords();
  fillFilter();
  try {
    await grid.show(question, back?.count);
    if (back?.top !== undefined) scrollTo(0, back.top);
  } catch (error) {
    fail(error);
  }
  await chips;
}

function fail(error) {
  message.textContent = "";
  tellProblem(error.message);
}

function tellProblem(sentence) {
  problem.textContent = sentence;
  problem.hidden = !sentence;
}

async function fillFilter() {
  const name = question.collection || collections.dataset.default;
  if (!name || name === filled) return;
  filled = name;
  try {
    filters.fill(await api.collection(name));
    filters.reflect(question);
  } catch (error) {
    filled = null;
    fail(error);
  }
}

async function fillCollections() {
  const there = await api.collections();
  collections.replaceChildren(...there.map(({ name, pictures }) => new Option(`${name} (${number.format(pictures)})`, name)));
  collections.dataset.default = there.find((record) => record.default)?.name ?? "";
  collections.value = question.collection || collections.dataset.default;
  collections.hidden = there.length < 2;
  if (question.collection && !there.some(({ name }) => name === question.collection)) {
    const gone = question.collection;
    history.replaceState(null, "", question.with({ collection: "", label: [], under: "" }).address);
    await render();
    tellProblem(`There is no collection ${gone} here: these are pictures of ${collections.dataset.default}.`);
  }
  await fillFilter();
}

function showAsked() {
  const item = (id, sign, number) => {
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
    turn.addEventListener("click", () => ask(question.withPicture(id, other)));
    remove.setAttribute("aria-label", `Leave ${which} out`);
    remove.addEventListener("click", () => ask(question.withoutPicture(id)));
    return li;
  };
  askedList.replaceChildren(
    ...question.ids.map((id, number) => item(id, "plus", number)),
    ...question.minusIds.map((id, number) => item(id, "minus", question.ids.length + number)),
  );
  askedList.hidden = !question.hasPictures;
  vector.hidden = !question.hasPictures || Boolean(question.text);
  for (const choice of vector.querySelectorAll("input")) choice.checked = choice.value === (question.vector || "visual");
}

// Words as chips: of the picture asked about, or near the words asked for.
async function showWords() {
  wordsBusy?.abort();
  wordsBusy = new AbortController();
  if (!question.ids.length && !question.text) return void (words.hidden = true);
  const about = question;
  try {
    const { results } = await api.words(about, wordsBusy.signal);
    one(".words-title").textContent = about.ids.length ? "In this picture" : "Near words";
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
    ask(event.shiftKey ? withWord(event.altKey ? "-" : "+", text) : question.about({ q: text })),
  );
  plus.setAttribute("aria-label", `Add ${text} to the search`);
  minus.setAttribute("aria-label", `Take ${text} away from the search`);
  for (const more of [plus, minus]) more.addEventListener("click", () => ask(withWord(more.dataset.sign, text)));
  return li;
}

function withWord(sign, text) {
  const before = question.text || (sign === "-" ? "" : null);
  const terms = `+ ${before} `.split(/\s(?=[+-]\s)/).map((term) => term.trim());
  if (terms.includes(`${sign} ${text}`)) return question;
  return question.with({ q: before === null ? text : `${before} ${sign} ${text}`.trim(), vector: "" });
}

async function uploadAndAsk(source) {
  tellProblem("");
  const before = message.textContent;
  message.textContent = "Looking at the picture…";
  document.body.classList.add("busy");
  try {
    const { id } = await api.upload(source, question.collection);
    ask(question.about({ id }));
  } catch (error) {
    message.textContent = before;
    tellProblem(error.message);
  } finally {
    document.body.classList.remove("busy");
  }
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  text.blur();
  const asked = text.value.trim();
  ask(question.hasPictures ? question.with({ q: asked, vector: asked ? "" : question.vector }) : question.about({ q: asked }));
});

file.addEventListener("change", () => {
  if (file.files.length) uploadAndAsk(file.files[0]);
  file.value = "";
});

collections.addEventListener("change", () => {
  // Ids and labels are of the other collection; words and uploads can be asked of any.
  const mine = (ids) => ids.filter((id) => id.startsWith("upload-"));
  const changes = { label: [], under: "", id: mine(question.ids), minus_id: mine(question.minusIds) };
  ask(question.with({ collection: collections.value, ...changes }));
});

vector.addEventListener("change", (event) => ask(question.with({ vector: event.target.value })));
filters.on.change = (changes) => ask(question.with(changes));
grid.on.ask = ask;
addEventListener("popstate", (event) => {
  clearTimeout(remembering);
  if (new Question().address !== question.address) render({ count: 0, top: 0, ...event.state });
});

one("[data-home]").addEventListener("click", (event) => {
  if (event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  ask(new Question(new URLSearchParams({ collection: question.collection })));
});

document.addEventListener("paste", (event) => {
  const picture = [...event.clipboardData.files].find((item) => item.type.startsWith("image/"));
  if (!picture) return;
  event.preventDefault();
  uploadAndAsk(picture);
});

const carries = (event) => ["Files", "text/uri-list"].some((type) => event.dataTransfer.types.includes(type));
document.addEventListener("dragover", (event) => {
  if (!carries(event)) return;
  event.preventDefault();
  drop.classList.add("over");
});
document.addEventListener("dragleave", (event) => event.relatedTarget ?? drop.classList.remove("over"));
document.addEventListener("drop", (event) => {
  drop.classList.remove("over");
  if (!carries(event)) return;
  event.preventDefault();
  const { files, items } = event.dataTransfer;
  if ([...items].some((item) => item.webkitGetAsEntry?.()?.isDirectory)) {
    tellProblem("That is a folder: drop one picture.");
  } else if (files.length > 1) {
    tellProblem(`One picture at a time: those are ${files.length}.`);
  } else if (files.length) {
    uploadAndAsk(files[0]);
  } else {
    askAddress(event.dataTransfer.getData("text/uri-list").split("\n")[0].trim());
  }
});

// An address dropped: of a picture of this page, or of one elsewhere, which the server may fetch.
function askAddress(address) {
  if (!URL.canParse(address)) return;
  const { origin, searchParams } = new URL(address);
  const own = new Question(searchParams);
  if (origin !== location.origin) uploadAndAsk(address);
  else if (own.hasPictures) ask(own);
}

document.addEventListener("keydown", (event) => {
  if (event.target.matches("input, select, textarea") || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === "/") text.focus();
  else if (event.key === "?") help.showModal();
  else return;
  event.preventDefault();
});
text.addEventListener("keydown", (event) => {
  if (event.key !== "ArrowDown" || !grid.shown()) return;
  event.preventDefault();
  grid.focus();
});
one(".help-button").addEventListener("click", () => help.showModal());

history.scrollRestoration = "manual";
fillCollections().catch(fail);
render(history.state);
