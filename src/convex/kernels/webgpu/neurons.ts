/** Pulls of neurons in buffers of a WebGPU device: two products, with a mask between them. */

import type { Matrix } from "../../types.js";
import type { NeuronPulls } from "../types.js";
import { outerShader } from "./outerShader.js";
import { sumAdjointShader } from "./productShaders.js";
import { stridden, WANTED_GROUPS } from "./products.js";
import { type GpuQueue, gridOf, type Work } from "./queue.js";
import { ROW_TILE, rowProducts } from "./rowProducts.js";
import { headOf, LANES, SHAPE_SIZE, shapeOf, TILE, TILE_QUADS } from "./shape.js";

const FLOAT = 4; // bytes
/** Rows that a split of the product back has at least. */
const SPLIT_ROWS = 256;

/** M [m x 4 rowQuads]: N in the column of each neuron on the rows where it is active, else 0. */
const maskedShader = `${headOf(["X: array<vec4f>", "W: array<vec4f>", "N: array<vec4f>", "columns: array<u32>"], "M: array<vec4f>")}
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
    M[mine * rowQuads + rowQuad] = select(vec4f(), N[columns[mine] * rowQuads + rowQuad], acc[r] > vec4f());
  }
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

export class WebgpuPulls implements NeuronPulls {
  private readonly quads: number;
  private readonly shape: GPUBuffer;
  private readonly data: GPUBuffer;
  private readonly W: GPUBuffer; // [most x quads]
  private readonly N: GPUBuffer; // [C x rowQuads]
  private readonly columns: GPUBuffer;
  private readonly M: GPUBuffer;
  private readonly works = new Map<
    number,
    { readonly work: readonly Work[]; readonly out: GPUBuffer; readonly numbers: Uint32Array }
  >();

  constructor(
    private readonly queue: GpuQueue,
    private readonly X: Matrix,
    N: Float64Array,
    private readonly outputs: number,
    most: number,
  ) {
    const { rows: n, cols: d, data } = X;
    const [quads, rowQuads, C] = [Math.ceil(d / 4), Math.ceil(n / 4), outputs];
    this.quads = quads;
    this.shape = queue.buffer(SHAPE_SIZE * FLOAT, true);
    this.data = queue.filled(stridden(data, n, d, d, quads * 4));
    this.W = queue.buffer(most * quads * 4 * FLOAT);
    const turned = new Float32Array(C * rowQuads * 4);
    for (let j = 0; j < n; j++) for (let c = 0; c < C; c++) turned[c * rowQuads * 4 + j] = N[j * C + c];
    this.N = queue.filled(turned);
    this.columns = queue.buffer(most * FLOAT);
    this.M = queue.buffer(most * rowQuads * 4 * FLOAT);
    this.workFor(most);
  }

  async at(weights: Float64Array, columns: Int32Array, out: Float64Array): Promise<void> {
    const { queue, quads } = this;
    const d = this.X.cols;
    const m = columns.length;
    const { work, out: made, numbers } = this.workFor(m);
    queue.write(this.shape, numbers);
    queue.write(this.W, stridden(weights, m, d, d, quads * 4));
    queue.write(this.columns, Uint32Array.from(columns));
    out.set(stridden(await queue.read(work, made, m * quads * 4 * FLOAT), m, d, quads * 4, d));
  }

  dispose(): void {
    this.queue.dispose();
  }

  private workFor(m: number) {
    const known = this.works.get(m);
    if (known !== undefined) return known;
    const { queue, quads, X, shape, data, M } = this;
    const n = X.rows;
    const [rowTiles, tiles, quadTiles] = [Math.ceil(n / TILE), Math.ceil(m / TILE), Math.ceil(quads / TILE_QUADS)];
    const splits = Math.min(Math.ceil(n / SPLIT_ROWS), Math.ceil(WANTED_GROUPS / (quadTiles * tiles)));
    const sizes = { rows: n, width: X.cols, gates: m, outputs: this.outputs, perGate: 1, pooling: null };
    const parts = queue.buffer(splits * m * quads * 4 * FLOAT);
    const out = splits === 1 ? parts : queue.buffer(m * quads * 4 * FLOAT);
    const sum = () => queue.work(sumAdjointShader, [shape, parts, out], gridOf(Math.ceil((m * quads) / LANES)));
    const made = {
      numbers: shapeOf(sizes, { forwardSplits: 1, adjointSplits: splits }),
      out,
      work: [
        queue.work(maskedShader, [shape, data, this.W, this.N, this.columns, M], [rowTiles, tiles, 1]),
        queue.work(backShader, [shape, data, M, parts], [quadTiles, tiles, splits]),
        ...(splits === 1 ? [] : [sum()]),
      ],
    };
    this.works.set(m, made);
    return made;
  }
}
