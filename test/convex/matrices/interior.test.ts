/** The interior method: its dual points are feasible by the exact oracle, and its matrices have the value that the bound says. */

import fc from "fast-check";
import { expect, test } from "vitest";
import { chooseEngine, referenceKernels } from "../../../src/convex/kernels/index.js";
import { gaussianSource } from "../../../src/convex/linear/random.js";
import { dot } from "../../../src/convex/linear/vectors.js";
import { bindLoss } from "../../../src/convex/losses/index.js";
import { Diagonals } from "../../../src/convex/matrices/interior/diagonals.js";
import { curvedProgram, type EntryProgram, entryProgram } from "../../../src/convex/matrices/interior/entries/index.js";
import { FormGrams } from "../../../src/convex/matrices/interior/formGrams.js";
import { interiorTakes, solveInterior } from "../../../src/convex/matrices/interior/index.js";
import { type SignUnit, signForms } from "../../../src/convex/matrices/signForms.js";
import type { LossName } from "../../../src/convex/types.js";
import { onePlace } from "../../../src/convex/units/places.js";
import { PolynomialOracle } from "../../../src/convex/units/polynomialOracle.js";

const ACTIVATIONS = [
  { a: 1, b: 0, c: 0 },
  { a: 0.09, b: 0.5, c: 0.47 },
  { a: 0, b: 1, c: 0 },
  { a: 1, b: 1, c: -0.5 },
];
const LOSSES = ["meanSquaredError", "binaryCrossentropy", "squaredHinge", "huberLoss", "logcosh"] as const;

test("a dual point of the interior method is feasible for all units, by their exact prices, and closes the gap to its matrices", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.record({
        loss: fc.constantFrom<LossName>(...LOSSES),
        activation: fc.constantFrom(...ACTIVATIONS),
        bias: fc.constantFrom(null, { ridge: 0 }, { ridge: 0.1 }),
        n: fc.integer({ min: 4, max: 25 }),
        d: fc.integer({ min: 1, max: 6 }),
        beta: fc.constantFrom(0.3, 0.05),
        seed: fc.nat(1000),
      }),
      async ({ loss: name, activation, bias: outputBias, n, d, beta, seed }) => {
        const draw = gaussianSource(seed);
        const X = { rows: n, cols: d, data: Float64Array.from({ length: n * d }, draw) };
        const labels = name === "binaryCrossentropy" ? [0, 1] : [-1, 1];
        const targets = name === "binaryCrossentropy" || name === "squaredHinge";
        const data = Float64Array.from({ length: n }, (_, k) => (targets ? labels[k % 2] : draw()));
        const loss = bindLoss(name, { rows: n, cols: 1, data });
        expect(interiorTakes(loss, signForms(activation, X))).toBe(true);
        const J = new Float64Array(d + 1).fill(1);
        J[d] = -1;
        const diagonals = new Diagonals(J, d + 1);
        const charge = new Float64Array(d + 1).fill(beta / 2);
        const forms = signForms(activation, X);
        const problem = { forms, loss, outputBias, signs: [1, -1] as const, charge, diagonals };
        const point = await solveInterior(problem, referenceKernels, 1e-7, async () => false);
        expect(point).not.toBeNull();
        if (point === null) return;
        expect(point.gap).toBeLessThan(1e-6);
        const ceiling = new PolynomialOracle(onePlace(X), 1, activation).ceiling(Float64Array.from(point.N));
        expect(ceiling).toBeLessThan(beta * (1 + 1e-9));
        // Outputs and charge of the matrices, by the definition.
        const Z = new Float64Array(n).fill(point.bias);
        let value = (outputBias?.ridge ?? 0) * point.bias ** 2;
        point.matrices.forEach((W, s) => {
          const D = d + 1;
          const sign = s === 0 ? 1 : -1;
          value += beta * W[D * D - 1];
          for (let k = 0; k < n; k++) {
            const p = [...X.data.subarray(k * d, (k + 1) * d)];
            let [square, linear] = [0, 0];
            for (let i = 0; i < d; i++) {
              linear += p[i] * W[i * D + d];
              for (let j = 0; j < d; j++) square += p[i] * p[j] * W[i * D + j];
            }
            Z[k] += sign * (activation.a * square + activation.b * linear + activation.c * W[D * D - 1]);
          }
        });
        value += loss.value(Z);
        const total = point.N.reduce((sum, v) => sum + v, 0);
        const ridge = outputBias?.ridge ?? 0;
        const dual = -loss.conjugate(Float64Array.from(point.N)) - (ridge > 0 ? total ** 2 / (4 * ridge) : 0);
        if (outputBias !== null && ridge === 0) expect(Math.abs(total)).toBeLessThan(1e-5);
        expect(Math.abs(value - dual)).toBeLessThan(2e-6 * Math.max(value, 1e-2));
      },
    ),
    { numRuns: 60 },
  );
});

