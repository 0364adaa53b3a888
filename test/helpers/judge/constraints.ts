/** Networks that meet a constraint on their outputs exactly, made from ones that nearly do. */

import { emptyNet, type Net, outputsOf, type Task } from "./forward.js";

/** The share of the largest target by which a fit may miss one. */
const EXACT = 1e-10;

/** The network with the least change of its last layer that fits every target; null where there is none. */
export function fitted(task: Task, net: Net, oneOutput: boolean): Net | null {
  const { rows: n, outputs: C, positions, Y, outputBias } = task;
  const m = net.masks.length;
  const vectors = positions * C;
  const A = net.A.slice();
  const c = net.c.slice();
  for (let round = 0; round < 3; round++) {
    const Z = outputsOf(task, { ...net, A, c });
    for (let o = 0; o < C; o++) {
      const columns: { at: number; features: Float64Array }[] = [];
      for (let j = 0; j < m; j++) {
        for (let a = 0; a < positions; a++) {
          const at = j * vectors + a * C + o;
          if (oneOutput && net.A[at] === 0) continue;
          columns.push({ at, features: featuresOf(task, net, j, a) });
        }
      }
      const rest = Float64Array.from({ length: n }, (_, k) => Y[k * C + o] - Z[k * C + o]);
      const gram = new Float64Array(n * n);
      for (const { features } of columns) {
        for (let i = 0; i < n; i++) for (let k = 0; k < n; k++) gram[i * n + k] += features[i] * features[k];
      }
      if (outputBias) for (let k = 0; k < n * n; k++) gram[k] += 1;
      const dual = solve(gram, rest, n);
      if (dual === null) return null;
      for (const { at, features } of columns) for (let k = 0; k < n; k++) A[at] += features[k] * dual[k];
      if (outputBias) for (let k = 0; k < n; k++) c[o] += dual[k];
    }
  }
  const end = { ...net, A, c };
  const Z = outputsOf(task, end);
  const largest = Y.reduce((most, y) => Math.max(most, Math.abs(y)), 0);
  return Z.every((z, k) => Math.abs(z - Y[k]) <= EXACT * largest) ? end : null;
}

/** What a neuron is on all rows, at one position. */
function featuresOf(task: Task, net: Net, j: number, a: number): Float64Array {
  const d = task.inputs;
  const one = { ...task, outputs: 1 };
  const single = emptyNet(one, [net.masks[j]]);
  single.W.set(net.W.subarray(j * d, (j + 1) * d));
  single.b[0] = net.b[j];
  single.A[a] = 1;
  return outputsOf(one, single);
}

/** The network scaled until every margin is at least 1 (outputs are homogeneous of degree 2); null where one is wrong. */
export function marginsMet(task: Task, net: Net): Net | null {
  const Y = signed(task, "margin");
  const least = outputsOf(task, net).reduce((least, z, k) => Math.min(least, Y[k] * z), Number.POSITIVE_INFINITY);
  if (!(least > 0)) return null;
  const root = Math.sqrt(1 / least) * (1 + 1e-15);
  const times = (factor: number) => (value: number) => value * factor;
  return {
    ...net,
    W: net.W.map(times(root)),
    b: net.b.map(times(root)),
    A: net.A.map(times(root)),
    c: net.c.map(times(root * root)),
  };
}

/** Labels 0 and 1 as -1 and 1 where margins are asked for. */
export function signed(task: Task, goal: "fit" | "margin"): Float64Array {
  return goal === "margin" && task.loss === "binaryCrossentropy" ? task.Y.map((y) => 2 * y - 1) : task.Y;
}

/** Gaussian elimination with pivots; null where the matrix is too near to a singular one. */
function solve(matrix: Float64Array, right: Float64Array, n: number): Float64Array | null {
  const M = matrix.slice();
  const x = right.slice();
  const largest = M.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  for (let k = 0; k < n; k++) {
    let pivot = k;
    for (let i = k + 1; i < n; i++) if (Math.abs(M[i * n + k]) > Math.abs(M[pivot * n + k])) pivot = i;
    if (!(Math.abs(M[pivot * n + k]) > 1e-13 * largest)) return null;
    for (let p = 0; p < n; p++) [M[k * n + p], M[pivot * n + p]] = [M[pivot * n + p], M[k * n + p]];
    [x[k], x[pivot]] = [x[pivot], x[k]];
    for (let i = k + 1; i < n; i++) {
      const factor = M[i * n + k] / M[k * n + k];
      for (let p = k; p < n; p++) M[i * n + p] -= factor * M[k * n + p];
      x[i] -= factor * x[k];
    }
  }
  for (let k = n - 1; k >= 0; k--) {
    for (let p = k + 1; p < n; p++) x[k] -= M[k * n + p] * x[p];
    x[k] /= M[k * n + k];
  }
  return x;
}
