/** The kernels of an engine as timed runs, with the arithmetic and the traffic that each cannot do without. */

import { sampleGates } from "../../src/convex/arrangements/index.js";
import { bindProducts, type Kernels, referenceKernels, wasmKernels } from "../../src/convex/kernels/index.js";
import { gaussianSource } from "../../src/convex/linear/random.js";
import { bindLoss } from "../../src/convex/losses/index.js";
import { coneProjector } from "../../src/convex/operators/coneProjection.js";
import { patchGeometry, patchMatrix } from "../../src/convex/operators/patches.js";
import { timeOf, timesOf } from "./measure.js";

const NUMBER = 8; // bytes of a float64
const PROJECTED = 10; // gates of the cone projections: one takes as long as a product with hundreds of gates

export interface Rate {
  readonly engine: string;
  readonly kernel: string;
  readonly size: string;
  readonly seconds: number; // median
  readonly flops: number; // a run
  readonly bytes: number; // inputs read and outputs written once
  readonly share: number; // of the engine's best dense product
}

export interface TimedKernel {
  readonly kernel: string;
  readonly size: string;
  readonly flops: number;
  readonly bytes: number;
  readonly prepare: (kernels: Kernels) => () => void;
}

/** An engine under a name that says its threads, and the FLOP/s of its best square product. */
export interface BenchEngine {
  readonly name: string;
  readonly kernels: Kernels;
  readonly peak: number;
}

/** The engines that hold dense float64 algebra on this host: plain TypeScript, and WASM with each number of threads. */
export async function engines(
  threads: readonly number[],
  sizes: readonly number[],
  repeats: number,
): Promise<BenchEngine[]> {
  const found: BenchEngine[] = [];
  const add = (name: string, kernels: Kernels, at: readonly number[]) =>
    found.push({ name, kernels, peak: peakOf(kernels, at, repeats) });
  add("cpu", referenceKernels, [Math.min(...sizes)]);
  for (const count of threads) {
    const kernels = await wasmKernels(count);
    await startThreads(kernels, count);
    const ran = kernels.threads?.().ran ?? 1;
    add(`wasm, ${ran} thread${ran === 1 ? "" : "s"}`, kernels, sizes);
  }
  return found;
}

const PATIENCE = 5000; // milliseconds for helpers to come up

/** Has an engine multiply until so many threads take part, or it says why they do not. */
export async function startThreads(kernels: Kernels, count: number): Promise<void> {
  const n = 400;
  const [A, out] = [gaussian(n * n, 1), new Float64Array(n * n)];
  for (const start = performance.now(); performance.now() - start < PATIENCE; ) {
    const use = kernels.threads?.();
    if (use === undefined || use.ran >= count || use.note !== null) return;
    kernels.multiply(A, A, out, n, n, n);
    await new Promise((resolve) => setTimeout(resolve));
  }
}

/** A kernel on several engines in turns. */
export function ratesOf(kernel: TimedKernel, on: readonly BenchEngine[], repeats: number): Rate[] {
  const { kernel: name, size, flops, bytes } = kernel;
  const times = timesOf(
    on.map(({ kernels }) => kernel.prepare(kernels)),
    repeats,
  );
  return on.map(({ name: engine, peak }, k) => {
    const seconds = times[k].median;
    return { engine, kernel: name, size, seconds, flops, bytes, share: flops / seconds / peak };
  });
}

/** FLOP/s of the best square product, of two matrices or of one and the transpose of another. */
function peakOf(kernels: Kernels, sizes: readonly number[], repeats: number): number {
  const rates = sizes.flatMap((n) => {
    const A = gaussian(n * n, 1);
    const out = new Float64Array(n * n);
    const runs = [() => kernels.multiply(A, A, out, n, n, n), () => kernels.multiplyTransposed(A, A, out, n, n, n)];
    return runs.map((run) => (2 * n ** 3) / timeOf(run, repeats).median);
  });
  return Math.max(...rates);
}

