/**
 * Gated programs beside packages for group lassos: processor seconds until the objective is within a share of the optimum. Run by
 * `npm run bench:peers -- --gated 250,1000`; a section of its results.
 */

import { sampleGates } from "../src/convex/arrangements/index.js";
import { wasmKernels } from "../src/convex/kernels/index.js";
import { bindLoss } from "../src/convex/losses/index.js";
import { penalties } from "../src/convex/penalties/index.js";
import { type Round, solve } from "../src/convex/solvers/solve.js";
import type { ConvexProgram } from "../src/convex/types.js";
import { planted } from "./data/synthetic.js";
import { findGroups, type GroupRuns, type GroupSolver, runGroups } from "./peers/groups.js";
import { keeping } from "./support/flags.js";
import { processorSeconds } from "./support/measure.js";
import { seconds } from "./support/report.js";

const [FEATURES, SEED, GATES, BETA] = [50, 951, 500, 2e-3];
/** Shares of the optimum that a point may be above it. */
const NEAR = [1e-2, 1e-3, 1e-4, 1e-5];
/** Tolerances of the packages, each by its own measure. */
const TOLERANCES: Readonly<Record<GroupSolver, readonly number[]>> = {
  adelie: [1e-6, 1e-7, 1e-8, 1e-9, 1e-10, 1e-11, 1e-12],
  skglm: [1e-3, 1e-4, 1e-5, 1e-6, 1e-7],
  celer: [1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6],
};

export interface GatedRow {
  readonly n: number;
  readonly optimum: number; // a bound from below, to 1e-7
  readonly ours: readonly number[]; // seconds to each of NEAR; NaN where that was not reached
  readonly peers: readonly { readonly solver: string; readonly times: readonly number[]; readonly said: string }[];
}

/** The Figure 1 recipe with so many rows. */
export async function gatedRow(
  n: number,
  solvers: readonly GroupSolver[],
  cap: number,
  keep: string,
): Promise<GatedRow> {
  const { X, Y } = planted(n, FEATURES, SEED);
  const gates = sampleGates(X, { count: GATES, seed: 1 });
  const loss = bindLoss("meanSquaredError", Y);
  const program: ConvexProgram = {
    ...{ X, gates, loss, penalty: penalties.perOutput, beta: BETA, outputBias: null, cones: false },
  };
  const settings = { n, FEATURES, SEED, GATES, BETA };
  const trace = await keeping(keep, `gated.${n}.ours`, settings, () => traced(program));
  const optimum = Math.max(...trace.map(({ dual }) => dual));
  const within = (points: readonly { seconds: number; objective: number }[]) =>
    NEAR.map((share) =>
      points.reduce(
        (least, point) =>
          point.objective <= optimum * (1 + share) && !(point.seconds >= least) ? point.seconds : least,
        Number.NaN,
      ),
    );
  const peers: GatedRow["peers"][number][] = [];
  for (const solver of solvers) {
    const python = findGroups(solver);
    if (python === null) {
      peers.push({ solver, times: NEAR.map(() => Number.NaN), said: "not at hand (GROUPS_PYTHON)" });
      continue;
    }
    const wish = { solver, tolerances: TOLERANCES[solver], cap };
    const found = await keeping<GroupRuns | string>(keep, `gated.${n}.${solver}`, { ...settings, ...wish }, () =>
      runGroups(python, { X, y: Y.data, gates, beta: BETA }, wish),
    );
    const times = typeof found === "string" ? NEAR.map(() => Number.NaN) : within(found.runs);
    peers.push({ solver, times, said: typeof found === "string" ? found : found.version });
    console.error(n, solver, times.join(" "));
  }
  return { n, optimum, ours: within(trace), peers };
}

/** One solve to far below the smallest of NEAR, looked at after every round; the first of all warms up. */
async function traced(program: ConvexProgram): Promise<{ seconds: number; objective: number; dual: number }[]> {
  const kernels = await wasmKernels(1);
  const points: { seconds: number; objective: number; dual: number }[] = [];
  const run = async (tolerance: number) => {
    points.length = 0;
    const began = processorSeconds();
    const onRound = ({ gap }: Round) => {
      points.push({ seconds: processorSeconds() - began, objective: gap.primal, dual: gap.dual });
      return false;
    };
    await solve(program, kernels, { tolerance, maxIterations: 1e5, seconds: 1e9, onRound });
  };
  await run(1e-2);
  await run(1e-7);
  return points;
}

export function gatedCells(rows: readonly GatedRow[]): string[][] {
  const time = (value: number) => (Number.isNaN(value) ? "-" : seconds(value));
  return [
    ["rows", "solver", ...NEAR.map((share) => `to ${share}`), "version"],
    ...rows.flatMap(({ n, ours, peers }) => [
      [String(n), "ours", ...ours.map(time), ""],
      ...peers.map(({ solver, times, said }) => [String(n), solver, ...times.map(time), said]),
    ]),
  ];
}
