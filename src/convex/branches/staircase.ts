/** The least loss of a branch within a cost, as a staircase, and its convex envelope. */

/** The candidates of which none has both a lower loss and no higher cost: v(c) falls to losses[s] at costs[s]. */
export interface Staircase {
  readonly candidates: readonly number[]; // numbers of candidates
  readonly costs: Float64Array; // increasing
  readonly losses: Float64Array; // decreasing
  /** Steps at the corners of the convex envelope, the first and the last among them. */
  readonly corners: readonly number[];
}

/** The tangent of the envelope at a budget: no mixture has loss + price cost below value + price budget. */
export interface Tangent {
  readonly value: number;
  readonly price: number;
}

export function staircaseOf(losses: Float64Array, costs: Float64Array): Staircase {
  const order = Array.from(losses.keys()).sort((a, b) => costs[a] - costs[b] || losses[a] - losses[b]);
  const candidates: number[] = [];
  let least = Number.POSITIVE_INFINITY;
  for (const k of order) {
    if (losses[k] >= least) continue;
    least = losses[k];
    candidates.push(k);
  }
  const stairs = {
    costs: Float64Array.from(candidates, (k) => costs[k]),
    losses: Float64Array.from(candidates, (k) => losses[k]),
  };
  return { candidates, ...stairs, corners: cornersOf(stairs) };
}

/** The lower convex hull (Andrew 1979). */
function cornersOf({ costs, losses }: Pick<Staircase, "costs" | "losses">): number[] {
  const corners: number[] = [];
  for (let s = 0; s < costs.length; s++) {
    while (corners.length > 1) {
      const [b, a] = [corners[corners.length - 1], corners[corners.length - 2]];
      if ((losses[b] - losses[a]) * (costs[s] - costs[a]) < (losses[s] - losses[a]) * (costs[b] - costs[a])) break;
      corners.pop();
    }
    corners.push(s);
  }
  return corners;
}

/** The envelope at a budget of at least the least cost. */
export function tangentAt({ costs, losses, corners }: Staircase, budget: number): Tangent {
  const next = corners.findIndex((s) => costs[s] > budget);
  if (next < 0) return { value: losses[losses.length - 1], price: 0 };
  const [a, b] = [corners[next - 1], corners[next]];
  const price = (losses[a] - losses[b]) / (costs[b] - costs[a]);
  return { value: losses[a] - price * (budget - costs[a]), price };
}

/** Delta, and the two costs between which v is that far above its envelope (just below the second). */
export function farthestStep(stairs: Staircase): {
  readonly delta: number;
  readonly between: readonly [number, number];
} {
  const { costs, losses } = stairs;
  let delta = 0;
  let between: readonly [number, number] = [costs[0], costs[0]];
  for (let s = 0; s < costs.length - 1; s++) {
    const distance = losses[s] - tangentAt(stairs, costs[s + 1]).value;
    if (distance > delta) [delta, between] = [distance, [costs[s], costs[s + 1]]];
  }
  return { delta, between };
}
