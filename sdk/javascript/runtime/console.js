// `console`, whose lines become log records of the node's span.

import { log } from "wasi:logging/logging@0.1.0-draft";

const LEVELS = { debug: "debug", trace: "trace", log: "info", info: "info", warn: "warn", error: "error" };

/** Whether a host is there: not while the component is built. */
let running = false;

export function began() {
  running = true;
}

export function install() {
  const console = {};
  for (const [name, level] of Object.entries(LEVELS)) {
    console[name] = (...values) => running && log(level, "", values.map(shown).join(" "));
  }
  console.assert = (holds, ...values) => holds || console.error("assertion failed:", ...values);
  console.dir = (value) => console.log(value);
  globalThis.console = console;
}

function shown(value) {
  if (typeof value === "string") return value;
  if (value instanceof Error)
    return `${value.name}: ${value.message}${value.stack ? `\n${value.stack.trimEnd()}` : ""}`;
  if (typeof value === "function") return `[function ${value.name}]`;
  try {
    return JSON.stringify(value, (_, inner) => (typeof inner === "bigint" ? `${inner}n` : inner)) ?? String(value);
  } catch {
    return String(value);
  }
}
