/**
 * Growing gates: solve, search for gates that the dual point prices above beta, add them to the active ones, solve again.
 *
 * A fully corrective step of column generation (Bengio et al. 2006; Bach 2017). Every solve begins at the solution before it,
 * whose gates all stay, so the objective never rises. The bound is for the gates in hand; what lies outside them is evidence.
 */

import { GateCollector } from "../arrangements/gateCollector.js";
import { gaussianSource } from "../arrangements/random.js";
import { GapJudge } from "../certificate.js";
import type { Kernels } from "../kernels/types.js";
import { columnsOf } from "../operators/blocks.js";
import type { ConvexProgram, Evidence, GateSet, SparseBlocks } from "../types.js";
import { type Found, type Start, searchGates } from "./gateSearch.js";
import { advice, type Round, type Solution, type SolveBudget } from "./solution.js";
import { solve, withProducts } from "./solve.js";

/** Relative gap of the first solve, and its share from round to round: early gates need no exact prices. */
const FIRST_TOLERANCE = 1e-2;
const TIGHTENING = 0.6;
/** A gate is worth adding when it is priced this much above beta, relative to the tolerance asked for. */
const WORTH = 1;
const ASCENT_STEPS = 60;
const MAX_ROUNDS = 1000;
/** Rounds in a row without a better gate, each from fresh random starts, that end the growth. */
const QUIET_ROUNDS = 2;

export interface GrowthOptions {
  readonly starts: number; // random starts of the search a round
  readonly seed: number;
}

/** A solution together with the gates that it ended with. */
export interface GrownSolution extends Solution {
  readonly program: ConvexProgram;
  readonly evidence: Evidence;
}

/** Solves a program with cones over a growing set of gates; `program.gates` are the first. */
export async function solveGrowing(
  program: ConvexProgram,
  kernels: Kernels,
  budget: SolveBudget,
  options: GrowthOptions,
  from?: SparseBlocks,
): Promise<GrownSolution> {
  const began = performance.now();
  const seconds = () => (performance.now() - began) / 1000;
  const draw = gaussianSource(options.seed);
  let current = program;
  let start = from;
  let iterations = 0;
  let quiet = 0;
  let tried = 0;
  let asked = false; // to stop, by the callback: a solve that had just ended would not see it
  for (let round = 0; ; round++) {
    const before = seconds();
    const tolerance = Math.max(budget.tolerance, FIRST_TOLERANCE * TIGHTENING ** round);
    const counted = countedFrom(budget, tolerance, iterations, before, (stop) => {
      asked ||= stop;
    });
    const solution = await solve(current, kernels, counted, start);
    iterations += solution.iterations;
    const N = dualPointOf(current, kernels, solution.blocks);
    const starts = startsFrom(current, solution.blocks, options.starts, draw);
    const found = searchGates(kernels, current.X, N, current.loss.outputs, starts, ASCENT_STEPS);
    const best = found.reduce((largest, { value }) => Math.max(largest, value), 0);
    tried += starts.length;
    quiet = best > current.beta * (1 + WORTH * budget.tolerance) ? 0 : quiet + 1;
    const done = solution.status === "solved" && tolerance === budget.tolerance && quiet >= QUIET_ROUNDS;
    const stopped =
      asked || solution.status !== "solved" || iterations >= budget.maxIterations || round + 1 === MAX_ROUNDS;
    if (done || stopped) {
      const ended = asked ? "cancelled" : "iterationLimit";
      const status = done || solution.status !== "solved" ? solution.status : ended;
      const evidence = { bestRatio: best / current.beta, starts: tried };
      return {
        ...solution,
        status,
        advice: advice[status],
        program: current,
        evidence,
        iterations,
        seconds: seconds(),
      };
    }
    const next = grown(current, solution.blocks, found, budget.tolerance);
    current = { ...current, gates: next.gates };
    start = next.blocks;
  }
}

/** What is left of the budget, with rounds counted and timed across solves. */
function countedFrom(
  budget: SolveBudget,
  tolerance: number,
  iterations: number,
  before: number,
  answered: (stop: boolean) => void,
): SolveBudget {
  return {
    ...budget,
    tolerance,
    maxIterations: Math.max(1, budget.maxIterations - iterations),
    seconds: budget.seconds - before,
    onRound: async (round: Round) => {
      const moved = { ...round, index: iterations + round.index, seconds: before + round.seconds };
      const stop = (await budget.onRound?.(moved)) === true;
      answered(stop);
      return stop;
    },
  };
}

/** The gradient at the predictions, balanced where the output bias is free. */
function dualPointOf(program: ConvexProgram, kernels: Kernels, blocks: SparseBlocks): Float64Array {
  const { loss, outputBias } = program;
  const Z = new Float64Array(loss.rows * loss.outputs);
  withProducts(program, kernels, (products) => new GapJudge(program, products).predict(blocks, Z));
  const N = new Float64Array(Z.length);
  loss.gradient(Z, N);
  if (outputBias !== null && outputBias.ridge === 0) loss.balance(N);
  return N;
}

/** The neurons themselves, which may be worth more a step beyond their cones, and random directions for every output and sign. */
function startsFrom(program: ConvexProgram, blocks: SparseBlocks, random: number, draw: () => number): Start[] {
  const d = program.X.cols;
  const { output, sign } = columnsOf(program, blocks.index);
  const starts: Start[] = Array.from(blocks.index, (_, k) => ({
    direction: blocks.vectors.slice(k * d, (k + 1) * d),
    output: output[k],
    sign: sign[k] > 0 ? 1 : -1,
  }));
  for (let k = 0; k < random; k++) {
    const kind = k % (2 * program.loss.outputs);
    starts.push({
      direction: Float64Array.from({ length: d }, draw),
      output: kind >> 1,
      sign: kind % 2 === 0 ? 1 : -1,
    });
  }
  return starts;
}

/** The active gates with their blocks, and the new ones. */
function grown(
  program: ConvexProgram,
  blocks: SparseBlocks,
  found: readonly Found[],
  tolerance: number,
): { gates: GateSet; blocks: SparseBlocks } {
  const { X, gates, beta } = program;
  const C = program.loss.outputs;
  const d = X.cols;
  const columns = columnsOf(program, blocks.index);
  const kept = [...new Set(columns.gate)];
  const place = new Map(kept.map((gate, k) => [gate, k]));
  const collector = new GateCollector(X);
  for (const gate of kept) collector.add(gates.generators.data.subarray(gate * d, (gate + 1) * d));
  for (const { direction, value } of [...found].sort((a, b) => b.value - a.value)) {
    if (value <= beta * (1 + WORTH * tolerance)) break;
    collector.add(direction);
  }
  const { count } = collector;
  const moved = Array.from(blocks.index, (_, k) => {
    const half = columns.sign[k] > 0 ? 0 : count;
    return { index: ((place.get(columns.gate[k]) ?? 0) + half) * C + columns.output[k], k };
  }).sort((a, b) => a.index - b.index);
  const vectors = new Float64Array(moved.length * d);
  moved.forEach(({ k }, to) => {
    vectors.set(blocks.vectors.subarray(k * d, (k + 1) * d), to * d);
  });
  return {
    gates: collector.gateSet(false),
    blocks: { index: Int32Array.from(moved, (entry) => entry.index), vectors, bias: blocks.bias },
  };
}
