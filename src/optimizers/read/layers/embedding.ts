/** Tables of embeddings, whose rows a model looks up by the numbers of an input. */

import * as tf from "@tensorflow/tfjs";
import { refuseAs } from "../../../arguments.js";
import { named } from "./layer.js";

/** Layers that pass on all numbers that they are given, and no others. */
const PASSING: ReadonlySet<string> = new Set(["Flatten", "Reshape", "Permute", "RepeatVector", "Dropout"]);

/**
 * TensorFlow.js throws an error of its own there, and on a device reads what is no row.
 *
 * @throws ConvexError "data/embedding" naming layer, row and column of a number in an input that is no row of a table.
 */
export async function refuseUnlisted(name: string, x: tf.Tensor, model: tf.LayersModel, input = 0): Promise<void> {
  const tables = embeddingsOf(model, input);
  if (tables.length === 0) return;
  const values = await x.data();
  const columns = x.size / x.shape[0];
  for (const table of tables) {
    const { inputDim: rows } = table.getConfig() as { inputDim: number };
    const at = values.findIndex((value) => !(Math.trunc(value) >= 0 && value < rows));
    if (at < 0) continue;
    refuseAs(
      "readData",
      `numbers from 0 to ${rows - 1} in ${name}, the rows of ${named(table)}`,
      `${values[at]} in row ${Math.floor(at / columns)}, column ${at % columns}`,
      "Give the layer a larger inputDim, or number from 0.",
      "data/embedding",
    );
  }
}

/** The layers that look up what an input of a model holds as it is. */
function embeddingsOf(model: tf.LayersModel, input: number): tf.layers.Layer[] {
  const isFed = (tensor: tf.SymbolicTensor): boolean => {
    const { sourceLayer, nodeIndex } = tensor;
    if (tensor.id === model.inputs[input].id) return true;
    return PASSING.has(sourceLayer.getClassName()) && sourceLayer.inboundNodes[nodeIndex].inputTensors.every(isFed);
  };
  return model.layers.flatMap((layer) => {
    const fed = layer.inboundNodes.flatMap(({ inputTensors }) =>
      inputTensors.flatMap((each, k) => (isFed(each) ? [k] : [])),
    );
    if (layer instanceof tf.LayersModel) return fed.flatMap((k) => embeddingsOf(layer, k));
    const { layer: inner = layer } = layer as { layer?: tf.layers.Layer }; // of a layer at each time
    return inner.getClassName() === "Embedding" && fed.length > 0 ? [inner] : [];
  });
}
