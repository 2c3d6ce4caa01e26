// The page: what is asked, from the address and back into it.

import * as api from "./api.js";
import * as asked from "./asked.js";
import * as bringing from "./bringing.js";
import * as cards from "./cards.js";
import * as filters from "./filters.js";
import * as grid from "./grid.js";
import * as lightbox from "./lightbox.js";
import * as looks from "./looks.js";
import * as news from "./news.js";
import * as rail from "./rail.js";
import * as recovery from "./recovery.js";
import * as review from "./review.js";
import * as selection from "./selection.js";
import { Question } from "./state.js";
import { count, number, sentence, suggestions } from "./text.js";
import * as tiles from "./tiles.js";

const one = (selector) => document.querySelector(selector);
const form = one(".search");
const text = form.elements.q;
const collections = one(".collections");
const problem = one(".problem");
const message = one(".message");
const meant = one(".did-you-mean");
const sort = one(".sort");
const help = one(".help");

const MOST_PICTURES = 20; // that the API takes
const EMPTY = "There are no pictures yet: nothing can be searched for.";
const ORDERS = {
  all: [["-date", "newest first"], ["date", "oldest first"], ["name", "by name"], ["id", "shuffled"]],
  some: [["score", "best first"], ["date", "oldest first"], ["name", "by name"]],
};

let question = new Question();
let shown = null; // the address of the list that is shown
let filled = null; // the collection the filter shows
let isNothingServed = null; // null: not known yet

// Asks another question: a new entry of the history, from which one comes back to where one was.
function ask(next) {
  if (Math.max(next.ids.length, next.minusIds.length) > MOST_PICTURES) {
    return tellProblem(`No more than ${MOST_PICTURES} pictures can be added up: leave one out first.`);
  }
  const focus = keptFocus();
  remember();
  const isSame = next.address === location.pathname + location.search;
  history[isSame ? "replaceState" : "pushState"](null, "", next.address);
  if (isSame) shown = null; // asked again on purpose
  if (next.list !== shown) scrollTo(0, 0);
  return render().then(focus);
}

// Where one is, kept with the entry of the history: for coming back, and for reloading.
let remembering = 0;
let isSettled = false; // before, one is not yet where one came back to
function remember() {
  clearTimeout(remembering);
  if (!isSettled) return;
  history.replaceState({ ...history.state, at: grid.where() }, "");
}
addEventListener("scroll", () => {
  clearTimeout(remembering);
  remembering = setTimeout(remember, 200);
}, { passive: true });

addEventListener("pagehide", remember);
// Out of the browser's memory comes a page that its user may have logged out of: a 401 loads it anew.
addEventListener("pageshow", (event) => event.persisted && api.status().catch(() => null));

// What is pressed in the page is written anew with the answer; the keyboard stays where it was.
function keptFocus() {
  const held = document.activeElement;
  const area = [".grid", ".asked", ".words", ".chips", ".filters", ".rest"].find((selector) => held.closest(selector));
  const id = held.closest(".card")?.dataset.id;
  return () => {
    if (!area || document.activeElement !== document.body) return;
    const place = area === ".filters" ? one(".filters button, .filters input") : one(`${area}:not([hidden], .grid) button:not([hidden])`);
    if (place) place.focus({ preventScroll: true });
    else grid.focus(Math.max(0, grid.all()?.placeOf(id) ?? 0), { scroll: false });
  };
}

async function render(at = null) {
  question = new Question();
  if (question.list !== shown) await renderList(at);
  await renderView();
}

async function renderList(at) {
  const mine = question.list;
  shown = mine;
  isSettled = false;
  tellProblem("");
  recovery.forget();
  news.reset();
  text.value = question.text;
  document.title = question.text ? `${question.text} · wordsight` : "wordsight";
  collections.value = question.collection || collections.dataset.default || "";
  selection.reset(question);
  filters.reflect(question);
  showOrders();
  rail.prepare(question);
  const chips = asked.show(question);
  fillFilter();
  try {
    const answers = await grid.show(question, at);
    if (answers) rail.show(question, answers.total).then(followRail);
  } catch (error) {
    if (mine === shown) fail(error);
  }
  await chips; // which stand above the list
  if (mine !== shown) return;
  if (at) grid.goTo(at);
  isSettled = true;
}

