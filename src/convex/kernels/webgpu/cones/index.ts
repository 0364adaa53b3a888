/** Blocks of a splitting in buffers of a WebGPU device, with cones two products of every vector fused with signs, clamps and relaxation, in float32. */

import { norm } from "../../../linear/vectors.js";
import type { GateSet, Matrix } from "../../../types.js";
import {
  blockSizes,
  type ConeSizes,
  type DeviceCones,
  type DeviceOuter,
  type DeviceSteps,
  sumOfPairs,
} from "../../device/index.js";
import type { ConeResiduals, ConeSystem, OuterNumbers } from "../../types.js";
import { productWork, stridden, WANTED_GROUPS } from "../products.js";
import { type GpuQueue, gridOf, type Work } from "../queue.js";
import { LANES, SHAPE_SIZE, shapeOf, TILE, TILE_QUADS } from "../shape.js";
import { LANE_QUADS } from "../vectors.js";
import { WebgpuOuter } from "./outer.js";
import * as shaders from "./shaders.js";

const FLOAT = 4; // bytes
/** Rows that a split of a product back has at least. */
const SPLIT_ROWS = 256;

export class WebgpuCones implements DeviceCones {
  private readonly quads: number;
  private readonly weight: number;
  private readonly numbers: GPUBuffer;
  private readonly R: GPUBuffer; // [C x n]: U or W
  private readonly Z: GPUBuffer; // [C x n]: what products forward make
  private readonly W: GPUBuffer | null; // [C x n]: Z times the solution, where there is one
  private readonly t: GPUBuffer; // [sides P C x quads], as p
  private readonly p: GPUBuffer;
  private readonly sums: GPUBuffer; // missed and moved, of vectors and of tiles of slacks
  private readonly terms: number; // of these
  private readonly gatherWork: readonly Work[];
  private readonly curvatureWork: readonly Work[];
  private readonly advanceWork: readonly Work[];
  private readonly writeWork: readonly Work[];
  private readonly rescaleWork: readonly Work[];
  readonly steps?: (count: number, numbers: OuterNumbers, state: DeviceOuter) => Promise<DeviceSteps>;

  constructor(
    private readonly queue: GpuQueue,
    X: Matrix,
    gates: GateSet,
    private readonly sizes: ConeSizes,
    { weight, inverse, Y, solution, outer = null }: ConeSystem,
  ) {
    const { rows: n, width: d, gates: P, outputs: C, sides, vectors } = sizes;
    const quads = Math.ceil(d / 4);
    this.quads = quads;
    this.weight = weight;
    const floats = (count: number) => queue.buffer(count * FLOAT);
    const blocks = (count: number) => floats(count * quads * 4);
    const shape = queue.buffer(SHAPE_SIZE * FLOAT, true);
    const numbers = queue.buffer(shaders.CONE_NUMBERS * FLOAT, true);
    const [t, p, G, x] = [blocks(vectors), blocks(vectors), blocks(vectors), blocks(vectors)];
    const [change, g] = [blocks(P * C), blocks(P * C)];
    const [R, Z, live] = [floats(C * n), floats(C * n), queue.filled(everyGate(P, C))];
    const [rowTiles, vectorTiles] = [Math.ceil(n / TILE), Math.ceil(vectors / TILE)];
    this.terms = vectors + (sides === 2 ? rowTiles * vectorTiles : 0);
    const sums = floats(2 * this.terms);
    [this.numbers, this.R, this.Z, this.t, this.p, this.sums] = [numbers, R, Z, t, p, sums];

    const filled = ({ data }: Pick<Matrix, "data">, rows: number) =>
      queue.filled(stridden(data, rows, d, d, quads * 4));
    const blocksOf = blockSizes(X, gates, C, null);
    const buffers = { shape, live, next: change, R, Z, g };
    const products = productWork(queue, X, gates, blocksOf, buffers);
    const forward = sides === 2 ? productWork(queue, Y, gates, blocksOf, buffers).forward : products.forward;
    queue.write(shape, shapeOf(blocksOf, products.shape));

    const half = gridOf(Math.ceil((P * C * quads) / LANES));
    const along = quads > LANE_QUADS ? "workgroup" : "lane";
    const shorten = queue.work(
      shaders.shortenShader(along, sides),
      [shape, numbers, x, t, p, sums],
      gridOf(along === "workgroup" ? vectors : Math.ceil(vectors / LANES)),
    );
    const perBlock = gridOf(Math.ceil((vectors * quads) / LANES));
    const rescaled = queue.work(shaders.rescaledBlocksShader(sides), [shape, numbers, p, t], perBlock);
    let gathered: Work[];
    if (sides === 1) {
      const ahead = queue.work(shaders.openGatheredShader, [shape, g, t, p, G, change], half);
      gathered = [...products.adjoint, ahead, ...forward];
      this.advanceWork = [...products.adjoint, queue.work(shaders.openPulledShader, [shape, g, G, x], half), shorten];
      this.writeWork = [];
      this.rescaleWork = [rescaled];
    } else {
      const rowQuads = Math.ceil(n / 4);
      const q = floats(vectors * rowQuads * 4);
      const [data, ahead, inner] = [filled(X, n), filled(Y, n), filled({ data: inverse }, d)];
      const bits = queue.filled(gates.bits);
      const quadTiles = Math.ceil(quads / TILE_QUADS);
      const splits = Math.min(Math.ceil(n / SPLIT_ROWS), Math.ceil(WANTED_GROUPS / (quadTiles * vectorTiles)));
      const parts = blocks(splits * vectors);
      const tiles = [rowTiles, vectorTiles, 1] as const;
      gathered = [
        queue.work(shaders.slackShader, [shape, numbers, data, q, R, bits, parts], [quadTiles, vectorTiles, splits]),
        queue.work(shaders.gatheredShader, [shape, parts, t, p, G, change], half),
        ...forward,
      ];
      this.advanceWork = [
        ...products.adjoint,
        queue.work(shaders.pulledShader, [shape, g, G], half),
        queue.work(shaders.clampShader, [shape, numbers, ahead, G, bits, q, sums], tiles),
        queue.work(shaders.inverseShader, [shape, inner, G, x], [quadTiles, vectorTiles, 1]),
        shorten,
      ];
      this.writeWork = [queue.work(shaders.clampShader, [shape, numbers, data, p, bits, q, sums], tiles)];
      const perSlack = gridOf(Math.ceil((vectors * rowQuads) / LANES));
      this.rescaleWork = [rescaled, queue.work(shaders.rescaledSlacksShader, [shape, numbers, q], perSlack)];
    }
    const solved = solution === null ? null : { matrix: queue.filled(solution), W: floats(C * n) };
    this.W = solved?.W ?? null;
    this.gatherWork =
      solved === null
        ? gathered
        : [...gathered, queue.work(shaders.solutionShader, [shape, solved.matrix, Z, solved.W], [n, C, 1])];
    const doubled = queue.work(shaders.doubledShader(sides), [shape, g, change], half);
    this.curvatureWork = [...products.adjoint, doubled, ...forward];
    if (solved !== null && outer !== null) {
      const own = new WebgpuOuter(queue, outer, n, C, { shape, R, Z, solution: solved.matrix });
      const step = [...own.before, ...gathered, ...own.solve, ...this.advanceWork, ...own.after];
      this.steps = (count, numbers, state) => this.stepped(own, step, count, numbers, state);
    }
  }

