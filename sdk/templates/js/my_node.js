import { NodeError } from "weir";

/** @type {import("weir").Description} */
export const description = {
  summary: "Greets somebody.",
  inputs: { type: "object", properties: { name: { type: "string" } }, required: ["name"] },
  output: { type: "string" },
};

/** @param {{ name: string }} inputs */
export function run({ name }) {
  if (!name.trim()) throw NodeError.user("NameMissing", "`name` is empty; whom shall I greet?");
  return `Hello, ${name.trim()}!`;
}
