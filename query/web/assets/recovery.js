// What failed for a passing cause: done once more at a click, and by itself when a server answers that did not.

import * as api from "./api.js";

const SECONDS = 5;
const PASSING = ["offline", "busy", "store-in-use", "store-unreachable", "failed"];
const button = document.querySelector(".retry");
let repeat = null; // the last thing that failed
let listening = 0;

// Set by the page. `back`: the server answers again.
export const on = { back: () => {} };

export const isPassing = (error) => PASSING.includes(error.code);

// Offers to do it again, where that can help; what failed before is no longer what one waits for.
export function offer(error, again) {
  if (!isPassing(error)) return;
  repeat = again;
  button.hidden = false;
  if (error.code === "offline") listen();
}

export function forget() {
  repeat = null;
  button.hidden = true;
}

// Asks the server until it answers.
export function listen() {
  clearTimeout(listening);
  listening = setTimeout(hear, SECONDS * 1000);
}

async function hear() {
  try {
    await api.status();
  } catch (error) {
    if (error.code === "offline") return listen();
  }
  return again();
}

function again() {
  clearTimeout(listening);
  listening = 0;
  const last = repeat;
  forget();
  last?.();
  on.back();
}

button.addEventListener("click", again);
addEventListener("online", () => listening && again());
