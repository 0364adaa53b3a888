import { describe, expect, test } from "vitest";
import { formulations } from "../../../src/convex/formulations/index.js";
import { referenceKernels } from "../../../src/convex/kernels/index.js";
import { descend } from "../../../src/convex/linear/lbfgs.js";
import { gaussianSource } from "../../../src/convex/linear/random.js";
import { norm } from "../../../src/convex/linear/vectors.js";
import { narrowed } from "../../../src/convex/narrowing/narrow.js";
import { LayerObjective } from "../../../src/convex/narrowing/objective.js";
import { shrunk } from "../../../src/convex/narrowing/shrink.js";
import { type Network, type Neuron, objectiveOf, weightsOf } from "../../../src/convex/network.js";
import { solve } from "../../../src/convex/solvers/solve.js";
import type { ConvexProgram } from "../../../src/convex/types.js";
import { randomProgram } from "../../helpers/problems.js";

const never = async () => false;
const options = { tolerance: 1e-6, seed: 1, shares: true, pause: never };

function randomNetwork(program: ConvexProgram, m: number, seed: number): Network {
  const draw = gaussianSource(seed);
  const positions = program.pooling?.positions ?? 1;
  const vector = (length: number) => Float64Array.from({ length }, draw);
  const neurons = Array.from({ length: m }, (): Neuron => {
    const direction = vector(program.X.cols);
    const length = norm(direction);
    return {
      direction: direction.map((value) => value / length),
      output: vector(positions * program.loss.outputs),
      gate: program.cones ? null : vector(program.X.cols),
    };
  });
  return { gated: !program.cones, neurons, bias: vector(program.loss.outputs), pooling: program.pooling ?? null };
}

const cases = [
  { title: "ReLU", program: randomProgram({ cones: true, rows: 12, outputs: 1, ridge: 0.01 }) },
  { title: "ReLU with three outputs", program: randomProgram({ cones: true, rows: 12, outputs: 3, ridge: 0 }) },
  { title: "gated", program: randomProgram({ cones: false, rows: 12, outputs: 2, penalty: "nuclear", ridge: 0.01 }) },
  {
    title: "filters with a read-out at two positions",
    program: {
      ...randomProgram({ cones: true, rows: 24, outputs: 2, ridge: 0.01 }),
      loss: randomProgram({ rows: 6, outputs: 2 }).loss,
      pooling: { patches: 4, positions: 2, scale: 0.5 },
    },
  },
];

describe.each(cases)("the objective of layers: $title", ({ program }) => {
  const network = randomNetwork(program, 4, 5);
  const objective = new LayerObjective(program, referenceKernels, true);

  test("is that of the independent judge, before weights become float32", () => {
    const { beta, outputBias } = program;
    const decay = { hidden: beta / 2, output: beta / 2, outputBias: outputBias?.ridge ?? 0 };
    const { total } = objectiveOf(weightsOf(network, decay, program.X.cols, 4), program.X, program.loss, decay);
    expect(objective.valueOf(network)).toBeCloseTo(total, 5);
  });

  test("has the gradient that finite differences have, and packing is undone by unpacking", () => {
    const over = objective.over(network.neurons);
    const x = objective.pack(network);
    const gradient = new Float64Array(x.length);
    over(x, gradient);
    const scratch = new Float64Array(x.length);
    for (let k = 0; k < x.length; k++) {
      const at = (shift: number) =>
        over(
          x.map((value, i) => value + (i === k ? shift : 0)),
          scratch,
        );
      expect(gradient[k]).toBeCloseTo((at(1e-5) - at(-1e-5)) / 2e-5, 5);
    }
    objective.unpack(x, network).neurons.forEach(({ direction, output }, j) => {
      direction.forEach((value, p) => void expect(value).toBeCloseTo(network.neurons[j].direction[p], 10));
      output.forEach((value, c) => void expect(value).toBeCloseTo(network.neurons[j].output[c], 10));
    });
  });
});

test("where neurons share nothing, output weights that are zero stay zero", async () => {
  const program = randomProgram({ cones: true, rows: 15, outputs: 3, ridge: 0 });
  const full = randomNetwork(program, 9, 3);
  const wide = {
    ...full,
    neurons: full.neurons.map((neuron, j) => ({
      ...neuron,
      output: neuron.output.map((value, c) => (c === j % 3 ? value : 0)),
    })),
  };
  const { network } = await narrowed(program, wide, referenceKernels, { ...options, units: 4, shares: false });
  for (const { output } of network.neurons) expect(output.filter((value) => value !== 0)).toHaveLength(1);
});

