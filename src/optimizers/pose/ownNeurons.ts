/** The neurons that a model has: the gates that are theirs, whether each feeds one output, and the least decay that they can have. */

import { type Arrangements, arrangementBound, gatesFrom, sampleGates } from "../../convex/arrangements/index.js";
import { norm } from "../../convex/linear/vectors.js";
import type { NetworkWeights } from "../../convex/network.js";
import type { HiddenNeuron } from "../../convex/recovery/index.js";
import type { Matrix } from "../../convex/types.js";
import type { Settings } from "../options.js";
import type { NetworkSpec } from "../read/model.js";
import type { Regularization } from "../records.js";
import { FEW_ARRANGEMENTS } from "./pose.js";

/** Gates that are sampled where a network has no living neuron of its own. */
const SPARE_GATES = 64;

/** The gates that a certificate is about when no option names them. */
export function gatesFor(spec: NetworkSpec, X: Matrix, neurons: readonly HiddenNeuron[], seed: number): Arrangements {
  const d = X.cols;
  if (spec.formulation === "relu" && arrangementBound(X.rows, Math.min(X.rows, d)) <= FEW_ARRANGEMENTS) {
    return { kind: "enumerate" };
  }
  const alive = neurons.filter(({ outputs }) => outputs.some((value) => value !== 0));
  const generators = new Float64Array(alive.length * d);
  alive.forEach(({ gate, weights }, j) => {
    generators.set(gate ?? weights, j * d);
  });
  const own = gatesFrom(X, { rows: alive.length, cols: d, data: generators });
  return own.count > 0 ? own : sampleGates(X, { count: SPARE_GATES, seed });
}

export function neuronsOf({ kernel, gates, output }: NetworkWeights): HiddenNeuron[] {
  const column = ({ rows, cols, data }: Matrix, j: number) =>
    Float64Array.from({ length: rows }, (_, p) => data[p * cols + j]);
  return Array.from({ length: kernel.cols }, (_, j) => ({
    weights: column(kernel, j),
    outputs: output.data.slice(j * output.cols, (j + 1) * output.cols),
    ...(gates === null ? {} : { gate: column(gates, j) }),
  }));
}

/** What the layers charge when every neuron is balanced: 2 sqrt(g1 g2) |w| |a|, |a| by `length`. */
export function leastDecay(weights: NetworkWeights, regularization: Regularization, length = norm): number {
  const { bias, skip } = weights;
  const { hidden, output, outputBias } = regularization;
  let sum = 0;
  for (const { weights: w, outputs } of neuronsOf(weights))
    sum += 2 * Math.sqrt(hidden * output) * norm(w) * length(outputs);
  for (const value of bias) sum += outputBias * value * value;
  for (const value of skip?.data ?? []) sum += (regularization.skip ?? 0) * value * value;
  return sum;
}

/** |a|_1: a neuron that feeds several outputs counts as several. */
export function sumOfSizes(outputs: Float64Array): number {
  return outputs.reduce((sum, value) => sum + Math.abs(value), 0);
}

/** True where `vectorPenalty` says that neurons feed one output each, as those of the model do. */
export function staysPerOutput({ output }: NetworkWeights, { vectorPenalty }: Settings): boolean {
  if (vectorPenalty !== "perOutput") return false;
  for (let at = 0; at < output.data.length; at += output.cols) {
    let fed = 0;
    for (let c = 0; c < output.cols; c++) fed += output.data[at + c] === 0 ? 0 : 1;
    if (fed > 1) return false;
  }
  return true;
}
