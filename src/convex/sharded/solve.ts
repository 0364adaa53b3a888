/** Solves a program whose rows are with shards, to a relative gap that is proven by sums over all of them. */

import { relativeGap, rememberFloor } from "../certificate/index.js";
import { nonzeroVectors } from "../kernels/nonzero.js";
import type { Kernels } from "../kernels/types.js";
import type { Clock } from "../solvers/clock.js";
import { advice } from "../solvers/solution.js";
import type { ConvexProgram, Gap, SparseBlocks, Status } from "../types.js";
import { ShardedStochastic, stochasticAt } from "./batches/index.js";
import { type Checkpoint, checkpointKey, fromBytes, type Kept, type Standing, toBytes } from "./checkpoint.js";
import type { ConeSet } from "./cones/cones.js";
import { ConeNewton, newtonAtZero } from "./cones/newton.js";
import type { Anchor, RowSums } from "./crew.js";
import { type Iterate, placeAtZero, ShardedFista } from "./fista.js";
import { type Best, constantsAt, type Judged, judge, largestPrice, slopeAtZero, truthAt } from "./judge.js";
import { hasKinks, type KinkState, kinksAtFirst, sharpTau } from "./kinks/index.js";
import { bestBias } from "./outputBias.js";

const ITERATIONS_A_ROUND = 20;
/** As in `solvers/solve.ts`: a solve has stalled when so many rounds did not take this share off its gap. */
const STALL_ROUNDS = 60;
const STALL_SHARE = 0.05;

export interface ShardedBudget {
  readonly tolerance: number; // relative gap
  readonly maxIterations: number; // rounds
  readonly clock: Clock;
  readonly checkpoint: Checkpoint | null;
  readonly everyRounds: number; // between two checkpoints
  /** Whether steps are over batches, of a program without cones and kinks. */
  readonly batches?: boolean;
  /** Where to begin without a checkpoint, and with which step; default the network without neurons. */
  readonly start?: Standing;
  /** Called after each round; answering true stops. */
  readonly onRound: (round: ShardedRound) => Promise<boolean>;
}

export interface ShardedRound {
  readonly index: number; // from 0, in all drivers that went on from one another
  readonly seconds: number;
  readonly gap: Gap;
}

export interface ShardedSolution {
  readonly status: Status;
  readonly advice: string;
  readonly blocks: SparseBlocks;
  readonly gap: Gap;
  /** Where the solver stood at the end, with its step. */
  readonly last: Standing;
  readonly rounds: number;
  readonly iterations: number; // steps that were taken, 20 a round or, with cones, one, or one a batch, the checkpoint's included
  readonly seconds: number;
}

/** The network without neurons: its best bias [C], and the smallest beta at which it is the best of all, or, of a loss with kinks, one above. */
export interface AtZero {
  readonly loss: number; // where all outputs are zero
  readonly bias: Float64Array;
  readonly trivialBeta: number;
}

/** Looks at the point without neurons, of shards that have the program's gates. */
export async function lookAtZero(
  crew: RowSums,
  program: ConvexProgram,
  cones: ConeSet | null = null,
  pause?: () => Promise<boolean>,
): Promise<AtZero> {
  const { loss, outputBias } = program;
  const none = new Float64Array(loss.outputs);
  const zero = placeAtZero(program, none);
  await crew.resume(zero);
  const point: Judged = { from: { version: 0, commit: false }, blocks: zero.blocks, bias: none };
  const first = await constantsAt(crew, point, none);
  const diagonal = first.hessian.length === none.length ? 1 : none.length + 1;
  const stepped = none.map((_, c) => {
    const bend = first.hessian[c * diagonal];
    return bend > 0 ? -first.slopes[c] / bend : 0;
  });
  const best = (start: Float64Array) =>
    outputBias === null ? none : bestBias((c) => constantsAt(crew, point, c), outputBias, start);
  const kinked = hasKinks(loss);
  let bias = await best(none);
  const { value } = await constantsAt(crew, point, kinked ? bias : stepped);
  rememberFloor(loss, first.value, value);
  if (kinked) {
    // The gradient of a loss with kinks is one of many: of constants one whose columns sum to zero is wanted.
    await crew.anchor(sharpTau(value, loss), zero.blocks, bias);
    await crew.resume(zero);
    bias = await best(bias);
  }
  await crew.resume({ ...zero, bias, biasBefore: bias });
  const pull = await slopeAtZero(crew, program, { ...point, bias });
  const trivialBeta = cones === null ? largestPrice(program, pull) : await cones.exactPrice(crew, pull, pause);
  return { loss: first.value, bias, trivialBeta };
}

