import { describe, expect, test } from "vitest";
import { formulations } from "../../../src/convex/formulations/index.js";
import { referenceKernels } from "../../../src/convex/kernels/index.js";
import { forward, type Network, type Neuron, objectiveOf, weightsOf } from "../../../src/convex/network.js";
import { mergeNeurons } from "../../../src/convex/recovery/merge.js";
import { pruneNeurons } from "../../../src/convex/recovery/prune.js";
import { solve } from "../../../src/convex/solvers/solve.js";
import type { Matrix } from "../../../src/convex/types.js";
import { gaussianMatrix, randomProgram } from "../../helpers/problems.js";

const unit = (...values: number[]) => Float64Array.from(values, (value) => value / Math.hypot(...values));
const neuron = (direction: Float64Array, ...output: number[]): Neuron => ({
  direction,
  output: Float64Array.from(output),
  gate: null,
});
const decay = { hidden: 0.01, output: 0.04, outputBias: 0 };
const sizeOf = (neurons: readonly Neuron[]) => neurons.reduce((sum, { output }) => sum + Math.hypot(...output), 0);

function outputsOf(neurons: readonly Neuron[], X = gaussianMatrix(9, 3, 1)): Float64Array {
  const network: Network = { gated: false, neurons, bias: new Float64Array(neurons[0].output.length) };
  return forward(weightsOf(network, decay, X.cols, neurons.length), X);
}

/** The same in float64: no weight is rounded. */
function sumsOf(neurons: readonly Neuron[], X: Matrix): Float64Array {
  const C = neurons[0].output.length;
  const Z = new Float64Array(X.rows * C);
  for (const { direction, output } of neurons) {
    for (let k = 0; k < X.rows; k++) {
      const pre = direction.reduce((sum, value, p) => sum + value * X.data[k * X.cols + p], 0);
      for (let c = 0; c < C; c++) Z[k * C + c] += Math.max(0, pre) * output[c];
    }
  }
  return Z;
}

describe("mergeNeurons", () => {
  test("adds neurons of one direction, also across outputs and signs, and keeps the function", () => {
    const [u, v] = [unit(1, 2, 3), unit(-1, 0, 2)];
    const neurons = [neuron(u, 1, 0), neuron(v, 0, -2), neuron(u, 0, 3), neuron(u, -0.5, 0)];
    const merged = mergeNeurons(neurons);
    expect(merged).toHaveLength(2);
    outputsOf(merged).forEach((value, k) => void expect(value).toBeCloseTo(outputsOf(neurons)[k], 5));
    expect(sizeOf(merged)).toBeLessThan(sizeOf(neurons));
  });

  test("drops what cancels, and leaves opposite directions and other gates alone", () => {
    const u = unit(1, 0, 0);
    expect(mergeNeurons([neuron(u, 1), neuron(u, -1)])).toHaveLength(0);
    expect(mergeNeurons([neuron(u, 1), neuron(unit(-1, 0, 0), 1)])).toHaveLength(2);
    const gated = (gate: number) => ({ ...neuron(u, 1), gate: Float64Array.of(gate, 1, 0) });
    expect(mergeNeurons([gated(1), gated(2), gated(1)])).toHaveLength(2);
  });
});

