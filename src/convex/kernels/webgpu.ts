/** The WebGPU engine: blocks in buffers of a device, products with bit-packed masks as compute shaders, in float32. */

import { wordsPerGate } from "../arrangements/bits.js";
import type { GateSet, Matrix } from "../types.js";
import type { BlockSizes, DeviceBlocks } from "./deviceIterate.js";
import { deviceKernels, type OpenDevice } from "./deviceKernels.js";
import type { StepReport } from "./types.js";
import { findDevice } from "./webgpuDevice.js";
import { GpuQueue, gridOf, type Work } from "./webgpuQueue.js";
import * as shaders from "./webgpuShaders.js";

/** Workgroups that keep a large GPU busy: below it, sums are split. */
const WANTED_GROUPS = 512;
/** Rows that a split of an adjoint has at least. */
const SPLIT_ROWS = 512;
/** Up to this length one lane goes along a vector: a workgroup would be mostly idle. */
const LANE_QUADS = 16;
const FLOAT = 4; // bytes

/** Runs on the tfjs backend's device where that is "webgpu", else on one of its own. */
export const openWebgpu: OpenDevice = async (host) => {
  const { device, name, emulated } = await findDevice();
  const kernels = deviceKernels("webgpu", host, (X, gates, sizes) => {
    const queue = new GpuQueue(device);
    return queue.fill(() => new WebgpuBlocks(queue, X, gates, sizes));
  });
  return { kernels, device: name, emulated };
};

class WebgpuBlocks implements DeviceBlocks {
  private readonly quads: number;
  private readonly vectors: number;
  private readonly numbers: GPUBuffer; // step, threshold, momentum
  private readonly R: GPUBuffer; // [C x n]
  private readonly Z: GPUBuffer; // [C x n]
  private readonly base: GPUBuffer; // [P x C x quads]
  private readonly next: GPUBuffer; // as base
  private readonly gramBuffer: GPUBuffer; // [P x C x C]
  private readonly factors: GPUBuffer; // [P x C x C]
  private readonly sums: GPUBuffer;
  private readonly gradientWork: readonly Work[];
  private readonly shrinkWork: readonly Work[];
  private readonly gramWork: readonly Work[];
  private readonly combineWork: readonly Work[];
  private readonly forwardWork: readonly Work[];
  private readonly rebaseWork: readonly Work[];
  private readonly acceptWork: readonly Work[];

  constructor(
    private readonly queue: GpuQueue,
    X: Matrix,
    gates: GateSet,
    private readonly sizes: BlockSizes,
  ) {
    const { rows: n, outputs: C, gates: P } = sizes;
    const quads = Math.ceil(sizes.width / 4);
    const vectors = P * C;
    this.quads = quads;
    this.vectors = vectors;
    const rowTiles = Math.ceil(n / shaders.TILE);
    const gateTiles = Math.ceil(P / shaders.TILE);
    const quadTiles = Math.ceil(quads / shaders.TILE_QUADS);
    const vectorTiles = Math.ceil(vectors / shaders.TILE);
    const forwardSplits = Math.min(gateTiles, Math.ceil(WANTED_GROUPS / (rowTiles * C)));
    const adjointSplits = Math.min(Math.ceil(n / SPLIT_ROWS), Math.ceil(WANTED_GROUPS / (quadTiles * vectorTiles)));

    const floats = (count: number) => queue.buffer(count * FLOAT);
    const blocks = () => floats(vectors * quads * 4);
    const shape = queue.buffer(8 * FLOAT, true);
    const numbers = queue.buffer(4 * FLOAT, true);
    const [data, bits] = [floats(n * quads * 4), floats(gates.bits.length)];
    const [base, x, y, g, next] = [blocks(), blocks(), blocks(), blocks(), blocks()];
    const [R, Z] = [floats(C * n), floats(C * n)];
    const [reports, sums, live] = [floats(vectors * 4), floats(8), floats(C * (P + 1))];
    const [grams, factors] = [floats(P * C * C), floats(P * C * C)];
    const forwardParts = forwardSplits > 1 ? floats(forwardSplits * C * n) : Z;
    const adjointParts = adjointSplits > 1 ? floats(adjointSplits * vectors * quads * 4) : g;
    queue.write(shape, Uint32Array.of(n, quads, P, C, wordsPerGate(n), vectors, forwardSplits, adjointSplits));
    queue.write(data, stridden(X.data, n, sizes.width, sizes.width, quads * 4));
    queue.write(bits, gates.bits);
    this.numbers = numbers;
    this.R = R;
    this.Z = Z;
    this.base = base;
    this.next = next;
    this.gramBuffer = grams;
    this.factors = factors;
    this.sums = sums;

    const along = quads > LANE_QUADS ? "workgroup" : "lane";
    const each = (items: number) => gridOf(along === "workgroup" ? items : Math.ceil(items / shaders.LANES));
    const perQuad = gridOf(Math.ceil((vectors * quads) / shaders.LANES));
    const perResult = gridOf(Math.ceil((C * n) / shaders.LANES));
    const forwardGrid = [rowTiles, C, forwardSplits] as const;
    const adjointGrid = [quadTiles, vectorTiles, adjointSplits] as const;
    const move = [shape, numbers, base, y, g, x, next, reports];
    const collect = queue.work(shaders.liveShader, [shape, reports, live], [C, 1, 1]);
    const ended = [queue.work(shaders.reportShader, [shape, reports, sums], [1, 1, 1]), collect];
    const forward = queue.work(shaders.forwardShader, [shape, data, next, bits, live, forwardParts], forwardGrid);
    const sumForward = () => queue.work(shaders.sumForwardShader, [shape, forwardParts, Z], perResult);
    const adjoint = queue.work(shaders.adjointShader, [shape, data, R, bits, adjointParts], adjointGrid);
    const sumAdjoint = () => queue.work(shaders.sumAdjointShader, [shape, adjointParts, g], perQuad);
    this.forwardWork = forwardSplits > 1 ? [forward, sumForward()] : [forward];
    this.gradientWork = adjointSplits > 1 ? [adjoint, sumAdjoint()] : [adjoint];
    this.shrinkWork = [queue.work(shaders.shrinkShader(along), move, each(vectors)), ...ended];
    this.gramWork = [queue.work(shaders.gramShader(along), [shape, numbers, base, y, g, grams], each(P))];
    this.combineWork = [queue.work(shaders.combineShader(along), [...move, factors], each(vectors)), ...ended];
    this.rebaseWork = [queue.work(shaders.rebaseShader, [shape, base, x, y, next, reports], perQuad), collect];
    this.acceptWork = [queue.work(shaders.acceptShader, [shape, numbers, x, y, next], perQuad)];
  }

