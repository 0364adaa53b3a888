/**
 * The Newton system of a loss that couples its outputs, where the rows of all of them are few: M + Y' Y, M = T + spread a small matrix
 * for each sample, by the identity of Woodbury. What is factored has as many rows as there are terms of all outputs together.
 */

import type { CholeskyFactor, Kernels } from "../../kernels/types.js";
import type { LinearSystem } from "../../linear/conjugateGradients.js";
import { addSpread, type Machinery, type NewtonSystem, type OutputCurvature } from "./newtonSystem.js";

/** Rows of all outputs up to which one factor of them all costs less than conjugate gradients with a factor for each output. */
const MOST_ROWS = 512;

/** Terms [rowCount x n] of one output. */
type Terms = Pick<OutputCurvature, "rows" | "rowCount">;

/** The system with its inverse, up to rounding, as preconditioner; null where it has too many rows, or rounding spoils it. */
export function jointWoodbury(
  system: NewtonSystem,
  machinery: Pick<Machinery, "program" | "kernels" | "products">,
): (LinearSystem & { dispose(): void }) | null {
  const { n, outputs, diagonal } = system;
  const { X, pooling } = machinery.program;
  const count = system.curvature.reduce((sum, { rowCount, gates }) => sum + rowCount + gates.length * X.cols, 0);
  const pooled = pooling != null && system.curvature.some(({ gates }) => gates.length > 0);
  if (count === 0 || count > MOST_ROWS || pooled) return null;
  const spread = system.spread ?? new Float64Array(n * outputs);
  const curvature = system.curvature.map((own) => termsOf(own, n, machinery));
  const terms = { n, outputs, curvature };
  const shares = spread.map((s, k) => s / diagonal[k]); // T^-1 s
  const rest = new Float64Array(n); // 1 / (1 + s' T^-1 s)
  for (let k = 0; k < n; k++) {
    let square = 0;
    for (let c = 0; c < outputs; c++) square += spread[k * outputs + c] * shares[k * outputs + c];
    rest[k] = 1 / (1 + square);
  }
  const factor = innerFactor(terms, count, diagonal, shares, rest, machinery.kernels);
  if (factor === null) return null;
  const divide = (x: Float64Array) => {
    for (let k = 0; k < n; k++) {
      let product = 0;
      for (let c = 0; c < outputs; c++) product += shares[k * outputs + c] * x[k * outputs + c];
      product *= rest[k];
      for (let c = 0; c < outputs; c++) {
        const at = k * outputs + c;
        x[at] = x[at] / diagonal[at] - product * shares[at];
      }
    }
  };
  return {
    multiply: (x, out) => {
      for (let k = 0; k < x.length; k++) out[k] = diagonal[k] * x[k];
      addSpread(spread, x, out, n, outputs);
      addRows(terms, timesRows(terms, count, x), out);
    },
    precondition: (x) => {
      divide(x);
      const seen = timesRows(terms, count, x);
      factor.solve(seen, 1);
      const back = new Float64Array(n * outputs);
      addRows(terms, seen, back);
      divide(back);
      for (let k = 0; k < x.length; k++) x[k] -= back[k];
    },
    dispose: () => factor.dispose(),
  };
}

/** Those of all outputs: Y. */
interface AllTerms {
  readonly n: number;
  readonly outputs: number;
  readonly curvature: readonly Terms[]; // [C]
}

/** The rows, and for each whole gate one for each column of X. */
function termsOf(
  { rows, rowCount, gates, weights }: OutputCurvature,
  n: number,
  { program, products }: Pick<Machinery, "program" | "products">,
): Terms {
  if (gates.length === 0) return { rows, rowCount };
  const d = program.X.cols;
  const all = new Float64Array((rowCount + gates.length * d) * n);
  all.set(rows.subarray(0, rowCount * n));
  const along = new Float64Array(d);
  let at = rowCount * n;
  gates.forEach((gate, i) => {
    for (let p = 0; p < d; p++, at += n) {
      along.fill(0)[p] = Math.sqrt(weights[i]);
      products.rows(gate, along, 1, all.subarray(at, at + n));
    }
  });
  return { rows: all, rowCount: rowCount + gates.length * d };
}

/** A factor of I + Y M^-1 Y' [m x m], M^-1 = T^-1 - rest (T^-1 s) (T^-1 s)' for each sample. */
function innerFactor(
  { n, outputs, curvature }: AllTerms,
  m: number,
  diagonal: Float64Array,
  shares: Float64Array,
  rest: Float64Array,
  kernels: Kernels,
): CholeskyFactor | null {
  const S = new Float64Array(m * m);
  const across = new Float64Array(m * n); // sqrt(rest) (T^-1 s) Y
  let first = 0;
  for (let c = 0; c < outputs; c++) {
    const { rows, rowCount } = curvature[c];
    const scaled = new Float64Array(rowCount * n);
    for (let i = 0; i < rowCount; i++) {
      for (let k = 0; k < n; k++) {
        const y = rows[i * n + k];
        scaled[i * n + k] = y / diagonal[k * outputs + c];
        across[(first + i) * n + k] = y * shares[k * outputs + c] * Math.sqrt(rest[k]);
      }
    }
    const own = new Float64Array(rowCount * rowCount);
    if (rowCount > 0) kernels.multiplyTransposed(scaled, rows.subarray(0, rowCount * n), own, rowCount, n, rowCount);
    for (let i = 0; i < rowCount; i++)
      for (let j = 0; j < rowCount; j++) S[(first + i) * m + first + j] = own[i * rowCount + j];
    first += rowCount;
  }
  const joint = new Float64Array(m * m);
  kernels.multiplyTransposed(across, across, joint, m, n, m);
  for (let at = 0; at < S.length; at++) S[at] -= joint[at];
  for (let i = 0; i < m; i++) S[i * m + i] += 1;
  return kernels.cholesky(S, m);
}

/** Y x [m], x [n x C]. */
function timesRows({ n, outputs, curvature }: AllTerms, m: number, x: Float64Array): Float64Array {
  const seen = new Float64Array(m);
  const column = new Float64Array(n);
  let at = 0;
  curvature.forEach(({ rows, rowCount }, c) => {
    for (let k = 0; k < n; k++) column[k] = x[k * outputs + c];
    for (let i = 0; i < rowCount; i++, at++) {
      let sum = 0;
      for (let k = 0, from = i * n; k < n; k++) sum += rows[from + k] * column[k];
      seen[at] = sum;
    }
  });
  return seen;
}

/** out += Y' u, out [n x C]. */
function addRows({ n, outputs, curvature }: AllTerms, u: Float64Array, out: Float64Array): void {
  const column = new Float64Array(n);
  let at = 0;
  curvature.forEach(({ rows, rowCount }, c) => {
    column.fill(0);
    for (let i = 0; i < rowCount; i++, at++) {
      const weight = u[at];
      for (let k = 0, from = i * n; k < n; k++) column[k] += weight * rows[from + k];
    }
    for (let k = 0; k < n; k++) out[k * outputs + c] += column[k];
  });
}
