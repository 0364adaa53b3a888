/**
 * Where a descent of all layers begins on columns that come in units of their own: at the weights that the model has, or at the same
 * numbers read as weights for standardised columns, whichever leads lower in some steps.
 *
 * First weights are drawn for columns of mean 0 and variance 1 (Glorot and Bengio 2010; LeCun, Bottou, Orr and Mueller 1998, section
 * 4.3): a year or a price beside them saturates every unit. Batch normalisation that nobody has trained has the statistics of no data.
 */

import * as tf from "@tensorflow/tfjs";
import { largestOf } from "../../convex/linear/vectors.js";
import { ROUNDING } from "../../convex/operators/axes/index.js";
import type { Clock } from "../../convex/solvers/clock.js";
import { weightsBefore } from "../write/weights.js";
import type { Columns } from "./coordinates/index.js";
import { descendWhole } from "./descents/index.js";
import type { WholeObjective } from "./objective.js";
import { type ChosenRows, rowsOf, rowsOfEach, type Tensors } from "./rows.js";

/** Columns are far from standard where their root mean square or their mean over their deviation is this, or the first its inverse. */
const FAR = 8;
/** Rows by which columns are judged, and those that are looked at between turns of the host: of tables, and of what has places. */
const ROWS = { table: { most: 4096, together: 1024 }, places: { most: 256, together: 16 } } as const;
/** Of the time that there is: what looking at columns may take, and each of both beginnings. */
const SHARE = 0.05;

/** What was done to a model before its descent. */
export interface StandardStart {
  /** Layers whose first weights were read as those for standardised columns. */
  readonly read: readonly string[];
  /** Layers of batch normalisation that had statistics of no data, and took those of the rows. */
  readonly normalized: readonly string[];
}

const AS_IT_WAS: StandardStart = { read: [], normalized: [] };

/** Lowers the model by some steps from the better beginning; `objective` has the columns of layers far from standard from then on. */
export async function standardStart(
  model: tf.LayersModel,
  x: Tensors,
  { rows }: Pick<ChosenRows, "rows">,
  objective: WholeObjective,
  clock: Clock,
): Promise<StandardStart> {
  const toOwn = await weightsBefore(model);
  const columns: Columns[] = [];
  const normalized: string[] = [];
  const read: string[] = [];
  const looking = clock.part(SHARE);
  for (const layer of model.layers) {
    if (await looking.pause()) break;
    if (await isUntrained(layer)) {
      const seen = await columnsBefore(model, layer, x, rows, looking);
      if (seen === null) continue;
      normalized.push(layer.name);
      take(layer, seen);
    } else if (hasKernel(layer)) {
      const seen = await columnsBefore(model, layer, x, rows, looking);
      if (seen === null || !isFar(seen)) continue;
      read.push(layer.name);
      columns.push(objective.columnsOf(layer.weights, seen.mean, seen.scale));
      await readAsStandard(layer, seen);
    }
  }
  if (read.length + normalized.length === 0) return AS_IT_WAS;
  objective.see(columns);
  const nobody = async () => false;
  const descended = async () => {
    await objective.value(); // reads moving statistics anew
    return (await descendWhole(objective, 1, clock.part(SHARE), nobody)).value;
  };
  const standard = await descended();
  const toStandard = await weightsBefore(model);
  toOwn();
  const own = await descended();
  if (own <= standard || Number.isNaN(standard)) return AS_IT_WAS;
  toStandard();
  await objective.value();
  return { read, normalized };
}

/** Of the columns that a layer sees, in float64. */
interface Seen {
  readonly mean: Float64Array;
  readonly deviation: Float64Array;
  /** The deviation, or 1 where that is the rounding of the mean. */
  readonly scale: Float64Array;
}

/** Batch normalisation that is trained, and has the statistics that it was made with. */
async function isUntrained(layer: tf.layers.Layer): Promise<boolean> {
  if (layer.getClassName() !== "BatchNormalization" || layer.trainableWeights.length === 0) return false;
  const [mean, variance] = layer.getWeights().slice(-2);
  return (await mean.data()).every((value) => value === 0) && (await variance.data()).every((value) => value === 1);
}

const KERNELS: readonly string[] = ["Dense", "Conv1D", "Conv2D"];

/** A layer whose kernel has its inputs in the last place but one, without constraints, used once. */
function hasKernel(layer: tf.layers.Layer): boolean {
  const { kernelConstraint, biasConstraint } = layer.getConfig();
  const free = (kernelConstraint ?? biasConstraint ?? null) === null;
  return (
    free &&
    KERNELS.includes(layer.getClassName()) &&
    layer.trainableWeights.length > 0 &&
    layer.inboundNodes.length === 1
  );
}