test("it asks for a pause several times a step and in search of a start, and ends at once, with a whole point or none, when told to stop", async () => {
  const draw = gaussianSource(3);
  const [n, d] = [15, 4];
  const X = { rows: n, cols: d, data: Float64Array.from({ length: n * d }, draw) };
  const loss = bindLoss("meanSquaredError", { rows: n, cols: 1, data: Float64Array.from({ length: n }, draw) });
  const diagonals = new Diagonals(Float64Array.of(1, 1, 1, 1, -1), d + 1);
  const charge = new Float64Array(d + 1).fill(0.02);
  const forms = signForms({ a: 1, b: 0, c: 0 }, X);
  const problem = { forms, loss, outputBias: null, signs: [1, -1] as const, charge, diagonals };
  const asked = (stop: number) => {
    let calls = 0;
    const pause = async () => ++calls > stop;
    return solveInterior(problem, referenceKernels, 1e-7, pause).then((point) => ({ point, calls }));
  };
  const whole = await asked(Number.POSITIVE_INFINITY);
  if (whole.point === null) throw new Error("no start");
  expect(whole.calls).toBeGreaterThan(8 * whole.point.steps);
  for (let stop = 0; stop < whole.calls; stop++) {
    const { point, calls } = await asked(stop);
    expect(calls).toBe(stop + 1);
    if (point === null) continue;
    const ceiling = new PolynomialOracle(onePlace(X), 1, { a: 1, b: 0, c: 0 }).ceiling(Float64Array.from(point.N));
    expect(ceiling).toBeLessThan(0.04 * (1 + 1e-9));
    expect(Number.isFinite(point.primal + point.gap)).toBe(true);
  }
});

test("matrices so large that their inverses take seconds are not for it, nor are more rows than it can factor for unless entries are few", () => {
  const takes = (name: LossName, n: number, d: number) => {
    const loss = bindLoss(name, { rows: n, cols: 1, data: new Float64Array(n) });
    return interiorTakes(loss, signForms({ a: 1, b: 1, c: 1 }, { rows: n, cols: d, data: new Float64Array(n * d) }));
  };
  expect(takes("meanSquaredError", 50, 199)).toBe(true);
  expect(takes("meanSquaredError", 50, 200)).toBe(false);
  expect(takes("logcosh", 601, 19)).toBe(false);
  expect(takes("meanSquaredError", 601, 19)).toBe(true); // 209 entries
  expect(takes("meanSquaredError", 601, 35)).toBe(false); // 665
  const far = (n: number, d: number) => {
    const X = { rows: n, cols: d, data: new Float64Array(n * d) };
    return interiorTakes(
      bindLoss("meanSquaredError", { ...X, cols: 1 }),
      signForms({ a: 1, b: 1, c: 1 }, X),
      () => true,
    );
  };
  expect(far(900, 35)).toBe(true); // where descents would have a long way
  expect(far(2000, 53)).toBe(true); // 1,484
  expect(far(2000, 54)).toBe(false); // 1,539
});

