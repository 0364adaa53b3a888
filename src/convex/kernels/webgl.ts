/** The WebGL engine: fused programs inside the tfjs WebGL backend, in float32 textures that never leave the GPU. */

import * as tf from "@tensorflow/tfjs";
import { isActive } from "../arrangements/bits.js";
import type { GateSet, Matrix } from "../types.js";
import { type BlockSizes, type DeviceBlocks, stepSums } from "./deviceIterate.js";
import { deviceKernels, type OpenDevice } from "./deviceKernels.js";
import type { StepReport } from "./types.js";
import { ContextWatch } from "./webglContext.js";
import * as programs from "./webglPrograms.js";

/** Fragments that keep a GPU busy: below it, sums are split. */
const WANTED_FRAGMENTS = 32768;
/** Gates or words of rows that a split has at least. */
const SPLIT_ITEMS = 16;
/** What renderers that are no GPU call themselves. */
const EMULATED = /swiftshader|llvmpipe|softpipe|software|basic render/i;

/** The part of tfjs's MathBackendWebGL that is used; its methods for programs of others are public. */
interface WebglBackend {
  readonly gpgpu: { readonly gl: WebGL2RenderingContext };
  makeTensorInfo(shape: number[], dtype: "float32", values: Float32Array): tf.TensorInfo;
  runWebGLProgram(
    program: programs.PackedProgram,
    inputs: tf.TensorInfo[],
    dtype: "float32",
    uniforms: number[][],
    keepPacked: boolean,
  ): tf.TensorInfo;
  read(data: object): Promise<Float32Array>;
  disposeIntermediateTensorInfo(info: tf.TensorInfo): void;
}

/** Needs the tfjs backend "webgl" on WebGL 2 with float32 targets; it need not be the current one. */
export const openWebgl: OpenDevice = async (host) => {
  const backend = tf.findBackend("webgl") as unknown as WebglBackend | null;
  if (backend === null) throw new Error(`tfjs has no backend "webgl" here; it needs a browser with WebGL`);
  const { gl } = backend.gpgpu;
  if (gl.isContextLost()) throw new Error(`the context of the tfjs backend "webgl" is lost; load the page again`);
  if (tf.env().getNumber("WEBGL_VERSION") !== 2)
    throw new Error("masks need the integers of WebGL 2, and this is WebGL 1");
  // Not backend.floatPrecision(), which answers 16 where float32 is on (tfjs 4.22).
  if (!tf.env().getBool("WEBGL_RENDER_FLOAT32_ENABLED")) {
    throw new Error("this GPU draws into float16 only, whose 3 digits can't carry a solve; it needs float32 targets");
  }
  const kernels = deviceKernels("webgl", host, async (X, gates, sizes) => new WebglBlocks(backend, X, gates, sizes));
  const extension = gl.getExtension("WEBGL_debug_renderer_info");
  const device = String(gl.getParameter(extension?.UNMASKED_RENDERER_WEBGL ?? gl.RENDERER));
  return { kernels, device, emulated: EMULATED.test(device) };
};

type Slot = "X" | "masks" | "base" | "x" | "y" | "g" | "next";

class WebglBlocks implements DeviceBlocks {
  private readonly even: programs.PackedSizes;
  private readonly forwardSplits: number;
  private readonly adjointSplits: number;
  private readonly held = new Map<Slot, tf.TensorInfo>();
  private readonly context: ContextWatch;

  constructor(
    private readonly backend: WebglBackend,
    X: Matrix,
    gates: GateSet,
    private readonly sizes: BlockSizes,
  ) {
    const { rows: n, width: d, gates: P, outputs: C } = sizes;
    const words = evenUp(Math.ceil(n / programs.WORD));
    this.even = { rows: evenUp(n), width: evenUp(d), gates: evenUp(P), outputs: C, columns: evenUp(C), words };
    const { rows, width, gates: most, columns } = this.even;
    this.forwardSplits = splitsFor((rows * columns) / 4, most);
    this.adjointSplits = splitsFor((most * C * width) / 4, words);
    this.context = new ContextWatch(backend.gpgpu.gl);

    const data = new Float32Array(rows * width);
    for (let j = 0; j < n; j++) data.set(X.data.subarray(j * d, (j + 1) * d), j * width);
    this.hold("X", this.matrix(data, [rows, width]));
    const masks = new Float32Array(most * words);
    for (let i = 0; i < P; i++) {
      for (let j = 0; j < n; j++) if (isActive(gates, i, j)) masks[i * words + (j >>> 4)] += 2 ** (j & 15);
    }
    this.hold("masks", this.matrix(masks, [most, words]));
    for (const slot of ["base", "x", "y", "g", "next"] as const) this.hold(slot, this.blocks(null));
  }

