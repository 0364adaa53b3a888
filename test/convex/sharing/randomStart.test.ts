/** Random neurons that feed all outputs: what they say, where a descent from them ends, and what is answered where it has no time. */

import { describe, expect, test, vi } from "vitest";
import { formulations } from "../../../src/convex/formulations/index.js";
import { referenceKernels } from "../../../src/convex/kernels/index.js";
import { gaussianSource } from "../../../src/convex/linear/random.js";
import { biasAlone } from "../../../src/convex/operators/dualPoint.js";
import { descendFromRandom } from "../../../src/convex/sharing/begin.js";
import { descendTogether } from "../../../src/convex/sharing/descent.js";
import { SharingEffort } from "../../../src/convex/sharing/effort.js";
import { SharedObjective } from "../../../src/convex/sharing/neurons.js";
import { randomNeurons } from "../../../src/convex/sharing/randomStart.js";
import { shareOutputs } from "../../../src/convex/sharing/shareOutputs.js";
import { solve } from "../../../src/convex/solvers/solve.js";
import { gaussianMatrix, randomProgram } from "../../helpers/problems.js";

const losses = ["meanSquaredError", "binaryCrossentropy", "categoricalCrossentropy"] as const;
const budget = { tolerance: 1e-3, maxIterations: 200, seconds: 60 };
const options = { starts: 40, seed: 3, units: Number.POSITIVE_INFINITY };

describe("random neurons", () => {
  test.each(losses)("say something, and little: the loss of the bias alone rises by a tenth at most (%s)", (loss) => {
    const program = randomProgram({ cones: true, rows: 60, features: 5, outputs: 3, ridge: 0.1, loss });
    const objective = new SharedObjective(program, referenceKernels);
    const neurons = randomNeurons(objective, program, referenceKernels, 50, gaussianSource(1));
    expect(neurons.weights).toHaveLength(50 * 5);
    expect(neurons.outputs).toHaveLength(50 * 3);
    const alone = program.loss.value(objective.predict({ ...neurons, outputs: neurons.outputs.map(() => 0) }));
    const together = program.loss.value(objective.predict(neurons));
    expect(together).not.toBe(alone);
    expect(together).toBeLessThan(1.1 * alone);
    expect(neurons.bias).toEqual(biasAlone(program));
  });

  test("say the same, whatever the unit of the rows", () => {
    const program = randomProgram({ cones: true, rows: 40, features: 4, outputs: 2, loss: "meanSquaredError" });
    const said = (factor: number) => {
      const scaled = { ...program, X: { ...program.X, data: program.X.data.map((value) => factor * value) } };
      const objective = new SharedObjective(scaled, referenceKernels);
      return objective.predict(randomNeurons(objective, scaled, referenceKernels, 30, gaussianSource(2)));
    };
    const [plain, large] = [said(1), said(1024)];
    for (let k = 0; k < plain.length; k++) expect(large[k]).toBeCloseTo(plain[k], 10);
  });
});

describe("a network that was given is never made worse", () => {
  const wish = { cones: true, rows: 40, features: 6, outputs: 3, gates: 30, ridge: 0.1 };
  const program = randomProgram({ ...wish, loss: "categoricalCrossentropy" });
  const solved = solve(program, referenceKernels, { ...budget, tolerance: 1e-6 });

  test.each([0, 1, 3, 10, 30, 100, 300])("by a wish to stop that comes when %i have asked for it", async (patience) => {
    const { blocks, gap } = await solved;
    const network = formulations.relu.recover(program, blocks);
    let asked = 0;
    const stopped = () => ++asked > patience;
    const found = await shareOutputs(program, network, referenceKernels, { ...budget, stopped }, options);
    expect(found.status).toBe("cancelled");
    expect(found.gap.primal).toBeLessThan((1 + 1e-9) * gap.primal);
    expect(found.gap.dual).toBeLessThanOrEqual(found.gap.primal);
  });

  test.each([0, 1e-3, 1e-2, 0.05])("by a limit of %f s", async (seconds) => {
    const { blocks, gap } = await solved;
    const network = formulations.relu.recover(program, blocks);
    const found = await shareOutputs(program, network, referenceKernels, { ...budget, seconds }, options);
    expect(found.gap.primal).toBeLessThan((1 + 1e-9) * gap.primal);
    expect(found.gap.dual).toBeLessThanOrEqual(found.gap.primal);
  });
});

