/** What comes before the head, computed once a sample: x as the head sees it. */

import * as tf from "@tensorflow/tfjs";
import { counted } from "../../arguments.js";
import type { Matrix } from "../../convex/types.js";
import { ConvexError } from "../../errors.js";
import { anatomyOf, type Cut } from "./anatomy.js";
import { refuseNonFiniteRows, refuseTensor } from "./data.js";
import { refuseUnlisted } from "./layers/embedding.js";
import { named, refuseModel } from "./layers/layer.js";
import { type Features, hostFeatures, recurrentLayersOf } from "./tape/index.js";
import { refuseNonFiniteWeights } from "./weights.js";

/** Rows that go through layers together, and of images on the backend of plain JavaScript, which gains nothing by more. */
const BATCH = 128;
const FEW_IMAGES = 16;
/** The host gets a turn this often. */
const BREATH_MILLISECONDS = 30;
/** Features of all rows, in bytes as float64: what comes after them needs as much again, and a page has 4 GB. */
export const MOST_BYTES = 2 ** 31;

/** x as it is, where the head sees it so, or what the trunk makes of it. */
export type Seen = tf.Tensor | Matrix;

/** What looks at x in the head's place. */
export interface Trunk {
  /** Null where the head sees x as it is. */
  readonly note: string | null;
  readonly shape: readonly (number | null)[]; // of a sample as the head sees it
  see(name: string, x: tf.Tensor): Promise<Seen>;
}

/**
 * The trunk of a model. It is evaluated in batches, by `predict` in the float32 of tfjs, or, where layers go through times and the host
 * has them all, in float64: without a device tfjs takes many times as long for an operation a time. Its layers stay as they are.
 *
 * @throws ConvexError "model/layer" for a layer with a state, which rows that come before would change; as `see`, "model/weights" for
 * weights that are no finite numbers, or whose outputs are none on finite rows.
 */
export function trunkOf(model: tf.LayersModel, use: "write" | "read" = "write", cut: Cut = "hidden"): Trunk {
  const anatomy = anatomyOf(model, use, cut);
  if (anatomy.trunk.length === 0) return { note: null, shape: anatomy.headShape, see: async (_, x) => x };
  const stages = anatomy.trunk.map(({ inputs, output }) => tf.model({ inputs, outputs: output }));
  for (const stage of stages) for (const layer of stage.layers) refuseState(layer);
  const features = product(anatomy.headShape);
  const recurrent = stages.some((stage) => recurrentLayersOf(stage).length > 0);
  return {
    note: noteOf(stages, features),
    shape: anatomy.headShape,
    async see(name, x) {
      refuseTensor(name, x, anatomy.inputShape, "the model's input");
      await refuseUnlisted(name, x, model);
      for (const stage of stages) await refuseNonFiniteWeights(stage);
      refuseSize(x.shape[0], features);
      const host = recurrent ? await hostFeatures(anatomy.trunk, x) : null;
      const seen = await evaluated(x.shape[0], features, host ?? byLayers(x, stages));
      await refuseOverflow(name, x, seen, anatomy.trunk[anatomy.trunk.length - 1].output.sourceLayer);
      return seen;
    },
  };
}

function refuseSize(rows: number, features: number): void {
  const bytes = 8 * rows * features;
  if (bytes <= MOST_BYTES) return;
  throw new ConvexError(
    "data/size",
    `fit: expected features of at most ${MOST_BYTES} bytes after the layers that are frozen, got ${rows} rows of ${features}, ` +
      `${bytes} bytes. Give fewer rows, or pool before the hidden layer.`,
  );
}

async function evaluated(rows: number, features: number, { together, of }: Features): Promise<Matrix> {
  const data = new Float64Array(rows * features);
  let breath = performance.now();
  for (let from = 0; from < rows; from += together) {
    data.set(await of(from, Math.min(together, rows - from)), from * features);
    if (performance.now() - breath < BREATH_MILLISECONDS) continue;
    await new Promise((resolve) => setTimeout(resolve, 0));
    breath = performance.now();
  }
  return { rows, cols: features, data };
}

function byLayers(x: tf.Tensor, stages: readonly tf.LayersModel[]): Features {
  return {
    together: rowsTogether(x),
    async of(from, count) {
      const batch = tf.tidy(() => {
        const first: tf.Tensor = tf.slice(x, from, count);
        return stages.reduce((tensor, stage) => stage.predict(tensor, { batchSize: count }) as tf.Tensor, first);
      });
      try {
        return await batch.data();
      } finally {
        batch.dispose();
      }
    },
  };
}

/** How many rows of a tensor go through layers between turns of the host: at most so many. */
export function rowsTogether(x: tf.Tensor, most = BATCH): number {
  return x.rank > 2 && tf.getBackend() === "cpu" ? Math.min(most, FEW_IMAGES) : most;
}

/** Of features that are no finite numbers the rows are to blame, or the layers, whose weights are finite. */
async function refuseOverflow(
  name: string,
  x: tf.Tensor,
  { data, cols }: Matrix,
  last: tf.layers.Layer,
): Promise<void> {
  const at = data.findIndex((value) => !Number.isFinite(value));
  if (at < 0) return;
  await refuseNonFiniteRows(name, x);
  refuseModel(
    "model/weights",
    `finite features from the layers up to "${last.name}", whose weights are finite`,
    `${data[at]} of row ${Math.floor(at / cols)} of ${name}`,
    "Float32 overflows there: give these layers smaller weights, or scale the columns of x.",
  );
}

/** What was computed before, in a sentence; shapes alone need none. */
function noteOf(stages: readonly tf.LayersModel[], features: number): string | null {
  const layers = stages.flatMap((stage) => stage.layers);
  const working = layers.filter(
    (layer) => !["InputLayer", "Flatten", "Reshape", "Dropout"].includes(layer.getClassName()),
  );
  if (working.length === 0) return null;
  const [first, last] = [working[0], working[working.length - 1]].map(({ name }) => `"${name}"`);
  const which = first === last ? `Layer ${first}` : `Layers ${first} to ${last}`;
  return `${which} stayed as they are: what they make of a sample, ${counted(features, "feature")}, is the data of the program.`;
}

/** @throws ConvexError "model/layer". */
export function refuseState(layer: tf.layers.Layer): void {
  if (!layer.stateful) return;
  refuseModel(
    "model/layer",
    "layers whose output is of one sample alone",
    `${named(layer)}, which is stateful`,
    "Set stateful: false, or train this model with model.fit().",
  );
}

function product(shape: readonly (number | null)[]): number {
  return shape.reduce<number>((all, size) => all * (size ?? 1), 1);
}
