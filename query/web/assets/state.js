// What is searched for. All of it is in the address, under the names of the API, so that back, reload and sharing work.
// `view` is the picture that is shown large.

import { root } from "./api.js";

const NAMES = ["q", "id", "minus_id", "vector", "collection", "label", "under", "after", "before", "camera", "near", "without", "sort", "view"];
const FILTERS = ["label", "under", "after", "before", "camera", "near", "without"];

export class Question {
  constructor(parameters = new URLSearchParams(location.search)) {
    this.parameters = new URLSearchParams();
    for (const name of NAMES) {
      for (const value of parameters.getAll(name)) if (value) this.parameters.append(name, value);
    }
  }

  one(name) { return this.parameters.get(name) ?? ""; }
  get text() { return this.one("q"); }
  get collection() { return this.one("collection"); }
  get vector() { return this.one("vector"); }
  get under() { return this.one("under"); }
  get view() { return this.one("view"); }
  get labels() { return this.parameters.getAll("label"); }
  get without() { return this.parameters.getAll("without"); }
  get ids() { return this.parameters.getAll("id"); }
  get minusIds() { return this.parameters.getAll("minus_id"); }
  get hasPictures() { return this.ids.length + this.minusIds.length > 0; }
  get isEmpty() { return !this.text && !this.hasPictures; }
  get isFiltered() { return FILTERS.some((name) => this.parameters.has(name)); }

  // Of all pictures the newest come first, of answers the best.
  get sort() { return this.one("sort") || (this.isEmpty ? "-date" : "score"); }

  // What the list of answers depends on: not which of them is shown large.
  get list() { return this.with({ view: "" }).address; }

  // A question that differs: each name with its new value, its new values, or nothing.
  with(changes) {
    const next = new URLSearchParams(this.parameters);
    for (const [name, value] of Object.entries(changes)) {
      next.delete(name);
      for (const one of [value].flat()) if (one) next.append(name, one);
    }
    return new Question(next);
  }

  // The picture added to the search or taken away from it, and not both.
  withPicture(id, sign) {
    const without = (ids) => ids.filter((other) => other !== id);
    const [ids, minusIds] = [without(this.ids), without(this.minusIds)];
    (sign === "plus" ? ids : minusIds).push(id);
    return this.with({ id: ids, minus_id: minusIds, view: "", sort: "" });
  }

  withoutPicture(id) {
    const without = (ids) => ids.filter((other) => other !== id);
    return this.with({ id: without(this.ids), minus_id: without(this.minusIds), vector: this.vector });
  }

  // Only what it is asked of stays: the collection and the filter.
  about(changes) {
    return this.with({ q: "", id: [], minus_id: [], vector: "", view: "", sort: "", ...changes });
  }

  unfiltered() {
    return this.with(Object.fromEntries(FILTERS.map((name) => [name, ""])));
  }

  get address() {
    const text = this.parameters.toString();
    return text ? `${root}?${text}` : root;
  }
}
