/** The betas of a path, and its program, whose beta is yet to be set. */

import type * as tf from "@tensorflow/tfjs";
import { MOST_POINTS, count as readCount, refuse } from "../../arguments.js";
import { smallestTrivialBeta } from "../../convex/certificate/index.js";
import type { Kernels } from "../../convex/kernels/index.js";
import { exp, log } from "../../convex/linear/elementary.js";
import type { Clock } from "../../convex/solvers/clock.js";
import { withProducts } from "../../convex/solvers/solve.js";
import { ConvexError } from "../../errors.js";
import type { Settings } from "../options.js";
import type { Dataset } from "../read/data.js";
import type { NetworkSpec } from "../read/model.js";
import type { Problem } from "../records.js";
import { pose } from "./pose.js";
import { gatesOwner, type Reduced, reduce } from "./reduction.js";
import type { RowsOf } from "./skip.js";

const COUNT = 50;
const RATIO = 1e-3;

/** Which betas a path visits. */
export interface PathGrid {
  /** The betas themselves, in any order. */
  readonly betas?: readonly number[];
  /** Or how many, in equal ratios down from the smallest at which the zero network is optimal; default 50. */
  readonly count?: number;
  /** The smallest beta over the largest; default 1e-3. */
  readonly ratio?: number;
}

/** The program of the path, in fewer dimensions where the settings say so; its beta is yet to be set. */
export async function poseForPath(
  model: tf.LayersModel,
  spec: NetworkSpec,
  data: Dataset,
  settings: Settings,
  kernels: Kernels,
  free: boolean, // no option names a beta
  clock: Clock,
  part: RowsOf | null = null, // where the rows are those of a fold
): Promise<{ readonly posed: Problem; readonly reduced: Reduced }> {
  const reduced = await reduce(spec, data, { ...settings, regularization: 1 }, kernels, () => clock.pause(), { free });
  const { reduction } = reduced;
  const sources = {
    gatesOf: gatesOwner(model, spec, reduction),
    warmStart: null,
    space: reduction?.space ?? null,
    rows: reduction?.X ?? null,
    part,
  };
  const posed = await pose(reduced.spec, reduced.data(data), reduced.settings, { kernels, reason: "" }, sources, clock);
  return { posed: { ...posed, spec, reduction }, reduced };
}

/** The betas in falling order. */
export function betasOf(posed: Problem, kernels: Kernels, grid: PathGrid): number[] {
  return betasFrom(grid, () =>
    withProducts(posed.program, kernels, (products) => smallestTrivialBeta(posed.program, products)),
  );
}

/** The same by the smallest beta at which the zero network is optimal, which is asked for where a count is given. */
export function betasFrom({ betas, count = COUNT, ratio = RATIO }: PathGrid, smallestTrivial: () => number): number[] {
  if (betas !== undefined) {
    if (
      !Array.isArray(betas) ||
      betas.length === 0 ||
      betas.length > MOST_POINTS ||
      !betas.every((beta) => typeof beta === "number" && beta > 0 && Number.isFinite(beta))
    ) {
      refuse("path", "betas to be finite numbers above 0", betas, "Give at least one, or a count.");
    }
    return [...new Set<number>(betas)].sort((a, b) => b - a);
  }
  readCount("path: count", count, MOST_POINTS);
  if (!(typeof ratio === "number" && ratio > 0 && ratio < 1))
    refuse("path", "ratio to be a number between 0 and 1", ratio, "Change it.");
  const largest = smallestTrivial();
  if (!(largest > 0)) {
    throw new ConvexError(
      "data/target",
      `path: expected targets that a network can improve on, got a gradient of zero at the zero network. Check y.`,
    );
  }
  return Array.from({ length: count }, (_, k) => largest * exp(log(ratio) * (count === 1 ? 0 : k / (count - 1))));
}

export function refuseOwnBeta({ l2 }: NetworkSpec): void {
  if (l2.hidden === 0 && l2.output === 0) return;
  throw new ConvexError(
    "model/regularizer",
    `path: expected a model without l2 kernel regularizers, since the path sets them, got ${l2.hidden} and ${l2.output}. ` +
      `Remove them from the layers.`,
  );
}
