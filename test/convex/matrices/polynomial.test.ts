import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { chooseEngine, referenceKernels } from "../../../src/convex/kernels/index.js";
import { eigenSymmetric } from "../../../src/convex/linear/eigen/index.js";
import { descend } from "../../../src/convex/linear/lbfgs.js";
import { gaussianSource } from "../../../src/convex/linear/random.js";
import { norm } from "../../../src/convex/linear/vectors.js";
import { bindLoss } from "../../../src/convex/losses/index.js";
import { type PolynomialProblem, polynomialNetworks, polynomialObjective } from "../../../src/convex/matrices/index.js";
import { better } from "../../../src/convex/matrices/polynomial.js";
import type { LossName } from "../../../src/convex/types.js";
import { outputsOfUnit } from "../../../src/convex/units/hiddenUnits.js";
import { placesOf, type UnitSolution } from "../../../src/convex/units/index.js";
import { decompose } from "../../../src/convex/units/moving/decompose.js";
import { fewOfEach } from "../../../src/convex/units/moving/descendUnits.js";
import { onePlace } from "../../../src/convex/units/places.js";
import { PolynomialOracle } from "../../../src/convex/units/polynomialOracle.js";
import { maximiseOnSphere } from "../../../src/convex/units/trustRegion.js";
import { gaussianMatrix, targetsFor } from "../../helpers/problems.js";
import reference from "../../reference/matrices.json" with { type: "json" };

const budget = { tolerance: 1e-7, maxIterations: 20000, seconds: 20 };

function posed(stored: (typeof reference.polynomial)[number]): PolynomialProblem {
  const [n, d, C] = [stored.x.length, stored.x[0].length, stored.y[0].length];
  const Y = { rows: n, cols: C, data: Float64Array.from(stored.y.flat()) };
  return {
    X: { rows: n, cols: d, data: Float64Array.from(stored.x.flat()) },
    loss: bindLoss(stored.loss as LossName, Y),
    outputBias: stored.bias ? { ridge: 0 } : null,
    beta: stored.beta,
    activation: { a: stored.a, b: stored.b, c: stored.c },
  };
}

/** The objective of layers, by its definition. */
function objectiveOf(problem: PolynomialProblem, layers: ReturnType<typeof polynomialNetworks.recover>): number {
  const { X, loss, beta, activation } = problem;
  const [hidden, output] = layers;
  const Z = Float64Array.from({ length: X.rows * loss.outputs }, (_, k) => output.bias?.[k % loss.outputs] ?? 0);
  for (let j = 0; j < hidden.kernel.cols; j++) {
    const u = Float64Array.from({ length: X.cols }, (_, p) => hidden.kernel.data[p * hidden.kernel.cols + j]);
    expect(norm(u)).toBeCloseTo(1, 9);
    outputsOfUnit(activation, X, u).forEach((h, k) => {
      for (let c = 0; c < loss.outputs; c++) {
        Z[k * loss.outputs + c] += h * output.kernel.data[j * loss.outputs + c];
      }
    });
  }
  return loss.value(Z) + beta * output.kernel.data.reduce((sum, a) => sum + Math.abs(a), 0);
}

/** Mean square that products of columns, columns and ones leave of y, by Gram and Schmidt. */
function leastSquares(x: Float64Array, y: Float64Array, d: number): number {
  const n = y.length;
  const column = (i: number) => Float64Array.from({ length: n }, (_, k) => (i < d ? x[k * d + i] : 1));
  const basis: Float64Array[] = [];
  const rest = (v: Float64Array) => {
    for (const q of [...basis, ...basis]) {
      const along = q.reduce((sum, value, k) => sum + value * v[k], 0);
      for (let k = 0; k < n; k++) v[k] -= along * q[k];
    }
    return v;
  };
  for (let i = 0; i <= d; i++) {
    for (let j = 0; j <= i; j++) {
      const other = column(j);
      const v = rest(column(i).map((value, k) => value * other[k]));
      const size = norm(v);
      basis.push(v.map((value) => value / size));
    }
  }
  return norm(rest(y.slice())) ** 2 / n;
}