describe("a descent from random neurons before anything else", () => {
  const wish = { cones: true, rows: 40, features: 6, outputs: 3, gates: 30, ridge: 0.1 };
  const program = randomProgram({ ...wish, loss: "categoricalCrossentropy" });
  const none = { gated: false, neurons: [], bias: biasAlone(program) };

  test.each([0, 40, 400])(
    "that is cut short after %i looks at the clock is judged as it is, above its bound",
    async (looks) => {
      let asked = 0;
      const clock = vi.spyOn(performance, "now").mockImplementation(() => ++asked);
      try {
        const seconds = looks / 1000;
        const random = await descendFromRandom(program, referenceKernels, { seconds }, options);
        expect(random.ended).toBe(false);
        const begun = { ...options, random };
        const found = await shareOutputs(program, none, referenceKernels, { ...budget, seconds: 0.02 }, begun);
        expect(found.status).toBe("timeLimit");
        expect(found.iterations).toBe(1);
        expect(found.gap.primal).toBeLessThanOrEqual(random.point.value);
        expect(found.gap.dual).toBeLessThanOrEqual(found.gap.primal);
        expect(found.charged).toBeGreaterThanOrEqual(found.gap.primal * (1 - 1e-12));
      } finally {
        clock.mockRestore();
      }
    },
  );

  test.each([1e-9, 60])(
    "the bound is about the program's gates as well where there is time to look at them (%f s)",
    async (seconds) => {
      const few = [0, 1].map((p) => ({
        direction: Float64Array.from({ length: 6 }, (_, k) => Number(k === p)),
        output: Float64Array.of(0.1, 0, -0.1),
        gate: null,
      }));
      const network = { ...none, neurons: few };
      const found = await shareOutputs(program, network, referenceKernels, { ...budget, seconds }, options);
      if (seconds < 1) expect(found.program.gates.count).toBe(2);
      else expect(found.program.gates.count).toBeGreaterThanOrEqual(program.gates.count);
      expect(found.gap.dual).toBeLessThanOrEqual(found.gap.primal);
    },
  );

  test.each([40, 600])(
    "has more neurons the longer it may go on, without a limit as many as ever, and never many more than rows (%i)",
    async (rows) => {
      const { outputs } = program.loss;
      const wider = randomProgram({ ...wish, rows, loss: "categoricalCrossentropy" });
      const neuronsIn = async (seconds: number) => {
        let asked = 0;
        const stopped = () => ++asked > 20;
        const { point } = await descendFromRandom(wider, referenceKernels, { seconds, stopped }, options);
        return point.neurons.outputs.length / outputs;
      };
      const [none, some, long, longest] = [
        await neuronsIn(Infinity),
        await neuronsIn(1),
        await neuronsIn(30),
        await neuronsIn(1e4),
      ];
      expect(none).toBe(200);
      expect(some).toBeLessThanOrEqual(long);
      if (rows > 200) expect(long).toBeGreaterThan(200);
      expect(longest).toBe(Math.max(200, rows));
    },
  );

  test("that came to its end is gone on from, and ends no higher", async () => {
    const random = await descendFromRandom(program, referenceKernels, budget, options);
    expect(random.ended).toBe(true);
    const found = await shareOutputs(program, none, referenceKernels, budget, { ...options, random });
    expect(found.gap.primal).toBeLessThanOrEqual(random.point.value);
    expect(found.gap.relative).toBeLessThan(0.1);
  });
});

test.each([true, false])(
  "a dear descent that another window would not bring to the goal is given up, a cheap one is not (dear: %s)",
  async (dear) => {
    const program = randomProgram({ cones: true, rows: 40, features: 6, outputs: 3, loss: "categoricalCrossentropy" });
    const objective = new SharedObjective(program, referenceKernels);
    const neurons = randomNeurons(objective, program, referenceKernels, 20, gaussianSource(4));
    const end = async (goal: number) => {
      const effort = new SharingEffort(program, true);
      if (dear) effort.descent(1e6, 100);
      const givenUp = (lowest: number, before: number) => effort.dear && 2 * lowest - before > goal;
      return descendTogether(neurons, [], 20, program, referenceKernels, async () => false, effort, givenUp);
    };
    const [given, whole] = [await end(0), await end(Number.POSITIVE_INFINITY)];
    expect(given.value).toBeLessThan(objective.value(neurons));
    expect(given.value).toBeCloseTo(objective.value(given.neurons), 10);
    if (dear) expect(given.value).toBeGreaterThan(whole.value);
    else expect(given.value).toBe(whole.value);
  },
);

test.each(losses)(
  "sharing that begins at a network without neurons ends as low as from the program's solution (%s)",
  async (loss) => {
    const wish = { cones: true, rows: 12, features: 2, outputs: 3, gates: 20, loss };
    const program = { ...randomProgram(wish), X: gaussianMatrix(12, 2, 11) };
    const apart = await solve(program, referenceKernels, { ...budget, tolerance: 1e-6 });
    const network = formulations.relu.recover(program, apart.blocks);
    const [given, none] = await Promise.all(
      [network, { ...network, neurons: [] }].map((from) =>
        shareOutputs(program, from, referenceKernels, budget, options),
      ),
    );
    expect(none.gap.primal).toBeLessThan(1.005 * given.gap.primal);
    expect(none.gap.primal).toBeGreaterThanOrEqual(none.gap.dual);
  },
);
