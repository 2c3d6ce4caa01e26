// The documentation of the API, written from its OpenAPI description.

const description = await (await fetch(new URL("../api/v1/openapi.json", import.meta.url))).json();
const place = document.querySelector("#operations");

function element(name, text = "", ...children) {
  const made = document.createElement(name);
  made.append(...written(text), ...children);
  return made;
}

// Text in which `this` is code.
function* written(text) {
  for (const [index, part] of text.split("`").entries()) {
    if (index % 2) {
      const code = document.createElement("code");
      code.textContent = part;
      yield code;
    } else if (part) {
      yield part;
    }
  }
}

const at = (reference) => reference.split("/").slice(1).reduce((inside, key) => inside[key], description);

// A type as a reader takes it: `string`, `integer, 1 to 200`, `list of Count`.
function typeOf(schema = {}) {
  if (schema.$ref) {
    const named = at(schema.$ref);
    return named.enum ? named.enum.join(" | ") : schema.$ref.split("/").at(-1);
  }
  if (schema.const) return schema.const;
  if (schema.anyOf) return schema.anyOf.map(typeOf).filter((type) => type !== "null").join(" or ");
  if (schema.enum) return schema.enum.join(" | ");
  if (schema.type === "array") return `list of ${typeOf(schema.items)}`;
  const range = schema.maximum !== undefined ? `, ${schema.minimum ?? ""} to ${schema.maximum}` : "";
  return (schema.format ?? schema.type ?? "") + range;
}

function row(name, schema, description, required) {
  const fallback = !required && (schema.default ?? "") !== "" && !Array.isArray(schema.default);
  const extra = required ? ", required" : fallback ? `, else ${schema.default}` : "";
  return element("tr", "", element("td", `\`${name}\``), element("td", typeOf(schema) + extra), element("td", description ?? ""));
}

function operation(path, method, facts) {
  const section = element("section", "", element("h3", `\`${method.toUpperCase()} ${path}\``));
  section.append(element("p", facts.description ?? facts.summary));
  const rows = (facts.parameters ?? []).map((one) => row(one.name, one.schema, one.description ?? one.schema.description, one.required));
  if (facts.requestBody) rows.push(row("body", {}, facts.requestBody.description, true));
  if (rows.length) section.append(element("table", "", element("tbody", "", ...rows)));
  const answer = Object.entries(facts.responses).find(([status]) => status.startsWith("2"));
  const schema = answer?.[1].content?.["application/json"]?.schema;
  if (schema) section.append(element("p", `Returns: ${typeOf(schema)}`));
  return section;
}

for (const [path, methods] of Object.entries(description.paths)) {
  for (const [method, facts] of Object.entries(methods)) place.append(operation(path, method, facts));
}
place.append(element("h2", "What is answered"));
for (const [name, schema] of Object.entries(description.components.schemas)) {
  if (!schema.properties || name.includes("ValidationError")) continue;
  const rows = Object.entries(schema.properties).map(([field, inside]) => row(field, inside, inside.description, false));
  place.append(element("section", "", element("h3", name), element("p", schema.description ?? ""), element("table", "", element("tbody", "", ...rows))));
}
