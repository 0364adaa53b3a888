/** How far a network that anybody trained is from the best one. */

import type * as tf from "@tensorflow/tfjs";
import { refuseUnknown } from "../arguments.js";
import { defaultStarts } from "../convex/arrangements/index.js";
import { certify as certificateOf, relativeGap } from "../convex/certificate/index.js";
import { searchBeyond } from "../convex/growth/index.js";
import { chooseEngine, threadsOf } from "../convex/kernels/index.js";
import { forward, type NetworkWeights, objectiveOf } from "../convex/network.js";
import { blockOutputs } from "../convex/operators/blocks.js";
import { isStandardized } from "../convex/operators/coordinates.js";
import { liftNeurons } from "../convex/recovery/index.js";
import { Clock } from "../convex/solvers/clock.js";
import type { Certificate, GateSet, Matrix, SparseBlocks } from "../convex/types.js";
import { ConvexError } from "../errors.js";
import { readOptions, type Settings, type TrainerOptions } from "./options.js";
import { gatesFor, leastDecay, neuronsOf, staysPerOutput, sumOfSizes } from "./pose/ownNeurons.js";
import { pose } from "./pose/pose.js";
import { certificateNear, reduce, weightsInside } from "./pose/reduction.js";
import { biasColumnOf, decayOf, frozenNotes, modelObjective, notesOf, withCharge } from "./pose/regularization.js";
import { columnNotes } from "./pose/standardize.js";
import { readData, refuseDegenerate } from "./read/data.js";
import { frozenCharge } from "./read/frozenCharge.js";
import { inputRows } from "./read/inputRows.js";
import { type NetworkSpec, readModel, scheduleOf } from "./read/model.js";
import { white, whitened } from "./read/normalization/index.js";
import type { Weighting } from "./read/sampleWeights.js";
import { trunkOf } from "./read/trunk.js";
import { normalizationSquares, readWeights, unsharedBias } from "./read/weights.js";
import type { Objective, Regularization } from "./records.js";
import { claimedOfHead } from "./report/head.js";
import { boundsOf, judgeResidual, withSharing } from "./solve/bounds.js";
import { engineOn } from "./solve/onEngine.js";

type FromTrainer =
  | "formulation"
  | "arrangements"
  | "pricing"
  | "regularization"
  | "standardize"
  | "hiddenBiasScale"
  | "depth"
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
  "depth",
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
  const read = readModel(model, settings.formulation, "read", true, scheduleOf(model, settings, "read"));
  refuseForeignGates(read, settings);
  const trunk = trunkOf(model, "read", read.cut);
  const frozen = await frozenCharge(model, "read", read.cut);
  const rows = await readData(await trunk.see("x", x), y, read, { sampleWeight, classWeight });
  refuseDegenerate(rows);
  const clock = new Clock(settings.timeLimit, () => false);
  const pause = () => clock.pause();
  const chosen = await chooseEngine(settings.engine, settings.threads);
  const spec = await whitened(read, rows, chosen.kernels, pause);
  const data = await white(rows, spec, chosen.kernels, pause);
  const reduced = await reduce(spec, data, settings, chosen.kernels, pause);
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
  const { beside } = posed.program.loss;
  // What a linear layer beside them adds is no part of the point: the program has the best one.
  const own = beside === undefined ? weights : hiddenAlone(weights);
  const { program, blocks } = liftNeurons(posed.program, neurons, own.bias, posed.program.gates, kernels);
  const { regularization } = posed;
  const X = reduction?.X ?? program.X;
  const Z = forward(weights, X);
  const unshared = await unsharedBias(model, spec);
  const written = withCharge(objectiveOf(charged, X, posed.loss, decayOf(regularization), Z), unshared);
  const Zown = beside === undefined ? Z : forward(own, X);
  const residual = judgeResidual(program, Zown, blocks, kernels);
  const skipLoss =
    beside === undefined ? 0 : skipLossOf(written, charged, regularization, program.loss.value(Zown)) + unshared;
  const growing = { starts: defaultStarts(program.X), seed: settings.seed };
  const solves = options.tolerance !== undefined;
  const { bound, allGates } = await boundsOf(
    program,
    residual,
    blocks,
    kernels,
    settings,
    solves ? left : null,
    growing,
  );
  // A neuron that feeds several outputs is several in the program with cones, whose bound is for neurons that feed one each.
  const shares = program.cones && blockOutputs(program) > 1 && !staysPerOutput(weights, settings);
  // In the span its residual is that of its part there: its own objective is counted neuron by neuron.
  const apart = whole
    ? residual.primal + skipLoss
    : written.loss + leastDecay(weights, regularization, sumOfSizes) + unshared;
  const primal = shares ? apart : written.total;
  const outside = program.cones && !program.gates.complete;
  const evidence = outside ? await searchBeyond(program, blocks, kernels, growing, pause) : null;
  const everywhere = allGates && { ...allGates, relativeGap: relativeGap(primal, allGates.dual, program) };
  const gap = { primal, dual: bound.dual, relative: relativeGap(primal, bound.dual, program) };
  const proven = certificateOf(gap, written.total, program, evidence, everywhere);
  const near = certificateNear(proven, { ...posed, program, reduction }, bound.dualPoint, kernels);
  // In fewer dimensions a price of shared outputs would be for other data than x: what is known of one output each has to do.
  const points = shares && whole ? [residual.dualPoint, bound.dualPoint] : [];
  return {
    certificate: claimedOfHead(
      shares
        ? await withSharing(near.certificate, program, new Set(points), kernels, left(), settings)
        : near.certificate,
      read,
    ),
    objective: modelObjective(
      written,
      weights.kernel,
      regularization.hidden,
      column.charged && !standardized,
      frozen + ownScales(await normalizationSquares(model, read.cut), weights.kernel, spec, regularization),
    ),
    balanced:
      spec.formulation === "affine" ? written.total : written.loss + leastDecay(charged, regularization) + unshared,
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

/** The network without a linear layer beside the hidden one, and without an output bias, which is one with it. */
function hiddenAlone({ skip: _skip, ...weights }: NetworkWeights): NetworkWeights {
  return { ...weights, bias: new Float64Array(weights.bias.length) };
}

/** By how much the model's own linear layer is dearer than the best one beside its hidden units. */
function skipLossOf(
  { loss }: { readonly loss: number },
  { skip, bias }: NetworkWeights,
  regularization: Regularization,
  best: number,
): number {
  const square = (values: Float64Array) => values.reduce((sum, value) => sum + value * value, 0);
  const charge = (regularization.skip ?? 0) * square(skip?.data ?? new Float64Array(0));
  return loss + charge + regularization.outputBias * square(bias) - best;
}

const SPLIT_NOTE =
  "The layers' neurons may feed several outputs (or patches), and the certificate is about such networks. certificate.perOutput is " +
  "about those whose neurons feed one each, and counts a neuron of the model that feeds several as several.";

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
    `certify: expected a regularization that is a number, "from-model" or "share", got "held-out", which trains to choose beta. ` +
      `Give the beta that the model was trained with.`,
  );
}

/** Whether a network that is there meets a constraint is no matter of a gap: only what it has beside the best that do would be. */
function refuseConstraint({ regularization }: Settings): void {
  if (regularization !== "interpolate" && regularization !== "max-margin") return;
  throw new ConvexError(
    "options/value",
    `certify: expected a regularization that is a number, "from-model" or "share", got "${regularization}", which takes the place ` +
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
