/** Networks whose neurons feed all outputs: gradients, the bound, and the network against descents from many starts. */

import { describe, expect, test } from "vitest";
import { enumerateGates } from "../../../src/convex/arrangements/index.js";
import { formulations } from "../../../src/convex/formulations/index.js";
import { referenceKernels } from "../../../src/convex/kernels/index.js";
import { descend, type Objective } from "../../../src/convex/linear/lbfgs.js";
import { gaussianSource } from "../../../src/convex/linear/random.js";
import { objectiveOf, weightsOf } from "../../../src/convex/network.js";
import { SharedObjective } from "../../../src/convex/sharing/neurons.js";
import { outputsObjective } from "../../../src/convex/sharing/outputWeights.js";
import { mayShareOutputs, shareOutputs } from "../../../src/convex/sharing/shareOutputs.js";
import { solve } from "../../../src/convex/solvers/solve.js";
import type { ConvexProgram } from "../../../src/convex/types.js";
import { gaussianMatrix, randomProgram } from "../../helpers/problems.js";

const budget = { tolerance: 1e-3, maxIterations: 200, seconds: 60 };
const options = { starts: 40, seed: 3, units: Number.POSITIVE_INFINITY };
const never = async () => false;

function expectGradient(objective: Objective, x: Float64Array): void {
  const gradient = new Float64Array(x.length);
  const spare = new Float64Array(x.length);
  objective(x, gradient);
  for (let k = 0; k < x.length; k++) {
    const at = (step: number) =>
      objective(
        Float64Array.from(x, (value, p) => (p === k ? value + step : value)),
        spare,
      );
    expect(gradient[k]).toBeCloseTo((at(1e-6) - at(-1e-6)) / 2e-6, 5);
  }
}

/** The convex program's network, and what sharing makes of it. */
async function shared(program: ConvexProgram) {
  const apart = await solve(program, referenceKernels, { ...budget, tolerance: 1e-6 });
  const network = formulations.relu.recover(program, apart.blocks);
  return { apart, found: await shareOutputs(program, network, referenceKernels, budget, options) };
}

describe("gradients", () => {
  test.each([
    { pooling: null, ridge: null },
    { pooling: null, ridge: 0.1 },
    { pooling: { patches: 3, positions: 1, scale: 1 / 3 }, ridge: 0 },
  ])("of weights and outputs together are those of finite differences: %o", ({ pooling, ridge }) => {
    const [n, d, C, m] = [6, 3, 2, 4];
    const wish = randomProgram({ cones: true, rows: n, features: d, outputs: C, ridge, loss: "binaryCrossentropy" });
    const program = { ...wish, X: gaussianMatrix(n * (pooling?.patches ?? 1), d, 5), pooling };
    const x = gaussianMatrix(1, m * (d + C) + C, 6).data;
    if (ridge === null) x.fill(0, m * (d + C));
    const objective = new SharedObjective(program, referenceKernels).over(m);
    expectGradient(ridge === null ? withoutBias(objective, C) : objective, x);
  });

  test("of outputs alone are those of finite differences", () => {
    const program = randomProgram({ cones: true, rows: 7, outputs: 3, ridge: 0.2, loss: "categoricalCrossentropy" });
    const activations = gaussianMatrix(5, 7, 8).data.map((value) => Math.max(0, value));
    expectGradient(outputsObjective(program, referenceKernels, activations), gaussianMatrix(1, 5 * 4 + 3, 9).data);
  });
});

