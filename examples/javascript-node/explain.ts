import { type Description, NodeError, relayChat } from "weir";
import { prompt, type Term } from "./prompt";

export const description: Description = { summary: "Lets a model answer by the terms that were found.", streams: true };

export function run({ question, terms }: { question: string; terms: Term[] }) {
  if (terms.length === 0) throw NodeError.user("NoTerms", "the question has none of the glossary's terms");
  const messages = [
    { role: "system", content: prompt(terms) },
    { role: "user", content: question },
  ];
  // The host asks when this has ended, and passes the answer on by itself, word by word where the client wants that.
  return relayChat({ connection: "offline", messages });
}