/** Null where a layer sees more than one tensor, or the time is up before it has seen any rows. */
async function columnsBefore(
  model: tf.LayersModel,
  layer: tf.layers.Layer,
  x: Tensors,
  rows: Float64Array,
  looking: Clock,
): Promise<Seen | null> {
  if (layer.inboundNodes.length !== 1 || Array.isArray(layer.input)) return null;
  const given = [x].flat() as readonly tf.Tensor[];
  const { most, together } = given.some(({ rank }) => rank > 2) ? ROWS.places : ROWS.table;
  const some = rows.filter(
    (_, k) => Math.floor((k * most) / rows.length) !== Math.floor(((k - 1) * most) / rows.length),
  );
  const own = model.inputs.indexOf(layer.input);
  const inner = own >= 0 ? null : tf.model({ inputs: model.inputs, outputs: layer.input });
  const parts: Features[] = [];
  for (let from = 0; from < some.length && !(await looking.pause()); from += together) {
    const features = tf.tidy(() => {
      const chosen = some.subarray(from, from + together);
      if (inner === null) return rowsOf(given[own], chosen);
      return inner.predict(rowsOfEach(given, chosen), { batchSize: together }) as tf.Tensor;
    });
    try {
      parts.push({ values: await features.data(), ...columnsAmong(features.shape, axisOf(layer, features.rank)) });
    } finally {
      features.dispose();
    }
  }
  return parts.length === 0 ? null : momentsOf(parts);
}

/** Where a layer has the columns that its weights are of. */
function axisOf(layer: tf.layers.Layer, rank: number): number {
  const { axis, dataFormat } = layer.getConfig();
  if (typeof axis === "number") return axis < 0 ? axis + rank : axis;
  return dataFormat === "channelsFirst" ? 1 : rank - 1;
}

/** Numbers of some rows: `width` columns, each `inner` in a row. */
interface Features {
  readonly values: ArrayLike<number>;
  readonly width: number;
  readonly inner: number;
}

function columnsAmong(shape: readonly number[], axis: number): Pick<Features, "width" | "inner"> {
  return { width: shape[axis], inner: shape.slice(axis + 1).reduce((all, size) => all * size, 1) };
}

function momentsOf(parts: readonly Features[]): Seen {
  const { width } = parts[0];
  const count = parts.reduce((all, { values }) => all + values.length, 0) / width;
  const mean = new Float64Array(width);
  const square = new Float64Array(width);
  const each = (use: (value: number, p: number) => void) => {
    for (const { values, inner } of parts) {
      for (let k = 0; k < values.length; k++) use(values[k], Math.floor(k / inner) % width);
    }
  };
  each((value, p) => {
    mean[p] += value / count;
  });
  each((value, p) => {
    square[p] += (value - mean[p]) ** 2 / count;
  });
  const deviation = square.map(Math.sqrt);
  return { mean, deviation, scale: deviation.map((s, p) => (s > ROUNDING * Math.abs(mean[p]) ? s : 1)) };
}

function isFar({ mean, deviation, scale }: Seen): boolean {
  const sizes = deviation.map((s, p) => Math.sqrt(s * s + mean[p] ** 2));
  const largest = largestOf(sizes);
  const offset = mean.some((value, p) => Math.abs(value) > FAR * scale[p]);
  return largest > 0 && Number.isFinite(largest) && (largest > FAR || largest < 1 / FAR || offset);
}

/** Moving statistics := those of the rows. */
function take(layer: tf.layers.Layer, { mean, deviation }: Seen): void {
  tf.tidy(() => {
    const kept = layer.getWeights().slice(0, -2);
    layer.setWeights([
      ...kept,
      tf.tensor1d(Float32Array.from(mean)),
      tf.tensor1d(Float32Array.from(deviation, (s) => s * s)),
    ]);
  });
}

/** W := W / scale, b := b - mean' W: what the layer did to standardised columns it does to these. */
async function readAsStandard(layer: tf.layers.Layer, { mean, scale }: Seen): Promise<void> {
  const [kernel, bias] = layer.getWeights();
  const W = (await kernel.data()).slice() as Float32Array;
  const units = kernel.shape[kernel.rank - 1] ?? 1;
  const b = bias === undefined ? null : Float64Array.from(await bias.data());
  for (let at = 0; at < W.length; at++) {
    const p = Math.floor(at / units) % mean.length;
    W[at] /= scale[p];
    if (b !== null) b[at % units] -= mean[p] * W[at];
  }
  tf.tidy(() => {
    const moved = b === null ? [] : [tf.tensor1d(Float32Array.from(b))];
    layer.setWeights([tf.tensor(W, kernel.shape), ...moved]);
  });
}