/** Rounds of a solver, and what is seen after each. */
interface ShardedRun {
  round(pause: () => Promise<boolean>): Promise<void>;
  look(): Promise<Best>;
  readonly state: Standing;
}

/** What programs with cones are solved with, and gated ones whose loss has kinks. */
export interface Coned {
  readonly cones: ConeSet;
  /** Of the driver. */
  readonly kernels: Kernels;
  /** Columns that a model has at most. */
  readonly columns?: number;
}

async function byFista(
  crew: RowSums,
  program: ConvexProgram,
  bias: Float64Array,
  from: Standing | undefined,
  kinks: KinkState | null,
): Promise<ShardedRun> {
  const solver =
    from === undefined || !("step" in from)
      ? await ShardedFista.begin(crew, program, bias, kinks)
      : await ShardedFista.from(crew, program, from);
  return {
    async round(pause) {
      await solver.settle();
      for (let k = 0; k < ITERATIONS_A_ROUND; k++) {
        await solver.advance();
        if (await pause()) break;
      }
    },
    async look() {
      const point = solver.judged();
      const { left, ...verdict } = await judge(crew, program, point);
      solver.heard(left, verdict);
      return { ...verdict, blocks: point.blocks };
    },
    get state() {
      return solver.state;
    },
  };
}

function byNewton(
  crew: RowSums,
  program: ConvexProgram,
  bias: Float64Array,
  from: Standing | undefined,
  kinks: KinkState | null,
  { cones, kernels, columns }: Coned,
): ShardedRun {
  const start = from !== undefined && "weights" in from ? from : newtonAtZero(cones.size, bias, kinks);
  return new ConeNewton(crew, program, cones, kernels, start, columns);
}

function byBatches(
  crew: RowSums,
  program: ConvexProgram,
  bias: Float64Array,
  from: Standing | undefined,
): ShardedStochastic {
  const start = from !== undefined && "pace" in from ? from : stochasticAt(placeAtZero(program, bias));
  return new ShardedStochastic(crew, program, start);
}

/** From the checkpoint where there is one, else from the network without neurons. */
export async function solveSharded(
  crew: RowSums,
  program: ConvexProgram,
  bias: Float64Array,
  budget: ShardedBudget,
  coned: Coned | null = null,
): Promise<ShardedSolution> {
  const { clock, checkpoint, tolerance } = budget;
  const name = coned !== null ? "newton" : budget.batches === true ? "stochastic" : "fista";
  const key = checkpointKey(crew, program, name);
  const kept = await read(checkpoint, key, program);
  const from = kept?.iterate ?? budget.start;
  if (kept?.cuts != null) coned?.cones.restore(kept.cuts);
  const kinks = hasKinks(program.loss) ? await anchored(crew, program, bias, kept?.anchors ?? []) : null;
  const solver =
    coned !== null
      ? byNewton(crew, program, bias, from, kinks, coned)
      : name === "stochastic"
        ? byBatches(crew, program, bias, from)
        : await byFista(crew, program, bias, from, kinks);
  const gaps: number[] = [...(kept?.gaps ?? [])];
  let best: Best | null = kept?.best ?? null;
  let status: Status = gaps.length > 0 && gaps[gaps.length - 1] <= tolerance ? "solved" : "iterationLimit";
  // Of a program with cones even one step is much work, and one that was posed in haste may have another beta.
  if (status === "iterationLimit" && coned !== null && (await clock.pause()))
    status = clock.stopped() ? "cancelled" : "timeLimit";
  while (status === "iterationLimit" && gaps.length < budget.maxIterations) {
    await solver.round(() => clock.pause());
    const seen = await solver.look();
    if (!Number.isFinite(seen.primal) || Number.isNaN(seen.dual)) {
      status = "nonFinite";
      break;
    }
    best = better(best, seen);
    const gap = gapOf(best, program);
    gaps.push(gap.relative);
    const index = gaps.length - 1;
    if (checkpoint !== null && gaps.length % budget.everyRounds === 0)
      await checkpoint.write(
        toBytes(key, { iterate: solver.state, best, gaps, cuts: coned?.cones.kept ?? null, anchors: crew.anchors }),
      );
    const stop = await budget.onRound({ index, seconds: clock.seconds, gap });
    status = statusAfter(gaps, tolerance, stop, clock);
  }
  return {
    status,
    advice: adviceOf(status, program),
    blocks: sparseOf(best, program),
    gap: best === null ? { primal: Number.NaN, dual: Number.NaN, relative: Number.NaN } : gapOf(best, program),
    last: solver.state,
    rounds: gaps.length,
    iterations: solver.state.version,
    seconds: clock.seconds,
  };
}

