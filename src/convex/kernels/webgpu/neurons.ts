/** Neurons in buffers of a WebGPU device: their outputs, and two products back with a mask between them. */

import type { Matrix } from "../../types.js";
import { scalesByOutput } from "../device/index.js";
import type { DeviceNeurons } from "../types.js";
import { outerShader } from "./outerShader.js";
import { sumAdjointShader } from "./productShaders.js";
import { stridden, WANTED_GROUPS } from "./products.js";
import { type GpuQueue, gridOf, type Work } from "./queue.js";
import { ROW_TILE, rowProducts } from "./rowProducts.js";
import { headOf, LANES, SHAPE_SIZE, shapeOf, TILE, TILE_QUADS } from "./shape.js";

const FLOAT = 4; // bytes
/** Rows that a split of the product back has at least. */
const SPLIT_ROWS = 256;

/** M [m x 4 rowQuads] := `value` of the products acc[r] of neuron `mine` with four rows. */
const ofProducts = (
  reads: readonly string[],
  value: string,
) => `${headOf(["X: array<vec4f>", "W: array<vec4f>", ...reads], "M: array<vec4f>")}
${ROW_TILE}
@compute @workgroup_size(16, 16)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_id) local: vec3u,
        @builtin(local_invocation_index) lane: u32) {
  let count = shape.vectors;
  let rowQuads = (shape.rows + 3u) / 4u;
${rowProducts("W", "X")}
  let rowQuad = group.x * ${TILE / 4}u + local.x;
  if (rowQuad >= rowQuads) { return; }
  for (var r = 0u; r < 4u; r++) {
    let mine = group.y * ${TILE}u + local.y * 4u + r;
    if (mine >= count) { return; }
    M[mine * rowQuads + rowQuad] = ${value};
  }
}
`;

/** N in the column of each neuron on the rows where it is active, else 0. */
const maskedShader = ofProducts(
  ["N: array<vec4f>", "columns: array<u32>"],
  "select(vec4f(), N[columns[mine] * rowQuads + rowQuad], acc[r] > vec4f())",
);
const activeShader = ofProducts([], "max(acc[r], vec4f())");

/** Z [C x n] := S M, S [C x m]. */
const outputsShader = `${headOf(["S: array<f32>", "M: array<f32>"], "Z: array<f32>")}
@compute @workgroup_size(${LANES})
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let at = id.x + id.y * groups.x * ${LANES}u;
  if (at >= shape.outputs * shape.rows) { return; }
  let first = at / shape.rows * shape.vectors;
  let row = at % shape.rows;
  let stride = 4u * ((shape.rows + 3u) / 4u);
  var sum = 0.0;
  var part = 0.0; // a sum of sums keeps its digits
  for (var j = 0u; j < shape.vectors; j++) {
    part += S[first + j] * M[j * stride + row];
    if (j % 16u == 15u) {
      sum += part;
      part = 0.0;
    }
  }
  Z[at] = sum + part;
}
`;

/** parts: M X. */
const backShader = outerShader({
  head: headOf(["X: array<vec4f>", "M: array<f32>"], "parts: array<vec4f>"),
  count: "shape.vectors",
  length: "shape.rows",
  begin: `  var at: vec4u; // where each of four vectors begins
  for (var s = 0u; s < 4u; s++) { at[s] = min(firstVector + s, count - 1u) * 4u * ((shape.rows + 3u) / 4u); }`,
  load: "m[s] = M[at[s] + row];",
});

/** What m neurons need: the shape, their work, and where that ends. */
interface NeuronWork {
  readonly numbers: Uint32Array;
  readonly forward: readonly Work[];
  readonly back: readonly Work[];
  readonly out: GPUBuffer; // [m x quads]
}

export class WebgpuNeurons implements DeviceNeurons {
  private readonly quads: number;
  private readonly rowQuads: number;
  private readonly shape: GPUBuffer;
  private readonly data: GPUBuffer;
  private readonly W: GPUBuffer; // [most x quads]
  private readonly N: GPUBuffer; // [C x rowQuads]
  private readonly columns: GPUBuffer; // [most]
  private readonly S: GPUBuffer; // [C x most]
  private readonly M: GPUBuffer; // [most x rowQuads]
  private readonly Z: GPUBuffer; // [C x n]
  private readonly works = new Map<number, NeuronWork>();