// The picture shown large, as the address says.
async function renderView() {
  if (!question.view) return lightbox.close();
  const place = grid.all()?.placeOf(question.view) ?? -1;
  lightbox.tellPlace(place, grid.total());
  return lightbox.show(question.view, question, place < 0 ? null : grid.all().at(place));
}

function showOrders() {
  const orders = ORDERS[question.isEmpty ? "all" : "some"];
  sort.replaceChildren(...orders.map(([value, name]) => new Option(name, value)));
  sort.value = question.sort;
}

function fail(error, repeat = again) {
  message.textContent = "";
  const isEmpty = error.code === "no-collection" && (!question.collection || isNothingServed);
  tellProblem(isEmpty ? (question.isEmpty ? "" : EMPTY) : filters.named(error.message)); // what to type is shown below
  one(".looks").hidden = isEmpty; // from what is refused one goes on with them
  offer(suggestions(error.message));
  recovery.offer(error, repeat);
}

// Words that were perhaps meant, to click.
function offer(words) {
  meant.replaceChildren(...words.map((word) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = word;
    button.addEventListener("click", () => ask(question.with({ q: word })));
    return button;
  }));
  meant.hidden = !words.length;
}

function tellProblem(told) {
  problem.textContent = told;
  problem.hidden = !told;
  offer([]);
}

// All anew, and what is being typed stays.
function again() {
  const typed = text.value;
  shown = null;
  if (isNothingServed !== false) fillCollections().catch(fail);
  render(grid.where());
  text.value = typed;
}
recovery.on.back = grid.freshen;
grid.on.failed = (error) => error.code === "offline" && recovery.listen(); // its own button stands below
cards.on.offline = recovery.listen;

grid.on.told = (answers) => {
  const { first, total } = answers;
  const note = first.note ? ` ${sentence(first.note)}` : "";
  const all = count(first.total, "picture");
  filters.order(answers);
  one(".looks").hidden = !total;
  one(".first-run").hidden = true;
  offer(suggestions(first.note ?? ""));
  if (question.isEmpty) {
    message.textContent = first.total ? `${all}. Write words, drop a picture, or click one.` : "No picture passes the filter.";
  } else if (!total) {
    message.textContent = `No picture found.${note}`;
  } else if (first.standing === 0) {
    message.textContent = `None of ${all} stands out: these are only the nearest.${note}`;
  } else if (first.standing) {
    message.textContent = `${number.format(first.standing)} of ${all} ${first.standing === 1 ? "stands" : "stand"} out.${note}`;
  } else {
    message.textContent = `${all}, the nearest first.${note}`;
  }
};

async function fillFilter() {
  const name = isShown();
  if (!name || name === filled) return;
  filled = name;
  try {
    const details = await Promise.all((await namesOf(name)).map(api.collection));
    if (name !== filled) return;
    filters.fill(details.length === 1 ? details[0] : filters.together(details));
    filters.reflect(question);
  } catch (error) {
    filled = null;
    if (error.code !== "no-collection") fail(error);
  }
}

const isShown = () => question.collection || collections.dataset.default || "";

// The collections that a name means: itself, or all that are served.
async function namesOf(name) {
  if (name && name !== "all") return [name];
  const there = await api.collections();
  const own = there.find((record) => (name ? record.name === name : record.default));
  return own ? [own.name] : there.map((record) => record.name);
}

async function fillCollections() {
  const there = await api.collections();
  isNothingServed = !there.length;
  if (isNothingServed) {
    one(".first-run").hidden = false;
    one(".looks").hidden = true;
    tellProblem(question.isEmpty ? "" : EMPTY);
    message.textContent = "";
    return;
  }
  const all = there.reduce((sum, { pictures }) => sum + pictures, 0);
  const options = there.map(({ name, pictures }) => new Option(`${name} (${number.format(pictures)})`, name));
  if (there.length > 1 && !there.some(({ name }) => name === "all")) options.push(new Option(`All (${number.format(all)})`, "all"));
  collections.replaceChildren(...options);
  collections.dataset.default = there.find((record) => record.default)?.name ?? "";
  collections.value = question.collection || collections.dataset.default;
  collections.hidden = there.length < 2;
  news.begin(there);
  if (question.collection && question.collection !== "all" && !there.some(({ name }) => name === question.collection)) {
    const gone = question.collection;
    history.replaceState(null, "", question.with({ collection: "", label: [], under: "" }).address);
    await render();
    tellProblem(`There is no collection ${gone} here: these are pictures of ${collections.dataset.default}.`);
  }
  await fillFilter();
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
    if (error.code === "no-collection" && isNothingServed) return tellProblem(EMPTY);
    const name = source.name ? `${source.name}: ` : "";
    tellProblem(name ? `${name}${error.message.charAt(0).toLowerCase()}${error.message.slice(1)}` : error.message);
    recovery.offer(error, () => uploadAndAsk(source));
  } finally {
    document.body.classList.remove("busy");
  }
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  text.blur();
  const words = text.value.trim();
  ask(question.hasPictures ? question.with({ q: words, vector: words ? "" : question.vector, sort: "", view: "" }) : question.about({ q: words }));
});

