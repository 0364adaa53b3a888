/** How far a network that anybody trained is from the best one. */

import type * as tf from "@tensorflow/tfjs";
import { refuseUnknown } from "../arguments.js";
import {
  type Arrangements,
  arrangementBound,
  defaultStarts,
  gatesFrom,
  sampleGates,
} from "../convex/arrangements/index.js";
import {
  certify as certificateOf,
  certifyShared,
  GapJudge,
  relativeGap,
  type SharedBound,
  sharedAtLeast,
} from "../convex/certificate.js";
import { searchBeyond, solveGrowing } from "../convex/growth/grow.js";
import { chooseEngine, type Kernels, threadsOf } from "../convex/kernels/index.js";
import { norm } from "../convex/linear/vectors.js";
import { forward, type NetworkWeights, objectiveOf } from "../convex/network.js";
import { blockOutputs } from "../convex/operators/blocks.js";
import { isStandardized } from "../convex/operators/coordinates.js";
import { dualPointAt } from "../convex/operators/dualPoint.js";
import { DEFAULT_CONES, GatePricer } from "../convex/pricing/allGates.js";
import { type HiddenNeuron, liftNeurons } from "../convex/recovery/lift.js";
import { LAST_PROJECTIONS, mayShareOutputs, sharedGap } from "../convex/sharing/shareOutputs.js";
import { Clock } from "../convex/solvers/clock.js";
import { solve, withProducts } from "../convex/solvers/solve.js";
import type { AllGatesBound, Certificate, ConvexProgram, Gap, GateSet, Matrix, SparseBlocks } from "../convex/types.js";
import { ConvexError } from "../errors.js";
import { readOptions, type Settings, type TrainerOptions } from "./options.js";
import { FEW_ARRANGEMENTS, pose } from "./pose/pose.js";
import { certificateNear, reduce, weightsInside } from "./pose/reduction.js";
import { biasColumnOf, decayOf, frozenNotes, modelObjective, notesOf } from "./pose/regularization.js";
import { columnNotes } from "./pose/standardize.js";
import { readData, refuseDegenerate, type Weighting } from "./read/data.js";
import { frozenCharge } from "./read/frozenCharge.js";
import { inputRows } from "./read/inputRows.js";
import { type NetworkSpec, readModel } from "./read/model.js";
import { trunkOf } from "./read/trunk.js";
import { normalizationSquares, readWeights } from "./read/weights.js";
import { white, whitened } from "./read/whitening.js";
import type { Objective, Regularization } from "./records.js";
import { engineOn } from "./solve/onEngine.js";
import { budgetOf } from "./solve/posed.js";

/** Gates that are sampled where a network has no living neuron of its own. */
const SPARE_GATES = 64;

type FromTrainer =
  | "formulation"
  | "arrangements"
  | "pricing"
  | "regularization"
  | "standardize"
  | "hiddenBiasScale"
  | "vectorPenalty"
  | "rank"
  | "engine"
  | "threads"
  | "seed"
  | "tolerance"
  | "timeLimit"
  | "maxIterations";

/** Options of `certify`, with the meaning that they have for the trainer. */
export interface CertifyOptions extends Pick<TrainerOptions, FromTrainer>, Weighting {
  /**
   * Relative distance to which the bound is tightened, by solving the convex program over the gates. Without it the bound
   * is that of the network's own residual, scaled until it is feasible: quick, and loose for a network far from the optimum.
   */
  readonly tolerance?: number;
}

/** What is proven of a model. Pass it as `warmStart` to train on from the model. */
export interface ModelCertificate {
  readonly certificate: Certificate;
  /** The objective of the model as it is. */
  readonly objective: Objective;
  /** Its objective after every neuron is rescaled so that its decay is least; the function stays the same. */
  readonly balanced: number;
  readonly regularization: Regularization;
  readonly notes: readonly string[];
  readonly engine: string;
  readonly seconds: number;
  /** The gates of the bound, and the model as a point over them. */
  readonly gates: GateSet;
  readonly blocks: SparseBlocks;
}

const NAMES = [
  "formulation",
  "arrangements",
  "pricing",
  "regularization",
  "standardize",
  "hiddenBiasScale",
  "vectorPenalty",
  "rank",
  "engine",
  "threads",
  "seed",
  "tolerance",
  "timeLimit",
  "maxIterations",
];

/**
 * Says how far at most a compiled model that the trainer could train is from the best network, whoever trained
 * it: its objective on x [n x d], y [n x C] is the primal value, and its scaled residual is a dual point (Pilanci and Ergen
 * 2020, section 2). The bound holds for the gates that it names: all arrangements where they are few or asked for with
 * `arrangements: { kind: "enumerate" }`, else those of the model's own neurons.
 *
 * @throws ConvexError for a model, data or option that does not fit, as the trainer's `fit`.
 */
