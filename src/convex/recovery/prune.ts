/** At most (n + 1) C neurons: surplus ones are traded against the others without a change on the data (Caratheodory). */

import { rowBlock } from "../linear/rowBlock.js";
import { norm } from "../linear/vectors.js";
import { type Neuron, ONE_PATCH } from "../network.js";
import type { Matrix, Pooling } from "../types.js";

/** A pivot of the elimination below this share of the largest entry counts as zero. */
const SINGULAR = 1e-12;

/**
 * Removes neurons until none is left over: with contributions p_j = vec((x u_j)_+ o_j' / |o_j|) in R^{nC} and sizes
 * alpha_j = |o_j|, any null vector sum_j t_j p_j = 0 moves alpha along t, in the direction in which sum alpha does not grow,
 * until a size is zero (Wang, Lacotte and Pilanci 2021, section 4). Neurons that feed one output are treated output by output.
 */
export function pruneNeurons(neurons: readonly Neuron[], X: Matrix, pooling: Pooling | null = null): Neuron[] {
  const sums = pooling ?? ONE_PATCH;
  const n = X.rows / sums.patches;
  const C = (neurons[0]?.output.length ?? 1) / sums.positions;
  const single = neurons.every((neuron) => neuron.output.filter((value) => value !== 0).length === 1);
  if (!single) return neurons.length > (n + 1) * C ? pruneGroup(neurons, X, sums) : [...neurons];
  const kept: Neuron[] = [];
  for (let c = 0; c < C; c++) {
    const group = neurons.filter((neuron) => neuron.output.some((value, k) => value !== 0 && k % C === c));
    kept.push(...(group.length > n + 1 ? pruneGroup(group, X, sums) : group));
  }
  return kept;
}

function pruneGroup(neurons: readonly Neuron[], X: Matrix, pooling: Pooling): Neuron[] {
  const all = neurons.map((neuron) => ({
    neuron,
    size: norm(neuron.output),
    column: contribution(neuron, X, pooling),
  }));
  const used = Array.from(all[0].column.keys()).filter((k) => all.some(({ column }) => column[k] !== 0));
  let active = all.slice(0, 0);
  for (const entry of all) {
    active.push(entry);
    while (active.length > used.length) active = withoutOne(active, used);
  }
  return active.map(({ neuron, size }) => {
    const scale = size / norm(neuron.output);
    return { ...neuron, output: neuron.output.map((value) => value * scale) };
  });
}

interface Entry {
  readonly neuron: Neuron;
  size: number;
  readonly column: Float64Array;
}

/** Moves the sizes along a null vector until one is zero, and drops it. */
function withoutOne(entries: readonly Entry[], rows: readonly number[]): Entry[] {
  const t = nullVector(entries, rows);
  let total = 0;
  for (const value of t) total += value;
  if (total > 0) for (let k = 0; k < t.length; k++) t[k] = -t[k];
  let reach = Number.POSITIVE_INFINITY;
  let leaving = -1;
  entries.forEach((entry, k) => {
    if (t[k] < 0 && -entry.size / t[k] < reach) {
      reach = -entry.size / t[k];
      leaving = k;
    }
  });
  entries.forEach((entry, k) => {
    entry.size = Math.max(0, entry.size + reach * t[k]);
  });
  return entries.filter((_, k) => k !== leaving);
}

/** A nonzero t with sum_k t_k column_k = 0, by Gaussian elimination with row pivots; needs more columns than rows. */
function nullVector(entries: readonly Entry[], rows: readonly number[]): Float64Array {
  const m = entries.length;
  const A = rows.map((row) => Float64Array.from(entries, (entry) => entry.column[row]));
  let largest = 0;
  for (const row of A) for (const value of row) largest = Math.max(largest, Math.abs(value));
  const pivots: number[] = []; // pivots[r]: column whose leading one is in row r
  let free = -1;
  for (let column = 0; column < m; column++) {
    const r = pivots.length;
    let best = r;
    for (let i = r; i < A.length; i++) if (Math.abs(A[i][column]) > Math.abs(A[best]?.[column] ?? 0)) best = i;
    if (r === A.length || Math.abs(A[best][column]) <= SINGULAR * largest) {
      free = column;
      break;
    }
    [A[r], A[best]] = [A[best], A[r]];
    const lead = A[r][column];
    for (let j = column; j < m; j++) A[r][j] /= lead;
    for (let i = 0; i < A.length; i++) {
      const factor = A[i][column];
      if (i === r || factor === 0) continue;
      for (let j = column; j < m; j++) A[i][j] -= factor * A[r][j];
    }
    pivots.push(column);
  }
  const t = new Float64Array(m);
  t[free] = 1;
  pivots.forEach((column, r) => {
    t[column] = -A[r][free];
  });
  return t;
}

function contribution(neuron: Neuron, X: Matrix, { patches, positions, scale }: Pooling): Float64Array {
  const n = X.rows / patches;
  const C = neuron.output.length / positions;
  const size = norm(neuron.output);
  const column = new Float64Array(n * C);
  for (let j = 0; j < n; j++) {
    const rows = rowBlock(X, j * patches, patches);
    for (let k = 0; k < patches; k++) {
      let pre = 0;
      let gate = 0;
      for (let p = 0; p < X.cols; p++) {
        pre += rows[k * X.cols + p] * neuron.direction[p];
        if (neuron.gate !== null) gate += rows[k * X.cols + p] * neuron.gate[p];
      }
      if (neuron.gate === null ? pre <= 0 : gate < 0) continue;
      const read = (k % positions) * C;
      for (let c = 0; c < C; c++) column[j * C + c] += (scale * pre * neuron.output[read + c]) / size;
    }
  }
  return column;
}
