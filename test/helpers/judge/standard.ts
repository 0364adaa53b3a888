/** Standardised columns by their definition, apart from the product's: what weights are charged where the result says so. */

import type { Net, Task } from "./forward.js";

interface Standard {
  readonly columns: readonly number[]; // that vary
  readonly mean: Float64Array; // [d]
  readonly spread: Float64Array; // [d], over the widest
}

/** Each column less its mean (where a hidden bias takes it up), over its deviation in units of the widest. */
function standardOf({ X, inputs: d, rows: n, weights, hiddenBias }: Task): Standard {
  const share = Float64Array.from({ length: n }, (_, k) => weights?.[k] ?? 1);
  const total = share.reduce((sum, value) => sum + value, 0);
  const mean = new Float64Array(d);
  const spread = new Float64Array(d).fill(1);
  const columns: number[] = [];
  for (let p = 0; p < d; p++) {
    const rows = Array.from(share.keys()).filter((k) => share[k] !== 0);
    const first = hiddenBias ? X[rows[0] * d + p] : 0;
    for (const k of rows) mean[p] += (share[k] / total) * (X[k * d + p] - first);
    mean[p] = hiddenBias ? mean[p] + first : 0;
    const largest = Math.max(...rows.map((k) => Math.abs(X[k * d + p])));
    if (largest === 0) continue;
    const square = rows.reduce((sum, k) => sum + (share[k] / total) * ((X[k * d + p] - mean[p]) / largest) ** 2, 0);
    const deviation = Math.sqrt(square) * largest;
    if (!(deviation > 2 ** -24 * largest)) continue; // constant in float32
    columns.push(p);
    spread[p] = deviation;
  }
  const widest = Math.max(0, ...columns.map((p) => spread[p]));
  for (const p of columns) spread[p] /= widest;
  return { columns, mean, spread };
}

/** The task on standardised columns; a linear layer beside the neurons, which is charged nothing there, sees x as it is. */
export function standardTask(bare: Task): Task {
  const { columns, mean, spread } = standardOf(bare);
  const d = bare.inputs;
  const X = new Float64Array(bare.rows * columns.length);
  for (let k = 0; k < bare.rows; k++) {
    columns.forEach((p, i) => {
      X[k * columns.length + i] = (bare.X[k * d + p] - mean[p]) / spread[p];
    });
  }
  return { ...bare, X, inputs: columns.length };
}

/** The layers' network as one on standardised columns: the same outputs. */
export function onStandard(net: Net, bare: Task): Net {
  const { columns, mean, spread } = standardOf(bare);
  const [d, r, m] = [bare.inputs, columns.length, net.masks.length];
  const W = new Float64Array(m * r);
  const b = net.b.slice();
  for (let j = 0; j < m; j++) {
    for (let p = 0; p < d; p++) b[j] += mean[p] * net.W[j * d + p];
    columns.forEach((p, i) => {
      W[j * r + i] = net.W[j * d + p] * spread[p];
    });
  }
  return { ...net, W, b };
}
