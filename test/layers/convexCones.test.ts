import * as tf from "@tensorflow/tfjs";
import fc from "fast-check";
import { beforeAll, describe, expect, test } from "vitest";
import { gaussianSource } from "../../src/convex/linear/random.js";
import { type QuadraticProgram, quadraticGradient, solveQuadraticProgram } from "../../src/convex/quadratic/index.js";
import { convexLayer, quadraticProgram, registerLayers } from "../../src/index.js";
import { saveAndLoad } from "../helpers/models.js";

beforeAll(async () => {
  await tf.setBackend("cpu");
  registerLayers();
});

const sizes = fc.record({
  n: fc.integer({ min: 1, max: 6 }),
  p: fc.integer({ min: 0, max: 2 }),
  numbers: fc.integer({ min: 0, max: 3 }),
  cones: fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 1, maxLength: 3 }),
  rank: fc.integer({ min: 0, max: 6 }), // of P
  size: fc.integer({ min: -4, max: 4 }), // a power of ten, of rows and objective
  seed: fc.nat(10_000),
});

type Sizes = typeof sizes extends fc.Arbitrary<infer T> ? T : never;

/** A program with a point strictly inside its cones, and a bound of |z|, so that there is a solution. */
function drawn({
  n,
  p,
  numbers,
  cones,
  rank,
  size,
  seed,
}: Sizes): QuadraticProgram & { readonly inside: Float64Array } {
  const next = gaussianSource(seed);
  const many = (count: number, by = 1) => Float64Array.from({ length: count }, () => by * next());
  const scale = 10 ** size;
  const inside = many(n);
  const P = new Float64Array(n * n);
  for (let k = 0; k < rank; k++) {
    const v = many(n);
    for (let e = 0; e < n * n; e++) P[e] += scale * v[Math.floor(e / n)] * v[e % n];
  }
  const equations = Math.min(p, n - 1);
  const A = many(equations * n, scale);
  const ball = n + 1; // |z - inside| <= 3
  const m = numbers + cones.reduce((sum, length) => sum + length, 0) + ball;
  const G = many(m * n, 1 / scale);
  for (let e = (m - ball) * n; e < m * n; e++) G[e] = 0;
  for (let j = 0; j < n; j++) G[(m - n + j) * n + j] = -1;
  const at = (M: Float64Array, k: number) => inside.reduce((sum, value, j) => sum + M[k * n + j] * value, 0);
  const h = Float64Array.from({ length: m }, (_, k) => at(G, k));
  for (let k = 0; k < numbers; k++) h[k] += (0.1 + Math.abs(next())) / scale;
  let from = numbers;
  for (const length of [...cones, ball]) {
    const tail = many(length - 1, 1 / scale);
    if (length === ball && from === m - ball) tail.fill(0);
    tail.forEach((value, k) => {
      h[from + 1 + k] += value;
    });
    h[from] += from === m - ball ? 3 : Math.hypot(...tail) + (0.1 + Math.abs(next())) / scale;
    from += length;
  }
  const b = Float64Array.from({ length: equations }, (_, k) => at(A, k));
  return { P, q: many(n, 3 * scale), A, b, G, h, cones: [...cones, ball], inside };
}

/** |u| - t of a cone, or minus the number, of rows in cones; at most zero inside. */
function outside(values: Float64Array, { h, cones = [] }: QuadraticProgram): number[] {
  const numbers = cones.reduce((left, size) => left - size, h.length);
  let from = numbers;
  return [
    ...Array.from(values.subarray(0, numbers), (value) => -value),
    ...cones.map((size) => {
      const at = from;
      from += size;
      return Math.hypot(...values.subarray(at + 1, at + size)) - values[at];
    }),
  ];
}

