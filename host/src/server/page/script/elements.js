// Elements, icons and small services of the browser. Text is always inserted as text.

/** An element. Attributes: `on…` listens, `true` sets the bare attribute, `false`, `null` and `undefined` leave it out. */
function el(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === false || value === null || value === undefined) continue;
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else element.setAttribute(key, value === true ? "" : value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

const byId = (id) => document.getElementById(id);

function icon(name) {
  const svg = byId("icons").content.querySelector(`[data-icon="${name}"]`).cloneNode(true);
  svg.setAttribute("aria-hidden", "true");
  return svg;
}

function iconButton(name, label, onclick, attributes = {}) {
  return el("button", { type: "button", class: "icon", "aria-label": label, title: label, onclick, ...attributes }, icon(name));
}

/** Tells a person who listens. */
function say(text) {
  const said = byId("said");
  said.textContent = "";
  setTimeout(() => { said.textContent = text; }, 50);
}

async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    // Browsers keep the clipboard from pages without TLS; this old way still works there.
    const area = el("textarea", { class: "unseen", "aria-hidden": "true" });
    area.value = text;
    document.body.append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
  }
}

/** A button that copies the text that `text` gives, and says so. With an icon, or the label as words. */
function copyButton(label, text, iconName = null) {
  const looks = () => (iconName ? icon(iconName) : label);
  const onclick = async () => {
    await copy(text());
    button.replaceChildren(iconName ? icon("check") : "Copied");
    say("Copied");
    setTimeout(() => button.replaceChildren(looks()), 1500);
  };
  const button = el("button", { type: "button", class: iconName ? "icon" : "quiet", "aria-label": label, title: label, onclick }, looks());
  return button;
}

/** Lets a text area be as high as its text, where the browser does not do so itself. */
function grow(area) {
  if (CSS.supports("field-sizing", "content")) return;
  area.style.height = "auto";
  area.style.height = `${area.scrollHeight + 2}px`;
}

function readFile(file) {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(reader.result);
    reader.onerror = () => reject(reader.error);
    reader.readAsDataURL(file);
  });
}

/** An image as the flow's message format writes it. `source` is a data URI or an address. */
function imageValue(source, format) {
  if (format === "openai-vision") return { type: "image_url", image_url: { url: source } };
  const data = /^data:(image\/[\w.+*-]+);base64,(.*)$/s.exec(source);
  return data ? { [`data:${data[1]};base64`]: data[2] } : { "data:image/png;url": source };
}

/** Where the image is that a value describes; null if it describes none. */
function imageSource(value) {
  if (typeof value === "string") return /^data:image\/[\w.+-]+;base64,/.test(value) ? value : null;
  if (value === null || typeof value !== "object" || Array.isArray(value)) return null;
  if (value.type === "image_url" && typeof value.image_url?.url === "string") return value.image_url.url;
  const [[name, data] = [], ...others] = Object.entries(value);
  const form = others.length === 0 && typeof data === "string" && /^data:(image\/[^;]+);(base64|url)$/.exec(name);
  if (!form) return null;
  if (form[2] === "url") return data;
  return `data:${form[1].endsWith("*") ? "image/png" : form[1]};base64,${data}`;
}
