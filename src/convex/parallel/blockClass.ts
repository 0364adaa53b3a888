/** The blocks that a program is about: what prices all of them at a dual point, and finds those that are worth more than they cost. */

import type { Block, Neuron } from "./branch.js";

export interface Priced {
  /** Proven: no branch of these blocks is worth more, per unit of charge. */
  readonly upper: number;
  /** Blocks with a branch that is worth more than `enough`, the dearest first. */
  readonly dearer: Iterable<Block>;
}

export interface BlockClass {
  readonly count: number;
  /** True where these are all blocks there are. */
  readonly complete: boolean;
  /** `weights` [n]: minus the gradient of the loss. Null where `pause` ended it. */
  price(weights: Float64Array, enough: number, pause: () => Promise<boolean>): Promise<Priced | null>;
}

/** Names a block, so that none is in twice: the order in which neurons feed one of the next layer says nothing. */
export function nameOf({ pieces, above }: Block): string {
  let names = pieces.map(ownName);
  for (const layer of above) {
    const fanIn = names.length / layer.length;
    const below = names;
    names = layer.map((neuron, i) => {
      const inside = below.slice(i * fanIn, (i + 1) * fanIn).sort();
      return `(${inside.join("|")})${ownName(neuron)}`;
    });
  }
  return names[0];
}

function ownName({ on, sign }: Neuron): string {
  return `${on.join("")}${sign === 1 ? "+" : "-"}`;
}
