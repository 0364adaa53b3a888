/** Regularization "held-out": which beta predicts best on rows that were not trained on, by a path over a cheap program. */

import { type Arrangements, gathering } from "../../convex/arrangements/index.js";
import { passOver } from "../../convex/growth/index.js";
import type { ChosenEngine, Kernels } from "../../convex/kernels/index.js";
import { patternReader } from "../../convex/linear/bits.js";
import { exp, log } from "../../convex/linear/elementary.js";
import { inTurns, type Pieces } from "../../convex/linear/pieces.js";
import { gaussianSource } from "../../convex/linear/random.js";
import { firstRows } from "../../convex/linear/rowBlock.js";
import { average, spread } from "../../convex/linear/vectors.js";
import { bindLoss } from "../../convex/losses/index.js";
import { forward, type Network } from "../../convex/network.js";
import type { Coordinates } from "../../convex/operators/coordinates.js";
import type { Clock } from "../../convex/solvers/clock.js";
import { solve } from "../../convex/solvers/solve.js";
import type { Loss, LossName, Matrix } from "../../convex/types.js";
import { ConvexError } from "../../errors.js";
import type { Settings } from "../options.js";
import { type Dataset, rowsOf } from "../read/data.js";
import { inputRows } from "../read/inputRows.js";
import type { NetworkSpec } from "../read/model.js";
import type { HeldOutCurve, Problem } from "../records.js";
import { type GateSources, pose } from "./pose.js";
import { programWeights } from "./programWeights.js";
import { AUTO_SHARE } from "./regularization.js";
import { shortDescent, unitsOf } from "./shortDescent.js";
import { lossBeside } from "./skip.js";

/** Parts into which rows are dealt, each held out in turn; of validation data, parts whose losses are set beside one another. */
const FOLDS = 5;
/** Folds that are made where a step of a descent takes so many multiplications or more. */
const FEWER: readonly (readonly [work: number, folds: number])[] = [
  [2 ** 25, 2],
  [2 ** 23, 3],
];
/** Relative gap, and rounds, of the solutions for one layer alone: held-out losses differ by more. */
const TOLERANCE = 1e-3;
const ROUNDS = 100;
/** Gates of the program that is posed for the scale of beta alone, and gates that the small networks have theirs of. */
const GATES = 128;
/** Steps of the grid in a power of ten. */
const STEPS = 2;
/** Steps that the walk goes on after the best, so that a bump does not end it. */
const BEYOND = 2;
/** Mean losses closer than this share are as good: descents that begin elsewhere end further apart. The largest beta of them is the choice. */
const AS_GOOD = 0.02;
/** Shares of the largest beta between which the grid ends whatever comes: one layer alone has no beta from which on nothing changes. */
const SMALLEST = 1e-8;
const LARGEST = 1e6;
/** Of the dealing and of the descents. */
const SEED = 0;
/** Of what is left of the time. */
const SHARE = 0.4;

const FOLD_ADVICE = 'pass validationData, or set regularization to a number or "share"';

/** What a beta is chosen on: rows as the program has them. */
export interface HeldOutData {
  readonly train: Dataset;
  readonly validation: Dataset | null;
}

/** Rows to train on, and groups of rows to be judged on. */
interface Part {
  readonly problem: Problem;
  readonly held: readonly { readonly X: Matrix; readonly loss: Loss }[];
  readonly draw: () => number;
}

/** A network at each part. */
type Networks = readonly Network[];

/** Poses a problem at the beta that predicts best. */
export async function poseHeldOut(
  spec: NetworkSpec,
  data: HeldOutData,
  settings: Settings,
  engine: ChosenEngine,
  sources: GateSources,
  clock: Clock,
): Promise<Problem> {
  // What is trained must not depend on the seed of what trains it.
  const { beta, curve } = await chooseBeta(spec, data, { ...settings, seed: SEED }, engine, sources, clock);
  const posed = await pose(spec, data.train, { ...settings, regularization: beta }, engine, sources, clock);
  return { ...posed, regularization: { ...posed.regularization, source: "held-out", curve } };
}

