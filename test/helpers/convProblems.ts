/** The stored convolutional reference problems as programs, and random ones. */

import { sampleGates } from "../../src/convex/arrangements/index.js";
import { bindLoss } from "../../src/convex/losses/index.js";
import { type PatchShape, patchGeometry, patchMatrix } from "../../src/convex/operators/patches.js";
import { penalties } from "../../src/convex/penalties/index.js";
import type { ConvexProgram, LossName, Matrix, Pooling } from "../../src/convex/types.js";
import reference from "../reference/conv.json";
import { gatesOf, gaussianMatrix, matrixOf, type ReferenceProblem, targetsFor } from "./problems.js";

export interface ConvProblem extends ReferenceProblem {
  /** The patches as the script cut them. */
  readonly X: Matrix;
}

export type Pool = "sum" | "mean" | "flatten";

export function poolingOf(pool: Pool, patches: number): Pooling {
  return { patches, positions: pool === "flatten" ? patches : 1, scale: pool === "mean" ? 1 / patches : 1 };
}

export const convProblems: readonly ConvProblem[] = reference.problems.map((stored) => {
  const { size, channels, filter, stride, dilation, padding } = stored.convolution;
  const axis = (k: number) => ({ size: size[k], filter: filter[k], stride: stride[k], dilation: dilation[k] });
  const shape: PatchShape = {
    height: axis(0),
    width: axis(1),
    channels,
    padding: padding as PatchShape["padding"],
    dataFormat: "channelsLast",
  };
  const geometry = patchGeometry(shape);
  const { patches, entries } = geometry;
  const images = matrixOf(stored.samples, geometry.pixels, stored.images);
  const Y = matrixOf(stored.samples, stored.outputs, stored.Y);
  return {
    name: stored.name,
    lower: stored.lower,
    upper: stored.upper,
    complete: stored.complete,
    X: matrixOf(stored.samples * patches, entries, stored.X),
    program: {
      X: patchMatrix(images, geometry),
      gates: gatesOf(stored.gates, matrixOf(stored.gates.length, entries, stored.generators)),
      loss: bindLoss(stored.loss as LossName, Y, stored.weights === null ? null : Float64Array.from(stored.weights)),
      penalty: penalties[stored.penalty as "perOutput" | "nuclear"],
      beta: stored.beta,
      outputBias: stored.ridge === null ? null : { ridge: stored.ridge },
      cones: stored.formulation === "relu",
      pooling: poolingOf(stored.pool as Pool, patches),
    },
  };
});

/** A random program over patches, every part of it decided by the arguments. */
export function randomConvProgram(
  how: {
    pool?: Pool;
    loss?: LossName;
    outputs?: number;
    samples?: number;
    patches?: number;
    features?: number;
    gates?: number;
    beta?: number;
    cones?: boolean;
    penalty?: "perOutput" | "nuclear";
    ridge?: number | null;
    seed?: number;
  } = {},
): ConvexProgram {
  const { pool = "mean", loss = "meanSquaredError", samples = 15, patches = 5, features = 3, gates = 12 } = how;
  const { outputs = loss === "categoricalCrossentropy" ? 3 : 1, beta = 0.02, cones = false, seed = 1 } = how;
  const X = gaussianMatrix(samples * patches, features, seed);
  const images = { rows: samples, cols: patches * features, data: X.data };
  return {
    X,
    gates: sampleGates(X, { count: gates, seed }),
    loss: bindLoss(loss, targetsFor(loss, images, outputs, seed + 1)),
    penalty: penalties[how.penalty ?? "perOutput"],
    beta,
    outputBias: how.ridge == null ? null : { ridge: how.ridge },
    cones,
    pooling: poolingOf(pool, patches),
  };
}
