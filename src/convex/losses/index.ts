/** The losses, by their tfjs names. */

import { ConvexError } from "../../errors.js";
import type { Loss, LossName, Matrix } from "../types.js";
import { binaryCrossentropy } from "./binaryCrossentropy.js";
import { bindSoftmaxLoss } from "./categoricalCrossentropy.js";
import { hinge } from "./hinge.js";
import { huberLoss } from "./huberLoss.js";
import { bindDivergence } from "./kullbackLeiblerDivergence.js";
import { logcosh } from "./logcosh.js";
import { meanAbsoluteError } from "./meanAbsoluteError.js";
import { meanSquaredError } from "./meanSquaredError.js";
import { bindScalarLoss, type ScalarLoss } from "./scalar.js";
import { squaredHinge } from "./squaredHinge.js";

const scalarLosses: readonly ScalarLoss[] = [
  meanSquaredError,
  binaryCrossentropy,
  hinge,
  squaredHinge,
  huberLoss,
  meanAbsoluteError,
  logcosh,
];

export const lossNames: readonly LossName[] = [
  ...scalarLosses.map((loss) => loss.name),
  "categoricalCrossentropy",
  "kullbackLeiblerDivergence",
];

/** What a loss wants of the model's last activation and of its targets. */
export interface LossTraits {
  readonly activation: "linear" | "sigmoid" | "softmax";
  readonly targets: "real" | "probability" | "sign" | "distribution";
}

export const lossTraits: Readonly<Record<LossName, LossTraits>> = {
  meanSquaredError: { activation: "linear", targets: "real" },
  binaryCrossentropy: { activation: "sigmoid", targets: "probability" },
  categoricalCrossentropy: { activation: "softmax", targets: "distribution" },
  hinge: { activation: "linear", targets: "sign" },
  squaredHinge: { activation: "linear", targets: "sign" },
  huberLoss: { activation: "linear", targets: "real" },
  meanAbsoluteError: { activation: "linear", targets: "real" },
  logcosh: { activation: "linear", targets: "real" },
  kullbackLeiblerDivergence: { activation: "softmax", targets: "distribution" },
};

/** The smooth loss that comes nearest to one with kinks. */
export function smoothLike({ name }: Loss): LossName {
  return name === "hinge" ? "squaredHinge" : "huberLoss";
}

/** A row of targets that should sum to one may miss it by this much: one-hot rows in float32 do not. */
const SUM_SLACK = 1e-5;

/** L(Z) for given targets Y [n x C] and sample weights [n] (null: ones), with tfjs's scaling. */
export function bindLoss(name: LossName, Y: Matrix, weights: Float64Array | null = null): Loss {
  return { ...boundLoss(name, Y, weights), bound: { targets: Y, weights } };
}

function boundLoss(name: LossName, Y: Matrix, weights: Float64Array | null): Loss {
  if (name === "categoricalCrossentropy") return bindSoftmaxLoss(Y, weights);
  if (name === "kullbackLeiblerDivergence") return bindDivergence(Y, weights);
  const scalar = scalarLosses.find((loss) => loss.name === name);
  if (scalar === undefined) {
    throw new ConvexError(
      "model/loss",
      `bindLoss: expected one of ${lossNames.join(", ")}, got "${name}"; compile the model with one of these.`,
    );
  }
  return bindScalarLoss(scalar, Y, weights);
}

/** Null when the targets fit the loss, else what was expected and what came, with the row. */
export function targetRefusal(name: LossName, Y: Matrix): string | null {
  const { rows: n, cols: C, data } = Y;
  for (let k = 0; k < n; k++) {
    let sum = 0;
    for (let c = 0; c < C; c++) {
      const value = data[k * C + c];
      sum += value;
      const refusal = entryRefusal(name, value);
      if (refusal !== null) return `${refusal}, got ${value} in row ${k}, column ${c}`;
    }
    if (lossTraits[name].targets === "distribution" && Math.abs(sum - 1) > SUM_SLACK) {
      return `expected rows that sum to 1 (one-hot), got the sum ${sum} in row ${k}`;
    }
  }
  if (lossTraits[name].targets === "distribution" && C < 2) return `expected one column a class, at least 2, got ${C}`;
  return null;
}

function entryRefusal(name: LossName, value: number): string | null {
  switch (lossTraits[name].targets) {
    case "real":
      return Number.isFinite(value) ? null : "expected finite targets";
    case "probability":
    case "distribution":
      return value >= 0 && value <= 1 ? null : "expected targets in [0, 1]";
    case "sign":
      return value === 1 || value === -1 ? null : "expected targets -1 or 1";
  }
}
