// The calls to the API. A failure is an Error whose message is the server's sentence; `code` tells programs what it is.

import { sentence } from "./text.js";

export const root = new URL("..", import.meta.url).pathname; // where the server is, also below a proxy's path
const at = (path) => `${root}api/v1/${path}`;

export class Problem extends Error {
  constructor(message, code = "") {
    super(message);
    this.code = code;
  }
}

async function call(path, options = {}) {
  let answer;
  try {
    answer = await fetch(at(path), options);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem("The server does not answer: is it still running?", "offline");
  }
  if (answer.ok) return answer.status === 204 ? null : answer.json();
  if (answer.status === 401) location.reload(); // the token is asked for
  const problem = await answer.json().catch(() => ({}));
  throw new Problem(sentence(problem.detail ?? `The server answers ${answer.status}`), problem.code);
}

export const status = () => call("status");
export const collections = () => call("collections");
export const collection = (name) => call(`collections/${encodeURIComponent(name)}`);
export const progress = (name) => call(`collections/${encodeURIComponent(name)}/progress`);
export const failures = (name) => call(`collections/${encodeURIComponent(name)}/failures`);
export const duplicates = (name, offset, limit, signal) =>
  call(`duplicates?${new URLSearchParams({ collection: name, offset, limit })}`, { signal });

// One page of answers; without a question, of all pictures.
export function find(question, offset, limit, signal) {
  const parameters = new URLSearchParams(question.parameters);
  parameters.set("offset", offset);
  parameters.set("limit", limit);
  parameters.delete("view");
  const kind = question.isEmpty ? "pictures" : question.hasPictures ? "similar" : "text";
  if (kind !== "similar") parameters.delete("vector");
  if (kind !== "pictures") parameters.set("min_score", "auto");
  if (!parameters.has("sort")) parameters.set("sort", question.sort);
  return call(`${kind}?${parameters}`, { signal });
}

// How many pictures were taken in which month, in the order that is shown.
export function timeline(question, signal) {
  const parameters = new URLSearchParams(question.parameters);
  parameters.delete("view");
  parameters.set("sort", question.sort);
  return call(`timeline?${parameters}`, { signal });
}

// Words for the first picture asked about, or near the words asked for.
export function words(question, signal) {
  const parameters = new URLSearchParams({ limit: 8 });
  if (question.collection) parameters.set("collection", question.collection);
  if (question.ids.length) parameters.set("id", question.ids[0]);
  else parameters.set("q", question.text);
  return call(`${question.ids.length ? "tags" : "words"}?${parameters}`, { signal });
}

export const tags = (id, collection, signal) =>
  call(`tags?${new URLSearchParams({ id, collection, limit: 8 })}`, { signal });

export const picture = (id, collection, signal) =>
  call(`pictures/${encodeURIComponent(id)}?${new URLSearchParams({ collection })}`, { signal });

export function thumbnail(id, collection) {
  return at(`pictures/${id}/thumbnail`) + (collection ? `?collection=${encodeURIComponent(collection)}` : "");
}

export function archive(ids, collection) {
  const parameters = new URLSearchParams(ids.map((id) => ["id", id]));
  if (collection) parameters.set("collection", collection);
  return at(`archive?${parameters}`);
}

// Keeps a picture on the server for a while; `source` is a file, or an address.
export function upload(source, collection) {
  const isFile = source instanceof Blob;
  const type = isFile ? (/^image\//.test(source.type) ? source.type : "application/octet-stream") : "application/json";
  return call(`uploads?collection=${encodeURIComponent(collection)}`, {
    method: "POST",
    headers: { "Content-Type": type },
    body: isFile ? source : JSON.stringify({ url: source }),
  });
}