describe("programs with second-order cones", () => {
  test("the KKT equations hold at what comes back: both sides in their cones, orthogonal, and the gradients cancel", () => {
    fc.assert(
      fc.property(sizes, (wish) => {
        const program = drawn(wish);
        const { P, q, A, b, G, h } = program;
        const n = q.length;
        const solution = solveQuadraticProgram(program);
        if (typeof solution === "string") throw new Error(solution);
        const { z, nu, lambda } = solution;
        const row = (M: Float64Array, k: number) => z.reduce((sum, value, j) => sum + M[k * n + j] * value, 0);
        const left = h.map((value, k) => value - row(G, k));
        const norm = (v: Iterable<number>) => Math.hypot(...v);
        b.forEach((value, k) => void expect(Math.abs(row(A, k) - value)).toBeLessThan(1e-6 * norm(A)));
        for (const value of outside(left, program)) expect(value).toBeLessThan(1e-6 * (1 + norm(h)));
        for (const value of outside(lambda, program)) expect(value).toBeLessThan(1e-6 * (norm(lambda) + 1e-12));
        const apart = left.reduce((sum, value, k) => sum + value * lambda[k], 0);
        const value = q.reduce((sum, entry, i) => sum + entry * z[i] + 0.5 * z[i] * row(P, i), 0);
        expect(Math.abs(apart)).toBeLessThan(1e-6 * (Math.abs(value) + norm(q)));
        const pull = q.map((entry, j) => {
          const held = nu.reduce((sum, factor, k) => sum + factor * A[k * n + j], 0);
          return entry + row(P, j) + lambda.reduce((sum, factor, k) => sum + factor * G[k * n + j], held);
        });
        expect(norm(pull)).toBeLessThan(1e-6 * (norm(q) + norm(P) * norm(z)));
      }),
      { numRuns: 100, seed: 1 },
    );
  });

  test("the nearest point of a cone and of a ball are the closed forms, with their slopes", () => {
    const next = gaussianSource(4);
    for (let k = 0; k < 20; k++) {
      const given = Float32Array.from({ length: 3 }, () => 2 * next());
      const [t, u] = [given[0], given.subarray(1)];
      const length = Math.hypot(...u);
      const share = (t + length) / 2;
      const onto =
        length <= t
          ? [...given]
          : length <= -t
            ? [0, 0, 0]
            : [share, ...Array.from(u, (value) => (share * value) / length)];
      const toCone = (p: tf.Tensor) =>
        quadraticProgram({ P: tf.eye(3), q: p.neg(), G: tf.eye(3).neg(), h: tf.zeros([3]), cones: [3] });
      toCone(tf.tensor1d(given))
        .dataSync()
        .forEach((value, j) => void expect(value).toBeCloseTo(onto[j], 5));
      const ball = { G: tf.concat([tf.zeros([1, 3]), tf.eye(3).neg()]), h: tf.tensor1d([1, 0, 0, 0]), cones: [4] };
      const toBall = (p: tf.Tensor) => quadraticProgram({ P: tf.eye(3), q: p.neg(), ...ball });
      const shrunk = (p: tf.Tensor) => p.div(tf.maximum(1, p.norm()));
      const x = tf.tensor1d(given);
      const weights = tf.tensor1d([1, -2, 0.5]);
      const apart = toBall(x).sub(shrunk(x)).abs().max().dataSync()[0];
      expect(apart).toBeLessThan(1e-5);
      const slope = (f: (p: tf.Tensor) => tf.Tensor) => tf.grad((p) => f(p).mul(weights).sum())(x);
      expect(slope(toBall).sub(slope(shrunk)).abs().max().dataSync()[0]).toBeLessThan(1e-4);
    }
  });

  test("gradients by all six terms are those of finite differences", () => {
    const NAMES = ["P", "q", "A", "b", "G", "h"] as const;
    let compared = 0;
    fc.assert(
      fc.property(sizes, (wish) => {
        const program = drawn({ ...wish, size: 0, rank: 6 });
        const dz = Float64Array.from(program.q, gaussianSource(wish.seed + 1));
        const lossAt = (of: QuadraticProgram) => {
          const solution = solveQuadraticProgram(of);
          if (typeof solution === "string") throw new Error(solution);
          return solution.z.reduce((sum, value, j) => sum + value * dz[j], 0);
        };
        const solution = solveQuadraticProgram(program);
        if (typeof solution === "string") throw new Error(solution);
        const slopes = quadraticGradient(program, solution, dz);
        for (const name of NAMES) {
          const n = program.q.length;
          let along = Float64Array.from(program[name], gaussianSource(wish.seed + 2));
          if (name === "P") along = along.map((value, e) => value + along[(e % n) * n + Math.floor(e / n)]);
          const at = (step: number) =>
            lossAt({ ...program, [name]: program[name].map((value, k) => value + step * along[k]) });
          const step = 1e-5;
          const [there, here, back] = [at(step), at(0), at(-step)];
          const slope = slopes[name].reduce((sum, value, k) => sum + value * along[k], 0);
          const size = 1 + Math.abs(slope);
          if (Math.abs(there - 2 * here + back) > 1e-3 * step * size) continue; // a cone comes or goes on the way
          expect(Math.abs((there - back) / (2 * step) - slope)).toBeLessThan(1e-3 * size);
          compared++;
        }
      }),
      { numRuns: 45, seed: 5 },
    );
    expect(compared).toBeGreaterThan(180);
  });

  test("cones of one are inequalities: values and gradients are those of the active set", () => {
    fc.assert(
      fc.property(sizes, (wish) => {
        const program = drawn({ ...wish, cones: [1, 1], rank: 6, size: 0 });
        const m = program.h.length - program.q.length - 1; // without the ball
        const { P, q, A, b } = program;
        const plain = { P, q, A, b, G: program.G.slice(0, m * q.length), h: program.h.slice(0, m) };
        const coned = { ...plain, cones: [1, 1] };
        const [one, two] = [solveQuadraticProgram(plain), solveQuadraticProgram(coned)];
        if (typeof one === "string" || typeof two === "string") throw new Error("no solution");
        one.z.forEach((value, j) => void expect(two.z[j]).toBeCloseTo(value, 6));
        const dz = Float64Array.from(q, gaussianSource(wish.seed + 1));
        const [a, c] = [quadraticGradient(plain, one, dz), quadraticGradient(coned, two, dz)];
        for (const name of ["P", "q", "A", "b", "G", "h"] as const)
          a[name].forEach(
            (value, k) => void expect(Math.abs(c[name][k] - value)).toBeLessThan(1e-4 * (1 + Math.abs(value))),
          );
      }),
      { numRuns: 40, seed: 6 },
    );
  });

  test("in a batch each sample has its own solution, and least squares is one where it is not unique", () => {
    const q = tf.tensor2d([[-3, 0], [0, 4], [-0.1, 0.1]]); // biome-ignore format: rows
    const ball = { G: tf.concat([tf.zeros([1, 2]), tf.eye(2).neg()]), h: tf.tensor1d([1, 0, 0]), cones: [3] };
    const z = quadraticProgram({ P: tf.eye(2), q, ...ball }).arraySync() as number[][];
    [[1, 0], [0, -1], [0.1, -0.1]].flat().forEach((value, k) => void expect(z.flat()[k]).toBeCloseTo(value, 5)); // biome-ignore format: rows
    const flat = tf.grad((p) => quadraticProgram({ P: tf.zeros([2, 2]), q: p, ...ball }).sum())(tf.tensor1d([1, 1]));
    flat.dataSync().forEach((value) => void expect(Math.abs(value)).toBeLessThan(1e-4)); // along q nothing turns
  });

  test("what has no solution is told apart: cones that contradict each other, and an objective that falls without end", () => {
    const terms = (h: number[]) => ({
      ...{ P: tf.zeros([2, 2]), q: tf.tensor1d([1, 0]) },
      ...{ G: tf.concat([tf.zeros([1, 2]), tf.eye(2).neg()]), h: tf.tensor1d(h), cones: [3] },
    });
    expect(() => quadraticProgram(terms([-1, 0, 0]))).toThrow(/that some z meets/);
    const open = { P: tf.zeros([2, 2]), G: tf.eye(2).neg(), h: tf.zeros([2]), cones: [2] };
    expect(() => quadraticProgram({ ...open, q: tf.tensor1d([-1, 0]) })).toThrow(/falls without end/);
    expect(() => quadraticProgram({ ...open, q: tf.ones([2]), cones: [3] })).toThrow(/at most 2 rows in all/);
    expect(() => quadraticProgram({ ...open, q: tf.ones([2]), cones: [0.5] })).toThrow(
      /cones: expected an array of sizes/,
    );
    expect(() => convexLayer({ cones: [1] })).toThrow(/cones: expected an integer/);
    expect(() => convexLayer({ cones: 3 as never })).toThrow(/cones: expected an array/);
  });
});

