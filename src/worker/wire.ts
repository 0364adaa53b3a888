/** Tensors and models as messages, and back. */

import * as tf from "@tensorflow/tfjs";
import { ConvexError } from "../errors.js";
import { livingTensor } from "../optimizers/read/data.js";
import { givenLosses, givenMetrics } from "../optimizers/read/loss.js";
import type { FunctionMessage, ModelMessage, TensorMessage } from "./protocol.js";

/** A copy of a tensor's values, to be transferred. Throws ConvexError "data/shape" or "data/disposed". */
export async function tensorMessage(name: string, given: tf.Tensor): Promise<TensorMessage> {
  const tensor = livingTensor(name, given);
  const values = (await tensor.data()).slice() as TensorMessage["values"];
  return { shape: tensor.shape, dtype: tensor.dtype as TensorMessage["dtype"], values };
}

/** The caller disposes. */
export function tensorOf({ values, shape, dtype }: TensorMessage): tf.Tensor {
  return tf.tensor(values, [...shape], dtype);
}

export async function modelMessage(model: tf.LayersModel): Promise<ModelMessage> {
  const losses = givenLosses(model).map((loss) => functionMessage("loss", loss));
  let topology: object = {};
  let weightSpecs: object[] = [];
  let weightData = new ArrayBuffer(0);
  await model.save(
    tf.io.withSaveHandler(async (artifacts) => {
      topology = artifacts.modelTopology as object;
      weightSpecs = artifacts.weightSpecs ?? [];
      weightData = tf.io.CompositeArrayBuffer.join(artifacts.weightData);
      return { modelArtifactsInfo: { dateSaved: new Date(), modelTopologyType: "JSON" } };
    }),
  );
  return {
    topology,
    weightSpecs,
    weightData,
    loss: losses.length === 1 ? losses[0] : losses,
    metrics: givenMetrics(model).map((metric) => functionMessage("metrics", metric)),
  };
}

/** The same model, compiled. The caller disposes it, which disposes its optimizer. */
export async function modelOf(message: ModelMessage, optimizer = "sgd"): Promise<tf.Sequential> {
  const { topology, weightSpecs, weightData, loss, metrics } = message;
  const artifacts = {
    modelTopology: topology,
    weightSpecs: weightSpecs as tf.io.WeightsManifestEntry[],
    weightData,
  };
  const model = (await tf.loadLayersModel(tf.io.fromMemory(artifacts))) as tf.Sequential;
  model.compile({
    optimizer,
    loss: typeof loss === "object" && !("from" in loss) ? loss.map(functionOf) : functionOf(loss),
    ...(metrics.length === 0 ? {} : { metrics: metrics.map(functionOf) }),
  });
  return model;
}

/** Throws ConvexError "worker/transfer" for a function that is not one of tfjs's own. */
function functionMessage(what: string, given: unknown): FunctionMessage {
  if (typeof given === "string") return given;
  for (const [name, known] of Object.entries(tf.losses)) if (known === given) return { from: "losses", name };
  for (const [name, known] of Object.entries(tf.metrics)) if (known === given) return { from: "metrics", name };
  const came = typeof given === "function" ? `the function ${given.name || "without a name"}` : String(given);
  throw new ConvexError(
    "worker/transfer",
    `WorkerTrainer: expected ${what} by name, or as functions of tf.losses and tf.metrics, got ${came}. ` +
      `A function can't be sent to a worker: compile the model with names, or use ConvexReLUTrainer.`,
  );
}

function functionOf(message: FunctionMessage): string {
  if (typeof message === "string") return message;
  const functions: object = message.from === "losses" ? tf.losses : tf.metrics;
  return (functions as Record<string, string>)[message.name];
}

/** The buffers of a message that are to be transferred. */
export function buffersOf(messages: readonly (TensorMessage | ModelMessage | null)[]): ArrayBuffer[] {
  return messages.flatMap((message) => {
    if (message === null) return [];
    return [("values" in message ? message.values.buffer : message.weightData) as ArrayBuffer];
  });
}
