/** Problems that tests share: the stored reference problems as programs, and random ones. */

import { sampleGates } from "../../src/convex/arrangements/index.js";
import { type Kernels, referenceKernels } from "../../src/convex/kernels/index.js";
import { isActive, wordsPerGate } from "../../src/convex/linear/bits.js";
import { gaussianSource } from "../../src/convex/linear/random.js";
import { bindLoss, lossTraits } from "../../src/convex/losses/index.js";
import { penalties } from "../../src/convex/penalties/index.js";
import type { ConvexProgram, GateSet, LossName, Matrix } from "../../src/convex/types.js";
import { outputsOfUnit, unitGates, unitKernels } from "../../src/convex/units/hiddenUnits.js";
import reference from "../reference/optima.json";

/** A program whose optimum an independent conic solver has found, between bounds that hold whatever the solver says. */
export interface ReferenceProblem {
  readonly name: string;
  readonly program: ConvexProgram;
  readonly lower: number;
  readonly upper: number;
  readonly complete: boolean; // its gates are all that there are
}

export const referenceProblems: readonly ReferenceProblem[] = reference.problems.map((stored) => {
  const X = matrixOf(stored.rows, stored.features, stored.X);
  const Y = matrixOf(stored.rows, stored.outputs, stored.Y);
  const weights = stored.weights === null ? null : Float64Array.from(stored.weights);
  return {
    name: stored.name,
    lower: stored.lower,
    upper: stored.upper,
    complete: stored.complete,
    program: {
      X,
      gates: gatesOf(stored.gates, matrixOf(stored.gates.length, stored.features, stored.generators)),
      loss: bindLoss(stored.loss as LossName, Y, weights),
      penalty: penalties[stored.penalty as "perOutput" | "nuclear"],
      beta: stored.beta,
      outputBias: stored.ridge === null ? null : { ridge: stored.ridge },
      cones: stored.formulation === "relu",
    },
  };
});

export function matrixOf(rows: number, cols: number, data: ArrayLike<number>): Matrix {
  return { rows, cols, data: Float64Array.from(data) };
}

export function gaussianMatrix(rows: number, cols: number, seed: number): Matrix {
  return { rows, cols, data: Float64Array.from({ length: rows * cols }, gaussianSource(seed)) };
}

/** A symmetric matrix [n x n] with eigenvalues from about 1 to 3. */
export function wellConditioned(n: number, seed: number): Float64Array {
  const { data } = gaussianMatrix(n, n, seed);
  const scale = 1 / Math.sqrt(8 * n);
  return data.map((value, k) => {
    const [i, j] = [Math.floor(k / n), k % n];
    return scale * (value + data[j * n + i]) + (i === j ? 2 : 0);
  });
}

/** Targets that fit a loss, from scores that no linear model explains. */
export function targetsFor(loss: LossName, X: Matrix, outputs: number, seed: number): Matrix {
  const W = gaussianMatrix(X.cols, 2 * outputs, seed);
  const score = (k: number, c: number) => {
    let a = 0;
    let b = 0;
    for (let p = 0; p < X.cols; p++) {
      a += X.data[k * X.cols + p] * W.data[p * 2 * outputs + c];
      b += X.data[k * X.cols + p] * W.data[p * 2 * outputs + outputs + c];
    }
    return Math.abs(a) - Math.abs(b);
  };
  const data = new Float64Array(X.rows * outputs);
  for (let k = 0; k < X.rows; k++) {
    const scores = Array.from({ length: outputs }, (_, c) => score(k, c));
    for (let c = 0; c < outputs; c++) {
      if (loss === "binaryCrossentropy") data[k * outputs + c] = scores[c] > 0 ? 1 : 0;
      else if (loss === "hinge" || loss === "squaredHinge") data[k * outputs + c] = scores[c] > 0 ? 1 : -1;
      else if (loss === "categoricalCrossentropy") data[k * outputs + c] = scores[c] === Math.max(...scores) ? 1 : 0;
      else if (loss === "kullbackLeiblerDivergence") {
        const sum = scores.reduce((all, value) => all + Math.exp(value), 0);
        data[k * outputs + c] = Math.exp(scores[c]) / sum;
      } else data[k * outputs + c] = scores[c];
    }
  }
  return { rows: X.rows, cols: outputs, data };
}

/** What a random program is to be. */
export interface ProgramWish {
  readonly loss?: LossName;
  readonly outputs?: number;
  readonly rows?: number;
  readonly features?: number;
  readonly gates?: number;
  readonly beta?: number;
  readonly cones?: boolean;
  readonly penalty?: "perOutput" | "nuclear";
  readonly ridge?: number | null;
  readonly seed?: number;
}

/** A random program, every part of it decided by the arguments. */
export function randomProgram(how: ProgramWish = {}): ConvexProgram {
  const { loss = "meanSquaredError", rows = 20, features = 4, gates = 15, beta = 0.02, cones = false, seed = 1 } = how;
  const { outputs = lossTraits[loss].activation === "softmax" ? 3 : 1, penalty = "perOutput", ridge = null } = how;
  const X = gaussianMatrix(rows, features, seed);
  return {
    X,
    gates: sampleGates(X, { count: gates, seed }),
    loss: bindLoss(loss, targetsFor(loss, X, outputs, seed + 1)),
    penalty: penalties[penalty],
    beta,
    outputBias: ridge === null ? null : { ridge },
    cones,
  };
}

/** A program of random hidden units, with an output bias, and the kernels that know the units. */
export function unitsProgram(how: { units: number; rows: number; beta?: number; kernels?: Kernels }): {
  program: ConvexProgram;
  kernels: Kernels;
} {
  const { units, rows, beta = 0.02, kernels = referenceKernels } = how;
  const X = gaussianMatrix(rows, 3, 1);
  const weights = gaussianMatrix(units, 3, 2).data;
  const H = Array.from({ length: units }, (_, i) => outputsOfUnit("tanh", X, weights.subarray(3 * i, 3 * i + 3)));
  const given = unitGates(units, rows);
  const loss = bindLoss("meanSquaredError", targetsFor("meanSquaredError", X, 1, 3));
  const program = { ...given, loss, penalty: penalties.perOutput, beta, outputBias: { ridge: 0 }, cones: false };
  return { program, kernels: unitKernels(kernels, H, given.X) };
}

export function gatesOf(rows: readonly string[], generators: Matrix): GateSet {
  const n = rows[0].length;
  const words = wordsPerGate(n);
  const bits = new Uint32Array(rows.length * words);
  rows.forEach((row, i) => {
    for (let j = 0; j < n; j++) if (row[j] === "1") bits[i * words + (j >>> 5)] |= 1 << (j & 31);
  });
  return { count: rows.length, rows: n, bits, generators, complete: false };
}

/** The masks of a gate set as strings, in an order of their own. */
export function maskTexts(gates: GateSet): string[] {
  return Array.from({ length: gates.count }, (_, i) =>
    Array.from({ length: gates.rows }, (_, j) => (isActive(gates, i, j) ? 1 : 0)).join(""),
  ).sort();
}
