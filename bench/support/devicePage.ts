/** What the page of `bench/engines.ts` runs. */

import "@tensorflow/tfjs-backend-webgpu";
import { densePeak, iterationRate } from "./deviceRates.js";

Object.assign(globalThis, { densePeak, iterationRate });
