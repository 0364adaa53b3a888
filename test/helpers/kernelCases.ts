/** Work for an engine that is large enough to be shared among threads: every kind of job, at sizes that no part divides. */

import { sampleGates } from "../../src/convex/arrangements/index.js";
import type { Kernels } from "../../src/convex/kernels/index.js";
import type { NeuronLayer } from "../../src/convex/kernels/types.js";
import { atOnce } from "../../src/convex/linear/pieces.js";
import { bindLoss } from "../../src/convex/losses/index.js";
import { coneProjector } from "../../src/convex/operators/coneProjection.js";
import { pooledLayer } from "../../src/convex/operators/neuronLayer.js";
import type { Loss, Matrix } from "../../src/convex/types.js";
import { gaussianMatrix, wellConditioned } from "./problems.js";

export interface KernelCase {
  readonly title: string;
  /** Everything that the engine computes, one matrix after another. */
  readonly run: (kernels: Kernels) => Float64Array[];
  /** How far it may be from the reference, relative; 1e-12 unless said. */
  readonly tolerance?: number;
}

const gaussian = (length: number, seed: number) => gaussianMatrix(1, length, seed).data;

const product = (m: number, k: number, n: number): KernelCase => ({
  title: `products of ${m} x ${k} by ${n} columns`,
  run: (kernels) => {
    const [A, B] = [gaussian(m * k, 1), gaussian(k * n, 2)];
    const [plain, transposed] = [new Float64Array(m * n), new Float64Array(m * n)];
    kernels.multiply(A, B, plain, m, k, n);
    kernels.multiplyTransposed(A, B, transposed, m, k, n);
    return [plain, transposed];
  },
});

const symmetric = (n: number, k: number): KernelCase => ({
  title: `sum of ${k} outer products of order ${n}, its factor, and what that solves`,
  run: (kernels) => {
    const H = new Float64Array(n * n);
    for (let i = 0; i < n; i++) H[i * n + i] = 1;
    kernels.addOuter(H, gaussian(k * n, 3), n, k, 0.37);
    const held = kernels.cholesky(H, n);
    const [solved, multiplied] = [gaussian(9 * n, 4), gaussian(9 * n, 5)];
    held?.solve(solved, 9);
    held?.multiply(multiplied, 9);
    held?.dispose();
    const L = H.slice();
    kernels.factor(L, n);
    return [H, solved, multiplied, L];
  },
});

const solves = (n: number, columns: readonly number[]): KernelCase => ({
  title: `a factor of order ${n} with ${columns.join(", ")} columns`,
  run: (kernels) => {
    const held = kernels.cholesky(wellConditioned(n, 18), n);
    if (held === null) throw new Error("expected a factor");
    const made = columns.flatMap((k) => {
      const [solved, multiplied] = [gaussian(n * k, 19), gaussian(n * k, 20)];
      held.solve(solved, k);
      held.multiply(multiplied, k);
      return [solved, multiplied];
    });
    held.dispose();
    return made;
  },
});

const layer = (n: number, d: number, m: number, C: number, slope: number): KernelCase => ({
  title: `a layer of ${m} neurons on ${n} x ${d}, ${C} outputs, slope ${slope}`,
  run: (kernels) => {
    const X = gaussianMatrix(n, d, 24);
    const [W, A, N] = [gaussian(m * d, 25), gaussian(C * m, 26), gaussian(n * C, 27)];
    const [Z, inW, inA] = [gaussian(n * C, 28), gaussian(m * d, 29), gaussian(C * m, 30)];
    const made = kernels.layer?.(X, m, C, slope) ?? plainLayer(X, m, C, slope);
    made.forward(W, A, Z);
    made.backward(W, A, N, inW, inA);
    // What is kept of one pass must not reach into the next.
    const again = new Float64Array(n * C);
    made.forward(
      W.map((value) => -value),
      A,
      again,
    );
    made.dispose();
    return [Z, inW, inA, again];
  },
});

