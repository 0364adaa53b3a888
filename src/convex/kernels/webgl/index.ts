/** The WebGL engine: fused programs inside the tfjs WebGL backend, in float32 textures that never leave the GPU. */

import * as tf from "@tensorflow/tfjs";
import type { GateSet, Matrix } from "../../types.js";
import {
  type BlockSizes,
  type DeviceBlocks,
  deviceKernels,
  gramOnRight,
  gramOrder,
  type OpenDevice,
  stepSums,
} from "../device/index.js";
import type { StepReport } from "../types.js";
import { coneShapes, WebglCones } from "./cones.js";
import { WebglNeurons } from "./neurons.js";
import { evenUp, type ProductPrograms, productPrograms } from "./products.js";
import * as programs from "./programs.js";
import { refuseNoRoom, Textures, type WebglBackend } from "./textures.js";

/** What renderers that are no GPU call themselves. */
const EMULATED = /swiftshader|llvmpipe|softpipe|software|basic render/i;

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
  const kernels = deviceKernels(
    "webgl",
    host,
    async (X, gates, sizes) => blocksOn(backend, X, gates, sizes),
    async (X, gates, sizes, system) => {
      refuseNoRoom(coneShapes(sizes));
      return new WebglCones(backend, X, gates, sizes, system);
    },
    async (X, outputs) => WebglNeurons.on(backend, X, outputs),
  );
  const extension = gl.getExtension("WEBGL_debug_renderer_info");
  const device = String(gl.getParameter(extension?.UNMASKED_RENDERER_WEBGL ?? gl.RENDERER));
  return { kernels, device, emulated: EMULATED.test(device) };
};

type Slot = "data" | "masks" | "places" | "base" | "x" | "y" | "g" | "next";

function blocksOn(backend: WebglBackend, X: Matrix, gates: GateSet, sizes: BlockSizes): WebglBlocks {
  const { rows, width, gates: P, outputs, perGate } = sizes;
  const order = gramOrder(sizes);
  const even: programs.PackedSizes = {
    ...{ rows: evenUp(rows), width: evenUp(width), gates: evenUp(P), outputs, columns: evenUp(outputs), perGate },
    ...{ order, orderColumns: evenUp(order) },
  };
  const products = productPrograms(X, gates, sizes, even);
  const { data, masks, forward, adjoint } = products;
  const shapes = [data.shape, masks.shape, forward.outputShape, adjoint.outputShape];
  refuseNoRoom([...shapes, [even.columns, even.rows], [even.gates * order, even.orderColumns]]);
  return new WebglBlocks(backend, sizes, even, products);
}

class WebglBlocks extends Textures<Slot> implements DeviceBlocks {
  private readonly products: Omit<ProductPrograms, "data" | "masks" | "places">;

  constructor(
    backend: WebglBackend,
    private readonly sizes: BlockSizes,
    private readonly even: programs.PackedSizes,
    { data, masks, places, ...products }: ProductPrograms,
  ) {
    super(backend);
    this.products = products;
    this.hold("data", this.matrix(data.values, data.shape));
    this.hold("masks", this.matrix(masks.values, masks.shape));
    if (places !== null) this.hold("places", this.matrix(places.values, places.shape));
    for (const slot of ["base", "x", "y", "g", "next"] as const) this.hold(slot, this.blocks(null));
  }