  async gather(U: Float32Array): Promise<Float32Array> {
    this.queue.write(this.R, U);
    this.set({});
    return this.queue.read(this.gatherWork, this.W ?? this.Z, U.byteLength);
  }

  async curvature(W: Float32Array): Promise<Float32Array> {
    this.queue.write(this.R, W);
    return this.queue.read(this.curvatureWork, this.Z, W.byteLength);
  }

  async advance(
    W: Float32Array,
    relaxation: number,
    threshold: number,
    measured: boolean,
  ): Promise<ConeResiduals | null> {
    this.queue.write(this.R, W);
    this.set({ relaxation, threshold });
    if (!measured) {
      this.queue.run(this.advanceWork);
      return null;
    }
    return this.residuals(await this.queue.read(this.advanceWork, this.sums, 2 * this.terms * FLOAT));
  }

  private async stepped(
    outer: WebgpuOuter,
    step: readonly Work[],
    count: number,
    numbers: OuterNumbers,
    state: DeviceOuter,
  ): Promise<DeviceSteps> {
    const { relaxation, threshold } = numbers;
    outer.begin(numbers, state);
    this.set({ relaxation, threshold });
    const all = Array.from({ length: count }, () => step).flat();
    const [pairs, { sums, ...after }] = await Promise.all([
      this.queue.read(all, this.sums, 2 * this.terms * FLOAT),
      outer.read(),
    ]);
    const { missed, moved } = this.residuals(pairs);
    return { ...after, left: { missed: missed + sumOfPairs(sums, 0), moved: moved + sumOfPairs(sums, 1) } };
  }

  /** Of the sums of vectors, and behind them of tiles of slacks. */
  private residuals(pairs: Float32Array): ConeResiduals {
    const [vectors, slacks] = [pairs.subarray(0, 2 * this.sizes.vectors), pairs.subarray(2 * this.sizes.vectors)];
    const total = (k: 0 | 1) => sumOfPairs(vectors, k) + this.weight * sumOfPairs(slacks, k);
    return { missed: total(0), moved: total(1) };
  }

  async rescale(factor: number): Promise<void> {
    this.set({ factor });
    this.queue.run(this.rescaleWork);
  }

  async read(): Promise<Float32Array> {
    const { vectors, width } = this.sizes;
    const values = await this.queue.read([], this.p, vectors * this.quads * 4 * FLOAT);
    return stridden(values, vectors, width, this.quads * 4, width);
  }

  async write(t: Float32Array, threshold: number): Promise<void> {
    const { vectors, width: d } = this.sizes;
    const p = t.slice();
    for (let at = 0; at < p.length; at += d) {
      const length = norm(Float64Array.from(p.subarray(at, at + d)));
      for (let k = at; k < at + d; k++) p[k] *= length <= threshold ? 0 : 1 - threshold / length;
    }
    this.queue.write(this.t, stridden(t, vectors, d, d, this.quads * 4));
    this.queue.write(this.p, stridden(p, vectors, d, d, this.quads * 4));
    this.set({ relaxation: 1, keep: 0 });
    this.queue.run(this.writeWork);
  }

  dispose(): void {
    this.queue.dispose();
  }

  private set({ relaxation = 0, threshold = 0, keep = 1, factor = 1 }): void {
    this.queue.write(this.numbers, Float32Array.of(this.weight, relaxation, threshold, keep, factor, 0, 0, 0));
  }
}

/** live [C x (1 + P)]: all gates, for every output. */
function everyGate(P: number, C: number): Uint32Array {
  return Uint32Array.from({ length: C * (P + 1) }, (_, k) => (k % (P + 1) === 0 ? P : (k % (P + 1)) - 1));
}
