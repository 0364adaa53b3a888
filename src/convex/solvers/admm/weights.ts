/**
 * The weights of `admm`, set by the sizes that they balance: p of the blocks by |A' xi| / |W|, r of the outputs by |xi| / |Y|.
 *
 * Both ratios settle within a few iterations, long before W and Y do.
 */

/** Iterations after which the weights are looked at; at the first both move alike, so that their ratio stays. */
const LOOKS: readonly number[] = [3, 5, 10, 20, 40, 80, 160, 320, 640];
export const FIRST_LOOK = LOOKS[0];
/** p in |A' xi| / |W|, what was fastest on the problems of bench/README.md: with cones, with factors of M, and where systems are rough. */
const BLOCK_SHARES = { cones: 0.3, factored: 0.5, rough: 1 };
/** A weight moves when it is off by this factor, by at most MOST at once. */
const OFF = 2;
const MOST = 100;
/**
 * Their ratio, which takes another factor of M, moves when it is off by this; by OFF where rough systems need none. Only once the sizes
 * have settled: W may be next to nothing before.
 */
const TURN = 8;
const SETTLED = 10; // iterations
/** First r in the curvature of the loss, and first r / p in 1 / the mean diagonal of A A', where it mostly stays. */
const FIRST_OUTPUTS = 0.05;
const FIRST_RATIOS = { cones: 3, factored: 8, rough: 3 };

export class GraphWeights {
  blocks: number; // p
  outputs: number; // r

  constructor(
    curvature: number,
    meanDiagonal: number,
    private readonly kind: keyof typeof BLOCK_SHARES,
  ) {
    this.outputs = FIRST_OUTPUTS * curvature;
    this.blocks = (this.outputs * meanDiagonal) / FIRST_RATIOS[kind];
  }

  /** For a start that is near the optimum: takes |A' xi| / |W| and |xi| / |Y| as they are there; zeros and infinities are no sizes. */
  set(ofBlocks: number, ofOutputs: number): void {
    if (ofBlocks > 0 && Number.isFinite(ofBlocks)) this.blocks = BLOCK_SHARES[this.kind] * ofBlocks;
    if (ofOutputs > 0 && Number.isFinite(ofOutputs)) this.outputs = ofOutputs;
  }

  /** Raises both so far that a block of this length, in units of p, passes its threshold beta. */
  open(longest: number, beta: number): void {
    if (!(longest > 0)) return;
    const factor = Math.min(MOST, Math.max(1, (OFF * beta) / longest));
    this.blocks *= factor;
    this.outputs *= factor;
  }

  /** Moves the weights where it is time and they are off; true when their ratio is another. */
  follow(iterations: number, ofBlocks: number, ofOutputs: number): boolean {
    if (!LOOKS.includes(iterations)) return false;
    const blocks = clamp((BLOCK_SHARES[this.kind] * ofBlocks) / this.blocks);
    const outputs = iterations === FIRST_LOOK ? blocks : clamp(ofOutputs / this.outputs);
    const turned = iterations >= SETTLED && off(outputs / blocks) > (this.kind === "rough" ? OFF : TURN);
    if (!turned && off(outputs) <= OFF) return false;
    this.outputs *= outputs;
    this.blocks *= turned ? blocks : outputs;
    return turned;
  }
}

/** By how much a weight moves at once; not at all without a size. */
function clamp(factor: number): number {
  return factor > 0 && Number.isFinite(factor) ? Math.min(MOST, Math.max(1 / MOST, factor)) : 1;
}

function off(factor: number): number {
  return Math.max(factor, 1 / factor);
}
