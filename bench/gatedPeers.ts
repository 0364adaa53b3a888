/**
 * Gated programs beside packages for group lassos: processor seconds until the objective is within a share of the optimum. Run by
 * `npm run bench:peers -- --gated 250,1000,5000`; a section of its results.
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
  readonly peers: readonly Peer[];
}

interface Peer {
  readonly solver: string;
  readonly times: readonly number[];
  readonly said: string;
}

/** The power of the rows that a package's time is reckoned to grow by at least, where it was seen at one number of rows only. */
const GROWTH = 1;

/** The Figure 1 recipe with so many rows, after those with fewer `before`: a package that is reckoned to be beyond the cap before the largest share is not asked. */
export async function gatedRow(
  n: number,
  solvers: readonly GroupSolver[],
  cap: number,
  keep: string,
  before: readonly GatedRow[],
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
  const peers: Peer[] = [];
  for (const solver of solvers) {
    const none = { solver, times: NEAR.map(() => Number.NaN) };
    const python = findGroups(solver);
    if (python === null) {
      peers.push({ ...none, said: "not at hand (GROUPS_PYTHON)" });
      continue;
    }
    const least = reckoned(n, solver, before);
    if (least > cap) {
      peers.push({
        ...none,
        said: `not run: reckoned from fewer rows it takes ${seconds(least)} s to ${NEAR[0]}; the cap is ${cap} s`,
      });
      continue;
    }
    const wish = { solver, tolerances: TOLERANCES[solver], cap };
    const found = await keeping<GroupRuns | string>(keep, `gated.${n}.${solver}`, { ...settings, ...wish }, () =>
      runGroups(python, { X, y: Y.data, gates, beta: BETA }, wish),
    );
    if (typeof found === "string") peers.push({ ...none, said: found });
    else peers.push({ solver, times: within(found.runs), said: found.version });
    console.error(n, solver, peers.at(-1)?.times.join(" "));
  }
  return { n, optimum, ours: within(trace), peers };
}

/** Seconds to the largest share on n rows, by a power of the last two that were seen; 0 where none was. */
function reckoned(n: number, solver: GroupSolver, before: readonly GatedRow[]): number {
  const seen = before.flatMap(({ n: rows, peers }) =>
    peers.filter((peer) => peer.solver === solver && peer.times[0] > 0).map(({ times }) => ({ rows, spent: times[0] })),
  );
  const last = seen.at(-1);
  if (last === undefined) return 0;
  const first = seen.at(-2);
  const power = first === undefined ? GROWTH : Math.log(last.spent / first.spent) / Math.log(last.rows / first.rows);
  return last.spent * (n / last.rows) ** power;
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
