import { type Description, NodeError } from "weir";

interface Inputs {
  name: string;
}

export const description: Description = {
  summary: "Greets somebody.",
  inputs: { type: "object", properties: { name: { type: "string" } }, required: ["name"] },
  output: { type: "string" },
};

export function run({ name }: Inputs): string {
  if (!name.trim()) throw NodeError.user("NameMissing", "`name` is empty; whom shall I greet?");
  return `Hello, ${name.trim()}!`;
}