/** Neurons of one output each, in any order, that are multiplied in float32; without them the dense layer is the same. */
const neurons = (n: number, d: number, m: number, C: number, slope: number): KernelCase => ({
  title: `${m} neurons on ${n} x ${d} that feed one of ${C} outputs each, slope ${slope}`,
  tolerance: 2e-6,
  run: (kernels) => {
    const X = gaussianMatrix(n, d, 31);
    const [W, A, N] = [gaussian(m * d, 32), gaussian(m, 33), gaussian(n * C, 34)];
    const outputs = Int32Array.from({ length: m }, (_, j) => (7 * j * j + j) % C);
    const layers = kernels.neurons?.(X, outputs, C, slope) ?? oneOutputEach(plainLayer(X, m, C, slope), outputs, C);
    const made = [W, W.map((value) => -value)].flatMap((weights) => {
      const [Z, inW, inA] = [gaussian(n * C, 35), gaussian(m * d, 36), gaussian(m, 37)];
      layers.forward(weights, A, Z);
      layers.backward(weights, A, N, inW, inA);
      return [Z, inW, inA];
    });
    layers.dispose();
    return made;
  },
});

/** A layer that is multiplied in float32, over `patches` of each of n samples; without one that in float64 is the same. */
const roughLayer = (n: number, d: number, m: number, C: number, slope: number, patches = 1): KernelCase => ({
  title: `a layer in float32 of ${m} neurons on ${n} x ${d}, ${patches} patches, ${C} outputs, slope ${slope}`,
  tolerance: 2e-6,
  run: (kernels) => {
    const X = gaussianMatrix(n * patches, d, 41);
    const [W, A, N] = [gaussian(m * d, 42), gaussian(C * m, 43), gaussian(n * C, 44)];
    const pooling = { patches, positions: 1, scale: 1 / patches, negativeSlope: slope };
    const loss = { rows: n, outputs: C } as Loss;
    const pooled = () => pooledLayer({ X, loss, pooling }, m, () => plainLayer(X, m, C, slope));
    const layers =
      (patches > 1 ? kernels.roughFilters?.(X, m, C, pooling) : kernels.roughLayer?.(X, m, C, slope)) ?? pooled();
    if (layers === null) throw new Error("There is no room for a layer.");
    const made = [W, W.map((value) => -value)].flatMap((weights) => {
      const [Z, inW, inA] = [gaussian(n * C, 45), gaussian(m * d, 46), gaussian(C * m, 47)];
      layers.forward(weights, A, Z);
      layers.backward(weights, A, N, inW, inA);
      return [Z, inW, inA];
    });
    layers.dispose();
    return made;
  },
});

/** A dense layer with zeros for all other outputs. */
function oneOutputEach(layer: NeuronLayer, outputs: Int32Array, C: number): NeuronLayer {
  const m = outputs.length;
  const spread = (A: Float64Array) => {
    const all = new Float64Array(C * m);
    for (let j = 0; j < m; j++) all[outputs[j] * m + j] = A[j];
    return all;
  };
  return {
    forward: (W, A, Z) => layer.forward(W, spread(A), Z),
    backward: (W, A, N, inW, inA) => {
      const all = new Float64Array(C * m);
      layer.backward(W, spread(A), N, inW, all);
      for (let j = 0; j < m; j++) inA[j] += all[outputs[j] * m + j];
    },
    dispose: () => layer.dispose(),
  };
}

/** The definition, entry by entry. */
function plainLayer({ rows: n, cols: d, data }: Matrix, m: number, C: number, slope: number): NeuronLayer {
  const each = (W: Float64Array, use: (s: number, j: number, h: number) => void) => {
    for (let s = 0; s < n; s++)
      for (let j = 0; j < m; j++) {
        let h = 0;
        for (let p = 0; p < d; p++) h += data[s * d + p] * W[j * d + p];
        use(s, j, h);
      }
  };
  return {
    forward: (W, A, Z) =>
      each(W, (s, j, h) => {
        for (let c = 0; c < C; c++) Z[s * C + c] += A[c * m + j] * (h > 0 ? h : slope * h);
      }),
    backward: (W, A, N, inW, inA) =>
      each(W, (s, j, h) => {
        let pull = 0;
        for (let c = 0; c < C; c++) {
          pull += N[s * C + c] * A[c * m + j];
          inA[c * m + j] += N[s * C + c] * (h > 0 ? h : slope * h);
        }
        for (let p = 0; p < d; p++) inW[j * d + p] += pull * (h > 0 ? 1 : slope) * data[s * d + p];
      }),
    dispose: () => undefined,
  };
}