  async gradient(R: Float32Array): Promise<void> {
    const { rows: n, outputs: C } = this.sizes;
    const { rows, columns } = this.even;
    const padded = new Float32Array(columns * rows);
    for (let c = 0; c < C; c++) padded.set(R.subarray(c * n, (c + 1) * n), c * rows);
    const residual = this.matrix(padded, [columns, rows]);
    const inputs = [this.get("X"), residual, this.get("masks")];
    const parts = this.run(programs.adjointProgram(this.even, this.adjointSplits), inputs);
    this.free(residual);
    if (this.adjointSplits === 1) {
      this.hold("g", parts);
    } else {
      this.hold("g", this.run(programs.sumProgram(this.even, this.adjointSplits), [parts]));
      this.free(parts);
    }
  }

  async shrink(step: number, threshold: number): Promise<StepReport> {
    const origin = [this.get("base"), this.get("y"), this.get("g")];
    const squares = this.run(programs.squaresProgram(this.even), origin, [step]);
    const next = this.run(programs.shrinkProgram(this.even), [...origin, squares], [step, threshold]);
    this.hold("next", next);
    const [report, norms] = await Promise.all([this.report(), this.take(squares)]);
    let penalty = 0;
    for (let k = 0; k < norms.length; k += 2) penalty += Math.max(0, Math.sqrt(norms[k]) - threshold);
    return { ...report, penalty };
  }

  async grams(step: number): Promise<Float32Array> {
    const origin = [this.get("base"), this.get("y"), this.get("g")];
    const all = await this.take(this.run(programs.gramProgram(this.even), origin, [step]));
    const { gates: P, outputs: C } = this.sizes;
    const grams = new Float32Array(P * C * C);
    this.eachFactor((from, to) => {
      grams[to] = all[from];
    });
    return grams;
  }

  async combine(step: number, factors: Float32Array): Promise<Omit<StepReport, "penalty">> {
    const { gates, outputs, columns } = this.even;
    const rows = new Float32Array(gates * outputs * columns);
    this.eachFactor((to, from) => {
      rows[to] = factors[from];
    });
    const matrix = this.matrix(rows, [gates * outputs, columns]);
    const inputs = [this.get("base"), this.get("y"), this.get("g"), matrix];
    this.hold("next", this.run(programs.combineProgram(this.even), inputs, [step]));
    this.free(matrix);
    return this.report();
  }

  async forward(): Promise<Float32Array> {
    const { rows: n, outputs: C } = this.sizes;
    const { columns } = this.even;
    const inputs = [this.get("X"), this.get("next"), this.get("masks")];
    const parts = await this.take(this.run(programs.forwardProgram(this.even, this.forwardSplits), inputs));
    const Z = new Float32Array(C * n);
    for (let c = 0; c < C; c++) {
      for (let j = 0; j < n; j++) {
        let sum = 0;
        for (let s = 0; s < this.forwardSplits; s++) sum += parts[(j * this.forwardSplits + s) * columns + c];
        Z[c * n + j] = sum;
      }
    }
    return Z;
  }

  async accept(momentum: number): Promise<void> {
    const [next, x] = [this.get("next"), this.get("x")];
    this.hold("y", this.run(programs.entryProgram(this.even, "a + m * (a - b)"), [next, x, x], [momentum]));
    this.hold("x", this.copy(next));
  }

  async rebase(): Promise<void> {
    const [base, next, y] = [this.get("base"), this.get("next"), this.get("y")];
    const fresh = this.run(programs.entryProgram(this.even, "a + b"), [base, next, next], [0]);
    const less = programs.entryProgram(this.even, "a - (b - c)");
    this.hold("y", this.run(less, [y, fresh, base], [0]));
    this.hold("next", this.run(less, [next, fresh, base], [0]));
    this.hold("base", fresh);
    this.hold("x", this.copy(this.get("next")));
  }

