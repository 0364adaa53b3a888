/** Leading right singular vectors, by Jacobi's rotations of the columns (one-sided, so that small ones are right too). */

export interface Span {
  readonly basis: Float64Array; // [r x d], orthonormal rows
  readonly mean: Float64Array; // [d]; zeros where nothing is taken off
  readonly rows: Float64Array; // [n x r]
  readonly values: readonly number[]; // all singular values, decreasing
}

const ROUNDING = 2 ** -22;

export function principal(X: Float64Array, n: number, d: number, most: number, centred: boolean): Span {
  const mean = new Float64Array(d);
  if (centred) for (let k = 0; k < n * d; k++) mean[k % d] += X[k] / n;
  const B = X.map((value, k) => value - mean[k % d]); // becomes X V
  const V = new Float64Array(d * d);
  for (let p = 0; p < d; p++) V[p * d + p] = 1;
  for (let sweep = 0; sweep < 60; sweep++) {
    let turned = false;
    for (let p = 0; p < d; p++) for (let q = p + 1; q < d; q++) turned = rotate(B, V, n, d, p, q) || turned;
    if (!turned) break;
  }
  const sizes = Array.from({ length: d }, (_, p) => {
    let square = 0;
    for (let k = 0; k < n; k++) square += B[k * d + p] ** 2;
    return Math.sqrt(square);
  });
  const order = sizes.map((_, p) => p).sort((p, q) => sizes[q] - sizes[p]);
  const kept = order.filter((p, k) => k < most && sizes[p] > ROUNDING * sizes[order[0]]);
  const r = kept.length;
  const basis = new Float64Array(r * d);
  const rows = new Float64Array(n * r);
  kept.forEach((p, k) => {
    for (let q = 0; q < d; q++) basis[k * d + q] = V[q * d + p];
    for (let i = 0; i < n; i++) rows[i * r + k] = B[i * d + p];
  });
  return { basis, mean, rows, values: order.map((p) => sizes[p]) };
}

function rotate(B: Float64Array, V: Float64Array, n: number, d: number, p: number, q: number): boolean {
  let [a, b, c] = [0, 0, 0];
  for (let k = 0; k < n; k++) {
    a += B[k * d + p] ** 2;
    b += B[k * d + q] ** 2;
    c += B[k * d + p] * B[k * d + q];
  }
  if (Math.abs(c) <= 1e-16 * Math.sqrt(a * b) || c === 0) return false;
  const zeta = (b - a) / (2 * c);
  const t = (zeta >= 0 ? 1 : -1) / (Math.abs(zeta) + Math.hypot(1, zeta));
  const cos = 1 / Math.hypot(1, t);
  const sin = cos * t;
  for (const M of [B, V]) {
    for (let k = 0; k < M.length / d; k++) {
      const [x, y] = [M[k * d + p], M[k * d + q]];
      M[k * d + p] = cos * x - sin * y;
      M[k * d + q] = sin * x + cos * y;
    }
  }
  return true;
}
