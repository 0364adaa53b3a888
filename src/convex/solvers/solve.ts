/** The one loop: choose a solver, split what separates, make rounds until the gap, the budget or someone says stop. */

import { ConvexError } from "../../errors.js";
import { floorOf, relativeGap } from "../certificate/index.js";
import { bindProducts } from "../kernels/index.js";
import type { GatedProducts, Kernels } from "../kernels/types.js";
import { predict, zeroBlocks } from "../operators/blocks.js";
import type { ConvexProgram, SparseBlocks, Status } from "../types.js";
import { affineNewton } from "./affine/index.js";
import { Clock } from "./clock.js";
import { fista } from "./fista.js";
import { solvers } from "./index.js";
import { adviceOn, CONTRADICTION, type Round, type Solution, type SolveBudget } from "./solution.js";
import type { Point, Run, Setting, Solver } from "./solver.js";
import { Workbench } from "./workbench.js";

export type { Round, Solution, SolveBudget } from "./solution.js";

/** A run stalls when this many rounds together do not take this share off its gap. */
const STALL_ROUNDS = 60;
const STALL_SHARE = 0.05;
/** A relative gap below minus this is looked into, and so many roundings of the terms are allowed. */
const SURE = 1e-8;
const ROUNDINGS = 64;

/**
 * Solves a convex program to a relative duality gap.
 *
 * Numerical trouble is a status with advice, never an exception. A `bench` that is shared by solves over the same rows and
 * gates stays; without one the solve makes its own. Throws ConvexError "solver/none" when every solver refuses.
 */
export async function solve(
  program: ConvexProgram,
  kernels: Kernels,
  budget: SolveBudget,
  start?: SparseBlocks,
  bench?: Workbench,
): Promise<Solution> {
  const clock = new Clock(budget.seconds, budget.stopped ?? (() => false));
  const onDevice = keepsBlocks(program, kernels);
  const solver = chooseSolver(program, budget.solver, onDevice);
  const workbench = bench ?? new Workbench(program, kernels);
  // On a device all outputs share one copy of the data; on the host cones have projections of their own.
  const joint = solver.joint ? !program.cones : onDevice && solver.firstOrder;
  const pieces = joint ? [program] : separate(program);
  const parts: Part[] = [];
  try {
    pieces.forEach((part, c) => {
      const setting: Setting = {
        program: part,
        kernels,
        products: workbench.products,
        memory: workbench.part(c, part),
        tolerance: budget.tolerance,
        pause: () => clock.pause(),
        late: () => clock.late,
      };
      parts.push(new Part(solver.start(setting, startOf(program, start, c, pieces.length))));
    });
    return sound(program, workbench.products, await rounds(program, parts, solver, budget, clock, onDevice));
  } finally {
    for (const part of parts) part.run.dispose();
    if (bench === undefined) workbench.dispose();
  }
}

/** Whether an engine keeps the blocks of a program on a device: of cones and losses with kinks those of a splitting. */
export function keepsBlocks({ cones, loss }: Pick<ConvexProgram, "cones" | "loss">, kernels: Kernels): boolean {
  const splits = cones || !Number.isFinite(loss.curvature);
  return (splits ? kernels.iterateCones : kernels.iterate) !== undefined;
}

/**
 * The first solver of the list that suits and does not refuse, else the first that does not refuse, or the one that is asked for.
 * Where blocks can be kept `onDevice`, solvers that make use of it come first.
 */
export function chooseSolver(program: ConvexProgram, name?: string, onDevice = false): Solver {
  const refusals: string[] = [];
  const asked = onDevice ? [...solvers].sort((a, b) => Number(b.firstOrder) - Number(a.firstOrder)) : solvers;
  const fitting = asked.filter((solver) => {
    if (name === undefined ? solver.forDevices === true && !onDevice : solver.name !== name) return false;
    const refusal = refusalOf(solver, program);
    if (refusal !== null) refusals.push(` ${solver.name}: ${refusal}`);
    return refusal === null;
  });
  const chosen = fitting.find((solver) => name !== undefined || solver.suits?.(program) !== false) ?? fitting[0];
  if (chosen !== undefined) return chosen;
  const names = solvers.map((solver) => `"${solver.name}"`).join(", ");
  throw new ConvexError(
    "solver/none",
    `solve: expected a solver that fits the program, got none (known: ${names}).${refusals.join("")}`,
  );
}