/**
 * Walks from the beta that "share" takes up and down, all parts side by side and each beta from the networks of the one before, until the
 * mean loss of the rows held out has not fallen for some steps; the least wins, of those that are as good the largest beta.
 *
 * The networks are descents of the model's own objective, with few units and few steps: where they end is no optimum, but their
 * loss on other rows is least at about the same beta, for a fraction of the work. One layer alone is solved.
 */
async function chooseBeta(
  spec: NetworkSpec,
  data: HeldOutData,
  settings: Settings,
  engine: ChosenEngine,
  sources: GateSources,
  clock: Clock,
): Promise<{ readonly beta: number; readonly curve: HeldOutCurve }> {
  const share = clock.part(SHARE);
  const posed = await posedAtUsual(spec, data.train, settings, engine, sources, share);
  const usual = posed.regularization.beta;
  const parts = await partsOf(posed, data, settings.seed, sources.space ?? null, engine.kernels, share);
  const highest = posed.program.penalty.name === "ridge" ? LARGEST : 1;
  const at = (k: number) => usual * exp((-k / STEPS) * log(10));
  const betas: number[] = [];
  const values: number[][] = []; // of each beta, on each group
  let best = 0;
  const visit = async (beta: number, from: Networks | null): Promise<Networks | null> => {
    const found = await judged(parts, beta, from, engine, share);
    if (found === null) return null;
    const place = betas.length > 0 && beta > betas[0] ? 0 : betas.length;
    betas.splice(place, 0, beta);
    values.splice(place, 0, found.values);
    const means = values.map(average);
    const least = Math.min(...means);
    best = means.findIndex((mean) => mean <= least * (1 + AS_GOOD));
    return found.networks;
  };
  const first = await visit(usual, null);
  let last = first;
  for (let k = -1; last !== null && best < BEYOND && AUTO_SHARE * at(k) < 1.01 * highest * usual; k--) {
    last = await visit(at(k), last);
  }
  if (last !== null) last = first;
  for (let k = 1; last !== null && betas.length - 1 - best < BEYOND && AUTO_SHARE * at(k) > SMALLEST * usual; k++) {
    last = await visit(at(k), last);
  }
  const curve: HeldOutCurve = {
    betas,
    mean: values.map(average),
    standardError: values.map((found) => spread(found) / Math.sqrt(found.length)),
    by: data.validation === null ? "folds" : "validation data",
    whole: last !== null,
  };
  return { beta: betas[best] ?? usual, curve };
}

/** The problem at about the beta that "share" takes: on a sample of gates, which is enough for that, where gates are searched for or drawn. */
function posedAtUsual(
  spec: NetworkSpec,
  train: Dataset,
  settings: Settings,
  engine: ChosenEngine,
  sources: GateSources,
  clock: Clock,
): Promise<Problem> {
  const { arrangements: wish } = settings;
  const drawn = wish !== null && "kind" in wish && wish.kind === "sample" ? wish : null;
  const arrangements: Arrangements | null =
    spec.formulation === "relu"
      ? { kind: "sample", count: GATES }
      : drawn === null
        ? wish
        : { ...drawn, count: Math.min(drawn.count, GATES) };
  const cheap: Settings = { ...settings, arrangements, pricing: null };
  return pose(spec, train, cheap, engine, { ...sources, warmStart: null }, clock);
}

