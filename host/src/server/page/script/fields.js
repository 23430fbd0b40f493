// The inputs of a flow as fields. Each field gives JSON text, so that numbers keep all digits that a person has written.

const NUMBER = /^-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?$/;
const INTEGER = /^-?(0|[1-9]\d*)$/;

/** Names of types for people. */
const KINDS = { integer: "whole number", number: "number", array: "list, as JSON", object: "object, as JSON" };

let fieldCount = 0;

/**
 * The field of one input: `element`, and `read()`, which gives JSON text, nothing for what the service has to fill in, or
 * throws what is wrong with it.
 */
function field(name, schema, start, format) {
  const id = `field-${fieldCount++}`;
  const fault = el("p", { class: "fault", id: `${id}-fault`, role: "alert" });
  const hint = schema.description ? el("p", { class: "hint", id: `${id}-hint` }, schema.description) : null;
  const about = { "aria-describedby": [hint?.id, fault.id].filter(Boolean).join(" ") };
  const made = control(id, schema, start, format, about);
  const kind = made.kind ?? KINDS[schema.type];
  const label = el("label", { for: id }, name, kind ? el("span", { class: "kind" }, kind) : null);
  const element = made.isSwitch
    ? el("div", { class: "field" }, el("div", { class: "switch" }, made.element, label), hint, fault)
    : el("div", { class: "field" }, label, hint, made.element, fault);

  const mark = (problem) => {
    fault.textContent = problem ?? "";
    made.input.setAttribute("aria-invalid", String(Boolean(problem)));
  };
  made.input.addEventListener("change", () => { try { made.read(); mark(); } catch (error) { mark(error.message); } });
  made.input.addEventListener("input", () => mark());
  const read = () => {
    try {
      return made.read();
    } catch (error) {
      mark(error.message);
      made.input.focus();
      throw error;
    }
  };
  return { name, element, read };
}

function control(id, schema, start, format, about) {
  const declared = schema["x-promptflow-type"];
  if (declared === "image") return imageControl(id, start, format, about);
  if (schema.type === "boolean") return switchControl(id, start, about);
  if (schema.type === "integer" || schema.type === "number") return numberControl(id, schema.type, start, about);
  if (schema.format === "password") {
    const input = el("input", { id, type: "password", autocomplete: "off", ...about });
    return { element: input, input, kind: "secret", read: () => JSON.stringify(input.value) };
  }
  if (schema.type === "string") return textControl(id, start, about);
  return jsonControl(id, schema.type, start, about);
}

function area(id, text, attributes) {
  const input = el("textarea", { id, rows: 1, ...attributes, oninput: () => grow(input) });
  input.value = text;
  requestAnimationFrame(() => grow(input));
  return input;
}

function textControl(id, start, about) {
  const input = area(id, start === undefined ? "" : textOf(start), about);
  return { element: input, input, read: () => JSON.stringify(input.value) };
}

function numberControl(id, type, start, about) {
  const input = el("input", { id, type: "text", inputmode: type === "integer" ? "numeric" : "decimal", autocomplete: "off", ...about });
  input.value = start ?? "";
  const read = () => {
    const text = input.value.trim();
    if (text === "") return undefined;
    if (!(type === "integer" ? INTEGER : NUMBER).test(text)) throw new Error(`Not a ${KINDS[type]}.`);
    return text;
  };
  return { element: input, input, read };
}

function switchControl(id, start, about) {
  const input = el("input", { id, type: "checkbox", role: "switch", ...about });
  input.checked = start === true;
  return { element: input, input, isSwitch: true, read: () => String(input.checked) };
}

function jsonControl(id, type, start, about) {
  const text = start === undefined ? "" : JSON.stringify(start, null, 2);
  const input = area(id, text, { class: "code", spellcheck: "false", autocapitalize: "off", ...about });
  const read = () => {
    const text = input.value.trim();
    if (text === "") return undefined;
    let value;
    try {
      value = JSON.parse(text);
    } catch (error) {
      // Without a type any text will do.
      if (type === undefined) return JSON.stringify(input.value);
      throw new Error(`Not valid JSON: ${error.message}`);
    }
    if (type === "array" && !Array.isArray(value)) throw new Error("A list is needed here, such as [1, 2].");
    const isObject = value !== null && typeof value === "object" && !Array.isArray(value);
    if (type === "object" && !isObject) throw new Error('An object is needed here, such as {"name": "value"}.');
    return text;
  };
  return { element: input, input, kind: type === undefined ? "JSON or text" : undefined, read };
}

function imageControl(id, start, format, about) {
  let source = start === undefined ? null : imageSource(start);
  const preview = el("div");
  const address = el("input", { id, type: "text", inputmode: "url", spellcheck: "false", ...about });
  const file = el("input", { type: "file", accept: "image/*", hidden: true, onchange: () => file.files[0] && take(file.files[0]) });
  const choose = el("button", { type: "button", class: "quiet", onclick: () => file.click() });
  const element = el("div", { class: "drop" }, preview, el("div", { class: "grow" }, address, el("div", { class: "row" }, choose, file)));

  const show = () => {
    const isData = source?.startsWith("data:");
    preview.replaceChildren(isData ? el("img", { src: source, alt: "the chosen image" }) : icon("image"));
    address.value = isData ? "" : source ?? "";
    address.placeholder = isData ? "A file is chosen" : "Address of an image";
    choose.textContent = source ? "Choose another file" : "Choose a file";
  };
  const take = async (chosen) => { source = await readFile(chosen); show(); address.dispatchEvent(new Event("input")); };
  address.addEventListener("change", () => { if (address.value.trim()) { source = address.value.trim(); show(); } });
  element.addEventListener("dragover", (event) => { event.preventDefault(); element.classList.add("over"); });
  element.addEventListener("dragleave", () => element.classList.remove("over"));
  element.addEventListener("drop", (event) => {
    event.preventDefault();
    element.classList.remove("over");
    const image = Array.from(event.dataTransfer.files).find((dropped) => dropped.type.startsWith("image/"));
    if (image) take(image);
  });
  show();
  const read = () => (source === null ? undefined : JSON.stringify(imageValue(source, format)));
  return { element, input: address, kind: "image", read };
}

/** A request body of fields and further members, as JSON text. */
function bodyOf(fields, members = []) {
  const given = fields.map((field) => [field.name, field.read()]).filter(([, text]) => text !== undefined);
  return `{${[...given, ...members].map(([name, text]) => `${JSON.stringify(name)}:${text}`).join(",")}}`;
}