  async gradient(R: Float32Array): Promise<void> {
    const { rows: n, outputs: C } = this.sizes;
    const { rows, columns } = this.even;
    const padded = new Float32Array(columns * rows);
    for (let c = 0; c < C; c++) padded.set(R.subarray(c * n, (c + 1) * n), c * rows);
    const residual = this.matrix(padded, [columns, rows]);
    const { adjoint, adjointSplits } = this.products;
    const parts = this.run(adjoint, this.inputs(residual));
    this.free(residual);
    if (adjointSplits === 1) {
      this.hold("g", parts);
    } else {
      this.hold("g", this.run(programs.sumProgram(this.even, adjointSplits), [parts]));
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
    const gram = gramOnRight(this.sizes) ? programs.rightGramProgram : programs.gramProgram;
    const all = await this.take(this.run(gram(this.even), origin, [step]));
    const grams = new Float32Array(this.sizes.gates * this.even.order ** 2);
    this.eachFactor((from, to) => {
      grams[to] = all[from];
    });
    return grams;
  }

  async combine(step: number, factors: Float32Array): Promise<Omit<StepReport, "penalty">> {
    const { gates, order, orderColumns } = this.even;
    const rows = new Float32Array(gates * order * orderColumns);
    this.eachFactor((to, from) => {
      rows[to] = factors[from];
    });
    const matrix = this.matrix(rows, [gates * order, orderColumns]);
    const inputs = [this.get("base"), this.get("y"), this.get("g"), matrix];
    const combine = gramOnRight(this.sizes) ? programs.rightCombineProgram : programs.combineProgram;
    this.hold("next", this.run(combine(this.even), inputs, [step]));
    this.free(matrix);
    return this.report();
  }

  async forward(): Promise<Float32Array> {
    const { rows: n, outputs: C } = this.sizes;
    const { columns } = this.even;
    const { forward, forwardSplits } = this.products;
    const parts = await this.take(this.run(forward, this.inputs(this.get("next"))));
    const Z = new Float32Array(C * n);
    for (let c = 0; c < C; c++) {
      for (let j = 0; j < n; j++) {
        let sum = 0;
        for (let s = 0; s < forwardSplits; s++) sum += parts[(j * forwardSplits + s) * columns + c];
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

  /** The sums of a step, read vector by vector and added up in float64. */
  private async report(): Promise<Omit<StepReport, "penalty">> {
    const inputs = [this.get("next"), this.get("y"), this.get("x")];
    return stepSums(await this.take(this.run(programs.reportProgram(this.even), inputs)));
  }

  /** What a product reads: the data, then `vectors`, then masks and places. */
  private inputs(vectors: tf.TensorInfo): tf.TensorInfo[] {
    const rest = this.sizes.pooling === null ? [] : [this.get("places")];
    return [this.get("data"), vectors, this.get("masks"), ...rest];
  }

  /** Places of the factors in a matrix [P r x columns] and in [P x r x r]. */
  private eachFactor(use: (packed: number, plain: number) => void): void {
    const { gates, order: r, orderColumns } = this.even;
    for (let i = 0; i < this.sizes.gates; i++) {
      for (let a = 0; a < r; a++) {
        for (let b = 0; b < r; b++) use((a * gates + i) * orderColumns + b, (i * r + a) * r + b);
      }
    }
  }

  /** Blocks [P x A C x d] as rows of a matrix, zeros for null. */
  private blocks(values: Float32Array | null): tf.TensorInfo {
    const { gates, perGate, width } = this.even;
    const rows = new Float32Array(gates * perGate * width);
    if (values !== null) {
      this.eachVector((packed, plain) => {
        rows.set(values.subarray(plain, plain + this.sizes.width), packed);
      });
    }
    return this.matrix(rows, [gates * perGate, width]);
  }

  private async readBlocks(slot: Slot): Promise<Float32Array> {
    const { gates: P, perGate, width: d } = this.sizes;
    const rows = await this.fetch(this.get(slot));
    const values = new Float32Array(P * perGate * d);
    this.eachVector((packed, plain) => {
      values.set(rows.subarray(packed, packed + d), plain);
    });
    return values;
  }

  /** Where each vector begins, in the matrix and in [P x A C x d]. */
  private eachVector(use: (packed: number, plain: number) => void): void {
    const { gates: P, perGate, width: d } = this.sizes;
    for (let i = 0; i < P; i++) {
      for (let c = 0; c < perGate; c++) use((c * this.even.gates + i) * this.even.width, (i * perGate + c) * d);
    }
  }

  private copy(info: tf.TensorInfo): tf.TensorInfo {
    return this.run(programs.entryProgram(this.even, "a"), [info, info, info], [0]);
  }
}
