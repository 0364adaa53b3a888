/** Neurons in textures of the tfjs WebGL backend: their outputs, and two products back with a mask between them. */

import type * as tf from "@tensorflow/tfjs";
import type { Matrix } from "../../types.js";
import type { DeviceNeurons } from "../types.js";
import { backProgram, splitsProgram } from "./conePrograms.js";
import { evenUp, SPLIT_ITEMS, splitsFor } from "./products.js";
import { type PackedProgram, program } from "./programs.js";
import { padded, Textures, type WebglBackend } from "./textures.js";

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

export class WebglNeurons extends Textures<"X" | "N"> implements DeviceNeurons {
  private readonly rows: number;
  private readonly width: number;

  constructor(
    backend: WebglBackend,
    private readonly data: Matrix,
    private readonly C: number,
  ) {
    super(backend);
    const { rows: n, cols: d } = data;
    [this.rows, this.width] = [evenUp(n), evenUp(d)];
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
    const { rows, width, C } = this;
    const [m, wide] = [evenUp(scales.length), evenUp(C)];
    const S = new Float32Array(m * wide);
    scales.forEach((value, j) => {
      S[j * wide + columns[j]] = value;
    });
    const inputs = [this.weights(weights, columns.length), this.matrix(S, [m, wide])];
    const all = this.run(outputsProgram(rows, wide, m, width), [this.get("X"), ...inputs]);
    for (const info of inputs) this.free(info);
    const values = await this.take(all);
    for (let j = 0; j < this.data.rows; j++) for (let c = 0; c < C; c++) Z[j * C + c] += values[j * wide + c];
  }

  async pulls(weights: Float64Array, columns: Int32Array, out: Float64Array): Promise<void> {
    const { rows, width } = this;
    const d = this.data.cols;
    const m = evenUp(columns.length);
    const splits = splitsFor((m * width) / 4, rows / SPLIT_ITEMS, 1);
    const W = this.weights(weights, columns.length);
    const C = this.matrix(padded(Float64Array.from(columns), columns.length, 1, m, 2), [m, 2]);
    const M = this.run(maskedProgram(m, rows, width), [this.get("X"), W, this.get("N"), C]);
    const parts = this.run(backProgram(m, rows, width, splits), [M, this.get("X")]);
    for (const info of [W, C, M]) this.free(info);
    const sum = splits === 1 ? parts : this.run(splitsProgram(m, width, splits), [parts]);
    if (sum !== parts) this.free(parts);
    const values = await this.take(sum);
    for (let j = 0; j < columns.length; j++) out.set(values.subarray(j * width, j * width + d), j * d);
  }

  private weights(weights: Float64Array, m: number): tf.TensorInfo {
    return this.matrix(padded(weights, m, this.data.cols, evenUp(m), this.width), [evenUp(m), this.width]);
  }
}
