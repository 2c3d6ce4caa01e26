// The search in the address outlives the question for the token, and a wrong token leaves the address.

const parameters = new URLSearchParams(location.search);
const form = document.querySelector("form");
document.querySelector(".problem").hidden = !parameters.has("token");
parameters.delete("token");
history.replaceState(null, "", parameters.size ? `?${parameters}` : location.pathname);
form.action = location.pathname;
for (const [name, value] of parameters) {
  const kept = document.createElement("input");
  Object.assign(kept, { type: "hidden", name, value });
  form.append(kept);
}