async function partsOf(
  posed: Problem,
  { train, validation }: HeldOutData,
  seed: number,
  space: Coordinates | null,
  kernels: Kernels,
  clock: Clock,
): Promise<Part[]> {
  const { spec, column, program } = posed;
  const judge = (held: Dataset) => ({
    X: inputRows(spec, held.x, column.value),
    loss: bindLoss(spec.loss, held.y, held.weights),
  });
  const paused = <T>(work: Pieces<T>) => inTurns(work, () => clock.pause());
  const read = patternReader(kernels);
  const generators = firstRows(program.gates.generators, GATES);
  const part = async (rows: Dataset, held: readonly Dataset[]): Promise<Part> => {
    const X = inputRows(spec, rows.x, column.value);
    const gates = spec.formulation === "relu" ? program.gates : await paused(gathering(X, generators, read));
    const bound = bindLoss(spec.loss, rows.y, rows.weights);
    const fold = rows === train ? null : { whole: train.x.rows, advice: FOLD_ADVICE };
    const loss = await paused(lossBeside(bound, spec, rows.x, space, kernels, fold));
    const own = { ...program, X, gates, ...loss };
    return { problem: { ...posed, program: own }, held: held.map(judge), draw: gaussianSource(seed + 1) };
  };
  if (validation !== null) {
    return [
      await part(
        train,
        dealt(validation, spec.loss, seed).map((rows) => rowsOf(validation, rows)),
      ),
    ];
  }
  const n = train.x.rows;
  if (n < FOLDS) {
    throw new ConvexError(
      "data/empty",
      `fit: expected at least ${FOLDS} rows for regularization "held-out", which holds parts of them out in turn, got ${n}. ` +
        `Pass validationData, or set regularization to a number or "share".`,
    );
  }
  const work = 4 * unitsOf(posed) * passOver(program.X);
  const folds = FEWER.find(([from]) => work >= from)?.[1] ?? FOLDS;
  const parts: Part[] = [];
  for (const held of dealt(train, spec.loss, seed).slice(0, folds)) {
    const inside = new Set(held);
    const rest = Array.from({ length: n }, (_, k) => k).filter((k) => !inside.has(k));
    parts.push(await part(rowsOf(train, rest), [rowsOf(train, held)]));
  }
  return parts;
}

/** The loss of each group of rows held out at one beta, and the networks; null where the time was up before. */
async function judged(
  parts: readonly Part[],
  beta: number,
  from: Networks | null,
  { kernels }: ChosenEngine,
  clock: Clock,
): Promise<{ readonly values: number[]; readonly networks: Networks } | null> {
  const values: number[] = [];
  const networks: Network[] = [];
  for (const [p, part] of parts.entries()) {
    const { spec } = part.problem;
    const program = { ...part.problem.program, beta };
    const regularization = { ...part.problem.regularization, beta, hidden: beta / 2, output: beta / 2 };
    const problem = { ...part.problem, program, regularization };
    const network =
      spec.formulation === "affine"
        ? await solved(problem, kernels, clock)
        : await shortDescent(problem, from?.[p] ?? null, part.draw, kernels, clock);
    if (clock.over || clock.stopped()) return null;
    networks.push(network);
    const weights = programWeights(problem, network);
    for (const { X, loss } of part.held) {
      const value = loss.value(forward(weights, X));
      values.push(Number.isFinite(value) ? value : Number.POSITIVE_INFINITY);
    }
  }
  return { values, networks };
}

async function solved({ program, formulation }: Problem, kernels: Kernels, clock: Clock): Promise<Network> {
  const budget = { tolerance: TOLERANCE, maxIterations: ROUNDS, seconds: clock.left, stopped: clock.stopped };
  return formulation.recover(program, (await solve(program, kernels, budget)).blocks);
}

/** Losses for which a part without one of the classes says little. */
const LABELS: readonly LossName[] = ["categoricalCrossentropy", "binaryCrossentropy", "hinge", "squaredHinge"];

/** Row numbers dealt at random into parts that differ in size by one at most, and where there are classes alike in each. */
function dealt({ y }: Dataset, loss: LossName, seed: number): number[][] {
  const { rows: n, cols: C, data } = y;
  const draw = gaussianSource(seed);
  const label = (k: number) => {
    if (!LABELS.includes(loss)) return 0;
    const row = data.subarray(k * C, (k + 1) * C);
    return C === 1 ? row[0] : row.indexOf(Math.max(...row));
  };
  const order = Array.from({ length: n }, (_, k) => ({ k, label: label(k), key: draw() }));
  order.sort((a, b) => a.label - b.label || a.key - b.key);
  const count = Math.min(FOLDS, n);
  return Array.from({ length: count }, (_, f) => order.filter((_, at) => at % count === f).map(({ k }) => k));
}
