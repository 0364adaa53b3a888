/** What the pages of `bench/engines.ts`, `bench/thresholds.ts` and `bench/gpu.ts` run. */

import "@tensorflow/tfjs-backend-webgpu";
import { densePeak, iterationRate } from "./deviceRates.js";
import { runTask } from "./gpu/tasks.js";

Object.assign(globalThis, { densePeak, iterationRate, runTask });
