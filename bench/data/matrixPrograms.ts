/** The programs of matrices that the bench solves, with their data as the peers' script reads them. */

import * as tf from "@tensorflow/tfjs";
import { makePlantedPolynomial } from "../../examples/polynomial/experiment.js";
import type { Kernels } from "../../src/convex/kernels/types.js";
import { gaussianSource } from "../../src/convex/linear/random.js";
import { bindLoss } from "../../src/convex/losses/index.js";
import {
  type DeepProblem,
  deepSchatten,
  linearGenerators,
  polynomialNetworks,
} from "../../src/convex/matrices/index.js";
import { signForms } from "../../src/convex/matrices/signForms.js";
import { relax } from "../../src/convex/matrices/signRelaxation.js";
import type { Gap, Matrix } from "../../src/convex/types.js";
import { ConvexReLUTrainer } from "../../src/index.js";

export interface MatrixBench {
  readonly name: string;
  readonly kind: string; // the function of the peers' script
  readonly data: object;
  solve(kernels: Kernels, tolerance: number): Promise<Gap>;
}

const OUTPUTS = 5;
const UNITS = { "t^2": { a: 1, b: 0, c: 0 }, "0.09 t^2 + 0.5 t + 0.47": { a: 0.09, b: 0.5, c: 0.47 } };

export function makePrograms(n: number, d: number): readonly MatrixBench[] {
  return [
    ...Object.entries(UNITS).map(([name, units]) => polynomial(name, units, n, d, 0.01)),
    quantized(n, d, 0.1),
    ...linearNets(n, d),
    generator(n, d),
  ];
}

function polynomial(name: string, activation: { a: number; b: number; c: number }, n: number, d: number, beta: number) {
  const { x, y } = makePlantedPolynomial(n, d, 10, activation, 1);
  const X = { rows: n, cols: d, data: Float64Array.from(x) };
  const loss = bindLoss("meanSquaredError", { rows: n, cols: 1, data: Float64Array.from(y) });
  return {
    name: `units ${name}, beta ${beta}`,
    kind: "polynomial",
    data: { x: rowsOf(X), y: Array.from(y), ...activation, beta },
    solve: async (kernels: Kernels, tolerance: number) => {
      const problem = { X, loss, outputBias: null, beta, activation };
      return (await polynomialNetworks.build(problem).solve(kernels, budgetOf(tolerance))).gap;
    },
  };
}

/** The lower bound alone, which is the program that CVXPY can state. */
function quantized(n: number, d: number, beta: number): MatrixBench {
  const draw = gaussianSource(2);
  const X = { rows: n, cols: d, data: Float64Array.from({ length: n * d }, draw) };
  const signs = Array.from({ length: 4 }, () => Float64Array.from({ length: 2 * d }, () => (draw() < 0 ? -1 : 1)));
  const y = Float64Array.from({ length: n }, (_, k) => {
    const along = (from: Float64Array) => from.reduce((sum, sign, p) => sum + sign * X.data[k * d + p], 0);
    const units = signs.reduce((sum, p) => sum + along(p.subarray(0, d)) * along(p.subarray(d)), 0);
    return units / d + 0.1 * draw();
  });
  const loss = bindLoss("meanSquaredError", { rows: n, cols: 1, data: y });
  return {
    name: `weights of -1 and 1, the bound, beta ${beta}`,
    kind: "quantized",
    data: { x: rowsOf(X), y: Array.from(y), beta },
    solve: async (kernels, tolerance) => {
      const posed = { forms: signForms("bilinear", X), loss, outputBias: null, beta };
      const { value, bound } = await relax(posed, kernels, 1, async () => false, tolerance / 2);
      return { primal: value, dual: bound, relative: (value - bound) / value };
    },
  };
}

/** Two linear layers by the trainer, and three with a Schatten charge, on the same data. */
function linearNets(n: number, d: number): MatrixBench[] {
  const beta = 0.05;
  const draw = gaussianSource(3);
  const X = { rows: n, cols: d, data: Float64Array.from({ length: n * d }, () => Math.fround(draw())) };
  const W = Float64Array.from({ length: d * OUTPUTS }, draw);
  const Y: Matrix = { rows: n, cols: OUTPUTS, data: new Float64Array(n * OUTPUTS) };
  for (let k = 0; k < n; k++) {
    for (let c = 0; c < OUTPUTS; c++) {
      let sum = draw();
      for (let p = 0; p < d; p++) sum += (X.data[k * d + p] * W[p * OUTPUTS + c]) / Math.sqrt(d);
      Y.data[k * OUTPUTS + c] = Math.fround(sum);
    }
  }
  const data = { x: rowsOf(X), y: rowsOf(Y), beta };
  const kernelRegularizer = tf.regularizers.l2({ l2: beta / 2 });
  const linear = async (_: Kernels, tolerance: number) => {
    const model = tf.sequential({
      layers: [
        tf.layers.dense({ units: OUTPUTS, useBias: false, inputShape: [d], kernelRegularizer }),
        tf.layers.dense({ units: OUTPUTS, useBias: false, kernelRegularizer }),
      ],
    });
    model.compile({ optimizer: "sgd", loss: "meanSquaredError" });
    const [x, y] = [
      tf.tensor2d(Float32Array.from(X.data), [n, d]),
      tf.tensor2d(Float32Array.from(Y.data), [n, OUTPUTS]),
    ];
    const { certificate } = await new ConvexReLUTrainer({ tolerance, threads: 1 }).fit(model, x, y);
    tf.dispose([x, y]);
    model.dispose();
    return { primal: certificate.network, dual: certificate.dual, relative: certificate.relativeGap };
  };
  const charges = [beta, beta, beta];
  const deep: DeepProblem = {
    X,
    Y,
    loss: bindLoss("meanSquaredError", Y),
    outputBias: null,
    beta,
    charges,
    widths: [OUTPUTS, OUTPUTS],
  };
  const schatten = async (kernels: Kernels, tolerance: number) =>
    (await deepSchatten.build(deep).solve(kernels, budgetOf(tolerance))).gap;
  return [
    { name: "two linear layers, 5 outputs, by the trainer", kind: "linear", data, solve: linear },
    { name: "three linear layers, Schatten charge", kind: "schatten", data, solve: schatten },
  ];
}

function generator(n: number, d: number): MatrixBench {
  const draw = gaussianSource(4);
  const matrix = (cols: number, scale: (p: number) => number) => ({
    rows: n,
    cols,
    data: Float64Array.from({ length: n * cols }, (_, k) => scale(k % cols) * draw()),
  });
  const X = matrix(d, (p) => 2 / (1 + p));
  const Z = matrix(d, () => 1);
  const beta = 0.05;
  const problem = { Z, X, discriminator: "quadratic", beta } as const;
  return {
    name: "linear generator, quadratic discriminator",
    kind: "generator",
    data: { x: rowsOf(X), beta },
    solve: async (kernels, tolerance) =>
      (await linearGenerators.build(problem).solve(kernels, budgetOf(tolerance))).gap,
  };
}

function budgetOf(tolerance: number) {
  return { tolerance, maxIterations: 1e5, seconds: 120 };
}

function rowsOf({ rows, cols, data }: Matrix): number[][] {
  return Array.from({ length: rows }, (_, k) => Array.from(data.subarray(k * cols, (k + 1) * cols)));
}
