/** Deep networks whose global optimum is known by a formula: linear ones, and ReLU ones on rows of a special kind. */

import type * as tf from "@tensorflow/tfjs";
import { positive, tolerance as readTolerance, refuse, refuseUnknown } from "../../arguments.js";
import { referenceKernels } from "../../convex/kernels/index.js";
import { bindLoss } from "../../convex/losses/index.js";
import {
  type DeepFormulation,
  type DeepProblem,
  type DeepSolution,
  decayOfLayers,
  deepOneHot,
  deepOutputs,
  deepRankOne,
  deepScalar,
  deepSchatten,
  deepWhitened,
  type LayerWeights,
  meanCharge,
  schattenCharge,
} from "../../convex/matrices/index.js";
import type { Status } from "../../convex/types.js";
import { ConvexError } from "../../errors.js";
import { readData } from "../read/data.js";
import type { Objective } from "../records.js";
import { type DeepLayers, readDeepLayers } from "./deepLayers.js";

/** Options of `trainClosedForm`. */
export interface ClosedFormOptions {
  /**
   * What charges the layers. "weight decay" (default): the model's own l2 regularizers, one on each kernel. { schatten: gamma }:
   * gamma / L (|x W_1|^L + |W_2|^L + ... + |W_L|^L) of L-th powers of singular values, for linear layers without regularizers or biases;
   * TensorFlow.js has no such regularizer, so that `model.evaluate` says the loss alone.
   */
  readonly charge?: "weight decay" | { readonly schatten: number };
  /** Relative gap up to which the status is "solved", and to which one-dimensional searches go; default 1e-6. */
  readonly tolerance?: number;
}

/** What is proven of the network. */
export interface ClosedFormCertificate {
  readonly primal: number; // the objective of the formula's network, in float64
  readonly dual: number; // no network that `claim` names is below
  readonly relativeGap: number;
  readonly network: number; // objective of the network as written, by a plain forward pass in float64
  readonly claim: string;
}

export interface ClosedFormResult<M extends tf.LayersModel = tf.LayersModel> {
  readonly model: M; // the one that was given
  /** Which closed form it was, where it is from, and what it asks of the data, with the numbers that were found. */
  readonly theorem: { readonly name: string; readonly source: string; readonly assumption: string };
  readonly certificate: ClosedFormCertificate;
  readonly objective: Objective;
  readonly status: Status;
  readonly advice: string;
  /** Directions that go through the layers, at most the width of the narrowest. */
  readonly rank: number;
  readonly seconds: number;
}

const NAMES = ["charge", "tolerance"];
const TOLERANCE = 1e-6;

/**
 * Writes the optimum of a deep model [dense, dense, ...] (L layers, meanSquaredError, an l2 regularizer on every kernel) into its own
 * layers, where a closed form is known, on x [n x d] and y [n x C]:
 *
 * - layers without activation, and one output: any x;
 * - layers without activation, and several outputs: whitened x, whose nonzero singular values are equal;
 * - layers without activation under a Schatten charge: any x, any outputs;
 * - ReLU layers without biases: rows along one direction, c_i a with c_i of one sign;
 * - ReLU layers without biases: orthogonal rows of one length and one-hot targets (with a bound that closes for two layers).
 *
 * The last layer of a linear network may have a bias without regularizer; those of hidden layers come to zero. Weights change only when
 * a form fits.
 *
 * @throws ConvexError "model/..." for layers or a loss that no form has, "data/..." for data that meet no assumption, each form
 * saying why.
 *
 * @example
 * ```ts
 * const { theorem, certificate } = await trainClosedForm(model, x, y);
 * theorem.assumption; // "one output; nothing is asked of x"
 * certificate.relativeGap; // at most 1e-6
 * ```
 */
