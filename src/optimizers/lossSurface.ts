/** The objective on a plane through a model's weights: the picture that papers draw of a network's loss. */

import type * as tf from "@tensorflow/tfjs";
import { count, positive, refuse, refuseUnknown } from "../arguments.js";
import { gaussianSource } from "../convex/linear/random.js";
import { bindLoss } from "../convex/losses/index.js";
import { type NetworkWeights, objectiveOf } from "../convex/network.js";
import type { Matrix } from "../convex/types.js";
import { readOptions } from "./options.js";
import { biasColumnOf, modelObjective } from "./pose/regularization.js";
import { readData } from "./read/data.js";
import { frozenCharge } from "./read/frozenCharge.js";
import { inputRows } from "./read/inputRows.js";
import { readModel } from "./read/model.js";
import type { Weighting } from "./read/sampleWeights.js";
import { trunkOf } from "./read/trunk.js";
import { readWeights, unsharedBias } from "./read/weights.js";

export interface LossSurfaceOptions extends Weighting {
  /** Steps go from -span to span; 1 is as far as the weights are long. Default 1. */
  readonly span?: number;
  /** Steps a side, an odd number, so that the model itself is one; default 41, at most 1001. */
  readonly resolution?: number;
  /** Seed of the two directions; default 0. */
  readonly seed?: number;
  /** Beta of a model without regularizers: beta / 2 on both kernels; default 0. */
  readonly regularization?: number;
}

export interface LossSurface {
  readonly steps: Float64Array; // [k], 0 in the middle
  /** The objective: row i, column j is steps[j] along the first direction and steps[i] along the second. */
  readonly values: Float64Array; // [k x k]
  /** At the model itself, the middle. */
  readonly objective: number;
}

/** A million points: more than a screen has. */
const MOST_RESOLUTION = 1001;
const NAMES = ["span", "resolution", "seed", "regularization", "sampleWeight", "classWeight"];
/** The host gets a turn this often. */
const BREATH_MILLISECONDS = 30;

/**
 * Evaluates the objective (loss and l2 regularizers, in float64) of a compiled two-layer model on a plane around its weights.
 *
 * The directions are Gaussian, each neuron's part scaled to the length of its weights ("filter normalization"; Li, Xu, Taylor,
 * Studer and Goldstein 2018, section 4), so that scaling a neuron changes nothing; neurons that are zero stay zero. Gates of
 * gated layers stay as they are. Zhang, Shao and Salakhutdinov 2019 draw such planes for growing numbers of branches.
 *
 * @throws ConvexError for a model, data or option that does not fit.
 *
 * @example
 * ```ts
 * const { steps, values, objective } = await lossSurface(model, x, y, { span: 0.5, resolution: 21 });
 * ```
 */
export async function lossSurface(
  model: tf.LayersModel,
  x: tf.Tensor,
  y: tf.Tensor,
  options: LossSurfaceOptions = {},
): Promise<LossSurface> {
  refuseUnknown("lossSurface", options, NAMES);
  const { span = 1, resolution = 41, seed = 0, regularization, sampleWeight = null, classWeight = null } = options;
  if (regularization !== undefined && typeof regularization !== "number")
    refuse("lossSurface: regularization", "a finite number above 0, which a plane has to be drawn for", regularization);
  const settings = readOptions({ seed, ...(regularization === undefined ? {} : { regularization }) });
  positive("lossSurface: span", span);
  count("lossSurface: resolution", resolution, MOST_RESOLUTION, 3);
  if (resolution % 2 === 0) refuse("lossSurface: resolution", "an odd integer", resolution);
  const spec = readModel(model, null, "read");
  const data = await readData(await trunkOf(model, "read").see("x", x), y, spec, { sampleWeight, classWeight });
  const column = biasColumnOf(spec, settings, inputRows(spec, data.x, 0));
  const X = inputRows(spec, data.x, column.value);
  const loss = bindLoss(spec.loss, data.y, data.weights);
  const { hidden, output, outputBias } = spec.l2;
  const half = hidden > 0 || output > 0 ? 0 : (regularization ?? 0) / 2;
  const decay = { hidden: hidden + half, output: output + half, outputBias, skip: spec.skip?.l2 ?? 0 };
  // Along the plane both biases of a model with a linear layer beside move by their parts of the sum.
  const constant = (await frozenCharge(model, "read")) + (await unsharedBias(model, spec));
  const center = await readWeights(model, spec, column.value);
  const draw = gaussianSource(seed);
  const along = [direction(center, draw), direction(center, draw)] as const;
  const steps = Float64Array.from({ length: resolution }, (_, k) => span * ((2 * k) / (resolution - 1) - 1));
  const values = new Float64Array(resolution * resolution);
  const point = copy(center);
  let breath = performance.now();
  for (let k = 0; k < values.length; k++) {
    move(point, center, along, steps[k % resolution], steps[Math.floor(k / resolution)]);
    values[k] = modelObjective(
      objectiveOf(point, X, loss, decay),
      point.kernel,
      decay.hidden,
      column.charged,
      constant,
    ).total;
    if (performance.now() - breath < BREATH_MILLISECONDS) continue;
    await new Promise((resolve) => setTimeout(resolve, 0));
    breath = performance.now();
  }
  return { steps, values, objective: values[(values.length - 1) / 2] };
}

/** A Gaussian direction whose part of every neuron is as long as the neuron's weights. */
function direction(
  { kernel, output, bias }: NetworkWeights,
  draw: () => number,
): Pick<NetworkWeights, "kernel" | "output" | "bias"> {
  const random = (values: Float64Array) => values.map(draw);
  const w: Matrix = { ...kernel, data: random(kernel.data) };
  const a: Matrix = { ...output, data: random(output.data) };
  for (let j = 0; j < kernel.cols; j++) {
    rescale(w.data, kernel.data, j, kernel.cols, kernel.rows);
    rescale(a.data, output.data, j * output.cols, 1, output.cols);
  }
  const c = random(bias);
  rescale(c, bias, 0, 1, bias.length);
  return { kernel: w, output: a, bias: c };
}

/** Gives `count` entries, from `first` on in steps of `stride`, the length that they have in `like`. */
function rescale(values: Float64Array, like: Float64Array, first: number, stride: number, count: number): void {
  let own = 0;
  let wanted = 0;
  for (let k = 0; k < count; k++) {
    own += values[first + k * stride] ** 2;
    wanted += like[first + k * stride] ** 2;
  }
  const scale = own > 0 ? Math.sqrt(wanted / own) : 0;
  for (let k = 0; k < count; k++) values[first + k * stride] *= scale;
}

function copy(weights: NetworkWeights): NetworkWeights {
  const { kernel, output, bias } = weights;
  return {
    ...weights,
    kernel: { ...kernel, data: kernel.data.slice() },
    output: { ...output, data: output.data.slice() },
    bias: bias.slice(),
  };
}

/** point := center + s first + t second. */
function move(
  point: NetworkWeights,
  center: NetworkWeights,
  [first, second]: readonly [ReturnType<typeof direction>, ReturnType<typeof direction>],
  s: number,
  t: number,
): void {
  const add = (out: Float64Array, from: Float64Array, a: Float64Array, b: Float64Array) => {
    for (let k = 0; k < out.length; k++) out[k] = from[k] + s * a[k] + t * b[k];
  };
  add(point.kernel.data, center.kernel.data, first.kernel.data, second.kernel.data);
  add(point.output.data, center.output.data, first.output.data, second.output.data);
  add(point.bias, center.bias, first.bias, second.bias);
}
