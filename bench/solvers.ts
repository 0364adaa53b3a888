/**
 * Which solver is ahead where: processor time of alternating directions, of proximal Newton steps and of others that are asked for, to
 * the same gap, on gated programs of many shapes, and what the choice that is made unasked costs beside the best one. `npm run bench:solvers -- --help`
 * lists the flags.
 */

import { sampleGates } from "../src/convex/arrangements/index.js";
import { wasmKernels } from "../src/convex/kernels/index.js";
import { gaussianSource } from "../src/convex/linear/random.js";
import { bindLoss } from "../src/convex/losses/index.js";
import { penalties } from "../src/convex/penalties/index.js";
import { chooseSolver, solve, withProducts } from "../src/convex/solvers/solve.js";
import type { ConvexProgram } from "../src/convex/types.js";
import { numbers, readFlags } from "./support/flags.js";
import { describeMachine } from "./support/machine.js";
import { clockByProcessor, processorSeconds } from "./support/measure.js";
import { publish, ratio, seconds } from "./support/report.js";

const flags = readFlags("solvers", {
  rows: { default: "250,500,1000,2000,4000", help: "n" },
  features: { default: "5,20,50,100,200", help: "d" },
  gates: { default: "50,200,500,2000", help: "P" },
  losses: { default: "meanSquaredError,binaryCrossentropy", help: "losses, by name" },
  solvers: {
    default: "admm,proximal-newton",
    help: "solvers, by name; what refuses a program has the limit as its time",
  },
  share: { default: 1e-3, help: "beta, of the smallest one at which the zero network is optimal" },
  tolerance: { default: 1e-3, help: "relative gap" },
  limit: { default: 20, help: "most seconds of a solve; what takes longer counts as that long" },
  work: { default: 4e8, help: "n d P up to which shapes are measured" },
});

const SOLVERS = flags.solvers.split(",");

interface Row {
  readonly loss: string;
  readonly n: number;
  readonly d: number;
  readonly P: number;
  readonly times: readonly number[]; // of the solvers, processor seconds
  readonly chosen: string;
  readonly taken: number; // processor seconds of the one that is chosen
}

clockByProcessor(); // limits, too: on a busy machine they would cut solves short
const kernels = await wasmKernels(1);
const rows: Row[] = [];
for (const loss of flags.losses.split(",")) {
  for (const n of numbers(flags.rows)) {
    for (const d of numbers(flags.features)) {
      for (const P of numbers(flags.gates)) {
        if (n * d * P > flags.work) continue;
        const program = programOf(loss, n, d, P);
        const chosen = chooseSolver(program).name;
        const times: number[] = [];
        for (const solver of SOLVERS) {
          times.push(await timeOf(program, solver));
        }
        const place = SOLVERS.indexOf(chosen);
        const taken = place < 0 ? await timeOf(program, chosen) : times[place];
        rows.push({ loss, n, d, P: program.gates.count, times, chosen, taken });
        console.error(loss, n, d, P, times.map((time) => time.toFixed(2)).join(" "), chosen);
      }
    }
  }
}

const worse = rows.map((row) => costOf(row)).sort((a, b) => b - a);
publish(
  {
    name: "solvers",
    title: "The choice of a solver",
    command: "npm run bench:solvers",
    machine: describeMachine(),
    about: [
      `Gated programs with one output: two planted ReLU neurons and noise, beta ${flags.share} of the smallest that leaves nothing, to a`,
      `relative gap of ${flags.tolerance}; processor seconds of one thread, at most ${flags.limit}. Cost: of the solver that is taken unasked`,
      `beside the faster one. Its median is ${ratio(worse[Math.floor(worse.length / 2)])}, its largest ${ratio(worse[0])}.`,
    ],
    sections: flags.losses.split(",").map((loss) => ({
      title: loss,
      cells: [
        ["n", "d", "P", ...SOLVERS, "taken", "cost"],
        ...rows
          .filter((row) => row.loss === loss)
          .map((row) => [
            ...[row.n, row.d, row.P].map(String),
            ...row.times.map(seconds),
            row.chosen,
            ratio(costOf(row)),
          ]),
      ],
    })),
    data: { settings: flags, rows },
  },
  flags,
);

/** Processor seconds to the gap: the limit where it was not reached in time. */
async function timeOf(program: ConvexProgram, solver: string): Promise<number> {
  try {
    chooseSolver(program, solver);
  } catch {
    return flags.limit;
  }
  const before = processorSeconds();
  const budget = { tolerance: flags.tolerance, maxIterations: 1e5, seconds: flags.limit, solver };
  const { status } = await solve(program, kernels, budget);
  const spent = processorSeconds() - before;
  return status === "solved" ? spent : Math.max(flags.limit, spent);
}

function costOf({ times, taken }: Row): number {
  return taken / Math.min(taken, ...times);
}

/** Gaussian rows, and what two ReLU neurons say of them, with a tenth of noise; for classes its sign. */
function programOf(loss: string, n: number, d: number, P: number): ConvexProgram {
  const draw = gaussianSource(1);
  const X = { rows: n, cols: d, data: Float64Array.from({ length: n * d }, draw) };
  const planted = [0, 1].map(() => Float64Array.from({ length: d }, draw));
  const y = Float64Array.from({ length: n }, (_, k) => {
    const [a, b] = planted.map((w) => w.reduce((sum, value, p) => sum + value * X.data[k * d + p], 0) / Math.sqrt(d));
    const value = Math.max(0, a) - Math.max(0, b) + 0.1 * draw();
    return loss === "binaryCrossentropy" ? Number(value > 0) : value;
  });
  const bound = bindLoss(loss as Parameters<typeof bindLoss>[0], { rows: n, cols: 1, data: y });
  const gates = sampleGates(X, { count: P, seed: 1 });
  const program = {
    ...{ X, gates, loss: bound, penalty: penalties.perOutput, outputBias: null, cones: false, pooling: null },
    beta: 1,
  };
  const N = new Float64Array(n);
  bound.gradient(new Float64Array(n), N);
  const prices = new Float64Array(gates.count);
  withProducts(program, kernels, (products) => products.adjointNorms(N, 1, prices));
  return { ...program, beta: flags.share * prices.reduce((most, price) => Math.max(most, price), 0) };
}