  async gradient(R: Float32Array): Promise<void> {
    this.queue.write(this.R, R);
    this.queue.run(this.gradientWork);
  }

  async shrink(step: number, threshold: number): Promise<StepReport> {
    this.queue.write(this.numbers, Float32Array.of(step, threshold, 0, 0));
    return this.report(this.shrinkWork);
  }

  async grams(step: number): Promise<Float32Array> {
    const { gates, outputs } = this.sizes;
    this.queue.write(this.numbers, Float32Array.of(step, 0, 0, 0));
    return this.queue.read(this.gramWork, this.gramBuffer, gates * outputs * outputs * FLOAT);
  }

  async combine(step: number, factors: Float32Array): Promise<Omit<StepReport, "penalty">> {
    this.queue.write(this.factors, factors);
    this.queue.write(this.numbers, Float32Array.of(step, 0, 0, 0));
    return this.report(this.combineWork);
  }

  async forward(): Promise<Float32Array> {
    return this.queue.read(this.forwardWork, this.Z, this.sizes.outputs * this.sizes.rows * FLOAT);
  }

  async accept(momentum: number): Promise<void> {
    this.queue.write(this.numbers, Float32Array.of(0, 0, momentum, 0));
    this.queue.run(this.acceptWork);
  }

  async read(): Promise<{ base: Float32Array; next: Float32Array }> {
    const { vectors, quads, sizes, queue } = this;
    const all = async (buffer: GPUBuffer) => {
      const values = await queue.read([], buffer, vectors * quads * 4 * FLOAT);
      return stridden(values, vectors, sizes.width, quads * 4, sizes.width);
    };
    const [base, next] = await Promise.all([all(this.base), all(this.next)]);
    return { base, next };
  }

  async write(base: Float32Array, next: Float32Array): Promise<void> {
    const { vectors, quads, sizes, queue } = this;
    queue.write(this.base, stridden(base, vectors, sizes.width, sizes.width, quads * 4));
    queue.write(this.next, stridden(next, vectors, sizes.width, sizes.width, quads * 4));
    await this.accept(0);
    await this.rebase();
  }

  async rebase(): Promise<void> {
    this.queue.run(this.rebaseWork);
  }

  dispose(): void {
    this.queue.dispose();
  }

  /** Takes a step; its three sums are made of float32 sums and their rounding errors. */
  private async report(work: readonly Work[]): Promise<StepReport> {
    const sums = await this.queue.read(work, this.sums, 8 * FLOAT);
    const [moved, turned, penalty] = [0, 1, 2].map((k) => sums[k] + sums[4 + k]);
    return { moved, turned, penalty };
  }
}

/** The first `width` entries of each row, moved from rows of one length to rows of another, in float32. */
function stridden(
  data: Float64Array | Float32Array,
  rows: number,
  width: number,
  from: number,
  to: number,
): Float32Array {
  const out = new Float32Array(rows * to);
  for (let j = 0; j < rows; j++) out.set(data.subarray(j * from, j * from + width), j * to);
  return out;
}