/** Every kernel at n rows, d features, P gates. */
export function kernelsAt(n: number, d: number, P: number): TimedKernel[] {
  const X = { rows: n, cols: d, data: gaussian(n * d, 1) };
  const gates = sampleGates(X, { count: P, seed: 1 });
  const r = gaussian(n, 3);
  const all = Int32Array.from({ length: gates.count }, (_, i) => i);
  const definite = positiveDefinite(n);
  const size = `n ${n}, d ${d}, P ${gates.count}`;
  const masks = gates.bits.byteLength;
  const projected = Math.min(PROJECTED, gates.count);
  const x = n * d * NUMBER;
  const products = { size, flops: 2 * n * d * gates.count };
  return [
    ...[false, true].flatMap((rough) => {
      const bound = (kernels: Kernels) => {
        const whole = kernels.bind(X, gates);
        return (rough && whole.roughly?.()) || whole;
      };
      const bytes = x + masks + (gates.count * d + n) * NUMBER;
      return [
        {
          kernel: rough ? "rough forward" : "forward",
          ...products,
          bytes,
          prepare: (kernels: Kernels) => {
            const by = bound(kernels);
            const vectors = gaussian(gates.count * d, 4);
            const [output, sign] = [new Int32Array(gates.count), new Float64Array(gates.count).fill(1)];
            const out = new Float64Array(n);
            return () => by.forward(all, output, sign, vectors, 1, out);
          },
        },
        {
          kernel: rough ? "rough adjoint" : "adjoint",
          ...products,
          bytes,
          prepare: (kernels: Kernels) => {
            const by = bound(kernels);
            const out = new Float64Array(gates.count * d);
            return () => by.adjoint(r, 1, null, out);
          },
        },
      ];
    }),
    {
      kernel: "norms of the adjoint",
      ...products,
      bytes: x + masks + (gates.count + n) * NUMBER,
      prepare: (kernels) => {
        const bound = kernels.bind(X, gates);
        const out = new Float64Array(gates.count);
        return () => bound.adjointNorms(r, 1, out);
      },
    },
    {
      kernel: "masked Gram",
      size: `n ${n}, P ${gates.count}`,
      flops: n * n * gates.count, // the lower triangle: a product and a sum
      bytes: n * n * NUMBER * 1.5 + masks,
      prepare: (kernels) => {
        const bound = kernels.bind(X, gates);
        const H = new Float64Array(n * n);
        const weight = new Float64Array(gates.count).fill(1);
        bound.gram();
        return () => bound.addMaskedGram(H, all, weight);
      },
    },
    {
      kernel: "addOuter",
      size: `n ${n}, k ${n}`,
      flops: n ** 3,
      bytes: 2 * n * n * NUMBER,
      prepare: (kernels) => {
        const [H, A] = [new Float64Array(n * n), gaussian(n * n, 2)];
        return () => kernels.addOuter(H, A, n, n, 1e-6);
      },
    },
    {
      kernel: "Cholesky",
      size: `n ${n}`,
      flops: n ** 3 / 3,
      bytes: n * n * NUMBER,
      prepare: (kernels) => () => {
        kernels.factor(definite.slice(), n);
      },
    },
    {
      kernel: "cone projection",
      size: `n ${n}, d ${d}, ${projected} gates`,
      flops: 2 * n * d * projected,
      bytes: x + (masks * projected) / gates.count + projected * d * NUMBER,
      prepare: (kernels) => {
        const bound = kernels.bind(X, gates);
        const projector = coneProjector(
          { X, gates, loss: bindLoss("meanSquaredError", { rows: n, cols: 1, data: r }) },
          bound,
        );
        const vectors = gaussian(projected * d, 5);
        const list = Array.from({ length: projected }, (_, i) => i);
        return () => {
          projector.reset(); // from no memory of the faces: the dearest case
          const z = vectors.slice();
          projector.projectAll({ gates: list, slots: list, Z: z }, -1);
        };
      },
    },
  ];
}

