/** A violated invariant and the evidence. */
export interface Violation {
  invariant: string;
  detail: string;
}

export const violated = (invariant: string, details: string[]): Violation[] =>
  details.map((detail) => ({ invariant, detail }));
