import { expect, test } from "vitest";
import { Anderson } from "../../../src/convex/linear/anderson.js";
import { uniformSource } from "../../../src/convex/linear/random.js";
import { dot, norm } from "../../../src/convex/linear/vectors.js";

/** x -> x + f(x) of a linear map with these eigenvalues, in a basis that is not orthogonal; its fixed point is all ones. */
function linearMap(eigenvalues: readonly number[]): (x: Float64Array) => Float64Array {
  const n = eigenvalues.length;
  return (x) => {
    // A lower triangular matrix has its diagonal as eigenvalues.
    const f = new Float64Array(n);
    for (let i = 0; i < n; i++) {
      f[i] = (eigenvalues[i] - 1) * (x[i] - 1);
      for (let j = 0; j < i; j++) f[i] += 0.1 * (x[j] - 1);
    }
    return f;
  };
}

function run(
  f: (x: Float64Array) => Float64Array,
  size: number,
  steps: number,
): { x: Float64Array; lengths: number[] } {
  const anderson = new Anderson();
  const uniform = uniformSource(7);
  const x = Float64Array.from({ length: size }, () => uniform());
  const lengths: number[] = [];
  for (let k = 0; k < steps; k++) {
    const step = f(x);
    lengths.push(norm(step));
    anderson.move(x, step, dot);
  }
  return { x, lengths };
}

test("a linear map's fixed point is reached within as many steps as it has eigenvalues, and a few", () => {
  const eigenvalues = [0.999, 0.99, 0.95, 0.9, 0.5, -0.3, 0.1];
  const { x } = run(linearMap(eigenvalues), eigenvalues.length, eigenvalues.length + 4);
  for (const value of x) expect(value).toBeCloseTo(1, 5);
});

test("with more eigenvalues than it remembers it is far ahead of the plain iteration", () => {
  const eigenvalues = Array.from({ length: 40 }, (_, k) => 0.98 * Math.cos((k * Math.PI) / 40));
  const plain = (x: Float64Array) => Float64Array.from(x, (value, k) => (eigenvalues[k] - 1) * (value - 1));
  const { lengths } = run(plain, 40, 60);
  expect(lengths[59]).toBeLessThan(1e-3 * 0.98 ** 59 * lengths[0]);
});

test("an f that is suddenly much longer ends the memory, and the next step is the plain one", () => {
  const anderson = new Anderson();
  const x = Float64Array.of(1, 2, 3);
  for (let k = 0; k < 4; k++) anderson.move(x, Float64Array.of(0.5 ** k, 0.3 ** k, 0.1), dot);
  const before = x.slice();
  anderson.move(x, Float64Array.of(10, 20, 30), dot);
  expect([...x]).toEqual([before[0] + 10, before[1] + 20, before[2] + 30]);
  anderson.forget();
  anderson.move(x, Float64Array.of(1, 1, 1), dot);
  expect([...x]).toEqual([before[0] + 11, before[1] + 21, before[2] + 31]);
});

test("steps that repeat themselves, whose Gram matrix is singular, stay finite", () => {
  const anderson = new Anderson();
  const x = new Float64Array(3);
  for (let k = 0; k < 30; k++) anderson.move(x, Float64Array.of(1, 1, 1), dot);
  expect(x.every(Number.isFinite)).toBe(true);
});