  constructor(
    private readonly queue: GpuQueue,
    private readonly X: Matrix,
    private readonly C: number,
    most: number,
  ) {
    const { rows: n, cols: d, data } = X;
    const [quads, rowQuads] = [Math.ceil(d / 4), Math.ceil(n / 4)];
    [this.quads, this.rowQuads] = [quads, rowQuads];
    const floats = (count: number) => queue.buffer(count * FLOAT);
    this.shape = queue.buffer(SHAPE_SIZE * FLOAT, true);
    this.data = queue.filled(stridden(data, n, d, d, quads * 4));
    this.W = floats(most * quads * 4);
    this.N = floats(C * rowQuads * 4);
    this.columns = floats(most);
    this.S = floats(C * most);
    this.M = floats(most * rowQuads * 4);
    this.Z = floats(C * n);
    this.workFor(most);
  }

  turn(N: Float64Array): void {
    const { C, rowQuads } = this;
    const turned = new Float32Array(C * rowQuads * 4);
    for (let j = 0; j < this.X.rows; j++) for (let c = 0; c < C; c++) turned[c * rowQuads * 4 + j] = N[j * C + c];
    this.queue.write(this.N, turned);
  }

  async outputs(weights: Float64Array, scales: Float64Array, columns: Int32Array, Z: Float64Array): Promise<void> {
    const { queue, C } = this;
    const n = this.X.rows;
    const { forward } = this.begin(weights, columns.length);
    queue.write(this.S, scalesByOutput(scales, columns, C));
    const values = await queue.read(forward, this.Z, C * n * FLOAT);
    for (let j = 0; j < n; j++) for (let c = 0; c < C; c++) Z[j * C + c] += values[c * n + j];
  }

  async pulls(weights: Float64Array, columns: Int32Array, out: Float64Array): Promise<void> {
    const { queue, quads } = this;
    const [d, m] = [this.X.cols, columns.length];
    const { back, out: made } = this.begin(weights, m);
    queue.write(this.columns, Uint32Array.from(columns));
    out.set(stridden(await queue.read(back, made, m * quads * 4 * FLOAT), m, d, quads * 4, d));
  }

  dispose(): void {
    this.queue.dispose();
  }

  private begin(weights: Float64Array, m: number): NeuronWork {
    const d = this.X.cols;
    const work = this.workFor(m);
    this.queue.write(this.shape, work.numbers);
    this.queue.write(this.W, stridden(weights, m, d, d, this.quads * 4));
    return work;
  }

  private workFor(m: number): NeuronWork {
    const known = this.works.get(m);
    if (known !== undefined) return known;
    const { queue, quads, X, C, shape, data, W, M } = this;
    const n = X.rows;
    const [rowTiles, tiles, quadTiles] = [Math.ceil(n / TILE), Math.ceil(m / TILE), Math.ceil(quads / TILE_QUADS)];
    const splits = Math.min(Math.ceil(n / SPLIT_ROWS), Math.ceil(WANTED_GROUPS / (quadTiles * tiles)));
    const sizes = { rows: n, width: X.cols, gates: m, outputs: C, perGate: 1, pooling: null };
    const parts = queue.buffer(splits * m * quads * 4 * FLOAT);
    const out = splits === 1 ? parts : queue.buffer(m * quads * 4 * FLOAT);
    const sum = () => queue.work(sumAdjointShader, [shape, parts, out], gridOf(Math.ceil((m * quads) / LANES)));
    const grid = [rowTiles, tiles, 1] as const;
    const made: NeuronWork = {
      numbers: shapeOf(sizes, { forwardSplits: 1, adjointSplits: splits }),
      out,
      forward: [
        queue.work(activeShader, [shape, data, W, M], grid),
        queue.work(outputsShader, [shape, this.S, M, this.Z], gridOf(Math.ceil((C * n) / LANES))),
      ],
      back: [
        queue.work(maskedShader, [shape, data, W, this.N, this.columns, M], grid),
        queue.work(backShader, [shape, data, M, parts], [quadTiles, tiles, splits]),
        ...(splits === 1 ? [] : [sum()]),
      ],
    };
    this.works.set(m, made);
    return made;
  }
}
