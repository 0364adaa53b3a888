/** A Cholesky factor of a small dense matrix, for places that have no kernels at hand. */

import { dotAt } from "./vectors.js";

/** H := L in its lower triangle, H [n x n] = L L'. False where a pivot is not positive. */
export function choleskyInPlace(H: Float64Array, n: number): boolean {
  for (let j = 0; j < n; j++) {
    const pivot = H[j * n + j] - dotAt(H, j * n, H, j * n, j);
    if (!(pivot > 0)) return false;
    const root = Math.sqrt(pivot);
    H[j * n + j] = root;
    for (let i = j + 1; i < n; i++) H[i * n + j] = (H[i * n + j] - dotAt(H, i * n, H, j * n, j)) / root;
  }
  return true;
}

/** b := (L L')^-1 b, b [n]. */
export function choleskySolve(L: Float64Array, n: number, b: Float64Array): void {
  for (let i = 0; i < n; i++) b[i] = (b[i] - dotAt(L, i * n, b, 0, i)) / L[i * n + i];
  for (let i = n - 1; i >= 0; i--) {
    b[i] /= L[i * n + i];
    for (let j = 0; j < i; j++) b[j] -= b[i] * L[i * n + j];
  }
}
