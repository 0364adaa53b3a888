/**
 * What a proof over all gates costs: growing gates with branch and bound, on data by a ReLU network with noise, in 3 dimensions and
 * more. `npm run bench:proofs -- --help` lists the flags; seconds are those of the processor, so that others' work does not count.
 */

import { sampleGates } from "../src/convex/arrangements/index.js";
import { smallestTrivialBeta } from "../src/convex/certificate/index.js";
import { solveGrowing } from "../src/convex/growth/grow.js";
import { wasmKernels } from "../src/convex/kernels/index.js";
import { gaussianSource } from "../src/convex/linear/random.js";
import { bindLoss } from "../src/convex/losses/index.js";
import { penalties } from "../src/convex/penalties/index.js";
import { GatePricer } from "../src/convex/pricing/allGates.js";
import { withProducts } from "../src/convex/solvers/solve.js";
import type { ConvexProgram } from "../src/convex/types.js";
import { numbers, readFlags } from "./support/flags.js";

const flags = readFlags("proofs", {
  rows: { default: "100,200", help: "n" },
  dimensions: { default: "3,4,5", help: "of the data, the hidden bias among them" },
  seeds: { default: "1,2,3", help: "of data" },
  share: { default: 1e-2, help: "beta as a share of the smallest at which the zero network is optimal" },
  tolerance: { default: 1e-4, help: "relative gap" },
  cones: { default: 200_000, help: "most cones a pricing" },
  limit: { default: 60, help: "most seconds for one growth" },
});

const kernels = await wasmKernels();
const ms = () => process.cpuUsage().user / 1e3;
console.log("rows dimensions seed | growth | finished cones pricing (s, processor) ratio relative gap over all gates");
for (const d of numbers(flags.dimensions)) {
  for (const n of numbers(flags.rows)) for (const seed of numbers(flags.seeds)) await prove(n, d, seed);
}

/** One growth, solved, and one pricing of all gates at its dual point. */
async function prove(n: number, d: number, seed: number): Promise<void> {
  const program = problem(n, d, seed);
  const { tolerance, cones } = flags;
  const budget = { tolerance: tolerance / 2, maxIterations: 10_000, seconds: flags.limit };
  const began = ms();
  const grown = await solveGrowing(program, kernels, budget, { starts: 200, seed });
  const solved = ms();
  const pause = async () => false;
  const pricing = { cones, tolerance, pause };
  const { bound } = await new GatePricer(program).bound(grown.dualPoint, grown.gap.primal, pricing);
  const priced = ms();
  console.log(
    `${n} ${d} ${seed} | ${grown.status} ${((solved - began) / 1e3).toFixed(1)} s | ${bound.finished} ${bound.cones} ` +
      `${((priced - solved) / 1e3).toFixed(2)} s ${bound.ratio.toFixed(5)} ${bound.relativeGap.toExponential(1)}`,
  );
}

function problem(n: number, d: number, seed: number): ConvexProgram {
  const draw = gaussianSource(seed);
  const teacher = Array.from({ length: 4 }, () => ({ w: Float64Array.from({ length: d }, draw), a: draw() }));
  const X = { rows: n, cols: d, data: Float64Array.from({ length: n * d }, (_, k) => (k % d === d - 1 ? 1 : draw())) };
  const targets = Float64Array.from({ length: n }, (_, k) =>
    teacher.reduce((sum, { w, a }) => {
      const z = w.reduce((value, weight, p) => value + weight * X.data[k * d + p], 0);
      return sum + a * Math.max(0, z);
    }, 0.3 * draw()),
  );
  const loss = bindLoss("meanSquaredError", { rows: n, cols: 1, data: targets }, null);
  const gates = sampleGates(X, { count: 100, seed });
  const parts = { X, gates, loss, penalty: penalties.perOutput, outputBias: { ridge: 0 }, cones: true };
  const trivial = withProducts(parts, kernels, (products) => smallestTrivialBeta(parts, products));
  return { ...parts, beta: flags.share * trivial };
}
