/** The weights of a network as the program has them. */

import { type Network, type NetworkWeights, weightsOf } from "../../convex/network.js";
import type { Problem } from "../records.js";
import { decayOf } from "./regularization.js";
import { withBestSkip } from "./skip.js";

/** One layer as a network of a linear unit for each output, in order: kernel W, gates open on every row, read-out I. */
function affineWeights({ neurons, bias }: Network, d: number): NetworkWeights {
  const C = bias.length;
  const kernel = new Float64Array(d * C);
  const output = new Float64Array(C * C);
  for (let c = 0; c < C; c++) output[c * C + c] = 1;
  for (const neuron of neurons) {
    const c = neuron.output.findIndex((value) => value !== 0);
    for (let p = 0; p < d; p++) kernel[p * C + c] = Math.fround(neuron.direction[p] * neuron.output[c]);
  }
  return {
    kernel: { rows: d, cols: C, data: kernel },
    gates: { rows: d, cols: C, data: new Float64Array(d * C) },
    output: { rows: C, cols: C, data: output },
    bias: bias.map(Math.fround),
    pooling: null,
  };
}

/**
 * The weights of a network in the program's own columns, without a linear layer beside the hidden one. In the numbers that layers hold,
 * unless they are `exact`: kernels and gates for other columns than the layer's are rounded there, once.
 */
export function hiddenWeights(
  { program, column, regularization }: Pick<Problem, "program" | "column" | "regularization">,
  network: Network,
  units: number,
  exact = false,
): NetworkWeights {
  if (program.penalty.name === "ridge") return affineWeights(network, program.X.cols);
  const written = exact ? (vector: Float64Array) => vector : undefined;
  return weightsOf(network, decayOf(regularization), program.X.cols, units, column.value, written);
}

/** The weights of a network in the program's own columns; as wide as it needs. */
export function programWeights(
  problem: Pick<Problem, "program" | "column" | "regularization">,
  network: Network,
): NetworkWeights {
  const hidden = hiddenWeights(problem, network, Math.max(1, network.neurons.length));
  return withBestSkip(problem, hidden, problem.program.X, "program");
}
