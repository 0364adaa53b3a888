/** What the pages of `bench/engines.ts` and `bench/gpu.ts` run. */

import "@tensorflow/tfjs-backend-webgpu";
import { densePeak, iterationRate } from "./deviceRates.js";
import { gapTimes } from "./gapTimes.js";

Object.assign(globalThis, { densePeak, iterationRate, gapTimes });
