export interface Term {
  term: string;
  meaning: string;
}

export function prompt(terms: Term[]): string {
  const lines = terms.map(({ term, meaning }) => `${term}: ${meaning}`);
  return ["Answer in one sentence, by these meanings:", ...lines].join("\n");
}