/**
 * Products over the patches of n images of side x side x 3 under filters of 3 x 3 with P gates, read out by their mean or apart. FLOP:
 * those of a convolution whose masked outputs are summed, made anew; products of gates that are kept cost K times less.
 */
export function convolutionsAt(n: number, side: number, P: number): TimedKernel[] {
  const channels = 3;
  const axis = { size: side, filter: 3, stride: 1, dilation: 1 };
  const geometry = patchGeometry({
    height: axis,
    width: axis,
    channels,
    padding: "valid",
    dataFormat: "channelsLast",
  });
  const { patches, entries: d, pixels } = geometry;
  const X = patchMatrix({ rows: n, cols: pixels, data: gaussian(n * pixels, 1) }, geometry);
  const gates = sampleGates(X, { count: P, seed: 1 });
  const pooling = { patches, positions: 1, scale: 1 / patches };
  const apart = { patches, positions: patches, scale: 1 };
  const vectors = gates.count * patches; // read out apart
  const all = Int32Array.from({ length: gates.count }, (_, i) => i);
  const residual = gaussian(n, 3);
  const size = `${n} images of ${side} x ${side} x ${channels}, 3 x 3, P ${gates.count}`;
  const flops = 2 * n * patches * d * gates.count;
  const bytes = n * pixels * NUMBER + gates.bits.byteLength + (gates.count * d + n) * NUMBER;
  const bound = (kernels: Kernels) => bindProducts({ X, gates, pooling }, kernels);
  return [
    {
      kernel: "patches: adjoint, made anew",
      size,
      flops,
      bytes,
      prepare: (kernels) => {
        const out = new Float64Array(gates.count * d);
        return () => {
          const products = bound(kernels);
          products.adjoint(residual, 1, null, out);
          products.dispose();
        };
      },
    },
    {
      kernel: "patches: adjoint, kept",
      size,
      flops: flops / patches,
      bytes: (n * d * gates.count + gates.count * d + n) * NUMBER,
      prepare: (kernels) => {
        const out = new Float64Array(gates.count * d);
        const products = bound(kernels);
        products.adjoint(residual, 1, all, out);
        return () => products.adjoint(residual, 1, all, out);
      },
    },
    {
      kernel: "patches: forward, kept",
      size,
      flops: flops / patches,
      bytes: (n * d * gates.count + gates.count * d + n) * NUMBER,
      prepare: (kernels) => {
        const products = bound(kernels);
        const vectors = gaussian(gates.count * d, 4);
        const [output, sign] = [new Int32Array(gates.count), new Float64Array(gates.count).fill(1)];
        const out = new Float64Array(n);
        products.forward(all, output, sign, vectors, 1, out);
        return () => products.forward(all, output, sign, vectors, 1, out);
      },
    },
    {
      kernel: "patches apart: adjoint",
      size,
      flops,
      bytes: bytes + (vectors - gates.count) * d * NUMBER,
      prepare: (kernels) => {
        const products = bindProducts({ X, gates, pooling: apart }, kernels);
        const out = new Float64Array(vectors * d);
        return () => products.adjoint(residual, 1, null, out);
      },
    },
    {
      kernel: "patches apart: forward",
      size,
      flops,
      bytes: bytes + (vectors - gates.count) * d * NUMBER,
      prepare: (kernels) => {
        const products = bindProducts({ X, gates, pooling: apart }, kernels);
        const each = Int32Array.from({ length: vectors }, (_, k) => Math.floor(k / patches));
        const output = each.map((_, k) => k % patches);
        const sign = new Float64Array(vectors).fill(1);
        const V = gaussian(vectors * d, 4);
        const out = new Float64Array(n);
        return () => products.forward(each, output, sign, V, 1, out);
      },
    },
  ];
}

function positiveDefinite(n: number): Float64Array {
  const H = gaussian(n * n, 2).map((value) => value / n);
  for (let i = 0; i < n; i++) H[i * n + i] = 4;
  return H;
}

function gaussian(length: number, seed: number): Float64Array {
  return Float64Array.from({ length }, gaussianSource(seed));
}