/** Penalties that one solver alone knows, and what the solver itself says. */
function refusalOf(solver: Solver, program: ConvexProgram): string | null {
  const { name, branches } = program.penalty;
  if (name === "ridge" && solver !== affineNewton) return "needs layers that follow one another, got one alone.";
  if (branches === true && solver !== fista) return "needs a charge on neurons, got one on branches.";
  return solver.refuses(program);
}

async function rounds(
  program: ConvexProgram,
  parts: readonly Part[],
  solver: Solver,
  budget: SolveBudget,
  clock: Clock,
  onDevice: boolean,
): Promise<Solution> {
  let point: Point = {
    blocks: zeroBlocks(program),
    gap: { primal: Number.NaN, dual: Number.NaN, relative: Number.NaN },
    dualPoint: new Float64Array(program.loss.rows * program.loss.outputs),
  };
  let status: Status = "iterationLimit";
  let index = 0;
  const gaps: number[] = [];
  const floor = floorOf(program);
  for (; index < budget.maxIterations; index++) {
    const enough = budget.tolerance * Math.max(Math.abs(point.gap.primal), floor);
    let steps = 0;
    for (const part of parts) {
      if (!part.done(enough, parts.length)) steps += (await part.round()) / parts.length;
    }
    const next = join(program, parts);
    if (!Number.isFinite(next.gap.primal) || Number.isNaN(next.gap.dual)) {
      status = "nonFinite";
      break;
    }
    point = next;
    const { gap, blocks } = point;
    const stop =
      (await budget.onRound?.({ index, seconds: clock.seconds, gap, blocks, program, steps } satisfies Round)) === true;
    gaps.push(gap.relative);
    const ended = statusAfter(gaps, budget.tolerance, stop, clock, parts);
    if (ended !== null) {
      status = ended;
      index += 1;
      break;
    }
    await clock.pause();
  }
  const { blocks, gap, dualPoint } = point;
  const endedOnHost = parts.some((part) => part.onHost);
  return {
    status,
    advice: adviceOn(status, onDevice && solver.firstOrder && !endedOnHost),
    blocks,
    gap,
    dualPoint,
    solver: solver.name,
    iterations: index,
    seconds: clock.seconds,
    ...(endedOnHost ? { endedOnHost } : {}),
  };
}

/** A bound above the objective proves nothing but an error: it is never "solved". What rounding explains is no such thing. */
function sound(program: ConvexProgram, products: GatedProducts, solution: Solution): Solution {
  const { primal, dual, relative } = solution.gap;
  if (!(relative < 0)) return solution;
  const exact = { ...solution, gap: { primal, dual: primal, relative: 0 } };
  if (!(relative < -SURE)) return exact;
  const Z = new Float64Array(program.loss.rows * program.loss.outputs);
  predict(program, products, solution.blocks, Z);
  const { beside } = program.loss;
  beside?.add(beside.best(Z), Z);
  // Objective and bound are sums of terms of this size, however small they are themselves.
  const terms = Z.reduce((sum, z, k) => sum + Math.abs(z * solution.dualPoint[k]), Math.abs(primal));
  if (dual - primal <= ROUNDINGS * Number.EPSILON * terms) return exact;
  return { ...solution, status: "stalled", advice: CONTRADICTION, contradicted: true };
}

