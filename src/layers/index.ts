/** The layers, the regularizer and the optimizer of this library, and their registration with tfjs. */

import * as tf from "@tensorflow/tfjs";
import { BranchPower } from "./branchPower.js";
import { ConvexLayer } from "./convexLayer.js";
import { GatedBranches } from "./gatedBranches.js";
import { GatedConv2D } from "./gatedConv2D.js";
import { GatedDense } from "./gatedDense.js";
import { OnesColumn } from "./onesColumn.js";
import { PairProducts } from "./pairProducts.js";
import { Patches } from "./patches.js";
import { PolynomialActivation } from "./polynomial.js";
import { ProximalAdam } from "./proximal/index.js";
import { Sign } from "./sign.js";

export { BranchPower, type BranchPowerArgs, branchPower } from "./branchPower.js";
export { ConvexLayer, type ConvexLayerArgs, convexLayer } from "./convexLayer.js";
export { type QuadraticTerms, quadraticProgram } from "./convexProgram.js";
export { GatedBranches, type GatedBranchesArgs, gatedBranches } from "./gatedBranches.js";
export { GatedConv2D, type GatedConv2DArgs, gatedConv2D } from "./gatedConv2D.js";
export { GatedDense, type GatedDenseArgs, gatedDense } from "./gatedDense.js";
export { OnesColumn, type OnesColumnArgs, onesColumn } from "./onesColumn.js";
export { PairProducts, type PairProductsArgs, pairProducts } from "./pairProducts.js";
export { Patches, type PatchesArgs, patches } from "./patches.js";
export { PolynomialActivation, type PolynomialArgs, polynomial } from "./polynomial.js";
export { ProximalAdam, type ProximalAdamArgs, proximalAdam } from "./proximal/index.js";
export { Sign, type SignArgs, signLayer } from "./sign.js";

/** Makes the layers, the regularizer and the optimizer known to `tf.loadLayersModel`. Importing the library registers nothing; calling this twice is harmless. */
export function registerLayers(): void {
  const plain = [GatedDense, GatedConv2D, GatedBranches, Patches, Sign, OnesColumn, PairProducts, ConvexLayer];
  for (const layer of plain) tf.serialization.registerClass(layer);
  for (const part of [PolynomialActivation, BranchPower, ProximalAdam]) {
    tf.serialization.registerClass(part as unknown as (typeof plain)[number]);
  }
}
