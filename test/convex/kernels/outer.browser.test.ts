/** Whole steps of a splitting on a device, prox of the loss included, against those of the host in float64: one body for every engine. */

import * as tf from "@tensorflow/tfjs";
import { beforeAll, describe, expect, test } from "vitest";
import { type Kernels, referenceKernels } from "../../../src/convex/kernels/index.js";
import type { OuterState } from "../../../src/convex/kernels/types.js";
import { lossNames } from "../../../src/convex/losses/index.js";
import type { Setting } from "../../../src/convex/solvers/solver.js";
import { stepOnHost, stepRoom } from "../../../src/convex/solvers/splitting/outer.js";
import { SplittingSystem } from "../../../src/convex/solvers/splitting/system.js";
import { Workbench } from "../../../src/convex/solvers/workbench.js";
import type { ConvexProgram, LossName } from "../../../src/convex/types.js";
import { coneEngines } from "../../helpers/deviceEngines.js";
import { expectNear } from "../../helpers/expectNear.js";
import { gaussianMatrix, randomProgram } from "../../helpers/problems.js";

/** Of the largest entry, after up to four steps, whose errors add up. */
const TOLERANCE = 2e-4;
const never = async () => false;

async function systemOn(program: ConvexProgram, kernels: Kernels, use: (system: SplittingSystem) => Promise<void>) {
  const bench = new Workbench(program, referenceKernels);
  const common = { program, kernels, tolerance: 1e-3, pause: never, late: () => false };
  const setting: Setting = { ...common, products: bench.products, memory: bench.part(0, program) };
  const system = await SplittingSystem.of(setting);
  if (system === null) throw new Error("no system");
  await use(system);
  system.dispose();
  bench.dispose();
}

describe.each(coneEngines.filter(({ engine }) => engine !== "tfjs"))("$name", ({ make }) => {
  let kernels: Kernels;
  beforeAll(async () => {
    await tf.ready();
    kernels = await make();
  });

  const withCones = lossNames.flatMap((loss: LossName) =>
    [null, 0, 0.1].map((ridge, k) => ({
      loss,
      ridge,
      cones: true,
      outputs: [1, 3, 2][k],
      rows: [33, 70, 20][k],
      weight: [3, 0.1, 200][k],
    })),
  );

  const [hinge, absolute] = ["hinge", "meanAbsoluteError"].map((loss) => withCones.filter((one) => one.loss === loss));
  const cases = [...withCones, ...[hinge[1], absolute[0]].map((one) => ({ ...one, cones: false }))];

  test.each(cases)("$loss, $outputs outputs, bias $ridge, cones: $cones: steps are those of the host", async (how) => {
    const softmax = /categorical|kullback/.test(how.loss);
    const outputs = softmax ? Math.max(2, how.outputs) : how.outputs;
    const { cones, ridge, rows } = how;
    const program = randomProgram({ loss: how.loss, cones, ridge, outputs, rows, gates: 9 });
    const { loss } = program;
    const size = loss.rows * loss.outputs;
    const begin = (): OuterState => ({
      z: gaussianMatrix(1, size, 1).data.slice(),
      c: gaussianMatrix(1, size, 2).data.map((value) => 0.1 * value),
      e: gaussianMatrix(1, outputs, 3).data.slice(),
      te: gaussianMatrix(1, outputs, 4).data.slice(),
    });
    const numbers = { relaxation: 1.7, threshold: 0.05, tau: how.weight, biasShare: 0.9 };
    const [mine, truth] = [begin(), begin()];
    const room = stepRoom(loss);
    const results: { missed: number; moved: number; vectors: Float64Array }[] = [];
    for (const count of [1, 4]) {
      const pair: typeof results = [];
      for (const [k, state] of [mine, truth].entries()) {
        await systemOn(program, k === 0 ? kernels : referenceKernels, async (system) => {
          let left = null;
          if (k === 0) left = (await system.iterate.steps?.(count, numbers, state)) ?? null;
          else
            for (let step = 0; step < count; step++)
              left = await stepOnHost(system, loss, state, numbers, room, true, never);
          const { index, vectors } = await system.iterate.read();
          const all = new Float64Array((cones ? 2 : 1) * program.gates.count * outputs * program.X.cols);
          index.forEach((at, to) => {
            all.set(vectors.subarray(to * program.X.cols, (to + 1) * program.X.cols), at * program.X.cols);
          });
          pair.push({ ...(left ?? { missed: Number.NaN, moved: Number.NaN }), vectors: all });
        });
      }
      const both = truth.z.map((value, k) => value + truth.c[k]);
      expectNear(mine.z, both, TOLERANCE);
      expectNear(mine.e, truth.e, TOLERANCE);
      expectNear(mine.te, truth.te, TOLERANCE);
      expectNear(pair[0].vectors, pair[1].vectors, TOLERANCE);
      expect(pair[0].missed / pair[1].missed).toBeCloseTo(1, 3);
      expect(pair[0].moved / pair[1].moved).toBeCloseTo(1, 3);
      for (const state of [mine, truth]) {
        room.y.set(both);
        loss.prox(room.y, numbers.tau, state.z, room.slope, room.spread);
        for (let k = 0; k < size; k++) state.c[k] = both[k] - state.z[k];
      }
    }
  });
});
