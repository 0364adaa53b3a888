import { expect, test } from "vitest";
import { transpose } from "../../../src/convex/linear/vectors.js";

test.each([
  [1, 1],
  [1, 6],
  [6, 1],
  [3, 5],
  [8, 8],
])("a matrix of %i rows and %i columns is turned, whatever lies behind it", (m, n) => {
  const A = Float64Array.from({ length: m * n + 4 }, (_, k) => k + 1);
  const out = new Float64Array(m * n + 1);
  transpose(A, m, n, out);
  for (let i = 0; i < m; i++) for (let j = 0; j < n; j++) expect(out[j * m + i]).toBe(A[i * n + j]);
  expect(out[m * n]).toBe(0);
});