test("a network that is narrow already stays as it is", async () => {
  const program = randomProgram({ cones: true, rows: 12, outputs: 1, ridge: 0 });
  const network = randomNetwork(program, 3, 1);
  const found = await narrowed(program, network, referenceKernels, { ...options, units: 3 });
  expect(found.network).toBe(network);
});

test("neurons that are alike become one before others go, and what they do stays", () => {
  const [u, v] = [Float64Array.of(0.6, 0.8), Float64Array.of(0.8, -0.6)];
  const made = (direction: Float64Array, size: number): Neuron => ({
    direction,
    output: Float64Array.of(size),
    gate: null,
  });
  const network: Network = { gated: false, neurons: [made(u, 2), made(v, 1), made(u, 1)], bias: new Float64Array(1) };
  const { neurons } = shrunk(network, 2);
  expect(neurons.map(({ output }) => output[0]).sort()).toEqual([1, 3]);
  expect(shrunk(network, 1).neurons).toHaveLength(1);
  // Against one another they do not cancel in silence: the smaller goes.
  const against = shrunk({ ...network, neurons: [made(u, 2), made(v, 1), made(u, -1.5)] }, 2);
  expect(against.neurons).toHaveLength(2);
});

test.each(cases.slice(1))(
  "neurons of one direction that feed one output or place each are one unit that feeds all, also without time ($title)",
  async ({ program }) => {
    const pause = async () => true;
    for (const seed of [1, 2, 3]) {
      const { network: few } = await narrowed(program, randomNetwork(program, 6, seed), referenceKernels, {
        ...options,
        units: 3,
        quick: true,
      });
      const neurons = few.neurons.flatMap(({ output, ...neuron }) =>
        Array.from(output, (_, k) => ({ ...neuron, output: output.map((value, c) => (c === k ? value : 0)) })),
      );
      const made = await narrowed(program, { ...few, neurons }, referenceKernels, { ...options, units: 3, pause });
      expect(made.network.neurons).toHaveLength(few.neurons.length);
      const objective = new LayerObjective(program, referenceKernels, true);
      expect(made.value).toBeLessThanOrEqual(objective.valueOf(few) * (1 + 1e-6));
    }
  },
);

describe.each([1, 2, 5])("narrowed to %i units", (units) => {
  test.each([
    { name: "relu", outputs: 1 },
    { name: "relu", outputs: 3 },
    { name: "gated", outputs: 1 },
  ] as const)(
    "it is between the bound and the best of 20 descents from random neurons ($name, $outputs)",
    async ({ name, outputs }) => {
      const program = randomProgram({ cones: name === "relu", outputs, rows: 30, gates: 25, ridge: 0.01, beta: 5e-3 });
      const { blocks, gap } = await solve(program, referenceKernels, {
        tolerance: 1e-5,
        maxIterations: 300,
        seconds: 60,
      });
      const wide = formulations[name].recover(program, blocks);
      expect(wide.neurons.length).toBeGreaterThan(units);
      const { network, value } = await narrowed(program, wide, referenceKernels, { ...options, units });
      expect(network.neurons.length).toBeLessThanOrEqual(units);
      const objective = new LayerObjective(program, referenceKernels, true);
      expect(value).toBeGreaterThanOrEqual(objective.valueOf(network) * (1 - 1e-9));
      // Gates that are held are those of the bound; ReLU neurons find others.
      if (name === "gated") expect(value).toBeGreaterThanOrEqual(gap.dual - 1e-9);
      let best = Number.POSITIVE_INFINITY;
      for (let seed = 0; seed < 20; seed++) {
        const start = randomNetwork(program, units, 100 + seed);
        // Gated networks have the gates of the program, of which these are some.
        const picked = wide.neurons.map(({ gate }) => gate);
        const own = start.neurons.map((neuron, j) => ({
          ...neuron,
          gate: program.cones ? null : picked[(j + seed) % picked.length],
        }));
        const { value: other } = await descend(
          objective.over(own),
          objective.pack({ ...start, neurons: own }),
          500,
          never,
        );
        best = Math.min(best, other);
      }
      expect(value).toBeLessThanOrEqual(best * 1.02);
    },
  );
});

test("without time it still answers with a network of that width, no worse than none", async () => {
  const program = randomProgram({ cones: true, outputs: 1, rows: 30, gates: 25, ridge: 0.01, beta: 5e-3 });
  const { blocks } = await solve(program, referenceKernels, { tolerance: 1e-4, maxIterations: 300, seconds: 60 });
  const wide = formulations.relu.recover(program, blocks);
  const { network, value } = await narrowed(program, wide, referenceKernels, {
    ...options,
    units: 3,
    pause: async () => true,
  });
  expect(network.neurons.length).toBeLessThanOrEqual(3);
  expect(value).toBeLessThan(new LayerObjective(program, referenceKernels, true).valueOf({ ...wide, neurons: [] }));
});