const rough = (n: number, d: number, P: number, C: number): KernelCase => ({
  title: `rough products for n ${n}, d ${d}, ${P} gates, ${C} outputs`,
  tolerance: 1e-6,
  run: (kernels) => {
    const X = gaussianMatrix(n, d, 21);
    const gates = sampleGates(X, { count: P, seed: 2 });
    const products = kernels.bind(X, gates);
    const near = products.roughly?.() ?? products;
    const gate = Int32Array.from({ length: gates.count * C }, (_, k) => Math.floor(k / C));
    const output = gate.map((_, k) => k % C);
    const [Z, G] = [new Float64Array(n * C), new Float64Array(gate.length * d)];
    near.forward(gate, output, new Float64Array(gate.length).fill(1), gaussian(gate.length * d, 22), C, Z);
    near.adjoint(gaussian(n * C, 23), C, null, G);
    products.dispose();
    return [Z, G];
  },
});

const factored = (n: number, P: number, rough: boolean): KernelCase => ({
  title: `the factor of a sum over ${P} gates of ${n} rows${rough ? ", in float32" : ""}`,
  ...(rough ? { tolerance: 1e-3 } : {}),
  run: (kernels) => {
    const X = gaussianMatrix(n, 6, 24);
    const gates = sampleGates(X, { count: P, seed: 2 });
    const products = kernels.bind(X, gates);
    const list = Int32Array.from({ length: gates.count }, (_, k) => k);
    const b = gaussian(n, 25);
    if (products.gatedFactor === undefined) {
      const H = new Float64Array(n * n).fill(1);
      products.addMaskedGram(H, list, new Float64Array(list.length).fill(1));
      for (let k = 0; k < n; k++) H[k * n + k] += P;
      kernels.cholesky(H, n)?.solve(b, 1);
    } else {
      const factor = atOnce(products.gatedFactor(list, P, 1, rough));
      factor?.solve(b, 1);
      factor?.dispose();
    }
    products.dispose();
    return [b];
  },
});

const gated = (n: number, d: number, P: number, C: number): KernelCase => ({
  title: `gated products for n ${n}, d ${d}, ${P} gates, ${C} outputs`,
  run: (kernels) => {
    const X = gaussianMatrix(n, d, 6);
    const gates = sampleGates(X, { count: P, seed: 1 });
    const products = kernels.bind(X, gates);
    const R = gaussian(n * C, 7);
    const gate = Int32Array.from({ length: gates.count * C }, (_, k) => Math.floor(k / C));
    const output = gate.map((_, k) => k % C);
    const sign = Float64Array.from(gate, (_, k) => (k % 3 === 0 ? -1 : 1));
    const half = Int32Array.from({ length: gates.count >> 1 }, (_, k) => 2 * k);
    const made = {
      Z: new Float64Array(n * C),
      G: new Float64Array(gates.count * C * d),
      some: new Float64Array(half.length * C * d),
      norms: new Float64Array(gates.count * C),
      rows: new Float64Array(40 * n),
      H: new Float64Array(n * n),
      gram: products.gram(),
      times: new Float64Array(n),
    };
    products.forward(gate, output, sign, gaussian(gate.length * d, 8), C, made.Z);
    products.adjoint(R, C, null, made.G);
    products.adjoint(R, C, half, made.some);
    products.adjointNorms(R, C, made.norms);
    products.rows(1, gaussian(40 * d, 9), 40, made.rows);
    products.addMaskedGram(
      made.H,
      gate,
      sign.map((_, k) => k / sign.length),
    );
    if (products.times === undefined) kernels.multiplyTransposed(X.data, gaussian(d, 10), made.times, n, d, 1);
    else products.times(gaussian(d, 10), made.times);
    products.dispose();
    return Object.values(made);
  },
});

