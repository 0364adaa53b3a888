/** A tf.data.Dataset -> two tensors of all its rows. */

import * as tf from "@tensorflow/tfjs";
import { refuseAs } from "../../arguments.js";
import { describe } from "./layers/layer.js";
import { MOST_BYTES } from "./trunk.js";

/** How far the gathering has come. */
export interface Gathered {
  readonly batches: number;
  readonly rows: number;
  readonly bytes: number; // of x and y as float32
}

/** How a data set is gathered. */
export interface Gathering {
  /** Batches to take; default all. */
  readonly batches?: number | undefined;
  readonly onBatch?: ((progress: Gathered) => unknown) | undefined;
}

/** What a batch is: as model.fitDataset wants it. */
export type Batches = tf.data.Dataset<tf.TensorContainer>;

interface Part {
  readonly shape: readonly number[]; // of a row
  readonly dtype: tf.DataType;
  readonly chunks: ArrayLike<number>[];
}

const HOW = "dataset.map(({ xs, ys }) => ({ xs: Object.values(xs), ys: Object.values(ys) })).batch(32)";

/**
 * Gathers batches { xs, ys } into x and y; the caller disposes them.
 *
 * @throws ConvexError "data/shape" for what is no batch of rows, "data/size" with the bytes where they do not fit, "data/empty".
 */
export async function gathered(
  dataset: Batches,
  { batches: most, onBatch }: Gathering = {},
): Promise<{ x: tf.Tensor; y: tf.Tensor }> {
  refuseForeign(dataset);
  if (dataset.size === Number.POSITIVE_INFINITY && most === undefined) {
    refuseAs(
      "fitDataset",
      "batchesPerEpoch for a data set without end",
      "none",
      "Say how many batches are the data.",
      "data/size",
    );
  }
  const parts: { x: Part | null; y: Part | null } = { x: null, y: null };
  let [batches, rows, bytes] = [0, 0, 0];
  const iterator = await dataset.iterator();
  while (most === undefined || batches < most) {
    const { value, done } = await iterator.next();
    if (done) break;
    try {
      const [xs, ys] = [tensorIn("xs", value), tensorIn("ys", value)];
      if (xs.shape[0] !== ys.shape[0]) {
        refuseAs(
          "fitDataset",
          `as many rows of ys as of xs, ${xs.shape[0]}`,
          `${ys.shape[0]} in batch ${batches}`,
          "Check the map.",
          "data/shape",
        );
      }
      bytes += 4 * (xs.size + ys.size);
      refuseLarge(batches === 0 && dataset.size > 0 ? bytes * Math.min(dataset.size, most ?? dataset.size) : bytes);
      parts.x = await added(parts.x, "xs", xs, batches);
      parts.y = await added(parts.y, "ys", ys, batches);
      rows += xs.shape[0];
    } finally {
      tf.dispose(value);
    }
    batches += 1;
    onBatch?.({ batches, rows, bytes });
  }
  if (parts.x === null || parts.y === null) {
    return refuseAs("fitDataset", "batches in the data set", "none", "Check how the data were loaded.", "data/empty");
  }
  return { x: whole(parts.x, rows), y: whole(parts.y, rows) };
}

function refuseForeign(dataset: unknown): void {
  if (typeof (dataset as Batches | null)?.iterator === "function") return;
  refuseAs("fitDataset", "a tf.data.Dataset", describe(dataset), "Use fit for tensors.", "data/shape");
}

/** The one tensor of a batch under a name, itself or in a record or array of one. */
function tensorIn(name: "xs" | "ys", value: unknown): tf.Tensor {
  let found: unknown = (value as Record<string, unknown> | null)?.[name];
  if (!(found instanceof tf.Tensor) && typeof found === "object" && found !== null) {
    const inner = Object.values(found);
    if (inner.length === 1) found = inner[0];
  }
  if (found instanceof tf.Tensor && found.rank > 0) return found;
  const came = found instanceof tf.Tensor ? "a scalar" : describe(found);
  return refuseAs(
    "fitDataset",
    `batches { xs, ys } of tensors [rows, ...]`,
    `${came} as ${name}`,
    `Try ${HOW}.`,
    "data/shape",
  );
}

async function added(part: Part | null, name: string, tensor: tf.Tensor, batch: number): Promise<Part> {
  const shape = tensor.shape.slice(1);
  const to: Part = part ?? { shape, dtype: tensor.dtype, chunks: [] };
  if (String(shape) !== String(to.shape)) {
    const todo = "Let every row have the same shape.";
    refuseAs(
      "fitDataset",
      `${name} of rows [${to.shape.join(", ")}]`,
      `[${shape.join(", ")}] in batch ${batch}`,
      todo,
      "data/shape",
    );
  }
  to.chunks.push((await tensor.data()).slice() as ArrayLike<number>);
  return to;
}

function refuseLarge(bytes: number): void {
  if (bytes <= MOST_BYTES) return;
  refuseAs(
    "fitDataset",
    `a data set of at most ${MOST_BYTES} bytes, since convex training sees all rows at once`,
    `${bytes} bytes`,
    "Take fewer batches with batchesPerEpoch, or fewer features, or train by fitSharded: in Node fileRows of tfjs-convex/sharded writes them to files.",
    "data/size",
  );
}

function whole({ shape, dtype, chunks }: Part, rows: number): tf.Tensor {
  const width = shape.reduce((all, size) => all * size, 1);
  const integers = dtype === "int32" || dtype === "bool";
  const values = integers ? new Int32Array(rows * width) : new Float32Array(rows * width);
  let at = 0;
  for (const chunk of chunks) {
    values.set(chunk, at);
    at += chunk.length;
  }
  return tf.tensor(values, [rows, ...shape], integers ? "int32" : "float32");
}
