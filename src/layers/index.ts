/** The layers of this library, and their registration with tfjs. */

import * as tf from "@tensorflow/tfjs";
import { GatedConv2D } from "./gatedConv2D.js";
import { GatedDense } from "./gatedDense.js";
import { Patches } from "./patches.js";
import { Sign } from "./sign.js";

export { GatedConv2D, type GatedConv2DArgs, gatedConv2D } from "./gatedConv2D.js";
export { GatedDense, type GatedDenseArgs, gatedDense } from "./gatedDense.js";
export { Patches, type PatchesArgs, patches } from "./patches.js";
export { Sign, type SignArgs, signLayer } from "./sign.js";

/** Makes the layers known to `tf.loadLayersModel`. Importing the library registers nothing; calling this twice is harmless. */
export function registerLayers(): void {
  for (const layer of [GatedDense, GatedConv2D, Patches, Sign]) tf.serialization.registerClass(layer);
}
