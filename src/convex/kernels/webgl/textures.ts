/** Matrices in textures of the tfjs WebGL backend, by their names, and programs that make them. */

import * as tf from "@tensorflow/tfjs";
import { ConvexError } from "../../../errors.js";
import { ContextWatch } from "./context.js";
import type { PackedProgram } from "./programs.js";

/** The part of tfjs's MathBackendWebGL that is used; its methods for programs of others are public. */
export interface WebglBackend {
  readonly gpgpu: { readonly gl: WebGL2RenderingContext };
  makeTensorInfo(shape: number[], dtype: "float32", values: Float32Array): tf.TensorInfo;
  runWebGLProgram(
    program: PackedProgram,
    inputs: tf.TensorInfo[],
    dtype: "float32",
    uniforms: number[][],
    keepPacked: boolean,
  ): tf.TensorInfo;
  read(data: object): Promise<Float32Array>;
  disposeIntermediateTensorInfo(info: tf.TensorInfo): void;
}

/** Texels of the largest texture, of four numbers each: tfjs folds a matrix that is longer than a side. */
export function mostTexels(): number {
  return tf.env().getNumber("WEBGL_MAX_TEXTURE_SIZE") ** 2;
}

/** Throws ConvexError "engine/unavailable" where one of these matrices is larger than a texture, so that nothing is begun. */
export function refuseNoRoom(shapes: readonly (readonly number[])[]): void {
  for (const [rows, columns] of shapes) {
    if (Math.ceil(rows / 2) * Math.ceil(columns / 2) <= mostTexels()) continue;
    throw new ConvexError(
      "engine/unavailable",
      `engine: expected matrices of at most ${4 * mostTexels()} numbers, what a texture of this GPU holds, got one of ` +
        `${rows} x ${columns}. Use fewer gates, or engine: "wasm".`,
    );
  }
}

export class Textures<Slot extends string> {
  private readonly held = new Map<Slot, tf.TensorInfo>();
  private readonly context: ContextWatch;

  constructor(private readonly backend: WebglBackend) {
    this.context = new ContextWatch(backend.gpgpu.gl);
  }

  dispose(): void {
    this.context.dispose();
    for (const info of this.held.values()) this.free(info);
    this.held.clear();
  }

  protected matrix(values: Float32Array, shape: [number, number]): tf.TensorInfo {
    return this.backend.makeTensorInfo(shape, "float32", values);
  }

  protected run(program: PackedProgram, inputs: tf.TensorInfo[], numbers: number[] = []): tf.TensorInfo {
    this.context.check();
    return this.backend.runWebGLProgram(
      program,
      inputs,
      "float32",
      numbers.map((value) => [value]),
      true,
    );
  }

  /** Reads and frees. */
  protected async take(info: tf.TensorInfo): Promise<Float32Array> {
    const values = await this.fetch(info);
    this.free(info);
    return values;
  }

  protected fetch(info: tf.TensorInfo): Promise<Float32Array> {
    return this.context.whileThere(this.backend.read(info.dataId));
  }

  protected get(slot: Slot): tf.TensorInfo {
    const info = this.held.get(slot);
    if (info === undefined) throw new Error(`webgl: blocks are used after dispose (${slot}).`);
    return info;
  }

  protected hold(slot: Slot, info: tf.TensorInfo): void {
    const before = this.held.get(slot);
    if (before !== undefined) this.free(before);
    this.held.set(slot, info);
  }

  protected free(info: tf.TensorInfo): void {
    this.backend.disposeIntermediateTensorInfo(info);
  }
}

/** A matrix [m x n] in a larger one, in float32. */
export function padded(
  data: Float64Array | Float32Array,
  m: number,
  n: number,
  rows: number,
  columns: number,
): Float32Array {
  const out = new Float32Array(rows * columns);
  for (let i = 0; i < m; i++) out.set(data.subarray(i * n, (i + 1) * n), i * columns);
  return out;
}
