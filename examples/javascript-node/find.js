import glossary from "./glossary.json";

export const description = {
  summary: "Finds the terms of the glossary that a question has.",
  inputs: { type: "object", properties: { question: { type: "string" } }, required: ["question"] },
  output: { type: "array" },
};

export function run({ question }) {
  const words = new Set(question.toLowerCase().match(/\p{L}+/gu) ?? []);
  return Object.entries(glossary)
    .filter(([term]) => words.has(term))
    .map(([term, meaning]) => ({ term, meaning }));
}
