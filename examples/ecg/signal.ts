/** A heartbeat to predict: a made electrocardiogram, and windows of any signal. */

import { gaussianSource } from "../../src/convex/linear/random.js";

/** The waves P, Q, R, S, T of a beat: place in the beat as an angle, height and width (McSharry et al. 2003, table I). */
const WAVES = [
  { at: -Math.PI / 3, height: 0.12, width: 0.25 },
  { at: -Math.PI / 12, height: -0.15, width: 0.1 },
  { at: 0, height: 1.2, width: 0.1 },
  { at: Math.PI / 12, height: -0.25, width: 0.1 },
  { at: Math.PI / 2, height: 0.3, width: 0.4 },
];
const RATE = 128; // samples a second
const NOISE = 0.01;

/** `length` samples in millivolts: Gaussian waves once a beat, beats of varying length, a wandering baseline, noise. */
export function madeSignal(length: number, seed: number): Float64Array {
  const draw = gaussianSource(seed);
  let angle = -Math.PI;
  let beat = 1;
  return Float64Array.from({ length }, (_, k) => {
    angle += (2 * Math.PI) / (RATE * beat);
    if (angle > Math.PI) {
      angle -= 2 * Math.PI;
      beat = 0.85 + 0.06 * draw(); // seconds
    }
    const waves = WAVES.reduce(
      (sum, { at, height, width }) => sum + height * Math.exp(-((angle - at) ** 2) / (2 * width ** 2)),
      0,
    );
    return waves + 0.05 * Math.sin((2 * Math.PI * 0.25 * k) / RATE) + NOISE * draw();
  });
}

/** Windows of a signal and the sample that follows each. */
export interface Windows {
  readonly x: Float32Array; // [rows x width]
  readonly y: Float32Array; // [rows]
  readonly rows: number;
  readonly width: number;
}

/** All windows of the samples from `from` to `to`. */
export function windowsOf(signal: Float64Array, width: number, from: number, to: number): Windows {
  const rows = to - from - width;
  const x = new Float32Array(rows * width);
  const y = new Float32Array(rows);
  for (let k = 0; k < rows; k++) {
    for (let p = 0; p < width; p++) x[k * width + p] = signal[from + k + p];
    y[k] = signal[from + k + width];
  }
  return { x, y, rows, width };
}
