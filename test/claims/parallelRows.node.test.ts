/**
 * The kernel of wide two-layer ReLU networks is regular although rows are parallel, where they are opposite: docs/claims.md, 8.
 *
 * H = x_i'x_j (pi - angle) / (2 pi), of unit rows: E[x_i'x_j 1[w'x_i >= 0, w'x_j >= 0]], w Gaussian.
 */

import { expect, test } from "vitest";
import { gaussianSource } from "../../src/convex/linear/random.js";

type Row = readonly [number, number];

const product = (a: Row, b: Row) => a[0] * b[0] + a[1] * b[1];
const closed = (a: Row, b: Row) => {
  const cosine = Math.max(-1, Math.min(1, product(a, b)));
  return (cosine * (Math.PI - Math.acos(cosine))) / (2 * Math.PI);
};

/** Least eigenvalue of the 2 x 2 matrix of two rows. */
function leastEigenvalue(a: Row, b: Row, kernel: (a: Row, b: Row) => number): number {
  const [p, q, r] = [kernel(a, a), kernel(a, b), kernel(b, b)];
  return (p + r) / 2 - Math.hypot((p - r) / 2, q);
}

/** The same entries as a mean over 200,000 neurons. */
function sampled(a: Row, b: Row): number {
  const draw = gaussianSource(1);
  let both = 0;
  for (let k = 0; k < 200_000; k++) {
    const w: Row = [draw(), draw()];
    if (product(w, a) >= 0 && product(w, b) >= 0) both++;
  }
  return (product(a, b) * both) / 200_000;
}

const x: Row = [0.6, 0.8];
const opposite: Row = [-0.6, -0.8];

test("a row and its opposite are parallel and have least eigenvalue 1/2", () => {
  expect(leastEigenvalue(x, opposite, closed)).toBeCloseTo(0.5, 12);
  expect(leastEigenvalue(x, opposite, sampled)).toBeCloseTo(0.5, 2);
});

test("a row that is there twice has least eigenvalue 0", () => {
  expect(leastEigenvalue(x, x, closed)).toBeCloseTo(0, 12);
});