  async read(): Promise<{ base: Float32Array; next: Float32Array }> {
    return { base: await this.readBlocks("base"), next: await this.readBlocks("next") };
  }

  async write(base: Float32Array, next: Float32Array): Promise<void> {
    this.hold("base", this.blocks(base));
    for (const slot of ["x", "y", "next"] as const) this.hold(slot, this.blocks(next));
  }

  dispose(): void {
    this.context.dispose();
    for (const info of this.held.values()) this.free(info);
    this.held.clear();
  }

  /** The sums of a step, read vector by vector and added up in float64. */
  private async report(): Promise<Omit<StepReport, "penalty">> {
    const inputs = [this.get("next"), this.get("y"), this.get("x")];
    return stepSums(await this.take(this.run(programs.reportProgram(this.even), inputs)));
  }

  /** Places of the factors in a matrix [P C x columns] and in [P x C x C]. */
  private eachFactor(use: (packed: number, plain: number) => void): void {
    const { gates: P, outputs: C } = this.sizes;
    const { gates, columns } = this.even;
    for (let i = 0; i < P; i++) {
      for (let a = 0; a < C; a++) {
        for (let b = 0; b < C; b++) use((a * gates + i) * columns + b, (i * C + a) * C + b);
      }
    }
  }

  /** Blocks [P x C x d] as rows of a matrix, zeros for null. */
  private blocks(values: Float32Array | null): tf.TensorInfo {
    const { gates, outputs, width } = this.even;
    const rows = new Float32Array(gates * outputs * width);
    if (values !== null) {
      this.eachVector((packed, plain) => {
        rows.set(values.subarray(plain, plain + this.sizes.width), packed);
      });
    }
    return this.matrix(rows, [gates * outputs, width]);
  }

  private async readBlocks(slot: Slot): Promise<Float32Array> {
    const { gates: P, outputs: C, width: d } = this.sizes;
    const rows = await this.fetch(this.get(slot));
    const values = new Float32Array(P * C * d);
    this.eachVector((packed, plain) => {
      values.set(rows.subarray(packed, packed + d), plain);
    });
    return values;
  }

  /** Where each vector begins, in the matrix and in [P x C x d]. */
  private eachVector(use: (packed: number, plain: number) => void): void {
    const { gates: P, outputs: C, width: d } = this.sizes;
    for (let i = 0; i < P; i++) {
      for (let c = 0; c < C; c++) use((c * this.even.gates + i) * this.even.width, (i * C + c) * d);
    }
  }

  private copy(info: tf.TensorInfo): tf.TensorInfo {
    return this.run(programs.entryProgram(this.even, "a"), [info, info, info], [0]);
  }

  private matrix(values: Float32Array, shape: [number, number]): tf.TensorInfo {
    return this.backend.makeTensorInfo(shape, "float32", values);
  }

  private run(program: programs.PackedProgram, inputs: tf.TensorInfo[], numbers: number[] = []): tf.TensorInfo {
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
  private async take(info: tf.TensorInfo): Promise<Float32Array> {
    const values = await this.fetch(info);
    this.free(info);
    return values;
  }

  private fetch(info: tf.TensorInfo): Promise<Float32Array> {
    return this.context.whileThere(this.backend.read(info.dataId));
  }

  private get(slot: Slot): tf.TensorInfo {
    const info = this.held.get(slot);
    if (info === undefined) throw new Error(`webgl: blocks are used after dispose (${slot}).`);
    return info;
  }

  private hold(slot: Slot, info: tf.TensorInfo): void {
    const before = this.held.get(slot);
    if (before !== undefined) this.free(before);
    this.held.set(slot, info);
  }

  private free(info: tf.TensorInfo): void {
    this.backend.disposeIntermediateTensorInfo(info);
  }
}

function evenUp(count: number): number {
  return 2 * Math.ceil(count / 2);
}

/** Into how many parts a sum over `items` is cut, when it fills this many fragments. */
function splitsFor(fragments: number, items: number): number {
  return Math.max(1, Math.min(Math.ceil(WANTED_FRAGMENTS / fragments), Math.floor(items / SPLIT_ITEMS)));
}
