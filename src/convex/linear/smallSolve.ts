/** x := A^-1 x for a small dense A [n x n], by Gaussian elimination with row pivots; A is spoilt. */
export function smallSolve(A: Float64Array, x: Float64Array, n: number): void {
  for (let i = 0; i < n; i++) {
    let pivot = i;
    for (let k = i + 1; k < n; k++) if (Math.abs(A[k * n + i]) > Math.abs(A[pivot * n + i])) pivot = k;
    if (pivot !== i) {
      for (let j = 0; j < n; j++) [A[i * n + j], A[pivot * n + j]] = [A[pivot * n + j], A[i * n + j]];
      [x[i], x[pivot]] = [x[pivot], x[i]];
    }
    for (let k = i + 1; k < n; k++) {
      const factor = A[k * n + i] / A[i * n + i];
      for (let j = i; j < n; j++) A[k * n + j] -= factor * A[i * n + j];
      x[k] -= factor * x[i];
    }
  }
  for (let i = n - 1; i >= 0; i--) {
    for (let j = i + 1; j < n; j++) x[i] -= A[i * n + j] * x[j];
    x[i] /= A[i * n + i];
  }
}
