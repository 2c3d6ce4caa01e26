// The calls to the API. A failure is an Error whose message is the server's sentence.

import { sentence } from "./text.js";

async function call(path, options = {}) {
  let answer;
  try {
    answer = await fetch(path, options);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Error("The server does not answer: is it still running?");
  }
  if (answer.ok) return answer.json();
  if (answer.status === 401) location.reload(); // the token is asked for
  const problem = await answer.json().catch(() => ({}));
  throw new Error(sentence(problem.detail ?? `The server answers ${answer.status}`));
}

export const collections = () => call("/api/v1/collections");
export const collection = (name) => call(`/api/v1/collections/${encodeURIComponent(name)}`);

// One page of answers; without a question, of all pictures.
export function find(question, offset, limit, signal) {
  const parameters = new URLSearchParams(question.parameters);
  parameters.set("offset", offset);
  parameters.set("limit", limit);
  const kind = question.isEmpty ? "pictures" : question.hasPictures ? "similar" : "text";
  if (kind !== "similar") parameters.delete("vector");
  if (kind !== "pictures") parameters.set("min_score", "auto");
  return call(`/api/v1/${kind}?${parameters}`, { signal });
}

// Words for the first picture asked about, or near the words asked for.
export function words(question, signal) {
  const parameters = new URLSearchParams({ limit: 8 });
  if (question.collection) parameters.set("collection", question.collection);
  if (question.ids.length) parameters.set("id", question.ids[0]);
  else parameters.set("q", question.text);
  return call(`/api/v1/${question.ids.length ? "tags" : "words"}?${parameters}`, { signal });
}

export function thumbnail(id, collection) {
  return `/api/v1/pictures/${id}/thumbnail` + (collection ? `?collection=${encodeURIComponent(collection)}` : "");
}

// Keeps a picture on the server for a while; `source` is a file, or an address.
export function upload(source, collection) {
  const isFile = source instanceof Blob;
  const type = isFile ? (/^image\//.test(source.type) ? source.type : "application/octet-stream") : "application/json";
  return call(`/api/v1/uploads?collection=${encodeURIComponent(collection)}`, {
    method: "POST",
    headers: { "Content-Type": type },
    body: isFile ? source : JSON.stringify({ url: source }),
  });
}
