/**
 * The gpu.js engine: blocks in its pipelined textures, in float32, on whatever gpu.js finds: WebGL 2, WebAssembly or the CPU.
 *
 * Its synchronous mode keeps the order of calls; a read holds the page for as long as the GPU needs.
 */

import { ConvexError } from "../../../errors.js";
import { eachActive } from "../../linear/bits.js";
import { ONE_PATCH } from "../../network.js";
import type { GateSet, Matrix } from "../../types.js";
import {
  type BlockSizes,
  type DeviceBlocks,
  deviceKernels,
  gramOnRight,
  gramOrder,
  type OpenDevice,
  type PatchImages,
  patchImages,
  stepSums,
} from "../device/index.js";
import type { StepReport } from "../types.js";
import {
  flat,
  free,
  type GpuInstance,
  type GpuJs,
  isTexture,
  type KernelCall,
  loadGpujs,
  rowsOf,
  type Texture,
} from "./library.js";
import * as sources from "./programs.js";

/** Bits of a word of a mask: float32 holds them exactly. */
const WORD = 16;
/** Texels on a side of the largest texture that WebGL 2 promises. */
const TEXTURE_SIDE = 2048;

/** One gpu.js a realm: it holds a context of its own. */
let instance: GpuInstance | null = null;

/** Needs the package gpu.js, or its script in the page. */
export const openGpujs: OpenDevice = async (host) => {
  const library = await loadGpujs();
  instance ??= new library.GPU();
  const gpu = instance;
  const kernels = deviceKernels("gpujs", host, async (X, gates, sizes) => {
    return new GpujsBlocks(library, gpu, X, gates, sizes);
  });
  return { kernels, device: `gpu.js (${gpu.mode})`, emulated: gpu.mode === "cpu" || gpu.mode === "webasm" };
};

type Slot = "X" | "places" | "rowMasks" | "gateMasks" | "base" | "x" | "y" | "g" | "next";

class GpujsBlocks implements DeviceBlocks {
  private readonly kernels = new Map<string, KernelCall>();
  private readonly held = new Map<Slot, Texture>();
  private readonly constants: sources.Constants;
  private readonly vectors: number;
  private readonly tight: boolean; // four numbers a texel in textures that are almost square: slower, but never too long

  constructor(
    private readonly library: GpuJs,
    private readonly gpu: GpuInstance,
    X: Matrix,
    gates: GateSet,
    private readonly sizes: BlockSizes,
  ) {
    const { rows, width, gates: P, outputs, perGate, pooling } = sizes;
    const { patches, positions } = pooling ?? ONE_PATCH;
    const window = patches / positions;
    this.vectors = P * perGate;
    const words = { rowWords: Math.ceil((rows * window) / WORD), gateWords: Math.ceil(P / WORD) };
    this.constants = { width, outputs, perGate, patches, positions, window, ...words };
    const images = pooling === null ? null : patchImages(X, patches);
    const sides = [
      rows,
      width,
      this.vectors,
      images?.pixels ?? 0,
      patches * words.gateWords,
      positions * words.rowWords,
    ];
    this.tight = Math.max(...sides) > TEXTURE_SIDE;
    this.fill(X, gates, images);
  }

  async gradient(R: Float32Array): Promise<void> {
    const { rows, outputs } = this.sizes;
    const residual = this.library.input(R, [rows, outputs]);
    const adjoint = this.sizes.pooling === null ? sources.adjoint : sources.adjointPatches;
    this.makeBlocks("g", adjoint, this.get("X"), residual, this.get("rowMasks"), ...this.places);
  }

  async shrink(step: number, threshold: number): Promise<StepReport> {
    const numbers = Float32Array.of(step, threshold, 0);
    const [base, y, g] = this.origin();
    const norms = this.call(sources.norms, [1, this.vectors], base, y, g, numbers);
    this.makeBlocks("next", sources.shrink, base, y, g, norms, numbers);
    const report = this.report();
    let penalty = 0;
    for (const length of this.take(norms, 1)) penalty += Math.max(0, length - threshold);
    return { ...report, penalty };
  }

  async grams(step: number): Promise<Float32Array> {
    const order = gramOrder(this.sizes);
    const numbers = Float32Array.of(step, 0, 0);
    const grams = gramOnRight(this.sizes) ? sources.rightGrams : sources.grams;
    return this.take(this.call(grams, [order, this.sizes.gates * order], ...this.origin(), numbers), order);
  }

  async combine(step: number, factors: Float32Array): Promise<Omit<StepReport, "penalty">> {
    const numbers = Float32Array.of(step, 0, 0);
    const order = gramOrder(this.sizes);
    const matrix = this.library.input(factors, [order, this.sizes.gates * order]);
    this.makeBlocks(
      "next",
      gramOnRight(this.sizes) ? sources.rightCombine : sources.combine,
      ...this.origin(),
      matrix,
      numbers,
    );
    return this.report();
  }

  async forward(): Promise<Float32Array> {
    const { rows, outputs } = this.sizes;
    const inputs = [this.get("X"), this.get("next"), this.get("gateMasks"), ...this.places];
    const forward = this.sizes.pooling === null ? sources.forward : sources.forwardPatches;
    return this.take(this.call(forward, [rows, outputs], ...inputs), rows);
  }

