// Pictures that a person brings: chosen, pasted, or dropped onto the page.

import { Question } from "./state.js";
import { count } from "./text.js";

const one = (selector) => document.querySelector(selector);
const file = one("input[type=file]");
const drop = one(".drop");

// Set by the page. `bring`: a file or an address; `tell`: a sentence; `ask`: a question.
export const on = { bring: () => {}, tell: () => {}, ask: () => {} };

function bring(picture) {
  if (!picture.size) on.tell(`${picture.name || "That"} is an empty file.`);
  else on.bring(picture);
}

file.addEventListener("change", () => {
  if (file.files.length) bring(file.files[0]);
  file.value = "";
});

document.addEventListener("paste", (event) => {
  const picture = [...event.clipboardData.files].find((item) => item.type.startsWith("image/"));
  if (!picture) return;
  event.preventDefault();
  bring(picture);
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
    on.tell("That is a folder: drop one picture.");
  } else if (files.length > 1) {
    on.tell(`One picture at a time: those are ${count(files.length, "file")}.`);
  } else if (files.length) {
    bring(files[0]);
  } else {
    askAddress(event.dataTransfer.getData("text/uri-list").split("\n")[0].trim());
  }
});

// An address dropped: of a picture of this page, or of one elsewhere, which the server may fetch.
function askAddress(address) {
  if (!URL.canParse(address)) return;
  const { origin, searchParams } = new URL(address);
  const own = new Question(searchParams);
  if (origin !== location.origin) on.bring(address);
  else if (own.view) on.ask(own.about({ id: own.view }));
  else if (own.hasPictures) on.ask(own);
}
