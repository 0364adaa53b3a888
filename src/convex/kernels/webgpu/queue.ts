/** Buffers, compute passes and reads on one WebGPU device, all in float32 and 32-bit integers. */

import { ConvexError } from "../../../errors.js";
import { lostError } from "./device.js";

/** Flags of the WebGPU standard; in Node they are no globals. */
const MAP_READ = 0x01;
const MAP_MODE_READ = 0x01;
const COPY_SRC = 0x04;
const COPY_DST = 0x08;
const UNIFORM = 0x40;
const STORAGE = 0x80;
/** Workgroups in a row of a grid; the standard promises 65535. */
const GRID_ROW = 32768;

export type Grid = readonly [number, number, number];

/** A shader bound to its buffers. */
export interface Work {
  readonly pipeline: GPUComputePipeline;
  readonly bindings: GPUBindGroup;
  readonly grid: Grid;
}

/** Pipelines by their source; they live as long as the device. */
const pipelines = new WeakMap<GPUDevice, Map<string, GPUComputePipeline>>();

export class GpuQueue {
  private readonly buffers: GPUBuffer[] = [];
  private readonly idle = new Map<number, GPUBuffer[]>(); // buffers to read through, by bytes
  private lost: string | null = null;

  constructor(private readonly device: GPUDevice) {
    device.lost.then(({ reason, message }) => {
      this.lost = message || reason || "no reason given";
    });
  }

  /** Makes what `build` makes; throws ConvexError "engine/unavailable" when the device has no room for it. */
  async fill<T>(build: () => T): Promise<T> {
    const { device } = this;
    device.pushErrorScope("out-of-memory");
    device.pushErrorScope("validation");
    let made: T | undefined;
    let failure: unknown = null;
    try {
      made = build();
    } catch (error) {
      failure = error;
    }
    const [invalid, full] = await Promise.all([device.popErrorScope(), device.popErrorScope()]);
    if (failure === null && full === null && invalid === null) return made as T;
    this.dispose();
    this.refuseLost();
    if (failure instanceof ConvexError) throw failure;
    throw noRoom("enough for data and blocks", (full ?? invalid)?.message ?? String(failure));
  }

  /** A buffer of zeros for shaders. */
  buffer(bytes: number, uniform = false): GPUBuffer {
    const { maxStorageBufferBindingSize, maxBufferSize } = this.device.limits;
    const limit = Math.min(maxStorageBufferBindingSize, maxBufferSize);
    if (bytes > limit) throw noRoom(`${megabytes(bytes)} in one buffer`, `at most ${megabytes(limit)}`);
    const usage = (uniform ? UNIFORM : STORAGE) | COPY_DST | COPY_SRC;
    const buffer = this.device.createBuffer({ size: bytes, usage });
    this.buffers.push(buffer);
    return buffer;
  }

  /** A buffer with these numbers. */
  filled(data: Float32Array | Uint32Array): GPUBuffer {
    const buffer = this.buffer(data.byteLength);
    this.write(buffer, data);
    return buffer;
  }

  write(buffer: GPUBuffer, data: Float32Array | Uint32Array): void {
    this.refuseLost();
    this.device.queue.writeBuffer(buffer, 0, data as BufferSource);
  }

  /** Numbers 0, 1, ... of `buffers` are the bindings of the shader. */
  work(shader: string, buffers: readonly GPUBuffer[], grid: Grid): Work {
    const pipeline = this.pipeline(shader);
    const entries = buffers.map((buffer, binding) => ({ binding, resource: { buffer } }));
    const bindings = this.device.createBindGroup({ layout: pipeline.getBindGroupLayout(0), entries });
    return { pipeline, bindings, grid };
  }

  run(work: readonly Work[]): void {
    this.refuseLost();
    const encoder = this.device.createCommandEncoder();
    encode(encoder, work);
    this.device.queue.submit([encoder.finish()]);
  }

  /** Runs the work, then reads the first bytes of a buffer. */
  async read(work: readonly Work[], buffer: GPUBuffer, bytes: number): Promise<Float32Array> {
    this.refuseLost();
    const staging =
      this.idle.get(bytes)?.pop() ?? this.device.createBuffer({ size: bytes, usage: MAP_READ | COPY_DST });
    const encoder = this.device.createCommandEncoder();
    encode(encoder, work);
    encoder.copyBufferToBuffer(buffer, 0, staging, 0, bytes);
    this.device.queue.submit([encoder.finish()]);
    try {
      await staging.mapAsync(MAP_MODE_READ);
    } catch (error) {
      throw await this.explained(error);
    }
    const values = new Float32Array(staging.getMappedRange().slice(0));
    staging.unmap();
    const others = this.idle.get(bytes) ?? [];
    this.idle.set(bytes, [...others, staging]);
    return values;
  }

  dispose(): void {
    for (const buffer of [...this.buffers, ...[...this.idle.values()].flat()]) buffer.destroy();
    this.buffers.length = 0;
    this.idle.clear();
  }

  private pipeline(code: string): GPUComputePipeline {
    const known = pipelines.get(this.device) ?? new Map<string, GPUComputePipeline>();
    pipelines.set(this.device, known);
    const made = known.get(code);
    if (made !== undefined) return made;
    const module = this.device.createShaderModule({ code });
    const pipeline = this.device.createComputePipeline({ layout: "auto", compute: { module, entryPoint: "main" } });
    known.set(code, pipeline);
    return pipeline;
  }

  private refuseLost(): void {
    if (this.lost !== null) throw lostError(this.lost);
  }

  /** Why a read failed: a device that is lost says so in its own promise, which may come a moment later. */
  private async explained(error: unknown): Promise<unknown> {
    await Promise.race([this.device.lost, new Promise((resolve) => setTimeout(resolve, 100))]);
    return this.lost === null ? error : lostError(this.lost);
  }
}

/** A grid of this many workgroups in each layer, some more where a layer has several rows. */
export function gridOf(groups: number, layers = 1): Grid {
  return [Math.min(groups, GRID_ROW), Math.ceil(groups / GRID_ROW), layers];
}

function encode(encoder: GPUCommandEncoder, work: readonly Work[]): void {
  for (const { pipeline, bindings, grid } of work) {
    const pass = encoder.beginComputePass();
    pass.setPipeline(pipeline);
    pass.setBindGroup(0, bindings);
    pass.dispatchWorkgroups(...grid);
    pass.end();
  }
}

function noRoom(wanted: string, got: string): ConvexError {
  return new ConvexError(
    "engine/unavailable",
    `engine: expected room on the WebGPU device, ${wanted}, got ${got}. Use fewer gates, or engine: "wasm".`,
  );
}

function megabytes(bytes: number): string {
  return `${Math.ceil(bytes / 1e6)} MB`;
}
