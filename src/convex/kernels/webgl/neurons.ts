/** Neurons in textures of the tfjs WebGL backend: their outputs, and two products back with a mask between them. */

import type * as tf from "@tensorflow/tfjs";
import type { Matrix } from "../../types.js";
import type { DeviceNeurons } from "../types.js";
import { backProgram, splitsProgram } from "./conePrograms.js";
import { evenUp, SPLIT_ITEMS, splitsFor } from "./products.js";
import { type PackedProgram, program } from "./programs.js";
import { mostTexels, padded, refuseNoRoom, Textures, type WebglBackend } from "./textures.js";

/** [m x n]: N in the column of each neuron on the rows where it is active, else 0; Columns [m x 2] has that column. */
function maskedProgram(m: number, rows: number, width: number): PackedProgram {
  return program(
    [m, rows],
    ["X", "W", "N", "Columns"],
    `vec2 pullAt(int column, int row) {
      vec4 two = getN(column - (column & 1), row);
      return (column & 1) == 0 ? two.xy : two.zw;
    }
    void main() {
      ivec2 rc = getOutputCoords();
      vec4 h = vec4(0.);
      for (int p = 0; p < ${width}; p += 2) {
        vec4 w = getW(rc.x, p);
        vec4 x = getX(rc.y, p);
        h += w.xxzz * x.xzxz + w.yyww * x.ywyw;
      }
      ivec2 columns = ivec2(getColumns(rc.x, 0).xz);
      vec4 pulls = vec4(pullAt(columns.x, rc.y), pullAt(columns.y, rc.y));
      setOutput(mix(vec4(0.), pulls, greaterThan(h, vec4(0.))));
    }`,
  );
}

/** [n x C]: the sum of S_j (X w_j)_+ over the neurons j, S [m x C]. */
function outputsProgram(rows: number, columns: number, m: number, width: number): PackedProgram {
  return program(
    [rows, columns],
    ["X", "W", "S"],
    `void main() {
      ivec2 rc = getOutputCoords();
      vec4 result = vec4(0.);
      for (int j = 0; j < ${m}; j += 2) {
        vec4 s = getS(j, rc.y);
        if (s == vec4(0.)) continue;
        vec4 h = vec4(0.); // rows r, r + 1 by neurons j, j + 1
        for (int p = 0; p < ${width}; p += 2) {
          vec4 x = getX(rc.x, p);
          vec4 w = getW(j, p);
          h += x.xxzz * w.xzxz + x.yyww * w.ywyw;
        }
        h = max(h, 0.);
        result += h.xxzz * s.xyxy + h.yyww * s.zwzw;
      }
      setOutput(result);
    }`,
  );
}

/** Numbers of one product of neurons with all rows (256 MB), where a texture has more. */
const PRODUCT = 2 ** 26;

export class WebglNeurons extends Textures<"X" | "N"> implements DeviceNeurons {
  private readonly rows: number;
  private readonly width: number;
  private readonly together: number; // neurons of a product

  /** Throws ConvexError "engine/unavailable" where not even two neurons have room. */
  static on(backend: WebglBackend, data: Matrix, C: number): WebglNeurons {
    const [n, d] = [evenUp(data.rows), evenUp(data.cols)];
    refuseNoRoom([
      [n, Math.max(d, evenUp(C))],
      [2, d],
    ]);
    return new WebglNeurons(backend, data, C);
  }

  private constructor(
    backend: WebglBackend,
    private readonly data: Matrix,
    private readonly C: number,
  ) {
    super(backend);
    const { rows: n, cols: d } = data;
    [this.rows, this.width] = [evenUp(n), evenUp(d)];
    const longest = Math.max(this.rows, this.width, evenUp(C));
    this.together = 2 * Math.max(1, Math.floor(Math.min(PRODUCT, 4 * mostTexels()) / (2 * longest)));
    this.hold("X", this.matrix(padded(data.data, n, d, this.rows, this.width), [this.rows, this.width]));
  }

  turn(N: Float64Array): void {
    const { rows, C } = this;
    const columns = evenUp(C);
    const turned = new Float32Array(columns * rows);
    for (let j = 0; j < this.data.rows; j++) for (let c = 0; c < C; c++) turned[c * rows + j] = N[j * C + c];
    this.hold("N", this.matrix(turned, [columns, rows]));
  }

  async outputs(weights: Float64Array, scales: Float64Array, columns: Int32Array, Z: Float64Array): Promise<void> {
    const { rows, width, C, together } = this;
    const wide = evenUp(C);
    for (let from = 0; from < scales.length; from += together) {
      const count = Math.min(together, scales.length - from);
      const m = evenUp(count);
      const S = new Float32Array(m * wide);
      for (let j = 0; j < count; j++) S[j * wide + columns[from + j]] = scales[from + j];
      const inputs = [this.weights(weights, from, count), this.matrix(S, [m, wide])];
      const all = this.run(outputsProgram(rows, wide, m, width), [this.get("X"), ...inputs]);
      for (const info of inputs) this.free(info);
      const values = await this.take(all);
      for (let j = 0; j < this.data.rows; j++) for (let c = 0; c < C; c++) Z[j * C + c] += values[j * wide + c];
    }
  }

  async pulls(weights: Float64Array, columns: Int32Array, out: Float64Array): Promise<void> {
    const { rows, width, together } = this;
    const d = this.data.cols;
    for (let from = 0; from < columns.length; from += together) {
      const mine = columns.subarray(from, from + together);
      const m = evenUp(mine.length);
      const splits = splitsFor((m * width) / 4, rows / SPLIT_ITEMS, 1);
      const W = this.weights(weights, from, mine.length);
      const C = this.matrix(padded(Float64Array.from(mine), mine.length, 1, m, 2), [m, 2]);
      const M = this.run(maskedProgram(m, rows, width), [this.get("X"), W, this.get("N"), C]);
      const parts = this.run(backProgram(m, rows, width, splits), [M, this.get("X")]);
      for (const info of [W, C, M]) this.free(info);
      const sum = splits === 1 ? parts : this.run(splitsProgram(m, width, splits), [parts]);
      if (sum !== parts) this.free(parts);
      const values = await this.take(sum);
      for (let j = 0; j < mine.length; j++) out.set(values.subarray(j * width, j * width + d), (from + j) * d);
    }
  }

  private weights(weights: Float64Array, from: number, m: number): tf.TensorInfo {
    const d = this.data.cols;
    const mine = weights.subarray(from * d, (from + m) * d);
    return this.matrix(padded(mine, m, d, evenUp(m), this.width), [evenUp(m), this.width]);
  }
}
