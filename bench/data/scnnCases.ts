/** The cases of bench/scnn.ts: one problem, our time to each gap, and scnn on the same arrays. */

import { sampleGates } from "../../src/convex/arrangements/index.js";
import { type Kernels, wasmKernels } from "../../src/convex/kernels/index.js";
import { bindLoss } from "../../src/convex/losses/index.js";
import { penalties } from "../../src/convex/penalties/index.js";
import { solve } from "../../src/convex/solvers/solve.js";
import type { ConvexProgram, Gap } from "../../src/convex/types.js";
import { type PeerProblem, type PeerRun, type PeerSettings, runScnn } from "../peers/scnn.js";
import { type Timing, timingOf } from "../support/measure.js";
import { planted } from "./synthetic.js";

const FEATURES = 50;
const BETA = 2e-3; // 2 beta / n of the paper's scaling
const SHORT = 20; // seconds: longer runs are made once

export type Formulation = "gated" | "relu";

/** Our side of a case: time to each gap. */
export interface OurRun {
  readonly tolerance: number;
  readonly seconds: Timing;
  readonly status: string;
  readonly gap: Gap;
  readonly solver: string;
  /** The objective after each round of the last run. */
  readonly trace: readonly { readonly seconds: number; readonly primal: number }[];
}

export interface PeerCase {
  readonly kind: "figure" | "rows" | "gates";
  readonly formulation: Formulation;
  readonly n: number;
  readonly d: number;
  readonly P: number;
  readonly ours: readonly OurRun[];
  readonly scnn: readonly PeerAnswer[];
}

export interface PeerAnswer {
  readonly stop: string;
  readonly run: PeerRun | string; // a string says why there is no result
}

/** Where scnn stops. */
export interface PeerStop {
  readonly name: string;
  readonly settings: PeerSettings;
}

/** What to measure. */
export interface PeerWish extends Pick<PeerCase, "kind" | "formulation" | "n" | "P"> {
  readonly tolerances: readonly number[];
  readonly limit: number; // seconds for one run of ours
  readonly repeats: number;
  readonly stops: readonly PeerStop[]; // of scnn, one run each; empty where there is no Python with it
}

/** A program on the data of the paper's Figure 1, and the problem that it is for scnn. */
export function figureProgram(formulation: Formulation, n: number, P: number): [ConvexProgram, PeerProblem] {
  const { X, Y } = planted(n, FEATURES, 951);
  const gates = sampleGates(X, { count: P, seed: 650 });
  const program: ConvexProgram = {
    X,
    gates,
    loss: bindLoss("meanSquaredError", Y),
    penalty: penalties.perOutput,
    beta: BETA,
    outputBias: null,
    cones: formulation === "relu",
  };
  return [program, { X, y: Y.data, gates, beta: BETA, formulation }];
}

export async function measureCase(wish: PeerWish): Promise<PeerCase> {
  const { kind, formulation, n, P, tolerances, stops } = wish;
  const [program, problem] = figureProgram(formulation, n, P);
  const kernels = await wasmKernels();
  const ours: OurRun[] = [];
  for (const tolerance of tolerances) ours.push(await ourRun(program, kernels, tolerance, wish));
  const scnn = stops.map(({ name, settings }) => ({ stop: name, run: runScnn(problem, settings) }));
  return { kind, formulation, n, d: FEATURES, P: program.gates.count, ours, scnn };
}

async function ourRun(
  program: ConvexProgram,
  kernels: Kernels,
  tolerance: number,
  { limit, repeats }: PeerWish,
): Promise<OurRun> {
  const runs: number[] = [];
  for (let k = 0; ; k++) {
    const trace: { seconds: number; primal: number }[] = [];
    const solution = await solve(program, kernels, {
      tolerance,
      maxIterations: 10_000,
      seconds: limit,
      onRound: ({ seconds: at, gap }) => {
        trace.push({ seconds: at, primal: gap.primal });
        return false;
      },
    });
    runs.push(solution.seconds);
    if (k < repeats && solution.seconds < SHORT) continue;
    const { status, gap, solver } = solution;
    return { tolerance, seconds: timingOf(runs.length > 1 ? runs.slice(1) : runs), status, gap, solver, trace };
  }
}

/** The best lower bound that our runs have proven, and the highest objective that is within a gap of it. */
export function targetOf({ ours }: PeerCase, tolerance: number): number {
  return Math.max(...ours.map(({ gap }) => gap.dual)) / (1 - tolerance);
}

/** When a run first was at a target or below; null when it never was. */
export function momentOf(run: PeerRun, target: number): number | null {
  return run.trace.find(({ network }) => network <= target)?.seconds ?? null;
}

export interface Comparison {
  readonly ours: OurRun;
  readonly seconds: number | null; // of scnn to the same gap; null: it never came there
  readonly spent: number | null; // of scnn's longest run; null: there is none
  readonly best: number | null; // lowest objective that scnn saw
}

/** One row for each gap of ours: our seconds, the seconds of the scnn run that was quickest to it, the ratio. */
export function compare(one: PeerCase): Comparison[] {
  const runs = one.scnn.flatMap(({ run }) => (typeof run === "string" ? [] : [run]));
  return one.ours.map((ours) => {
    const target = targetOf(one, ours.tolerance);
    const moments = runs.flatMap((run) => momentOf(run, target) ?? []);
    return {
      ours,
      seconds: moments.length > 0 ? Math.min(...moments) : null,
      spent: runs.length > 0 ? Math.max(...runs.map((run) => run.seconds)) : null,
      best: runs.length > 0 ? Math.min(...runs.flatMap((run) => run.trace.map(({ network }) => network))) : null,
    };
  });
}

/** When we were first at an objective or below it; null when we never were. */
export function firstBelow({ ours }: PeerCase, target: number): number | null {
  const moments = ours.flatMap(({ trace }) => trace.find(({ primal }) => primal <= target)?.seconds ?? []);
  return moments.length > 0 ? Math.min(...moments) : null;
}