export async function trainClosedForm<M extends tf.LayersModel>(
  model: M,
  x: tf.Tensor,
  y: tf.Tensor,
  options: ClosedFormOptions = {},
): Promise<ClosedFormResult<M>> {
  const began = performance.now();
  refuseUnknown("trainClosedForm", options, NAMES);
  const { tolerance, gamma } = readWish(options);
  const layers = readDeepLayers(model, gamma === null ? "weight decay" : "none");
  const { inputs, outputs, between } = layers;
  const spec = { inputShape: [inputs], convolution: null, outputs, hiddenBias: false } as const;
  const { x: X, y: Y } = await readData(x, y, { ...spec, loss: "meanSquaredError", labels: layers.labels });
  const charges = gamma === null ? layers.decays : layers.decays.map(() => gamma);
  const problem: DeepProblem = {
    ...{ X, Y, charges, widths: layers.widths, beta: meanCharge(charges) },
    loss: bindLoss("meanSquaredError", Y),
    outputBias: layers.outputBias ? { ridge: 0 } : null,
  };
  const form = formFor(problem, gamma !== null ? [deepSchatten] : FORMS[between], between);
  const budget = { tolerance, maxIterations: 1, seconds: Number.POSITIVE_INFINITY };
  const solution = await form.build(problem).solve(referenceKernels, budget);
  if (solution.status === "nonFinite") refuseSizes();
  const written = form.recover(problem, solution).map(rounded);
  const objective = objectiveOf(problem, written, between, gamma);
  layers.write(written);
  return {
    model,
    theorem: { name: form.name, source: form.source, assumption: solution.assumption },
    certificate: certificateOf(solution, objective.total),
    objective,
    ...{ status: solution.status, advice: solution.advice, rank: solution.rank },
    seconds: (performance.now() - began) / 1000,
  };
}

const FORMS: Readonly<Record<DeepLayers["between"], readonly DeepFormulation[]>> = {
  linear: [deepScalar, deepWhitened],
  relu: [deepRankOne, deepOneHot],
};

function readWish({ charge = "weight decay", tolerance = TOLERANCE }: ClosedFormOptions): {
  readonly tolerance: number;
  readonly gamma: number | null;
} {
  const at = readTolerance("trainClosedForm: tolerance", tolerance);
  if (charge === "weight decay") return { tolerance: at, gamma: null };
  if (typeof charge !== "object" || charge === null || !("schatten" in charge)) {
    refuse("trainClosedForm: charge", '"weight decay" or { schatten: gamma }', charge);
  }
  refuseUnknown("trainClosedForm: charge", charge, ["schatten"]);
  return { tolerance: at, gamma: positive("trainClosedForm: charge.schatten", charge.schatten) };
}

/** The first that fits; where none does, what each says. */
function formFor(
  problem: DeepProblem,
  forms: readonly DeepFormulation[],
  between: DeepLayers["between"],
): DeepFormulation {
  const said: string[] = [];
  for (const form of forms) {
    const refusal = form.refuses(problem);
    if (refusal === null) return form;
    said.push(`${form.name}: ${refusal}`);
  }
  const way = between === "relu" ? "ConvexReLUTrainer trains two layers of any data" : "model.fit() trains the others";
  throw new ConvexError(
    "data/shape",
    `trainClosedForm: no closed form fits. ${said.join(". ")}. Change the data or the model; ${way}.`,
  );
}

function refuseSizes(): never {
  throw new ConvexError(
    "data/nonFinite",
    "trainClosedForm: expected numbers whose squares are finite, got an objective that is none. Scale the columns of x and y.",
  );
}

function rounded({ kernel, bias }: LayerWeights): LayerWeights {
  return { kernel: { ...kernel, data: kernel.data.map(Math.fround) }, bias: bias?.map(Math.fround) ?? null };
}

function objectiveOf(
  { X, Y, loss, charges }: DeepProblem,
  layers: readonly LayerWeights[],
  between: DeepLayers["between"],
  gamma: number | null,
): Objective {
  const kernels = layers.map(({ kernel }) => kernel);
  const bias = layers[layers.length - 1].bias ?? new Float64Array(Y.cols);
  const value = loss.value(deepOutputs(X, kernels, bias, between));
  const charge = gamma === null ? decayOfLayers(kernels, charges) : schattenCharge(X, kernels, gamma);
  return { loss: value, regularization: charge, total: value + charge };
}

function certificateOf({ gap, among }: DeepSolution, network: number): ClosedFormCertificate {
  return {
    ...{ primal: gap.primal, dual: gap.dual, relativeGap: gap.relative, network },
    claim: `No network of ${among} has an objective below ${gap.dual.toPrecision(8)}; this one has ${network.toPrecision(8)}.`,
  };
}