describe("pruneNeurons", () => {
  test.each([1, 3])(
    "leaves at most (n + 1) C neurons, the function on the data, and no larger penalty (C = %i)",
    (C) => {
      const X = gaussianMatrix(5, 3, 2);
      const neurons = Array.from({ length: 40 }, (_, k) => {
        const { data } = gaussianMatrix(1, 3 + C, 50 + k);
        return { direction: unit(...data.slice(0, 3)), output: data.slice(3), gate: null };
      });
      const pruned = pruneNeurons(neurons, X);
      expect(pruned.length).toBeLessThanOrEqual(6 * C);
      outputsOf(pruned, X).forEach((value, k) => void expect(value).toBeCloseTo(outputsOf(neurons, X)[k], 4));
      expect(sizeOf(pruned)).toBeLessThanOrEqual(sizeOf(neurons) * (1 + 1e-9));
    },
  );

  test.each(Array.from({ length: 12 }, (_, k) => k + 1))(
    "keeps the function to rounding on long rows and neurons that are nearly the same (seed %i)",
    (seed) => {
      const [n, d, C] = [7, 3, 2];
      const X = gaussianMatrix(n, d, seed);
      X.data.forEach((value, k) => {
        X.data[k] = 1e6 * (k % d === d - 1 ? 1 : value);
      });
      const kinds = gaussianMatrix(8, d, 100 + seed).data;
      const noise = gaussianMatrix(40, d + C, 300 + seed).data;
      const neurons = Array.from({ length: 40 }, (_, k) => {
        const apart = [0, 1, 2].map((p) => kinds[(k % 8) * d + p] + 10 ** -(2 + (k % 6)) * noise[k * (d + C) + p]);
        return { direction: unit(...apart), output: noise.slice(k * (d + C) + d, (k + 1) * (d + C)), gate: null };
      });
      const pruned = pruneNeurons(neurons, X);
      expect(pruned.length).toBeLessThanOrEqual((n + 1) * C);
      const [before, after] = [neurons, pruned].map((list) => sumsOf(list, X));
      after.forEach((value, k) => void expect(Math.abs(value - before[k])).toBeLessThan(1e-9 * 1e6));
    },
  );

  test("leaves few neurons as they are", () => {
    const neurons = [neuron(unit(1, 0, 0), 1), neuron(unit(0, 1, 0), 2)];
    expect(pruneNeurons(neurons, gaussianMatrix(5, 3, 2))).toEqual(neurons);
  });
});

test("weights are balanced: decay charges beta |o| a neuron, whatever the split between the layers", () => {
  const neurons = [neuron(unit(1, 2, 2), 3, 4), neuron(unit(0, 1, 0), 0, -2)];
  for (const [hidden, output] of [
    [0.01, 0.04],
    [1, 1],
    [0.3, 0.001],
  ]) {
    const weights = weightsOf(
      { gated: false, neurons, bias: new Float64Array(2) },
      { hidden, output, outputBias: 0 },
      3,
      4,
    );
    const X = gaussianMatrix(4, 3, 1);
    const loss = randomProgram({ rows: 4, outputs: 2 }).loss;
    const { regularization } = objectiveOf(weights, X, loss, { hidden, output, outputBias: 0 });
    expect(regularization).toBeCloseTo(2 * Math.sqrt(hidden * output) * 7, 6);
    expect(weights.kernel.cols).toBe(4);
    expect(weights.output.data.slice(4)).toEqual(new Float64Array(4));
  }
});

describe.each([
  { name: "relu", penalty: "perOutput", outputs: 1 },
  { name: "relu", penalty: "perOutput", outputs: 3 },
  { name: "gated", penalty: "perOutput", outputs: 2 },
  { name: "gated", penalty: "nuclear", outputs: 3 },
] as const)("$name, $penalty, $outputs outputs", ({ name, penalty, outputs }) => {
  test("the network that comes back has at most the program's objective, judged by a plain forward pass", async () => {
    const program = randomProgram({
      cones: name === "relu",
      penalty,
      outputs,
      rows: 30,
      gates: 25,
      ridge: 0.01,
      beta: 2e-2,
    });
    const { blocks, gap } = await solve(program, referenceKernels, {
      tolerance: 1e-7,
      maxIterations: 300,
      seconds: 30,
    });
    const network = formulations[name].recover(program, blocks);
    const neurons = pruneNeurons(mergeNeurons(network.neurons), program.X);
    const charges = { hidden: 0.01, output: 0.01, outputBias: 0.01 };
    const weights = weightsOf({ ...network, neurons }, charges, program.X.cols, neurons.length);
    const { total } = objectiveOf(weights, program.X, program.loss, charges);
    expect(total).toBeLessThanOrEqual(gap.primal * (1 + 1e-6));
    expect(neurons.length).toBeLessThanOrEqual(31 * outputs);
    if (outputs === 1 || penalty === "nuclear") expect(total).toBeCloseTo(gap.primal, 6);
  });
});