describe("programs whose entries are of different sizes", () => {
  const f = (values: number[]) => Float64Array.from(values);
  /** P = I unless given, and |z_1| <= 1 of (z_0, z_1) as a cone. */
  const narrow = (given: Partial<QuadraticProgram>): QuadraticProgram => ({
    ...{ P: f([1, 0, 0, 1]), q: f([0, -3]), A: f([]), b: f([]) },
    ...{ G: f([0, 0, 0, -1]), h: f([1, 0]), cones: [2], ...given },
  });
  const pointOf = (program: QuadraticProgram) => {
    const solution = solveQuadraticProgram(program);
    return typeof solution === "string" ? solution : Array.from(solution.z);
  };

  test.each([0, 2, 4, 6, 8, 10])("small coordinates are as exact as one of 1e%i beside them", (power) => {
    const far = 10 ** power;
    const near = [expect.closeTo(far, -power + 9), expect.closeTo(1, 6)];
    expect(pointOf(narrow({ q: f([-far, -3]) }))).toEqual(near);
    expect(pointOf(narrow({ A: f([1, 0]), b: f([far]) }))).toEqual(near);
    expect(pointOf(narrow({ P: f([0, 0, 0, 0]), A: f([1, 0]), b: f([far]) }))).toEqual(near);
    expect(pointOf(narrow({ P: f([1 / far, 0, 0, 1]), q: f([-1, -3]) }))).toEqual(near);
  });

  test("large bounds and flat curvature are no proof that there is no solution; where there is none they do not hide it", () => {
    for (const power of [0, 5, 9]) {
      const far = 10 ** power;
      const twice = { A: f([1, 0, 1, 0]), b: f([far, 1.01 * far]) };
      expect(pointOf(narrow(twice))).toBe("infeasible");
      expect(pointOf(narrow({ G: f([1, 0, -1, 0, 0, 0, 0, -1]), h: f([far, -1.01 * far, 1, 0]) }))).toBe("infeasible");
      expect(pointOf(narrow({ P: f([0, 0, 0, 1]), q: f([-far, -3]) }))).toBe("unbounded");
    }
  });

  test("P that is not semidefinite is refused, and one that float32 has rounded is not", () => {
    const refused = [[-1, 0, 0, 1], [1, 2, 2, 1], [1e8, 0, 0, -1]]; // biome-ignore format: rows
    const ball = { G: tf.concat([tf.zeros([1, 2]), tf.eye(2).neg()]), h: tf.tensor1d([1, 0, 0]), cones: [3] };
    for (const P of refused)
      expect(() => quadraticProgram({ P: tf.tensor2d(P, [2, 2]), q: tf.zeros([2]), ...ball })).toThrow(
        expect.objectContaining({ code: "data/unbounded" }),
      );
    const X = tf.randomNormal([4, 8], 0, 1, "float32", 1);
    const wide = { G: tf.concat([tf.zeros([1, 8]), tf.eye(8).neg()]), h: tf.oneHot(0, 9).cast("float32"), cones: [9] };
    const z = quadraticProgram({ P: tf.matMul(X, X, true), q: tf.ones([8]), ...wide });
    expect(z.norm().dataSync()[0]).toBeCloseTo(1, 5);
  });

  test("gradients tell by its own slack whether a constraint pushes, beside multipliers that are far larger", () => {
    for (const power of [0, 4, 8]) {
      const program = narrow({ q: f([-(10 ** power) - 1, -2]), G: f([1, 0, 0, 1, 0, 0, 0, -1]), h: f([1, 1, 10, 0]) });
      const solution = solveQuadraticProgram(program);
      if (typeof solution === "string") throw new Error(solution);
      const { h, q } = quadraticGradient(program, solution, f([0, 1]));
      Array.from(h).forEach((value, k) => void expect(value).toBeCloseTo(k === 1 ? 1 : 0, 9));
      for (const value of q) expect(value).toBeCloseTo(0, 9);
    }
  });

  test("solutions where all terms vanish, and cones that touch without pushing, are solutions", () => {
    const apex = {
      P: f([1, 0, 0, 0, 1, 0, 0, 0, 1]),
      G: f([-1, 0, 0, 0, -1, 0, 0, 0, -1]),
      h: f([0, 0, 0]),
      cones: [3],
    };
    const none = { A: f([]), b: f([]) };
    const cases = [[[0, 0, 0], [0, 0, 0]], [[1, -1, 0], [0, 0, 0]], [[3, -1, 1], [0, 0, 0]], [[-1, -1, 0], [1, 1, 0]]]; // biome-ignore format: rows
    for (const [q, wanted] of cases) {
      const z = pointOf({ ...apex, ...none, q: f(q) });
      expect(z).toEqual(wanted.map((value) => expect.closeTo(value, 9)));
    }
  });

  test("variables and rows in other units have the same solution", () => {
    fc.assert(
      fc.property(
        sizes,
        fc.array(fc.integer({ min: -4, max: 4 }), { minLength: 30, maxLength: 30 }),
        (wish, powers) => {
          const plain = drawn({ ...wish, size: 0, rank: 6 });
          const { P, q, A, G, b, h, cones = [] } = plain;
          const n = q.length;
          const of = (j: number) => 10 ** powers[j]; // z_j = of(j) times the new one
          const numbers = cones.reduce((left, size) => left - size, h.length);
          const units = [...Array.from({ length: numbers }, (_, k) => [k, 1]), ...cones.map((size) => [0, size])];
          const row = units.flatMap(([, size], k) => Array.from({ length: size }, () => 10 ** powers[10 + (k % 20)]));
          const other = {
            ...{ cones, q: q.map((value, j) => value * of(j)), b: b.map((value) => value * 1e3) },
            P: P.map((value, e) => value * of(e % n) * of(Math.floor(e / n))),
            A: A.map((value, e) => 1e3 * value * of(e % n)),
            G: G.map((value, e) => value * of(e % n) * row[Math.floor(e / n)]),
            h: h.map((value, k) => value * row[k]),
          };
          const [one, two] = [pointOf(plain), pointOf(other)];
          if (typeof one === "string" || typeof two === "string") throw new Error(`${one}, ${two}`);
          for (let j = 0; j < n; j++) expect(Math.abs(of(j) * two[j] - one[j])).toBeLessThan(1e-6);
        },
      ),
      { numRuns: 40, seed: 8 },
    );
  });
});