/** Brings shards to the anchors of a driver before; or to a first one, at the network without neurons, after that of `lookAtZero`. */
async function anchored(
  crew: RowSums,
  program: ConvexProgram,
  bias: Float64Array,
  kept: readonly Anchor[],
): Promise<KinkState> {
  const zero = placeAtZero(program, bias);
  for (const { tau, point } of kept.slice(crew.anchors.length)) {
    const size = point.length - bias.length;
    await crew.anchor(tau, point.subarray(0, size), point.subarray(size));
  }
  await crew.resume(zero);
  const level = await truthAt(crew, { from: { version: 0, commit: false }, blocks: zero.blocks, bias }, bias);
  const kinks = kinksAtFirst(level, program.loss);
  if (kept.length === 0) await crew.anchor(kinks.tau, zero.blocks, bias);
  return kinks;
}

/** Blocks that were found elsewhere, as the beginning of a solve with the step of another. */
export function beginAt({ index, vectors, bias }: SparseBlocks, last: Standing): Iterate {
  if (!("step" in last)) throw new Error("A solve of a program with cones has no step for another.");
  const { step, biasScale } = last;
  const all = new Float64Array(last.blocks.length);
  const d = vectors.length / index.length;
  index.forEach((place, k) => {
    all.set(vectors.subarray(k * d, (k + 1) * d), place * d);
  });
  return {
    version: 0,
    pull: 0,
    before: all,
    blocks: all,
    biasBefore: bias,
    bias,
    momentum: 1,
    step,
    biasScale,
    kinks: null,
  };
}

async function read(checkpoint: Checkpoint | null, key: string, program: ConvexProgram): Promise<Kept | null> {
  const bytes = (await checkpoint?.read()) ?? null;
  return bytes === null ? null : fromBytes(key, bytes, program.loss.outputs);
}

/** Where a loss has kinks and beta is small, most of few rows are met exactly: there a solver that has all rows is far ahead. */
function adviceOf(status: Status, { loss }: ConvexProgram): string {
  const slow = status === "stalled" || status === "iterationLimit" || status === "timeLimit";
  if (!slow || !hasKinks(loss)) return advice[status];
  const said = status === "stalled" ? "The gap stopped closing above the tolerance." : advice[status];
  return `${said} A loss with kinks ends sooner with a larger regularization, or by fit, where its rows have room in one process.`;
}

/** The lowest objective and the highest bound need not come from one round. */
function better(before: Best | null, now: Best): Best {
  if (before === null) return now;
  const lower = now.primal < before.primal ? now : before;
  return { ...lower, dual: Math.max(before.dual, now.dual) };
}

function gapOf({ primal, dual }: Best, program: ConvexProgram): Gap {
  return { primal, dual, relative: relativeGap(primal, dual, program) };
}

function statusAfter(gaps: readonly number[], tolerance: number, stop: boolean, clock: Clock): Status {
  const gap = gaps[gaps.length - 1];
  if (gap <= tolerance) return "solved";
  if (stop || clock.stopped()) return "cancelled";
  if (clock.over) return "timeLimit";
  const before = gaps[gaps.length - 1 - STALL_ROUNDS];
  return before !== undefined && gap > (1 - STALL_SHARE) * before ? "stalled" : "iterationLimit";
}

function sparseOf(best: Best | null, { X, loss }: ConvexProgram): SparseBlocks {
  const all = best?.blocks ?? new Float64Array(0);
  return {
    ...nonzeroVectors(all, all.length / X.cols, X.cols),
    bias: best?.bias.slice() ?? new Float64Array(loss.outputs),
  };
}
