/** Achieved rates of each engine's kernels on the host: `npm run bench:kernels`. Medians of several runs, one process. */

import { cpus } from "node:os";
import { sampleGates } from "../src/convex/arrangements/index.js";
import { gaussianSource } from "../src/convex/arrangements/random.js";
import { type Kernels, referenceKernels, wasmKernels } from "../src/convex/kernels/index.js";

const REPEATS = 5;

function gaussian(length: number, seed: number): Float64Array {
  return Float64Array.from({ length }, gaussianSource(seed));
}

/** Median seconds of a run. */
function time(run: () => void): number {
  run();
  const seconds = Array.from({ length: REPEATS }, () => {
    const start = performance.now();
    run();
    return (performance.now() - start) / 1000;
  });
  return seconds.sort((a, b) => a - b)[REPEATS >> 1];
}

interface Kernel {
  readonly name: string;
  readonly flops: number;
  readonly run: (kernels: Kernels) => () => void;
}

function kernelsAt(n: number, d: number, P: number): Kernel[] {
  const X = { rows: n, cols: d, data: gaussian(n * d, 1) };
  const gates = sampleGates(X, { count: P, seed: 1 });
  const A = gaussian(n * n, 2);
  const r = gaussian(n, 3);
  const all = Int32Array.from({ length: P }, (_, i) => i);
  const definite = new Float64Array(n * n);
  referenceKernels.addOuter(definite, A, n, n, 1);
  for (let i = 0; i < n; i++) definite[i * n + i] += n;
  return [
    {
      name: `multiply ${n}^3`,
      flops: 2 * n ** 3,
      run: (kernels) => {
        const out = new Float64Array(n * n);
        return () => kernels.multiply(A, A, out, n, n, n);
      },
    },
    {
      name: `factor ${n}`,
      flops: n ** 3 / 3,
      run: (kernels) => () => {
        kernels.factor(definite.slice(), n);
      },
    },
    {
      name: `addOuter ${n}, ${n} rows`,
      flops: n ** 3,
      run: (kernels) => {
        const H = new Float64Array(n * n);
        return () => kernels.addOuter(H, A, n, n, 1);
      },
    },
    {
      name: `adjoint n ${n}, d ${d}, P ${P}`,
      flops: 2 * n * d * P,
      run: (kernels) => {
        const products = kernels.bind(X, gates);
        const out = new Float64Array(P * d);
        return () => products.adjoint(r, 1, null, out);
      },
    },
    {
      name: `forward n ${n}, d ${d}, P ${P}`,
      flops: 2 * n * d * P,
      run: (kernels) => {
        const products = kernels.bind(X, gates);
        const vectors = gaussian(P * d, 4);
        const out = new Float64Array(n);
        return () => products.forward(all, new Int32Array(P), new Float64Array(P).fill(1), vectors, 1, out);
      },
    },
    {
      name: `addMaskedGram n ${n}, P ${P}`,
      flops: n * n * P,
      run: (kernels) => {
        const products = kernels.bind(X, gates);
        const H = new Float64Array(n * n);
        const weight = new Float64Array(P).fill(1);
        products.gram();
        return () => products.addMaskedGram(H, all, weight);
      },
    },
  ];
}

const engines = [referenceKernels, await wasmKernels()];
console.log(`Node ${process.version}, ${cpus().length} cores, ${cpus()[0].model}; GFLOP/s, median of ${REPEATS}`);
console.log(["kernel".padEnd(34), ...engines.map((engine) => engine.name.padStart(8))].join(""));
for (const kernel of [...kernelsAt(250, 50, 500), ...kernelsAt(1000, 100, 500)]) {
  const rates = engines.map((engine) => kernel.flops / time(kernel.run(engine)) / 1e9);
  console.log([kernel.name.padEnd(34), ...rates.map((rate) => rate.toFixed(2).padStart(8))].join(""));
}