describe("polynomial units", () => {
  test.each(reference.polynomial)("reach the conic solver's optimum: $loss, $a t^2 + $b t + $c", async (stored) => {
    const problem = posed(stored);
    const solution = await polynomialNetworks.build(problem).solve(referenceKernels, budget);
    expect(solution.status).toBe("solved");
    expect(solution.exact).toBe(true);
    expect(solution.gap.primal / stored.optimum).toBeCloseTo(1, 6);
    expect(solution.gap.dual).toBeLessThanOrEqual(stored.optimum * (1 + 1e-8));
    expect(solution.units.length).toBeLessThanOrEqual(2 * problem.loss.outputs * (problem.X.cols + 1));
    const recovered = objectiveOf(problem, polynomialNetworks.recover(problem, solution));
    expect(recovered / solution.gap.primal).toBeCloseTo(1, 9);
  });

  test("no descent from 25 starts with free units ends below the bound", async () => {
    const problem = posed(reference.polynomial[1]);
    const { X, loss, beta, activation } = problem;
    const { gap } = await polynomialNetworks.build(problem).solve(referenceKernels, budget);
    const [m, d] = [5, X.cols];
    const draw = gaussianSource(4);
    let lowest = Number.POSITIVE_INFINITY;
    const value = (theta: Float64Array) => {
      const Z = new Float64Array(X.rows);
      let charge = 0;
      for (let j = 0; j < m; j++) {
        const w = theta.subarray(j * d, (j + 1) * d);
        const u = w.map((entry) => entry / norm(w));
        const alpha = theta[m * d + j];
        charge += beta * Math.abs(alpha);
        outputsOfUnit(activation, X, u).forEach((h, k) => {
          Z[k] += alpha * h;
        });
      }
      return loss.value(Z) + charge;
    };
    const objective = (theta: Float64Array, gradient: Float64Array) => {
      for (let p = 0; p < theta.length; p++) {
        const [more, less] = [1e-6, -1e-6].map((by) => value(theta.map((entry, q) => (q === p ? entry + by : entry))));
        gradient[p] = (more - less) / 2e-6;
      }
      return value(theta);
    };
    for (let start = 0; start < 25; start++) {
      const theta = Float64Array.from({ length: m * (d + 1) }, draw);
      const { value: end } = await descend(objective, theta, 60, async () => false);
      lowest = Math.min(lowest, end);
    }
    expect(lowest).toBeGreaterThanOrEqual(gap.dual);
    expect(lowest / gap.primal).toBeLessThan(1.05);
  });

  test("t^2 alone is the nuclear norm: proximal steps on Z end at the same optimum, with |sum N_k x_k x_k'| = beta", async () => {
    const stored = reference.polynomial[0];
    const problem = posed(stored);
    const { X, loss, beta } = problem;
    const { rows: n, cols: d, data } = X;
    const { gap } = await polynomialNetworks.build(problem).solve(referenceKernels, budget);
    const Z = new Float64Array(d * d);
    const f = new Float64Array(n);
    const N = new Float64Array(n);
    const G = new Float64Array(d * d);
    const slope = () => {
      for (let k = 0; k < n; k++) {
        f[k] = 0;
        for (let i = 0; i < d; i++) {
          for (let j = 0; j < d; j++) f[k] += data[k * d + i] * Z[i * d + j] * data[k * d + j];
        }
      }
      loss.gradient(f, N);
      G.fill(0);
      for (let k = 0; k < n; k++) {
        for (let i = 0; i < d; i++)
          for (let j = 0; j < d; j++) G[i * d + j] += N[k] * data[k * d + i] * data[k * d + j];
      }
    };
    const lipschitz = loss.curvature * data.reduce((sum, value) => sum + value * value, 0) ** 2;
    let nuclear = 0;
    for (let step = 0; step < 20000; step++) {
      slope();
      const { values, vectors } = eigenSymmetric(
        Z.map((value, k) => value - G[k] / lipschitz),
        d,
      );
      Z.fill(0);
      nuclear = 0;
      values.forEach((value, k) => {
        const left = Math.sign(value) * Math.max(0, Math.abs(value) - beta / lipschitz);
        nuclear += Math.abs(left);
        for (let i = 0; i < d; i++) {
          for (let j = 0; j < d; j++) Z[i * d + j] += left * vectors.data[k * d + i] * vectors.data[k * d + j];
        }
      });
    }
    slope();
    expect((loss.value(f) + beta * nuclear) / gap.primal).toBeCloseTo(1, 6);
    const { values } = eigenSymmetric(G, d);
    expect(Math.max(-values[0], values[d - 1]) / beta).toBeCloseTo(1, 3);
  });

  test("t^2 alone: plain weight decay is another problem; cubic decay 2/3 |u|^3 + 1/3 |alpha|^3 is this one", async () => {
    const problem = posed(reference.polynomial[0]);
    const { units, gap } = await polynomialNetworks.build(problem).solve(referenceKernels, budget);
    // w = s u, alpha' = alpha / s^2 gives the same outputs for any s; each charge is least at a scale of its own.
    let cubic = 0;
    let squares = 0;
    for (const { outputs } of units) {
      const size = Math.abs(outputs[0]);
      const scales = Array.from({ length: 4000 }, (_, k) => 0.02 + k / 1000);
      cubic += Math.min(...scales.map((s) => (2 / 3) * s ** 3 + (size / s ** 2) ** 3 / 3));
      squares += Math.min(...scales.map((s) => (s ** 2 + (size / s ** 2) ** 2) / 2));
    }
    const charge = units.reduce((sum, { outputs }) => sum + Math.abs(outputs[0]), 0);
    expect(cubic / charge).toBeCloseTo(1, 4);
    expect(Math.abs(squares / charge - 1)).toBeGreaterThan(0.05);
    expect(gap.relative).toBeLessThanOrEqual(1e-7);
  });

  test("all losses on wider data are solved with a bound over all units", async () => {
    for (const name of ["meanSquaredError", "hinge", "categoricalCrossentropy", "meanAbsoluteError"] as const) {
      const X = gaussianMatrix(40, 6, 3);
      const C = name === "categoricalCrossentropy" ? 3 : 2;
      const loss = bindLoss(name, targetsFor(name, X, C, 4));
      const activation = { a: 0.5, b: -0.3, c: 0.1 };
      const problem = { X, loss, outputBias: { ridge: 0 }, beta: 0.02, activation };
      const { status, gap } = await polynomialNetworks
        .build(problem)
        .solve(referenceKernels, { ...budget, tolerance: 1e-3 });
      expect(status, name).toBe("solved");
      expect(gap.relative, name).toBeLessThanOrEqual(1e-3);
    }
  });

  test("pixels, and x far larger, are solved as x of size one is", async () => {
    const [n, d] = [60, 5];
    const unit = gaussianMatrix(n, d, 11).data.map((value) => 0.5 + Math.atan(value) / Math.PI); // uniform-like in [0, 1]
    const draw = gaussianSource(3);
    const y = Float64Array.from({ length: n }, (_, k) => {
      const x = unit.subarray(k * d, (k + 1) * d);
      return 3 * (x[0] - x[1]) ** 2 + x[2] - 0.5 * x[3] * x[4] + 0.1 * draw();
    });
    const loss = bindLoss("meanSquaredError", { rows: n, cols: 1, data: y });
    const { a, b, c } = { a: 0.09, b: 0.5, c: 0.47 };
    const common = { loss, outputBias: { ridge: 0 }, beta: 0.01 };
    const solved = (scale: number, activation: PolynomialProblem["activation"]) => {
      const X = { rows: n, cols: d, data: unit.map((value) => scale * value) };
      return polynomialNetworks
        .build({ ...common, X, activation })
        .solve(referenceKernels, { ...budget, tolerance: 1e-4, seconds: 60 });
    };
    const least = leastSquares(unit, y, d);
    for (const [scale, tolerance] of [
      [1, 1e-4],
      [255, 1e-4],
      [1e4, 1e-4],
      [1e6, 1e-4],
    ]) {
      // a (s x u)^2 + b s x u + c is the unit (a s^2, b s, c) at x.
      const large = await solved(scale, { a, b, c });
      const same = await solved(1, { a: a * scale ** 2, b: b * scale, c });
      expect(large.gap.relative, `${scale}`).toBeLessThanOrEqual(tolerance);
      expect(Math.abs(large.gap.primal / same.gap.primal - 1), `${scale}`).toBeLessThanOrEqual(2 * tolerance);
      expect(same.gap.dual).toBeLessThanOrEqual(large.gap.primal);
      expect(large.gap.dual).toBeLessThanOrEqual(same.gap.primal);
      // No network loses less than the least squares of all x_i x_j, x_i and 1, from which a charge this small is not far.
      expect(large.gap.primal).toBeGreaterThanOrEqual(least * (1 - 1e-9));
      if (scale >= 1e4) expect(large.gap.primal / least - 1).toBeLessThan(2e-2);
    }
  });

  test("the gap is closed whatever the scale of x, of its columns and of the outputs, where rows are more than entries and where they are fewer", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.record({
          name: fc.constantFrom("meanSquaredError", "huberLoss", "logcosh", "binaryCrossentropy"),
          activation: fc.constantFrom({ a: 1, b: 0, c: 0 }, { a: 0.09, b: 0.5, c: 0.47 }, { a: 0, b: 1, c: 0 }),
          outputBias: fc.constantFrom(null, { ridge: 0 }),
          n: fc.constantFrom(10, 50),
          size: fc.constantFrom(1e-2, 1, 1e2, 1e3, 1e4, 1e5),
          column: fc.constantFrom(1e-2, 1, 1e2),
          positive: fc.boolean(),
          seed: fc.nat(1000),
        }),
        async ({ name, activation, outputBias, n, size, column, positive, seed }) => {
          const d = 4;
          const draw = gaussianSource(seed);
          const X = gaussianMatrix(n, d, seed + 1);
          const y = Float64Array.from({ length: n }, (_, k) => {
            const [p, q] = X.data.subarray(k * d, k * d + 2);
            const value = p * q + q + 0.2 * draw();
            return name === "binaryCrossentropy" ? Number(value > 0) : value;
          });
          // Products of larger columns are beyond what the other terms can be told beside; a logistic loss that has no least value is steeper.
          fc.pre(size * Math.max(1, column) <= (name === "meanSquaredError" ? 1e6 : 1e4));
          fc.pre(name !== "binaryCrossentropy" || (n > 10 && column === 1));
          fc.pre(name === "meanSquaredError" || n > 10 || column === 1);
          const scaled = X.data.map((x, k) => size * (k % d === 0 ? column : 1) * (positive ? Math.abs(x) : x));
          const loss = bindLoss(name as LossName, { rows: n, cols: 1, data: y });
          const problem = { X: { rows: n, cols: d, data: scaled }, loss, outputBias, beta: 0.02, activation };
          const solution = await polynomialNetworks
            .build(problem)
            .solve(referenceKernels, { ...budget, tolerance: 1e-4, seconds: 20 });
          expect(solution.gap.relative).toBeLessThanOrEqual(1e-4);
          expect((await polynomialObjective(problem, solution)).total).toBeCloseTo(solution.gap.primal, 9);
        },
      ),
      { numRuns: 40 },
    );
  });

  test("the gap is closed on many rows with a column of ones, which is a bias inside the units, and one of zeros and ones, whatever the scale of the others", async () => {
    const [n, d] = [700, 5];
    const draw = gaussianSource(5);
    const y = new Float64Array(n);
    const unit = new Float64Array(n * d);
    for (let k = 0; k < n; k++) {
      const [p, q, r] = [draw(), draw(), draw()];
      unit.set([p, q, r, Number(p > 0), 1], k * d);
      y[k] = p * q + q - r + 0.2 * draw();
    }
    const loss = bindLoss("meanSquaredError", { rows: n, cols: 1, data: y });
    for (const [scale, outputBias] of [
      [1, { ridge: 0 }],
      [1e3, { ridge: 0 }],
      [1e3, null],
      [1e6, { ridge: 0.1 }],
    ] as const) {
      const X = { rows: n, cols: d, data: unit.map((value, k) => (k % d < 3 ? scale * value : value)) };
      const problem = { X, loss, outputBias, beta: 0.02, activation: { a: 0.09, b: 0.5, c: 0.47 } };
      const solution = await polynomialNetworks
        .build(problem)
        .solve(referenceKernels, { ...budget, tolerance: 1e-4, seconds: 20 });
      expect(solution.gap.relative, `${scale}`).toBeLessThanOrEqual(1e-4);
      expect((await polynomialObjective(problem, solution)).total).toBeCloseTo(solution.gap.primal, 9);
    }
  });

  test("more than 600 entries are no cliff: columns of x of size 1,000 and of size one are solved, whichever way", async () => {
    const { kernels } = await chooseEngine("auto", 1);
    const [n, d] = [900, 36]; // 702 entries
    const draw = gaussianSource(5);
    const unit = Float64Array.from({ length: n * d }, (_, k) => (k % d === d - 1 ? 1 : draw()));
    const y = Float64Array.from({ length: n }, (_, k) => {
      const [p, q, r] = unit.subarray(k * d, k * d + 3);
      return p * q + q - r + 0.3 * draw();
    });
    const loss = bindLoss("meanSquaredError", { rows: n, cols: 1, data: y });
    for (const scale of [1, 1e3]) {
      const X = { rows: n, cols: d, data: unit.map((value) => scale * value) };
      const problem = { X, loss, outputBias: { ridge: 0 }, beta: 0.02, activation: { a: 0.09, b: 0.5, c: 0.47 } };
      const { gap } = await polynomialNetworks
        .build(problem)
        .solve(kernels, { ...budget, tolerance: 1e-4, seconds: 60 });
      expect(gap.relative, `${scale}`).toBeLessThanOrEqual(1e-4);
    }
  });

  test("rows off centre under absolute errors are solved, where a stage ends at the boundary, too", async () => {
    const { kernels } = await chooseEngine("wasm", 1);
    const [n, d] = [60, 10];
    const square = { a: 1, b: 0, c: 0 };
    for (const [offset, outputBias, activation, seed] of [
      [3, { ridge: 0 }, square, 1],
      [10, null, square, 1],
      [10, { ridge: 0 }, square, 2],
      [10, null, { a: 0.09, b: 0.5, c: 0.47 }, 1],
    ] as const) {
      const draw = gaussianSource(seed);
      const data = Float64Array.from({ length: n * d }, () => offset + draw());
      const y = Float64Array.from({ length: n }, (_, k) => {
        const [p, q] = data.subarray(k * d, k * d + 2);
        return p * q + q + 0.2 * draw();
      });
      const loss = bindLoss("meanAbsoluteError", { rows: n, cols: 1, data: y });
      const problem = { X: { rows: n, cols: d, data }, loss, outputBias, beta: 0.02, activation };
      const { gap } = await polynomialNetworks.build(problem).solve(kernels, { ...budget, tolerance: 1e-4 });
      expect(gap.relative, `${offset}, ${seed}`).toBeLessThanOrEqual(1e-4);
    }
  });

  test("steps of all stages and of what comes behind them have one budget", async () => {
    const stored = reference.polynomial.find(({ loss }) => loss === "meanAbsoluteError");
    const problem = {
      ...posed(stored as (typeof reference.polynomial)[number]),
      pooling: { patches: 1, positions: 1, scale: 1 },
    };
    for (const maxIterations of [0, 7, 40]) {
      const { iterations, status } = await polynomialNetworks
        .build(problem)
        .solve(referenceKernels, { tolerance: 1e-12, maxIterations, seconds: 20 });
      expect(iterations).toBeLessThanOrEqual(maxIterations);
      expect(status).toBe("iterationLimit");
    }
  });

  test("a later network whose objective or bound is NaN takes the place of none", () => {
    const { loss, outputBias } = posed(reference.polynomial[0]);
    const at = (primal: number, dual: number) => ({ gap: { primal, dual, relative: 0 } }) as UnitSolution;
    const [good, broken] = [at(2, 1), at(Number.NaN, Number.NaN)];
    expect(better({ loss, outputBias }, good, broken, Number.NaN).gap).toMatchObject({ primal: 2, dual: 1 });
    expect(better({ loss, outputBias }, broken, good, 2).gap).toMatchObject({ primal: 2, dual: 1 });
    expect(better({ loss, outputBias }, good, at(1.5, 0.5), 1.5).gap).toMatchObject({ primal: 1.5, dual: 1 });
  });

  test("of what prices find as many are taken as told for each feed, the dearest first", () => {
    const units = [0, 0, 1, 0, 1, 2].map((feed, rank) => ({ feed, rank }));
    expect(fewOfEach(units, 2).map(({ rank }) => rank)).toEqual([0, 1, 2, 4, 5]);
  });

  test("prices end where they are told to, between feeds and within a large one, and then claim no ceiling", async () => {
    const X = gaussianMatrix(30, 80, 2);
    const N = gaussianMatrix(30, 2, 3).data;
    const pricing = () => new PolynomialOracle(onePlace(X), 2, { a: 1, b: 0.5, c: 0.2 });
    let asked = 0;
    const whole = pricing();
    const count = async () => {
      asked += 1;
      return false;
    };
    expect(await whole.look(N, count)).toBe(true);
    expect(asked).toBeGreaterThan(20);
    expect(whole.ceiling(N)).toBe(pricing().ceiling(N));
    const cut = pricing();
    expect(await cut.look(N, async () => true)).toBe(false);
    expect(cut.ceiling(N)).toBe(Number.POSITIVE_INFINITY);
    expect((await cut.dearest(N, [], async () => true)).largest).toBe(Number.POSITIVE_INFINITY);
    expect(await cut.look(N, async () => false)).toBe(true);
    expect(cut.ceiling(N)).toBe(whole.ceiling(N));
  });

  test("patches and their moments are made in pieces, and a solve that has no time for them ends with constant outputs", async () => {
    const [n, patches, d] = [40, 64, 24];
    const X = gaussianMatrix(n * patches, d, 6);
    const pooling = { patches, positions: 4, scale: 4 / patches };
    let pieces = 0;
    const work = placesOf(X, pooling, referenceKernels);
    while (work.next(false).done !== true) pieces += 1;
    expect(pieces).toBeGreaterThanOrEqual(1);
    const loss = bindLoss("meanSquaredError", { rows: n, cols: 1, data: gaussianMatrix(n, 1, 7).data });
    const problem = { X, loss, outputBias: { ridge: 0 }, beta: 0.1, activation: { a: 1, b: 0, c: 0 }, pooling };
    const ended = await polynomialNetworks.build(problem).solve(referenceKernels, { ...budget, stopped: () => true });
    expect(ended.status).toBe("cancelled");
    expect(ended.units.length).toBe(0);
    expect(ended.gap.primal).toBeCloseTo(loss.value(new Float64Array(n).fill(ended.bias[0])), 12);
    expect(ended.gap.dual).toBeCloseTo(0, 12);
  });

  test("is refused without a charge, and for more features than an eigendecomposition a round can take", () => {
    const problem = posed(reference.polynomial[0]);
    expect(polynomialNetworks.refuses(problem)).toBeNull();
    expect(polynomialNetworks.refuses({ ...problem, beta: 0 })).toMatch(/beta above 0, got 0/);
    const wide = { rows: 1, cols: 3000, data: new Float64Array(3000) };
    expect(polynomialNetworks.refuses({ ...problem, X: wide })).toMatch(/at most 1200 features, .* got 3000/);
  });
});