test("a loss is the same in the entries of its matrices, and in orthonormal coordinates, as in its rows, gradient, bias and all, also where columns make others", async () => {
  const { kernels } = await chooseEngine("auto", 1);
  await fc.assert(
    fc.asyncProperty(
      fc.record({
        kind: fc.constantFrom<SignUnit>(
          "bilinear",
          { a: 1, b: 0, c: 0 },
          { a: 0.09, b: 0.5, c: 0.47 },
          { a: 0, b: 1, c: 0 },
        ),
        outputBias: fc.constantFrom(null, { ridge: 0 }, { ridge: 0.2 }),
        d: fc.integer({ min: 1, max: 4 }),
        last: fc.constantFrom("another", "ones", "the first", "zeros", "zero or one"),
        weighted: fc.boolean(),
        turned: fc.constantFrom<LossName | null>(null, "meanSquaredError", "logcosh", "huberLoss"),
        few: fc.boolean(), // rows, fewer than entries where columns are many
        seed: fc.nat(1000),
      }),
      async ({ kind, outputBias, d, last, weighted, turned, few, seed }) => {
        const draw = gaussianSource(seed);
        const n = turned !== null && few ? 7 : 40;
        const X = { rows: n, cols: d, data: Float64Array.from({ length: n * d }, draw) };
        for (let k = 0; d > 1 && last !== "another" && k < n; k++) {
          const [first, at] = [X.data[k * d], k * d + d - 1];
          X.data[at] = last === "ones" ? 1 : last === "the first" ? first : Number(last !== "zeros" && first > 0);
        }
        const weights = weighted ? Float64Array.from({ length: n }, () => Math.abs(draw())) : null;
        const data = Float64Array.from({ length: n }, draw);
        const loss = bindLoss(turned ?? "meanSquaredError", { rows: n, cols: 1, data }, weights);
        const forms = signForms(kind, X);
        const D = forms.size;
        const given = {
          forms,
          loss,
          outputBias,
          signs: [1, -1],
          charge: new Float64Array(D).fill(1e-6),
          diagonals: new Diagonals(new Float64Array(0), D),
        } as const;
        const make = turned === null ? entryProgram : curvedProgram;
        const program = (await make(given, kernels, async () => false)) as EntryProgram;
        const W = new Float64Array(D * D);
        for (let i = 0; i < D; i++) for (let j = 0; j <= i; j++) W[i * D + j] = W[j * D + i] = draw();
        if (kind !== "bilinear") {
          W[D * D - 1] = 0; // |u|^2
          for (let i = 0; i < D - 1; i++) W[D * D - 1] += W[i * D + i];
        }
        const theta = program.grams.outputs(W);
        const { Z, bias } = program.outputsAt(program.grams.entriesOf(W));
        const direct = new FormGrams(forms, kernels).outputs(W);
        direct.forEach((value, k) => {
          expect(Z[k]).toBeCloseTo(value + bias, 9);
        });
        expect(program.loss.value(theta)).toBeCloseTo(loss.value(Z) + (outputBias?.ridge ?? 0) * bias ** 2, 9);
        // The least over the bias, whose own derivative is zero.
        const N = new Float64Array(n);
        loss.gradient(Z, N);
        const sum = N.reduce((total, value) => total + value, 0);
        expect(outputBias === null ? bias : sum + 2 * outputBias.ridge * bias).toBeCloseTo(0, 9);
        // <matrix(gradient), W> = <N, outputs of W>.
        const slope = new Float64Array(theta.length);
        program.loss.gradient(theta, slope);
        const Q = program.grams.matrix(slope);
        expect(dot(Q, W)).toBeCloseTo(dot(N, direct), 9);
      },
    ),
    { numRuns: 60 },
  );
});
