// One tile: the picture, its name, its score.

import { fileName, scaled } from "./text.js";

const card = document.querySelector("#card").content.firstElementChild;
const MISSING = { 403: "It leads out of the folder", 404: "The file is not here", 413: "Too large for a preview", 415: "The file cannot be read", 422: "Too slow to decode" };

const MATCHED = { name: "Found by the name of its file or folder", text: "Found by text in the picture" };

// Set by the page. `offline`: the server did not answer when it was asked for a picture.
export const on = { offline: () => {} };

export function makeCard(found, place, answers) {
  const one = card.cloneNode(true);
  const link = one.querySelector("a");
  one.ariaSetSize = answers.total;
  one.ariaPosInSet = place + 1;
  if (!found) {
    one.dataset.waits = "true";
    link.setAttribute("aria-label", "On its way");
    return one;
  }
  const { question } = answers;
  const picture = one.querySelector("img");
  const name = found.label ?? fileName(found.path);
  one.dataset.id = found.id;
  link.href = question.with({ view: found.id }).address;
  link.setAttribute("aria-label", `${found.path}: look at it`);
  link.title = titleOf(found);
  picture.src = found.thumbnail;
  picture.srcset = `${found.thumbnail} 256w, ${found.thumbnail}&size=512 512w`;
  picture.sizes = "auto, 220px";
  picture.addEventListener("error", () => tellMissing(one, found.thumbnail), { once: true });
  one.querySelector(".label").textContent = found.damaged ? `${name} (damaged)` : name;
  const score = one.querySelector(".score");
  if (found.matched) {
    score.textContent = found.matched;
    score.title = MATCHED[found.matched];
  } else if (found.score !== undefined && question.vector !== "both") {
    score.textContent = scaled(found, Number.isFinite(answers.best) ? answers.best : found.score, answers.floor);
    score.title = `Score ${found.score}; 50 is where standing out begins, 100 the best answer`;
  }
  one.querySelector(".like").setAttribute("aria-label", `More like ${found.path}`);
  one.querySelector(".pick").setAttribute("aria-label", `Select ${found.path}`);
  return one;
}

function titleOf(found) {
  const lines = [found.path, `${found.width} × ${found.height}`];
  if (found.taken) lines.push(found.taken.slice(0, 16).replace("T", " "));
  if (found.damaged) lines.push(`Damaged: ${found.damaged}`);
  if (found.matched) lines.push(`Found by ${found.matched}`);
  return lines.join("\n");
}

async function tellMissing(one, address) {
  const answer = await fetch(address).catch(() => null);
  one.querySelector("a").dataset.why = whyMissing(answer?.status);
  one.classList.add("gone");
  if (!answer) on.offline();
}

export const whyMissing = (status) => (status ? (MISSING[status] ?? "Not available just now") : "The server does not answer");
