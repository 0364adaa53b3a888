/** Stands for gpujs.ts in the file of the script tag, which leaves its engine out to be small. */

import type { OpenDevice } from "../device/index.js";

export const openGpujs: OpenDevice = async () => {
  throw new Error("the file for <script> tags leaves it out; import the package as a module");
};