export async function certify(
  model: tf.LayersModel,
  x: tf.Tensor,
  y: tf.Tensor,
  options: CertifyOptions = {},
): Promise<ModelCertificate> {
  refuseUnknown("certify", options, [...NAMES, "sampleWeight", "classWeight"]);
  const { sampleWeight = null, classWeight = null, ...rest } = options;
  const settings = readOptions(rest);
  refuseGrowth(settings);
  refuseConstraint(settings);
  refuseHeldOut(settings);
  const began = performance.now();
  const left = () => Math.max(0, settings.timeLimit - (performance.now() - began) / 1000);
  const read = readModel(model, settings.formulation, "read", true);
  refuseForeignGates(read, settings);
  const trunk = trunkOf(model, "read");
  const frozen = await frozenCharge(model, "read");
  const rows = await readData(await trunk.see("x", x), y, read, { sampleWeight, classWeight });
  refuseDegenerate(rows);
  const spec = whitened(read, rows);
  const data = white(rows, spec);
  const chosen = await chooseEngine(settings.engine, settings.threads);
  const reduced = reduce(spec, data, settings);
  const { reduction } = reduced;
  const seen = reduced.data(data);
  const space = reduction?.space ?? null;
  const standardized = space !== null && isStandardized(space);
  const column = biasColumnOf(spec, settings, inputRows(spec, standardized ? seen.x : data.x, 0));
  const weights = await readWeights(model, spec, column.value);
  const inside = weightsInside(weights, space, column.value);
  const charged = standardized ? inside : weights;
  const whole = space === null || standardized; // every network on x is one on the program's columns
  const neurons = neuronsOf(inside);
  const arrangements =
    settings.arrangements ??
    (spec.formulation === "linear" || spec.formulation === "affine"
      ? null
      : gatesFor(spec, inputRows(spec, seen.x, column.value), neurons, settings.seed));
  const sources = { gatesOf: null, warmStart: null, space };
  const posed = await pose(reduced.spec, seen, { ...reduced.settings, arrangements }, chosen, sources);
  const { kernels, reason } = await engineOn(posed.program, chosen, settings);
  const { program, blocks } = liftNeurons(posed.program, neurons, weights.bias, posed.program.gates);
  const { regularization } = posed;
  const X = reduction?.X ?? program.X;
  const Z = forward(weights, X);
  const written = objectiveOf(charged, X, program.loss, decayOf(regularization), Z);
  const residual = judgeResidual(program, Z, blocks, kernels);
  let bound: Bound = residual;
  let allGates = await boundAllGates(program, residual, settings);
  const growing = { starts: defaultStarts(program.X), seed: settings.seed };
  if (options.tolerance !== undefined) {
    const budget = budgetOf(settings, left());
    if (allGates === null) {
      const { gap, dualPoint } = await solve(program, kernels, budget, blocks);
      if (gap.dual > bound.dual) bound = { dual: gap.dual, dualPoint };
    } else {
      // A dual point that no gate spoils is one that all good gates have shaped: they are let in.
      allGates = betterOf(allGates, (await solveGrowing(program, kernels, budget, growing, blocks)).allGates);
    }
  }
  // A neuron that feeds several outputs is several in the program with cones, whose bound is for neurons that feed one each.
  const shares = program.cones && blockOutputs(program) > 1 && !staysPerOutput(weights, settings);
  // In the span its residual is that of its part there: its own objective is counted neuron by neuron.
  const apart = whole ? residual.primal : written.loss + leastDecay(weights, regularization, sumOfSizes);
  const primal = shares ? apart : written.total;
  const outside = program.cones && !program.gates.complete;
  const evidence = outside ? await searchBeyond(program, blocks, kernels, growing) : null;
  const everywhere = allGates && { ...allGates, relativeGap: relativeGap(primal, allGates.dual, program) };
  const gap = { primal, dual: bound.dual, relative: relativeGap(primal, bound.dual, program) };
  const proven = certificateOf(gap, written.total, program, evidence, everywhere);
  const near = certificateNear(proven, { ...posed, program, reduction }, bound.dualPoint, kernels);
  // In fewer dimensions a price of shared outputs would be for other data than x: what is known of one output each has to do.
  const points = shares && whole ? [residual.dualPoint, bound.dualPoint] : [];
  return {
    certificate: shares
      ? await withSharing(near.certificate, program, new Set(points), kernels, left(), settings)
      : near.certificate,
    objective: modelObjective(
      written,
      weights.kernel,
      regularization.hidden,
      column.charged && !standardized,
      frozen + ownScales(await normalizationSquares(model), weights.kernel, spec, regularization),
    ),
    balanced: spec.formulation === "affine" ? written.total : written.loss + leastDecay(charged, regularization),
    regularization,
    notes: [
      ...(trunk.note === null ? [] : [trunk.note]),
      ...frozenNotes(frozen),
      ...notesOf(spec, regularization, column, false),
      ...columnNotes(data, spec),
      ...posed.gateNotes,
      ...near.notes,
      ...(spec.normalization === null ? [] : [STATISTICS_NOTE]),
      ...(shares ? [SPLIT_NOTE] : []),
    ],
    engine: reason + threadsOf(kernels),
    seconds: (performance.now() - began) / 1000,
    gates: program.gates,
    blocks,
  };
}

