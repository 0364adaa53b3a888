/** Pulls of neurons in textures of the tfjs WebGL backend: two products, with a mask between them. */

import type { Matrix } from "../../types.js";
import type { NeuronPulls } from "../types.js";
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

export class WebglPulls extends Textures<"X" | "N"> implements NeuronPulls {
  constructor(
    backend: WebglBackend,
    private readonly data: Matrix,
    N: Float64Array,
    outputs: number,
  ) {
    super(backend);
    const { rows: n, cols: d } = data;
    const [rows, width, columns] = [evenUp(n), evenUp(d), evenUp(outputs)];
    const turned = new Float32Array(columns * rows);
    for (let j = 0; j < n; j++) for (let c = 0; c < outputs; c++) turned[c * rows + j] = N[j * outputs + c];
    this.hold("X", this.matrix(padded(data.data, n, d, rows, width), [rows, width]));
    this.hold("N", this.matrix(turned, [columns, rows]));
  }

  async at(weights: Float64Array, columns: Int32Array, out: Float64Array): Promise<void> {
    const d = this.data.cols;
    const [m, rows, width] = [evenUp(columns.length), evenUp(this.data.rows), evenUp(d)];
    const splits = splitsFor((m * width) / 4, rows / SPLIT_ITEMS, 1);
    const W = this.matrix(padded(weights, columns.length, d, m, width), [m, width]);
    const C = this.matrix(padded(Float64Array.from(columns), columns.length, 1, m, 2), [m, 2]);
    const M = this.run(maskedProgram(m, rows, width), [this.get("X"), W, this.get("N"), C]);
    const parts = this.run(backProgram(m, rows, width, splits), [M, this.get("X")]);
    for (const info of [W, C, M]) this.free(info);
    const sum = splits === 1 ? parts : this.run(splitsProgram(m, width, splits), [parts]);
    if (sum !== parts) this.free(parts);
    const values = await this.take(sum);
    for (let j = 0; j < columns.length; j++) out.set(values.subarray(j * width, j * width + d), j * d);
  }
}
