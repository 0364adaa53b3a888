/** How far a network that anybody trained is from the best one. */

import type * as tf from "@tensorflow/tfjs";
import {
  type Arrangements,
  arrangementBound,
  defaultStarts,
  gatesFrom,
  sampleGates,
} from "../convex/arrangements/index.js";
import { certify as certificateOf, GapJudge, relativeGap } from "../convex/certificate.js";
import { chooseEngine, type Kernels, threadsOf } from "../convex/kernels/index.js";
import { forward, type NetworkWeights, objectiveOf } from "../convex/network.js";
import { type HiddenNeuron, liftNeurons } from "../convex/recovery/lift.js";
import { searchBeyond } from "../convex/solvers/grow.js";
import { dualPointAt, mayShareOutputs, sharedGap } from "../convex/solvers/shareOutputs.js";
import { solve, withProducts } from "../convex/solvers/solve.js";
import type { Certificate, ConvexProgram, Gap, GateSet, Matrix, SparseBlocks } from "../convex/types.js";
import { norm } from "../convex/vectors.js";
import { ConvexError } from "../errors.js";
import type { Objective } from "./fitResult.js";
import { inputRows } from "./inputRows.js";
import { readOptions, refuseUnknown, type Settings, type TrainerOptions } from "./options.js";
import { FEW_ARRANGEMENTS, pose } from "./pose.js";
import { readData, refuseDegenerate, type Weighting } from "./readData.js";
import { type NetworkSpec, readModel } from "./readModel.js";
import { readWeights } from "./readWeights.js";
import { biasColumnOf, decayOf, modelObjective, notesOf, type Regularization } from "./regularization.js";
import { engineOn } from "./solveOn.js";

/** Gates that are sampled where a network has no living neuron of its own. */
const SPARE_GATES = 64;

type FromTrainer =
  | "formulation"
  | "arrangements"
  | "regularization"
  | "hiddenBiasScale"
  | "vectorPenalty"
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
  "regularization",
  "hiddenBiasScale",
  "vectorPenalty",
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
  model: tf.Sequential,
  x: tf.Tensor,
  y: tf.Tensor,
  options: CertifyOptions = {},
): Promise<ModelCertificate> {
  refuseUnknown("certify", options, [...NAMES, "sampleWeight", "classWeight"]);
  const { sampleWeight = null, classWeight = null, ...rest } = options;
  const settings = readOptions(rest);
  refuseGrowth(settings);
  const began = performance.now();
  const spec = readModel(model, settings.formulation, "read");
  const data = await readData(x, y, spec, { sampleWeight, classWeight });
  refuseDegenerate(data, spec);
  const chosen = await chooseEngine(settings.engine, settings.threads);
  const column = biasColumnOf(spec, settings, inputRows(spec, data.x, 0));
  const weights = await readWeights(model, spec, column.value);
  const neurons = neuronsOf(weights);
  const arrangements =
    settings.arrangements ?? gatesFor(spec, inputRows(spec, data.x, column.value), neurons, settings.seed);
  const sources = { gatesOf: null, warmStart: null };
  const posed = await pose(spec, data, { ...settings, arrangements }, chosen, sources);
  const { kernels, reason } = await engineOn(posed.program, chosen, settings);
  const { program, blocks } = liftNeurons(posed.program, neurons, weights.bias, posed.program.gates);
  const { regularization } = posed;
  const written = objectiveOf(weights, program.X, program.loss, decayOf(regularization));
  const residual = judgeResidual(program, weights, blocks, kernels);
  let { dual } = residual;
  if (options.tolerance !== undefined) {
    const { tolerance, maxIterations, timeLimit: seconds } = settings;
    const { gap } = await solve(program, kernels, { tolerance, maxIterations, seconds }, blocks);
    dual = Math.max(dual, gap.dual);
  }
  // A neuron that feeds several outputs is several in the program with cones: the bound is for those.
  const split = program.cones && weights.output.cols > 1;
  const primal = split ? residual.primal : written.total;
  const outside = program.cones && !program.gates.complete;
  const evidence = outside
    ? searchBeyond(program, blocks, kernels, { starts: defaultStarts(program.X), seed: settings.seed })
    : null;
  const gap = { primal, dual, relative: relativeGap(primal, dual) };
  const certificate = certificateOf(gap, written.total, program, evidence);
  return {
    certificate: split ? withSharing(certificate, program, weights, kernels, settings) : certificate,
    objective: modelObjective(written, weights.kernel, regularization.hidden, column.charged),
    balanced: written.loss + leastDecay(neurons, weights.bias, regularization),
    regularization,
    notes: [...notesOf(spec, regularization, column, false), ...(split ? [SPLIT_NOTE] : [])],
    engine: reason + threadsOf(kernels),
    seconds: (performance.now() - began) / 1000,
    gates: program.gates,
    blocks,
  };
}

const SPLIT_NOTE =
  "The certificate's primal value counts a neuron that feeds several outputs (or patches) as several neurons, since its bound " +
  "is for networks whose neurons each feed one; certificate.sharing, where there is one, compares it as it is.";

/** What the residual says of networks whose neurons feed all outputs, as the model's do. */
function withSharing(
  certificate: Certificate,
  program: ConvexProgram,
  weights: NetworkWeights,
  kernels: Kernels,
  { tolerance }: Settings,
): Certificate {
  if (!mayShareOutputs(program)) return certificate;
  const N = dualPointAt(program, forward(weights, program.X));
  const { gap, prices } = sharedGap(program, kernels, certificate.network, N, tolerance);
  const evidence = { bestRatio: prices.lower / program.beta, starts: program.gates.count };
  return {
    ...certificate,
    sharing: { primal: gap.primal, dual: gap.dual, relativeGap: gap.relative, gates: program.gates.count, evidence },
  };
}

/** The gap that the network's own residual gives. */
function judgeResidual(program: ConvexProgram, weights: NetworkWeights, blocks: SparseBlocks, kernels: Kernels): Gap {
  const { loss, X } = program;
  const N = new Float64Array(loss.rows * loss.outputs);
  loss.gradient(forward(weights, X), N);
  return withProducts(program, kernels, (products) => new GapJudge(program, products).gap(blocks, N));
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

/** What the layers charge when every neuron is balanced: 2 sqrt(g1 g2) |w| |a|. */
function leastDecay(neurons: readonly HiddenNeuron[], bias: Float64Array, regularization: Regularization): number {
  const { hidden, output, outputBias } = regularization;
  let sum = 0;
  for (const { weights, outputs } of neurons) sum += 2 * Math.sqrt(hidden * output) * norm(weights) * norm(outputs);
  for (const value of bias) sum += outputBias * value * value;
  return sum;
}

function refuseGrowth({ arrangements }: Settings): void {
  if (arrangements === null || !("kind" in arrangements) || arrangements.kind !== "grow") return;
  throw new ConvexError(
    "options/value",
    `certify: expected arrangements that do not grow, got { kind: "grow" }. Certify first, then train from the certificate ` +
      `with warmStart and growing gates.`,
  );
}
