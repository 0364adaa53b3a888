/** A certificate's claim, read as a person would: of which networks it speaks, and its numbers. */

export interface Claim {
  readonly gates: "all" | "these";
  readonly count: number | null; // of patterns, where it says one
  readonly feeds: "all outputs" | "one output";
  readonly bound: number;
  readonly own: number | null; // null: no network was found
  readonly inSpan: number | null; // dimensions of the span in which patterns are meant
  readonly components: number | null;
  readonly goal: "fit" | "margin" | null;
}

/** Null for words that this reader does not know: then nobody can say what was proven. */
export function readClaim(claim: string): Claim | null {
  const listed = /(?:these|all) (\d+) (?:activation patterns|gates|arrangements)/.exec(claim);
  const single = /this (?:activation pattern|gate)\b|the one arrangement/.test(claim);
  const all = /(?:all \d+ arrangements|the one arrangement) of the data|any activation patterns, among/.test(
    claim.split(" With any ")[0],
  );
  const these =
    /this (?:activation pattern|gate)\b/.test(claim) || /these \d+ (?:activation patterns|gates)/.test(claim);
  if (all === these) return null;
  const one = /neurons each feed one output/.test(claim);
  if (!one && !/networks of any width/.test(claim)) return null;
  const numbers = /below (-?[\d.e+-]+|NaN|-?Infinity); (?:this one has (-?[\d.e+-]+[\d])|none was found)/.exec(claim);
  if (numbers === null) return null;
  const span = /span of the first (\d+) singular vectors/.exec(claim);
  const components = /on (\d+) principal components/.exec(claim);
  return {
    gates: all ? "all" : "these",
    count: single ? 1 : listed === null ? null : Number(listed[1]),
    feeds: one ? "one output" : "all outputs",
    bound: Number(numbers[1]),
    own: numbers[2] === undefined ? null : Number(numbers[2]),
    inSpan: span === null ? null : Number(span[1]),
    components: components === null ? null : Number(components[1]),
    goal: /fits every target exactly/.test(claim) ? "fit" : /has y z >= 1 on every row/.test(claim) ? "margin" : null,
  };
}