describe("the maximum of a quadratic on the sphere", () => {
  const kinds = fc.record({
    d: fc.integer({ min: 1, max: 6 }),
    seed: fc.integer({ min: 1, max: 1e6 }),
    kind: fc.constantFrom("general", "hard", "tied", "linear", "zero"),
    sign: fc.constantFrom(1 as const, -1 as const),
  });

  test("is attained by a vector of length one, below its ceiling, and above what ascent finds, hard case included", () => {
    fc.assert(
      fc.property(kinds, ({ d, seed, kind, sign }) => {
        const draw = gaussianSource(seed);
        const Q = new Float64Array(d * d);
        if (kind === "general" || kind === "hard") {
          for (let i = 0; i < d; i++) for (let j = 0; j <= i; j++) Q[i * d + j] = draw();
        }
        if (kind === "tied") for (let i = 0; i < d; i++) Q[i * d + i] = i < d / 2 ? 2 : -1;
        for (let i = 0; i < d; i++) for (let j = 0; j < i; j++) Q[j * d + i] = Q[i * d + j];
        const eigen = eigenSymmetric(Q, d);
        const q = Float64Array.from({ length: d }, () => (kind === "zero" ? 0 : draw()));
        if (kind === "hard") {
          // Nothing of q along the top eigenvector, and little elsewhere.
          const top = (sign > 0 ? d - 1 : 0) * d;
          let along = 0;
          for (let p = 0; p < d; p++) along += q[p] * eigen.vectors.data[top + p];
          for (let p = 0; p < d; p++) q[p] = 0.01 * (q[p] - along * eigen.vectors.data[top + p]);
        }
        const { value, ceiling, u } = maximiseOnSphere(eigen, q, sign);
        const worth = (v: Float64Array) => {
          let sum = 0;
          for (let i = 0; i < d; i++) {
            sum += q[i] * v[i];
            for (let j = 0; j < d; j++) sum += v[i] * Q[i * d + j] * v[j];
          }
          return sign * sum;
        };
        expect(norm(u)).toBeCloseTo(1, 10);
        expect(worth(u)).toBeCloseTo(value, 9);
        expect(ceiling).toBeGreaterThanOrEqual(value);
        expect(ceiling - value).toBeLessThan(1e-7 * (1 + Math.abs(value)));
        for (let start = 0; start < 20; start++) {
          let v = Float64Array.from({ length: d }, draw);
          for (let step = 0; step < 100; step++) {
            const size = norm(v);
            v = v.map((entry) => entry / size);
            const slope = v.map((_, i) => {
              let sum = sign * q[i];
              for (let j = 0; j < d; j++) sum += 2 * sign * Q[i * d + j] * v[j];
              return sum;
            });
            if (step < 99) v = v.map((entry, i) => entry + 0.1 * slope[i]);
          }
          expect(worth(v)).toBeLessThanOrEqual(ceiling);
        }
      }),
      { numRuns: 100 },
    );
  });
});

test("decompose keeps the sum of (p, |p|)(p, |p|)' with at most d + 1 units", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 6 }),
      fc.integer({ min: 1, max: 20 }),
      fc.integer({ min: 1, max: 1e6 }),
      (d, m, seed) => {
        const P = Float64Array.from({ length: m * d }, gaussianSource(seed));
        const fewer = decompose(P, d, 1e-14);
        expect(fewer.length / d).toBeLessThanOrEqual(d + 1);
        const moments = (vectors: Float64Array) => {
          const sums = new Float64Array((d + 1) ** 2);
          for (let j = 0; j < vectors.length / d; j++) {
            const p = vectors.subarray(j * d, (j + 1) * d);
            const w = [...p, norm(p)];
            for (let i = 0; i <= d; i++) for (let k = 0; k <= d; k++) sums[i * (d + 1) + k] += w[i] * w[k];
          }
          return sums;
        };
        const [before, after] = [moments(P), moments(fewer)];
        before.forEach((value, k) => {
          expect(after[k]).toBeCloseTo(value, 8);
        });
      },
    ),
    { numRuns: 60 },
  );
});
