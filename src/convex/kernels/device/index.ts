/** What engines whose blocks live on a device have in common. */

export {
  type ConeSizes,
  type DeviceCones,
  type DeviceOuter,
  type DeviceSteps,
  outerArrays,
  scalesByOutput,
  sumOfPairs,
} from "./cones.js";
export { type BlockSizes, blockSizes, type DeviceBlocks, gramOnRight, gramOrder, stepSums } from "./iterate.js";
export { deviceKernels, type OpenDevice } from "./kernels.js";
export { type PatchImages, patchImages } from "./patchImages.js";
export { glsl, levelSource, pullSource, wgsl } from "./pulls.js";
