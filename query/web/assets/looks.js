// How tiles look, by the user's choice, which this browser keeps: whole pictures or filled tiles, and how dense.

const grid = document.querySelector(".grid");
const fit = document.querySelector(".fit");
const density = document.querySelector(".density");
export const on = { change: () => {} };

const kept = (name, fallback) => {
  try {
    return localStorage.getItem(name) ?? fallback;
  } catch {
    return fallback; // a browser may forbid it
  }
};

function apply() {
  grid.dataset.fit = fit.checked ? "whole" : "fill";
  grid.dataset.density = density.value;
}

function change() {
  apply();
  try {
    localStorage.setItem("fit", grid.dataset.fit);
    localStorage.setItem("density", grid.dataset.density);
  } catch { /* it counts for this page then */ }
  on.change();
}

fit.checked = kept("fit", "fill") === "whole";
density.value = ["small", "medium", "large"].includes(kept("density", "medium")) ? kept("density", "medium") : "medium";
apply();
fit.addEventListener("change", change);
density.addEventListener("change", change);