const cones = (n: number, d: number, P: number): KernelCase => ({
  title: `projections onto ${P} cones of ${n} rows in ${d} dimensions`,
  run: (kernels) => {
    const X = gaussianMatrix(n, d, 14);
    const gates = sampleGates(X, { count: P, seed: 2 });
    const loss = bindLoss("meanSquaredError", gaussianMatrix(n, 1, 15));
    const products = kernels.bind(X, gates);
    const projector = coneProjector({ X, gates, loss }, products);
    const list = Array.from({ length: gates.count }, (_, i) => i);
    const made: Float64Array[] = [];
    for (let turn = 0; turn < 3; turn++) {
      const noise = gaussian(d, 16 + turn);
      const Z = gates.generators.data.map((value, k) => 3 * value + noise[k % d]);
      const { norms } = projector.projectAll({ gates: list, slots: list, Z }, -1);
      made.push(Z, norms);
    }
    products.dispose();
    return made;
  },
});

const times = (n: number, d: number): KernelCase => ({
  title: `${n} x ${d} rows and columns by a vector`,
  run: (kernels) => {
    const X = gaussianMatrix(n, d, 11);
    const products = kernels.bind(X, sampleGates(X, { count: 1, seed: 1 }));
    const [out, transposed] = [new Float64Array(n), new Float64Array(d)];
    if (products.times === undefined) kernels.multiplyTransposed(X.data, gaussian(d, 12), out, n, d, 1);
    else products.times(gaussian(d, 12), out);
    if (products.timesTransposed === undefined) kernels.multiply(gaussian(n, 24), X.data, transposed, 1, n, d);
    else products.timesTransposed(gaussian(n, 24), transposed);
    products.dispose();
    return [out, transposed];
  },
});

export const kernelCases: readonly KernelCase[] = [
  product(303, 71, 130),
  product(65, 290, 702),
  product(3, 301, 1203),
  symmetric(318, 61),
  solves(603, [1, 4, 5]),
  gated(701, 31, 131, 2),
  gated(450, 77, 300, 1),
  rough(701, 61, 131, 2),
  factored(1003, 130, false),
  factored(707, 300, true),
  times(6501, 41),
  times(41, 6501),
  cones(503, 19, 97),
  layer(1503, 7, 61, 1, 0),
  layer(1301, 41, 130, 1, -0.5),
  layer(701, 19, 37, 3, 0.2),
  layer(603, 33, 50, 11, 0),
  neurons(1503, 7, 61, 1, 0),
  neurons(1301, 50, 130, 1, -0.5),
  neurons(702, 19, 37, 3, 0.2),
  neurons(2809, 64, 90, 10, 0),
  roughLayer(1503, 7, 61, 2, 0),
  roughLayer(702, 19, 37, 3, -0.5),
  roughLayer(2809, 64, 90, 10, 0),
  roughLayer(401, 33, 12, 17, 0.2),
  roughLayer(301, 9, 61, 10, 0, 36),
  roughLayer(102, 12, 37, 3, 0.2, 7),
  roughLayer(15, 5, 9, 17, -0.5, 259),
  roughLayer(1801, 3, 12, 2, 0, 3),
];

/** Lets an engine work until as many threads take part as it may have, or it says why they do not. */
export async function warmUp(kernels: Kernels, threads: number): Promise<void> {
  const n = 300;
  const [A, out] = [gaussian(n * n, 13), new Float64Array(n * n)];
  const done = () => {
    const use = kernels.threads?.();
    return use === undefined || use.ran >= threads || use.note !== null;
  };
  for (const start = performance.now(); !done() && performance.now() - start < WAIT; ) {
    kernels.multiply(A, A, out, n, n, n);
    await new Promise((resolve) => setTimeout(resolve));
  }
}

const WAIT = 20_000; // milliseconds
