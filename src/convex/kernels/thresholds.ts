/** Devices that were measured against the host, by `npm run bench:thresholds`, which writes this table (bench/results/thresholds.md). */

import type { EngineName } from "./types.js";

/** Multiplications of one product, n d P C, from which on an iteration took less there than on the host; null: at no size that was tried. */
export interface MeasuredDevice {
  readonly engine: EngineName;
  readonly device: string; // part of what it calls itself
  readonly gated: number | null;
  readonly cones: number | null;
}

export const measured: readonly MeasuredDevice[] = [
  { engine: "webgpu", device: "SwiftShader", gated: null, cones: null },
  { engine: "webgl", device: "SwiftShader", gated: null, cones: null },
];
