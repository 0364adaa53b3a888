/**
 * Programs as large as a GPU asks for, made in seconds: entries are uniform, of variance 1, and each gate looks at a few features that
 * follow one another, since Gaussian entries and gates over all features would take minutes at 50,000 x 3,072.
 */

import { xoroshiro128plus } from "pure-rand/generator/xoroshiro128plus";
import type { Kernels } from "../../../src/convex/kernels/types.js";
import { wordsPerGate } from "../../../src/convex/linear/bits.js";
import { gaussianSource } from "../../../src/convex/linear/random.js";
import { bindLoss } from "../../../src/convex/losses/index.js";
import { perOutput } from "../../../src/convex/penalties/perOutput.js";
import type { ConvexProgram, GateSet, Matrix } from "../../../src/convex/types.js";

export interface GapProblem {
  readonly rows: number;
  readonly features: number;
  readonly gates: number;
  readonly outputs: number; // more than one: classes, one-hot, with softmax
  readonly cones: boolean;
}

/** Neurons an output of the network that makes the targets. */
const TEACHERS = 10;
/** Features that a gate looks at. */
const SEEN = 16;
const NOISE = 0.1;

/** Uniform rows with a column of ones, and targets of a network of ten neurons an output. */
export function problemOf({ rows, features, gates, outputs, cones }: GapProblem, kernels: Kernels): ConvexProgram {
  const X = uniformRows(rows, features);
  const Y = targetsOf(X, outputs, kernels);
  const loss = bindLoss(outputs === 1 ? "meanSquaredError" : "categoricalCrossentropy", Y);
  return { X, gates: windowGates(X, gates), loss, penalty: perOutput, beta: 1, outputBias: null, cones };
}

function uniformRows(n: number, d: number): Matrix {
  const generator = xoroshiro128plus(1);
  const unit = Math.sqrt(3) / 2 ** 31;
  const data = new Float64Array(n * d);
  for (let k = 0; k < data.length; k++) data[k] = unit * generator.next();
  for (let k = d - 1; k < data.length; k += d) data[k] = 1;
  return { rows: n, cols: d, data };
}

/** Values of the network, with noise, or of several outputs the largest as a class. */
function targetsOf(X: Matrix, C: number, kernels: Kernels): Matrix {
  const { rows: n, cols: d, data } = X;
  const draw = gaussianSource(2);
  const m = TEACHERS * C;
  const W = Float64Array.from({ length: m * d }, () => draw() / Math.sqrt(d));
  const H = new Float64Array(n * m);
  kernels.multiplyTransposed(data, W, H, n, d, m);
  const Y: Matrix = { rows: n, cols: C, data: new Float64Array(n * C) };
  for (let j = 0; j < n; j++) {
    const row = Y.data.subarray(j * C, (j + 1) * C);
    for (let k = 0; k < m; k++) row[k % C] += (Math.floor(k / C) % 2 === 0 ? 1 : -1) * Math.max(0, H[j * m + k]);
    for (let c = 0; c < C; c++) row[c] += NOISE * draw();
    if (C === 1) continue;
    const best = row.indexOf(Math.max(...row));
    row.fill(0);
    row[best] = 1;
  }
  return Y;
}

function windowGates({ rows: n, cols: d, data }: Matrix, count: number): GateSet {
  const draw = gaussianSource(3);
  const place = xoroshiro128plus(4);
  const wide = Math.min(SEEN, d);
  const words = wordsPerGate(n);
  const generators: Matrix = { rows: count, cols: d, data: new Float64Array(count * d) };
  const bits = new Uint32Array(count * words);
  const windows = Float64Array.from({ length: count * wide }, draw);
  const places = Int32Array.from({ length: count }, () => (place.next() >>> 0) % (d - wide + 1));
  for (let i = 0; i < count; i++) {
    generators.data.set(windows.subarray(i * wide, (i + 1) * wide), i * d + places[i]);
  }
  // By words of 32 rows, which a cache holds.
  for (let w = 0; w < words; w++) {
    const end = Math.min(n, 32 * (w + 1));
    for (let i = 0; i < count; i++) {
      let word = 0;
      for (let j = 32 * w; j < end; j++) {
        const at = j * d + places[i];
        let sum = 0;
        for (let p = 0; p < wide; p++) sum += data[at + p] * windows[i * wide + p];
        if (sum >= 0) word |= 1 << (j & 31);
      }
      bits[i * words + w] = word;
    }
  }
  return { count, rows: n, bits, generators, complete: false };
}
