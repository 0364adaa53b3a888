/** The WebGPU engine: blocks in buffers of a device, products with bit-packed masks as compute shaders, in float32. */

import type { GateSet, Matrix } from "../../types.js";
import {
  type BlockSizes,
  type DeviceBlocks,
  deviceKernels,
  gramOnRight,
  gramOrder,
  type OpenDevice,
} from "../device/index.js";
import type { StepReport } from "../types.js";
import { WebgpuCones } from "./cones/index.js";
import { findDevice } from "./device.js";
import { WebgpuNeurons } from "./neurons.js";
import { productWork, stridden } from "./products.js";
import { GpuQueue, gridOf, type Work } from "./queue.js";
import * as shaders from "./shaders.js";
import { LANES, SHAPE_SIZE, shapeOf } from "./shape.js";
import { LANE_QUADS } from "./vectors.js";

const FLOAT = 4; // bytes

/** Runs on the tfjs backend's device where that is "webgpu", else on one of its own. */
export const openWebgpu: OpenDevice = async (host) => {
  const { device, name, emulated } = await findDevice();
  const filled = <T>(make: (queue: GpuQueue) => T): Promise<T> => {
    const queue = new GpuQueue(device);
    return queue.fill(() => make(queue));
  };
  const kernels = deviceKernels(
    "webgpu",
    host,
    (X, gates, sizes) => filled((queue) => new WebgpuBlocks(queue, X, gates, sizes)),
    (X, gates, sizes, system) => filled((queue) => new WebgpuCones(queue, X, gates, sizes, system)),
    (X, outputs, most) => filled((queue) => new WebgpuNeurons(queue, X, outputs, most)),
  );
  return { kernels, device: name, emulated };
};

class WebgpuBlocks implements DeviceBlocks {
  private readonly quads: number;
  private readonly vectors: number;
  private readonly gramRow: number; // numbers in a row of one of them
  private readonly numbers: GPUBuffer; // step, threshold, momentum
  private readonly R: GPUBuffer; // [C x n]
  private readonly Z: GPUBuffer; // [C x n]
  private readonly base: GPUBuffer; // [P x A C x quads]
  private readonly next: GPUBuffer; // as base
  private readonly gramBuffer: GPUBuffer; // [P x r x gramRow]
  private readonly factors: GPUBuffer; // as gramBuffer
  private readonly sums: GPUBuffer;
  private readonly gradientWork: readonly Work[];
  private readonly shrinkWork: readonly Work[];
  private readonly gramWork: readonly Work[];
  private readonly combineWork: readonly Work[];
  private readonly forwardWork: readonly Work[];
  readonly shrinkSingular?: (step: number, threshold: number) => Promise<StepReport>;
  private readonly rebaseWork: readonly Work[];
  private readonly acceptWork: readonly Work[];

  constructor(
    private readonly queue: GpuQueue,
    X: Matrix,
    gates: GateSet,
    private readonly sizes: BlockSizes,
  ) {
    const { rows: n, outputs: C, gates: P, perGate, width } = sizes;
    const quads = Math.ceil(width / 4);
    const vectors = P * perGate;
    this.quads = quads;
    this.vectors = vectors;
    const onRight = gramOnRight(sizes);
    this.gramRow = onRight ? quads * 4 : perGate;

    const floats = (count: number) => queue.buffer(count * FLOAT);
    const blocks = () => floats(vectors * quads * 4);
    const shape = queue.buffer(SHAPE_SIZE * FLOAT, true);
    const numbers = queue.buffer(4 * FLOAT, true);
    const [base, x, y, g, next] = [blocks(), blocks(), blocks(), blocks(), blocks()];
    const [R, Z] = [floats(C * n), floats(C * n)];
    const [reports, sums, live] = [floats(vectors * 4), floats(8), floats(perGate * (P + 1))];
    const gramSize = P * gramOrder(sizes) * this.gramRow;
    const [grams, factors, penalties] = [floats(gramSize), floats(gramSize), floats(P)];
    this.numbers = numbers;
    this.R = R;
    this.Z = Z;
    this.base = base;
    this.next = next;
    this.gramBuffer = grams;
    this.factors = factors;
    this.sums = sums;
    const products = productWork(queue, X, gates, sizes, { shape, live, next, R, Z, g });
    this.forwardWork = products.forward;
    this.gradientWork = products.adjoint;
    queue.write(shape, shapeOf(sizes, products.shape));

    const along = quads > LANE_QUADS ? "workgroup" : "lane";
    const each = (items: number) => gridOf(along === "workgroup" ? items : Math.ceil(items / LANES));
    const perQuad = gridOf(Math.ceil((vectors * quads) / LANES));
    const move = [shape, numbers, base, y, g, x, next, reports];
    const collect = queue.work(shaders.liveShader, [shape, reports, live], gridOf(perGate));
    const ended = [queue.work(shaders.reportShader, [shape, reports, sums], [1, 1, 1]), collect];
    const gram = onRight ? shaders.rightGramShader : shaders.gramShader(along);
    const gramGrid = onRight ? gridOf(Math.ceil((P * width * quads) / LANES)) : each(P);
    const combine = onRight ? shaders.rightCombineShader(along) : shaders.combineShader(along);
    this.shrinkWork = [queue.work(shaders.shrinkShader(along), move, each(vectors)), ...ended];
    this.gramWork = [queue.work(gram, [shape, numbers, base, y, g, grams], gramGrid)];
    this.combineWork = [queue.work(combine, [...move, factors, penalties], each(vectors)), ...ended];
    const order = gramOrder(sizes);
    if (order <= shaders.MOST_ORDER) {
      const singular = shaders.singularShader(order, this.gramRow);
      const prox = queue.work(singular, [shape, numbers, grams, factors, penalties], gridOf(P));
      const all = [...this.gramWork, prox, ...this.combineWork];
      this.shrinkSingular = (step, threshold) => {
        queue.write(numbers, Float32Array.of(step, threshold, 0, 0));
        return this.report(all);
      };
    }
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
    const { sizes, gramRow, queue } = this;
    const order = gramOrder(sizes);
    queue.write(this.numbers, Float32Array.of(step, 0, 0, 0));
    const rows = sizes.gates * order;
    const values = await queue.read(this.gramWork, this.gramBuffer, rows * gramRow * FLOAT);
    return stridden(values, rows, order, gramRow, order);
  }

  async combine(step: number, factors: Float32Array): Promise<Omit<StepReport, "penalty">> {
    const { sizes, gramRow, queue } = this;
    const order = gramOrder(sizes);
    queue.write(this.factors, stridden(factors, sizes.gates * order, order, order, gramRow));
    queue.write(this.numbers, Float32Array.of(step, 0, 0, 0));
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
