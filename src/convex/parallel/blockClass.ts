/** The blocks that a program is about: what prices all of them at a dual point, and finds those that are worth more than they cost. */

import type { Block } from "./branch.js";

export interface Priced {
  /** Proven: no branch of these blocks is worth more, per unit of charge. */
  readonly upper: number;
  /** Blocks with a branch that is worth more than `enough`, the dearest first. */
  readonly dearer: readonly Block[];
}

export interface BlockClass {
  readonly count: number;
  /** True where these are all blocks there are. */
  readonly complete: boolean;
  /** `weights` [n]: minus the gradient of the loss. Null where `pause` ended it. */
  price(weights: Float64Array, enough: number, pause: () => Promise<boolean>): Promise<Priced | null>;
}

/** Names a block, so that none is in twice. */
export function nameOf({ pieces, on, sign }: Block): string {
  const names = pieces.map((piece) => `${piece.on.join("")}${piece.sign === 1 ? "+" : "-"}`).sort();
  return `${names.join("|")}/${on.join("")}${sign === 1 ? "+" : "-"}`;
}
