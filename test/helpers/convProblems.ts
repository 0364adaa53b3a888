/** The stored convolutional reference problems as programs, and random ones. */

import { bindLoss, lossTraits } from "../../src/convex/losses/index.js";
import { type PatchShape, patchGeometry, patchMatrix } from "../../src/convex/operators/patches.js";
import { penalties } from "../../src/convex/penalties/index.js";
import type { ConvexProgram, LossName, Matrix, Pooling } from "../../src/convex/types.js";
import reference from "../reference/conv.json";
import { gatesOf, matrixOf, type ProgramWish, type ReferenceProblem, randomProgram, targetsFor } from "./problems.js";

export interface ConvProblem extends ReferenceProblem {
  /** The patches as the script cut them. */
  readonly X: Matrix;
}

export type Pool = "sum" | "mean" | "flatten" | "windows";

export function poolingOf(pool: Pool, patches: number): Pooling {
  const positions = { sum: 1, mean: 1, flatten: patches, windows: patches / 2 }[pool];
  return { patches, positions, scale: pool === "mean" || pool === "windows" ? positions / patches : 1 };
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
  how: Omit<ProgramWish, "rows"> & { readonly pool?: Pool; readonly samples?: number; readonly patches?: number } = {},
): ConvexProgram {
  const { pool = "mean", loss = "meanSquaredError", samples = 15, seed = 1 } = how;
  const { patches = pool === "windows" ? 6 : 5 } = how;
  const { outputs = lossTraits[loss].activation === "softmax" ? 3 : 1, features = 3, gates = 12 } = how;
  const program = randomProgram({ ...how, rows: samples * patches, features, gates });
  const images = { rows: samples, cols: patches * features, data: program.X.data };
  return {
    ...program,
    loss: bindLoss(loss, targetsFor(loss, images, outputs, seed + 1)),
    pooling: poolingOf(pool, patches),
  };
}