test("a layer with cones is trained by model.fit, keeps its point inside, and a saved one predicts the same", async () => {
  const x = tf.randomNormal([30, 3], 0, 2, "float32", 5) as tf.Tensor2D;
  const y = tf.tidy(() => x.div(tf.maximum(1, x.norm("euclidean", 1, true)))) as tf.Tensor2D; // the nearest point of the ball
  const layer = convexLayer({ inequalities: 1, cones: [4, 3], seed: 2, inputShape: [3] });
  const model = tf.sequential({ layers: [layer] });
  model.compile({ optimizer: tf.train.adam(0.05), loss: "meanSquaredError" });
  const lossOf = () => tf.tidy(() => (model.evaluate(x, y) as tf.Scalar).dataSync()[0]);
  const start = lossOf();
  await model.fit(x, y, { epochs: 1, batchSize: 15, verbose: 0 });
  const tensors = tf.memory().numTensors;
  await model.fit(x, y, { epochs: 25, batchSize: 15, verbose: 0 });
  expect(tf.memory().numTensors).toBe(tensors);
  expect(lossOf()).toBeLessThan(0.3 * start);
  const again = await saveAndLoad(model);
  expect((again.predict(x) as tf.Tensor).arraySync()).toEqual((model.predict(x) as tf.Tensor).arraySync());
  again.dispose();
  model.dispose();
});
