// The answers to one question: any part of them, however many, had in pages as they are looked at.

import { find } from "./api.js";

export const PAGE = 100;
const KEPT = 12; // pages; the others are asked for again
const REACH = 10_000; // answers to a question; of all pictures, every one

export class Answers {
  constructor(question) {
    this.question = question;
    this.total = 0; // that can be shown
    this.first = null; // the first page's answer, with what is told of all
    this.pages = new Map();
    this.coming = new Map();
    this.aborter = new AbortController();
  }

  // The page with the answer at a place, and what is known of all.
  async load(place) {
    const page = Math.floor(place / PAGE);
    if (this.pages.has(page)) return this.pages.get(page);
    if (!this.coming.has(page)) {
      const coming = this.fetch(page).finally(() => this.coming.delete(page));
      this.coming.set(page, coming);
    }
    return this.coming.get(page);
  }

  async fetch(page) {
    const answer = await find(this.question, page * PAGE, PAGE, this.aborter.signal);
    if (!this.first || page === 0) this.first = answer;
    // What was found by a name or by text in it has a score of another kind.
    if (page === 0) this.best = Math.max(...answer.results.filter((one) => !one.matched).map((one) => one.score));
    this.total = this.reach(answer, page);
    this.pages.set(page, answer.results);
    for (const other of [...this.pages.keys()].sort((a, b) => Math.abs(b - page) - Math.abs(a - page))) {
      if (this.pages.size <= KEPT) break;
      this.pages.delete(other);
    }
    return answer.results;
  }

  // How many can be shown: where an answer has no successor, it is the last.
  reach(answer, page) {
    const end = page * PAGE + answer.results.length;
    if (answer.next === null && answer.results.length) {
      this.rest = answer.note && page > 0 ? answer.note : "";
      return end;
    }
    if (answer.next === null && page === 0) return 0;
    return this.question.isEmpty ? answer.total : Math.min(Math.max(answer.total - this.asked, end), REACH + PAGE);
  }

  // Pictures asked about are not among the answers.
  get asked() {
    return this.question.ids.filter((id) => !id.startsWith("upload-")).length;
  }

  at(place) {
    return this.pages.get(Math.floor(place / PAGE))?.[place % PAGE];
  }

  placeOf(id) {
    for (const [page, results] of this.pages) {
      const place = results.findIndex((one) => one.id === id);
      if (place >= 0) return page * PAGE + place;
    }
    return -1;
  }

  // Where the line between what stands out and what is only near is; -1 where there is none.
  get line() {
    const standing = this.first?.standing;
    return this.question.sort === "score" && standing > 0 && standing < this.total ? standing : -1;
  }

  get floor() {
    const floors = Object.values(this.first?.cutoff ?? {});
    return floors.length === 1 ? floors[0] : undefined;
  }

  stop() {
    this.aborter.abort();
  }
}
