// How the page writes sentences and numbers.

export function sentence(text) {
  return text.charAt(0).toUpperCase() + text.slice(1) + (/[.?]$/.test(text) ? "" : ".");
}

export const number = new Intl.NumberFormat("en");