function statusAfter(
  gaps: readonly number[],
  tolerance: number,
  stop: boolean,
  clock: Clock,
  parts: readonly Part[],
): Status | null {
  const gap = gaps[gaps.length - 1];
  if (gap <= tolerance) return "solved";
  if (stop || clock.stopped()) return "cancelled";
  if (clock.over) return "timeLimit";
  if (parts.every((part) => part.resting)) return "stalled";
  const before = gaps[gaps.length - 1 - STALL_ROUNDS];
  return before !== undefined && gap > (1 - STALL_SHARE) * before ? "stalled" : null;
}

/** One independent part of a program, and the best that its run has found. */
class Part {
  point: Point | null = null;
  resting = false;
  onHost = false;

  constructor(readonly run: Run) {}

  /** Answers with the steps of its inner iteration. */
  async round(): Promise<number> {
    const { resting, onHost, steps = 0, ...point } = await this.run.round();
    this.point = point;
    this.resting = resting;
    this.onHost = onHost === true;
    return steps;
  }

  /** True when this part's share of the gap that is enough is already paid. */
  done(enough: number, parts: number): boolean {
    if (this.point === null || parts === 1) return false;
    return this.point.gap.primal - this.point.gap.dual <= (0.9 * enough) / parts;
  }
}

/** Outputs that do not see each other become programs of their own. */
function separate(program: ConvexProgram): ConvexProgram[] {
  const { loss, penalty } = program;
  if (loss.outputs === 1 || !loss.separable || !penalty.separable) return [program];
  return Array.from({ length: loss.outputs }, (_, c) => ({ ...program, loss: loss.output(c) }));
}

function startOf(
  program: ConvexProgram,
  start: SparseBlocks | undefined,
  part: number,
  parts: number,
): SparseBlocks | null {
  if (start === undefined) return null;
  if (parts === 1) return start;
  const d = program.X.cols;
  const mine = Array.from(start.index, (index, k) => ({ index, k })).filter(({ index }) => index % parts === part);
  const vectors = new Float64Array(mine.length * d);
  mine.forEach(({ k }, to) => {
    vectors.set(start.vectors.subarray(k * d, (k + 1) * d), to * d);
  });
  const index = Int32Array.from(mine, (entry) => Math.floor(entry.index / parts));
  return { index, vectors, bias: start.bias.slice(part, part + 1) };
}

/** Puts the parts' points side by side: objectives and bounds add up. */
function join(program: ConvexProgram, parts: readonly Part[]): Point {
  const points = parts.map((part) => part.point).filter((point) => point !== null);
  if (points.length === 1) return points[0];
  const d = program.X.cols;
  const entries = points.flatMap((point, c) =>
    Array.from(point.blocks.index, (index, k) => ({ index: index * points.length + c, k, from: point.blocks.vectors })),
  );
  entries.sort((a, b) => a.index - b.index);
  const vectors = new Float64Array(entries.length * d);
  entries.forEach(({ k, from }, to) => {
    vectors.set(from.subarray(k * d, (k + 1) * d), to * d);
  });
  const dualPoint = new Float64Array(program.loss.rows * points.length);
  points.forEach((point, c) => {
    for (let k = 0; k < point.dualPoint.length; k++) dualPoint[k * points.length + c] = point.dualPoint[k];
  });
  const primal = points.reduce((sum, point) => sum + point.gap.primal, 0);
  const dual = points.reduce((sum, point) => sum + point.gap.dual, 0);
  return {
    blocks: {
      index: Int32Array.from(entries, (entry) => entry.index),
      vectors,
      bias: Float64Array.from(points, (point) => point.blocks.bias[0]),
    },
    gap: { primal, dual, relative: relativeGap(primal, dual, program) },
    dualPoint,
  };
}

/** @internal The products that a caller outside the loop needs, disposed when done. */
export function withProducts<T>(
  program: Pick<ConvexProgram, "X" | "gates" | "pooling">,
  kernels: Kernels,
  use: (products: GatedProducts) => T,
): T {
  const products = bindProducts(program, kernels);
  try {
    return use(products);
  } finally {
    products.dispose();
  }
}