collections.addEventListener("change", () => {
  // Ids and labels are of the other collection; words and uploads can be asked of any.
  const mine = (ids) => ids.filter((id) => id.startsWith("upload-"));
  const changes = { id: mine(question.ids), minus_id: mine(question.minusIds), view: "" };
  ask(question.unfiltered().with({ collection: collections.value, ...changes }));
});

sort.addEventListener("change", () => ask(question.with({ sort: sort.value })));
filters.on.change = (changes) => ask(question.with({ ...changes, view: "" }));
filters.on.clear = () => ask(question.unfiltered());
asked.on.ask = ask;
selection.on.ask = ask;
selection.on.changed = tiles.mark;
lightbox.on.ask = ask;
lightbox.on.select = (picture) => selection.toggle(picture);
lightbox.on.close = () => (history.state?.opened ? history.back() : leave());
rail.on.go = (place) => grid.scrollToPlace(place);
const followRail = () => grid.total() && rail.follow(grid.placeInView());
addEventListener("scroll", followRail, { passive: true });
looks.on.change = grid.reshape;
review.on.collections = () => namesOf(isShown());
news.on.collection = isShown;
news.on.show = () => {
  filled = null;
  fillCollections().then(again, fail);
};
bringing.on.bring = uploadAndAsk;
bringing.on.tell = tellProblem;
bringing.on.ask = ask;
tiles.on.ask = ask;
tiles.on.question = () => question;
tiles.on.view = (id) => {
  remember();
  history.pushState({ at: grid.where(), opened: true }, "", question.with({ view: id }).address);
  question = new Question();
  renderView();
};

// From one picture to the next, in one entry of the history.
lightbox.on.step = async (by) => {
  const answers = grid.all();
  const place = answers.placeOf(question.view) + by;
  if (place < 0 || place >= answers.total) return;
  await answers.load(place);
  const found = answers.at(place);
  if (!found) return;
  history.replaceState(history.state, "", question.with({ view: found.id }).address);
  question = new Question();
  await renderView();
};

function leave() {
  const id = question.view;
  history.replaceState(history.state, "", question.with({ view: "" }).address);
  question = new Question();
  lightbox.close();
  grid.focus(grid.all()?.placeOf(id) ?? 0);
}

addEventListener("popstate", (event) => {
  clearTimeout(remembering);
  const viewed = question.view;
  const isSame = new Question().list === shown;
  render(event.state?.at).then(() => {
    if (isSame && viewed && !question.view) grid.focus(grid.all().placeOf(viewed));
  });
});

one("[data-home]").addEventListener("click", (event) => {
  if (event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  ask(new Question(new URLSearchParams({ collection: question.collection })));
});
one(".menu").addEventListener("click", (event) => {
  const kind = event.target.closest("[data-menu]")?.dataset.menu;
  if (!kind) return;
  one(".menu").open = false;
  if (kind === "help") help.showModal();
  else review.show(kind);
});
addEventListener("click", (event) => event.target.closest(".menu") || (one(".menu").open = false));

document.addEventListener("keydown", (event) => {
  if (event.target.matches("input, select, textarea") || event.ctrlKey || event.metaKey || event.altKey) return;
  if (one("dialog[open]")) return;
  if (event.key === "/") text.focus();
  else if (event.key === "?") help.showModal();
  else if (event.key === "Escape" && selection.size()) selection.clear();
  else return;
  event.preventDefault();
});
text.addEventListener("keydown", (event) => {
  if (event.key !== "ArrowDown" || !grid.total()) return;
  event.preventDefault();
  grid.focus(0);
});
one(".help-button").addEventListener("click", () => help.showModal());

history.scrollRestoration = "manual";
fillCollections().catch(fail);
render(history.state?.at);
news.watch();