describe("shareOutputs", () => {
  test.each([
    "meanSquaredError",
    "binaryCrossentropy",
    "categoricalCrossentropy",
    "squaredHinge",
    "huberLoss",
  ] as const)("ends below the program's network, above its bound, at its own objective (%s)", async (loss) => {
    const wish = randomProgram({ loss, cones: true, rows: 12, features: 2, outputs: 3, ridge: 0.01 });
    const { apart, found } = await shared({ ...wish, gates: enumerateGates(wish.X) });
    const { gap, network, program } = found;
    expect(gap.primal).toBeLessThan(apart.gap.primal);
    expect(gap.dual).toBeLessThanOrEqual(gap.primal);
    const decay = { hidden: program.beta / 2, output: program.beta / 2, outputBias: 0.01 };
    const written = objectiveOf(weightsOf(network, decay, 2, network.neurons.length), program.X, program.loss, decay);
    expect(written.total / gap.primal).toBeCloseTo(1, 5);
    expect(found.status).toMatch(/solved|stalled/);
    if (found.status === "solved") expect(gap.relative).toBeLessThanOrEqual(budget.tolerance);
  });

  test("where the penalty is heavy the gap closes", async () => {
    const wish = randomProgram({ cones: true, rows: 10, features: 2, outputs: 3, beta: 0.3 });
    const { found } = await shared({ ...wish, gates: enumerateGates(wish.X) });
    expect(found.status).toBe("solved");
    expect(found.gap.relative).toBeLessThanOrEqual(1e-3);
    expect(found.network.neurons.length).toBeGreaterThan(0);
  });

  test.each([6, 10])(
    "the gap closes over all arrangements, for %i outputs too, and no descent ends below the bound",
    async (outputs) => {
      const wish = randomProgram({ cones: true, rows: 9, features: 3, outputs, beta: 0.3 / outputs, seed: 3 });
      const { found } = await shared({ ...wish, gates: enumerateGates(wish.X) });
      expect(found.status).toBe("solved");
      expect(found.gap.relative).toBeLessThanOrEqual(budget.tolerance);
      const objective = new SharedObjective(wish, referenceKernels);
      const draw = gaussianSource(12);
      for (let run = 0; run < 5; run++) {
        const x = Float64Array.from({ length: 20 * (3 + outputs) + outputs }, draw).fill(0, 20 * (3 + outputs));
        const { value } = await descend(withoutBias(objective.over(20), outputs), x, 2000, never);
        expect(value).toBeGreaterThanOrEqual(found.gap.dual);
      }
    },
  );

  test("no descent from random neurons ends lower, nor below the bound", async () => {
    const wish = randomProgram({ cones: true, rows: 14, features: 3, outputs: 2, beta: 0.05 });
    const { found } = await shared({ ...wish, gates: enumerateGates(wish.X) });
    const objective = new SharedObjective(wish, referenceKernels);
    const draw = gaussianSource(11);
    for (let run = 0; run < 8; run++) {
      const x = Float64Array.from({ length: 20 * 5 + 2 }, draw).fill(0, 100);
      const { value } = await descend(withoutBias(objective.over(20), 2), x, 2000, never);
      expect(value).toBeGreaterThanOrEqual(found.gap.primal * (1 - 1e-4));
      expect(value).toBeGreaterThanOrEqual(found.gap.dual);
    }
  });

  test("is for smooth losses and several outputs, not for patches that are read out apart", () => {
    const program = randomProgram({ cones: true, outputs: 2 });
    expect(mayShareOutputs(program)).toBe(true);
    expect(mayShareOutputs({ ...program, cones: false })).toBe(false);
    expect(mayShareOutputs({ ...program, pooling: { patches: 4, positions: 4, scale: 1 } })).toBe(false);
    expect(mayShareOutputs(randomProgram({ cones: true }))).toBe(false);
    expect(mayShareOutputs(randomProgram({ cones: true, outputs: 2, loss: "hinge" }))).toBe(false);
  });

  test("it has no more neurons than it may", async () => {
    const wish = randomProgram({ cones: true, rows: 14, features: 3, outputs: 3, beta: 1e-3 });
    const { blocks } = await solve(wish, referenceKernels, budget);
    const few = formulations.relu.recover(wish, blocks);
    const network = { ...few, neurons: few.neurons.slice(0, 5) };
    const found = await shareOutputs(wish, network, referenceKernels, budget, { ...options, units: 6 });
    expect(found.network.neurons.length).toBeGreaterThan(0);
    expect(found.network.neurons.length).toBeLessThanOrEqual(6);
  });

  test("a callback that answers true ends it, with a network that is no worse", async () => {
    const program = randomProgram({ cones: true, outputs: 2, rows: 30, beta: 1e-3 });
    const { blocks, gap } = await solve(program, referenceKernels, budget);
    const network = formulations.relu.recover(program, blocks);
    const asked = { ...budget, onRound: () => true };
    const found = await shareOutputs(program, network, referenceKernels, asked, options);
    expect(found.iterations).toBe(1);
    expect(found.gap.primal).toBeLessThanOrEqual(gap.primal);
  });
});

/** The same without an output bias: its gradient is zero. */
function withoutBias(objective: Objective, C: number): Objective {
  return (x, gradient) => objective(Float64Array.from(x).fill(0, x.length - C), gradient);
}