const STATISTICS_NOTE =
  "Units are judged as predict computes them, by the moving statistics. The certificate charges each by its deviation over these rows, " +
  "as if their statistics were those of all rows; objective charges gamma and beta as the layers do.";

/** What layers charge for gamma and beta, less what the program does for the units on white rows. */
function ownScales(
  squares: Awaited<ReturnType<typeof normalizationSquares>>,
  { data, cols: m }: Matrix,
  { inputs: r, hiddenBias, l2 }: NetworkSpec,
  { hidden }: Regularization,
): number {
  if (squares === null) return 0;
  const square = (values: Float64Array) => values.reduce((sum, value) => sum + value * value, 0);
  const offsets = hiddenBias && l2.hiddenBias > 0 ? hidden * square(data.subarray(r * m)) : 0;
  return hidden * (squares.gamma - square(data.subarray(0, r * m))) + l2.hiddenBias * squares.beta - offsets;
}

const SPLIT_NOTE =
  "The layers' neurons may feed several outputs (or patches), and the certificate is about such networks. certificate.perOutput is " +
  "about those whose neurons feed one each, and counts a neuron of the model that feeds several as several.";

/** True where `vectorPenalty` says that neurons feed one output each, as those of the model do. */
function staysPerOutput({ output }: NetworkWeights, { vectorPenalty }: Settings): boolean {
  if (vectorPenalty !== "perOutput") return false;
  for (let at = 0; at < output.data.length; at += output.cols) {
    let fed = 0;
    for (let c = 0; c < output.cols; c++) fed += output.data[at + c] === 0 ? 0 : 1;
    if (fed > 1) return false;
  }
  return true;
}

/**
 * What dual points [n x C] say of networks whose neurons feed all outputs, as the model's may: by the prices of such neurons where
 * the loss and the read-out have them, and by the bound for neurons that feed one each, whichever is larger.
 */
async function withSharing(
  certificate: Certificate,
  program: ConvexProgram,
  dualPoints: ReadonlySet<Float64Array>,
  kernels: Kernels,
  seconds: number,
  { tolerance }: Settings,
): Promise<Certificate> {
  const { network: primal } = certificate;
  const bound = (dual: number, everywhere: boolean, evidence: SharedBound["evidence"]): SharedBound => ({
    ...{ primal, dual, relative: relativeGap(primal, dual, program), program, everywhere, evidence },
  });
  const everywhere = certificate.scope === "all gates";
  let best = bound(sharedAtLeast(certificate.dual, blockOutputs(program)), everywhere, certificate.evidence);
  if (mayShareOutputs(program)) {
    const clock = new Clock(seconds, () => false);
    const budget = { tolerance: tolerance / 2, projections: LAST_PROJECTIONS, pause: () => clock.pause() };
    for (const N of dualPoints) {
      const { gap, prices } = await sharedGap(program, kernels, primal, N, budget);
      if (!(gap.dual > best.dual)) continue;
      const evidence = { bestRatio: prices.lower / program.beta, starts: program.gates.count };
      best = bound(gap.dual, false, evidence);
    }
  }
  return certifyShared(certificate, best);
}

/** A lower bound, and the dual point [n x C] that it rests on. */
interface Bound {
  readonly dual: number;
  readonly dualPoint: Float64Array;
}

/** The network's own residual, balanced where the output bias is free, as a dual point, and the gap that it gives. */
function judgeResidual(program: ConvexProgram, Z: Float64Array, blocks: SparseBlocks, kernels: Kernels): Gap & Bound {
  const N = dualPointAt(program, Z);
  const gap = withProducts(program, kernels, (products) => new GapJudge(program, products).gap(blocks, N));
  return { ...gap, dualPoint: N };
}

