/** The layers of this library, and their registration with tfjs. */

import * as tf from "@tensorflow/tfjs";
import { GatedDense } from "./gatedDense.js";

export { GatedDense, type GatedDenseArgs, gatedDense } from "./gatedDense.js";

/** Makes the layers known to `tf.loadLayersModel`. Importing the library registers nothing; calling this twice is harmless. */
export function registerLayers(): void {
  tf.serialization.registerClass(GatedDense);
}