  async accept(momentum: number): Promise<void> {
    const numbers = Float32Array.of(0, 0, momentum);
    this.makeBlocks("y", sources.extrapolate, this.get("next"), this.get("x"), numbers);
    this.makeBlocks("x", sources.upload, this.get("next"));
  }

  async rebase(): Promise<void> {
    const [base, y] = this.origin();
    const size: [number, number] = [this.sizes.width, this.vectors];
    const fresh = this.call(sources.add, size, base, this.get("next"));
    this.makeBlocks("y", sources.shift, y, fresh, base);
    this.makeBlocks("next", sources.shift, this.get("next"), fresh, base);
    this.hold("base", fresh);
    this.makeBlocks("x", sources.upload, this.get("next"));
  }

  async read(): Promise<{ base: Float32Array; next: Float32Array }> {
    const { width } = this.sizes;
    return {
      base: flat(rowsOf(this.get("base")), width),
      next: flat(rowsOf(this.get("next")), width),
    };
  }

  async write(base: Float32Array, next: Float32Array): Promise<void> {
    this.upload("base", base, [this.sizes.width, this.vectors]);
    for (const slot of ["x", "y", "next"] as const) this.upload(slot, next, [this.sizes.width, this.vectors]);
  }

  dispose(): void {
    for (const texture of this.held.values()) free(texture);
    this.held.clear();
    for (const kernel of this.kernels.values()) kernel.destroy();
    this.kernels.clear();
  }

  private fill(X: Matrix, gates: GateSet, images: PatchImages | null): void {
    const { rows: n, width: d, gates: P } = this.sizes;
    const { patches: K, positions: A, window: W, rowWords, gateWords } = this.constants;
    const along = new Float32Array(P * A * rowWords); // by position, its patches sample by sample
    const across = new Float32Array(n * K * gateWords);
    for (let i = 0; i < P; i++) {
      eachActive(gates, i, (row) => {
        const index = row % K;
        const at = ((row - index) / K) * W + Math.floor(index / A);
        along[(i * A + (index % A)) * rowWords + Math.floor(at / WORD)] += 2 ** (at % WORD);
        across[row * gateWords + Math.floor(i / WORD)] += 2 ** (i % WORD);
      });
    }
    if (images === null) {
      this.upload("X", Float32Array.from(X.data), [d, n]);
    } else {
      this.upload("X", images.data, [images.pixels, n]);
      this.upload("places", Float32Array.from(images.places), [d, K]);
    }
    this.upload("rowMasks", along, [A * rowWords, P]);
    this.upload("gateMasks", across, [K * gateWords, n]);
    const zeros = new Float32Array(this.vectors * d);
    for (const slot of ["base", "x", "y", "next"] as const) this.upload(slot, zeros, [d, this.vectors]);
    this.upload("g", zeros, [d, this.vectors]);
  }

  /** What a product reads beside its vectors and masks: the places of patches, where there are any. */
  private get places(): Texture[] {
    return this.sizes.pooling === null ? [] : [this.get("places")];
  }

  /** What a step starts from. */
  private origin(): [Texture, Texture, Texture] {
    return [this.get("base"), this.get("y"), this.get("g")];
  }

  /** The sums of a step, read vector by vector and added up in float64. */
  private report(): Omit<StepReport, "penalty"> {
    const inputs = [this.get("next"), this.get("y"), this.get("x")];
    return stepSums(this.take(this.call(sources.report, [2, this.vectors], ...inputs), 2));
  }

  private upload(slot: Slot, values: Float32Array, size: [number, number]): void {
    this.hold(slot, this.call(sources.upload, size, this.library.input(values, size)));
  }

  private makeBlocks(slot: Slot, source: string, ...inputs: unknown[]): void {
    this.hold(slot, this.call(source, [this.sizes.width, this.vectors], ...inputs));
  }

  /** Runs a kernel over a grid [columns, rows]; a kernel is compiled for its grid and the kind of its inputs. */
  private call(source: string, output: [number, number], ...inputs: unknown[]): Texture {
    const fromHost = inputs.map((value) => (value instanceof Float32Array || !isTexture(value) ? "h" : "d")).join("");
    const key = `${output.join(" ")} ${fromHost} ${source}`;
    let kernel = this.kernels.get(key);
    if (kernel === undefined) {
      kernel = this.gpu.createKernel(source, {
        output,
        pipeline: true,
        immutable: true,
        precision: "single",
        optimizeFloatMemory: this.tight,
        tactic: "precision",
        constants: { ...this.constants },
      });
      this.kernels.set(key, kernel);
    }
    const texture = kernel(...inputs);
    if (kernel.context?.isContextLost?.() === true) {
      instance = null; // the next fit makes another
      throw lostError();
    }
    return texture;
  }

  /** Reads and frees. */
  private take(texture: Texture, width: number): Float32Array {
    const values = flat(rowsOf(texture), width);
    free(texture);
    return values;
  }

  private get(slot: Slot): Texture {
    const texture = this.held.get(slot);
    if (texture === undefined) throw new Error(`gpujs: blocks are used after dispose (${slot}).`);
    return texture;
  }

  private hold(slot: Slot, texture: Texture): void {
    const before = this.held.get(slot);
    if (before !== undefined) free(before);
    this.held.set(slot, texture);
  }
}

function lostError(): ConvexError {
  return new ConvexError(
    "engine/lost",
    `engine: expected the WebGL context of gpu.js to stay, got a lost one. The model is as it was: fit again, or use engine: "wasm".`,
  );
}