/** What the residual proves of all gates, where that is asked for and not known. */
async function boundAllGates(
  program: ConvexProgram,
  { primal, dualPoint }: Gap & Bound,
  { pricing, tolerance, timeLimit }: Settings,
): Promise<AllGatesBound | null> {
  if (pricing?.kind !== "branch-and-bound" || program.gates.complete) return null;
  const clock = new Clock(timeLimit, () => false);
  const budget = { cones: pricing.cones ?? DEFAULT_CONES, tolerance, pause: () => clock.pause() };
  return (await new GatePricer(program).bound(dualPoint, primal, budget)).bound;
}

/** A finished bound before one that is not, then the larger. */
function betterOf(a: AllGatesBound, b: AllGatesBound | null): AllGatesBound {
  if (b === null || (a.finished && !b.finished)) return a;
  return (b.finished && !a.finished) || b.dual > a.dual ? b : a;
}

/** The gates that a certificate is about when no option names them. */
function gatesFor(spec: NetworkSpec, X: Matrix, neurons: readonly HiddenNeuron[], seed: number): Arrangements {
  const d = X.cols;
  if (spec.formulation === "relu" && arrangementBound(X.rows, Math.min(X.rows, d)) <= FEW_ARRANGEMENTS) {
    return { kind: "enumerate" };
  }
  const alive = neurons.filter(({ outputs }) => outputs.some((value) => value !== 0));
  const generators = new Float64Array(alive.length * d);
  alive.forEach(({ gate, weights }, j) => {
    generators.set(gate ?? weights, j * d);
  });
  const own = gatesFrom(X, { rows: alive.length, cols: d, data: generators });
  return own.count > 0 ? own : sampleGates(X, { count: SPARE_GATES, seed });
}

function neuronsOf({ kernel, gates, output }: NetworkWeights): HiddenNeuron[] {
  const column = ({ rows, cols, data }: Matrix, j: number) =>
    Float64Array.from({ length: rows }, (_, p) => data[p * cols + j]);
  return Array.from({ length: kernel.cols }, (_, j) => ({
    weights: column(kernel, j),
    outputs: output.data.slice(j * output.cols, (j + 1) * output.cols),
    ...(gates === null ? {} : { gate: column(gates, j) }),
  }));
}

/** What the layers charge when every neuron is balanced: 2 sqrt(g1 g2) |w| |a|, |a| by `length`. */
function leastDecay(weights: NetworkWeights, regularization: Regularization, length = norm): number {
  const { bias } = weights;
  const { hidden, output, outputBias } = regularization;
  let sum = 0;
  for (const { weights: w, outputs } of neuronsOf(weights))
    sum += 2 * Math.sqrt(hidden * output) * norm(w) * length(outputs);
  for (const value of bias) sum += outputBias * value * value;
  return sum;
}

/** |a|_1: a neuron that feeds several outputs counts as several. */
function sumOfSizes(outputs: Float64Array): number {
  return outputs.reduce((sum, value) => sum + Math.abs(value), 0);
}

/** Gates outside the span have other patterns there, so that the bound would be for other networks. */
function refuseForeignGates({ formulation }: NetworkSpec, { rank }: Settings): void {
  if (formulation !== "gated" || rank === null) return;
  throw new ConvexError(
    "options/value",
    `certify: expected no rank for a gated model, got ${rank}. Its gates need not lie in the span; leave rank out.`,
  );
}

/** What predicts best is found by training, which a certificate does none of. */
function refuseHeldOut({ regularization }: Settings): void {
  if (regularization !== "held-out") return;
  throw new ConvexError(
    "options/value",
    `certify: expected a regularization that is a number, "from-model" or "auto", got "held-out", which trains to choose beta. ` +
      `Give the beta that the model was trained with.`,
  );
}

/** Whether a network that is there meets a constraint is no matter of a gap: only what it has beside the best that do would be. */
function refuseConstraint({ regularization }: Settings): void {
  if (regularization !== "interpolate" && regularization !== "max-margin") return;
  throw new ConvexError(
    "options/value",
    `certify: expected a regularization that is a number, "from-model" or "auto", got "${regularization}", which takes the place ` +
      `of the loss. Give the beta that the model was trained with, or fit with "${regularization}" and read that certificate.`,
  );
}

function refuseGrowth({ arrangements }: Settings): void {
  if (arrangements === null || !("kind" in arrangements) || arrangements.kind !== "grow") return;
  throw new ConvexError(
    "options/value",
    `certify: expected arrangements that do not grow, got { kind: "grow" }. Certify first, then train from the certificate ` +
      `with warmStart and growing gates.`,
  );
}
