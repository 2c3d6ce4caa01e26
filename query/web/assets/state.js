// What is searched for. All of it is in the address, under the names of the API, so that back, reload and sharing work.

const NAMES = ["q", "id", "minus_id", "vector", "collection", "label", "under"];

export class Question {
  constructor(parameters = new URLSearchParams(location.search)) {
    this.parameters = new URLSearchParams();
    for (const name of NAMES) {
      for (const value of parameters.getAll(name)) if (value) this.parameters.append(name, value);
    }
  }

  get text() { return this.parameters.get("q") ?? ""; }
  get collection() { return this.parameters.get("collection") ?? ""; }
  get vector() { return this.parameters.get("vector") ?? ""; }
  get under() { return this.parameters.get("under") ?? ""; }
  get labels() { return this.parameters.getAll("label"); }
  get ids() { return this.parameters.getAll("id"); }
  get minusIds() { return this.parameters.getAll("minus_id"); }
  get hasPictures() { return this.ids.length + this.minusIds.length > 0; }
  get isEmpty() { return !this.text && !this.hasPictures; }

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
    return this.with({ id: ids, minus_id: minusIds });
  }

  withoutPicture(id) {
    const without = (ids) => ids.filter((other) => other !== id);
    return this.with({ id: without(this.ids), minus_id: without(this.minusIds), vector: this.vector });
  }

  // Only what it is asked of stays: the collection and the filter.
  about(changes) {
    return this.with({ q: "", id: [], minus_id: [], vector: "", ...changes });
  }

  get address() {
    const text = this.parameters.toString();
    return text ? `/?${text}` : "/";
  }
}
