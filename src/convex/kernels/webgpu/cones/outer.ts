/** Outputs, bias and loss of a splitting in buffers of a WebGPU device, so that whole steps run there one after another. */

import { type DeviceOuter, outerArrays } from "../../device/index.js";
import type { OuterNumbers, OuterSystem } from "../../types.js";
import { type GpuQueue, gridOf, type Work } from "../queue.js";
import { LANES } from "../shape.js";
import * as shaders from "./outerShaders.js";

const FLOAT = 4; // bytes

/** What the outputs' work reads and writes of the products'. */
export interface OuterBuffers {
  readonly shape: GPUBuffer;
  readonly R: GPUBuffer; // [C x n]: U, then W
  readonly Z: GPUBuffer; // [C x n]: A M^-1 of the blocks' right side
  readonly solution: GPUBuffer; // [n x n]
}

export class WebgpuOuter {
  /** Of a step, after U is there; after Z is there; after the blocks have moved. */
  readonly before: readonly Work[];
  readonly solve: readonly Work[];
  readonly after: readonly Work[];
  private readonly numbers: GPUBuffer;
  private readonly z: GPUBuffer;
  private readonly c: GPUBuffer;
  private readonly bias: GPUBuffer;
  private readonly sums: GPUBuffer;
  private readonly groups: number;

  constructor(
    private readonly queue: GpuQueue,
    private readonly system: OuterSystem,
    private readonly rows: number,
    private readonly outputs: number,
    private readonly buffers: OuterBuffers,
  ) {
    const [n, C] = [rows, outputs];
    const { shape, R, Z, solution } = buffers;
    const floats = (count: number) => queue.buffer(count * FLOAT);
    const { kind } = system.terms;
    const softmax = kind === "categoricalCrossentropy";
    const { Y, a } = outerArrays(system, n, C);
    const [targets, weights] = [queue.filled(Y), queue.filled(a)];
    const numbers = queue.buffer(shaders.OUTER_NUMBERS * FLOAT, true);
    const [z, c, bias, pulls] = [floats(C * n), floats(C * n), floats(4 * C), floats(C)];
    const levels = floats(softmax ? n : 1);
    const grid = gridOf(Math.ceil((C * n) / LANES));
    this.groups = grid[0] * grid[1];
    const sums = floats(2 * this.groups);
    [this.numbers, this.z, this.c, this.bias, this.sums] = [numbers, z, c, bias, sums];
    const ofBias = queue.filled(Float32Array.from(system.ofBias));
    const biased = system.biasScale > 0;
    const each = [shape, numbers];
    this.before = biased ? [queue.work(shaders.pullsShader, [...each, R, bias, pulls], [C, 1, 1])] : [];
    this.solve = [queue.work(shaders.solvedShader, [shape, solution, Z, pulls, ofBias, R], [n, C, 1])];
    this.after = [
      ...(biased ? [queue.work(shaders.biasShader, [...each, R, pulls, bias], [C, 1, 1])] : []),
      ...(softmax
        ? [queue.work(shaders.levelShader, [...each, R, z, c, targets, weights, levels], gridOf(Math.ceil(n / LANES)))]
        : []),
      queue.work(shaders.proxShader(kind), [...each, targets, weights, levels, R, z, c, sums], grid),
    ];
  }

  begin({ relaxation, tau, biasShare }: OuterNumbers, { z, c, bias }: DeviceOuter): void {
    const { queue, system } = this;
    const { outputWeight: r, biasScale } = system;
    queue.write(this.numbers, Float32Array.of(r, biasScale, relaxation, tau, biasShare, 0, 0, 0));
    queue.write(this.z, z);
    queue.write(this.c, c);
    queue.write(this.bias, bias);
    queue.write(
      this.buffers.R,
      z.map((value, k) => r * (value - c[k])),
    );
  }

  /** The state, and the sums of what the last step left and moved in pairs. */
  async read(): Promise<DeviceOuter & { readonly sums: Float32Array }> {
    const { queue, outputs: C, rows: n } = this;
    const [z, c, bias, sums] = await Promise.all([
      queue.read([], this.z, C * n * FLOAT),
      queue.read([], this.c, C * n * FLOAT),
      queue.read([], this.bias, 4 * C * FLOAT),
      queue.read([], this.sums, 2 * this.groups * FLOAT),
    ]);
    return { z, c, bias, sums };
  }
}
