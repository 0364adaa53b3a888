/** The plane that a plot shows: the data's own when they have two columns, else that of their two main components. */

import type { Task } from "./task.js";

export interface Plane {
  readonly origin: Float64Array; // [d]
  readonly axes: readonly [Float64Array, Float64Array]; // orthonormal
  readonly points: Float64Array; // [n x 2]
  /** Half the side of the square that is shown; it is centred at (0, 0) of the plane. */
  readonly reach: number;
  readonly whole: boolean; // true when the data lie in the plane
}

export function planeOf(task: Task): Plane {
  const { rows: n, cols: d, x } = task;
  const origin = new Float64Array(d);
  const axes: [Float64Array, Float64Array] = [new Float64Array(d), new Float64Array(d)];
  if (d === 2) {
    axes[0][0] = 1;
    axes[1][1] = 1;
  } else {
    for (let k = 0; k < n * d; k++) origin[k % d] += x[k] / n;
    axes[0] = component(task, origin, null);
    axes[1] = d === 1 ? new Float64Array(1) : component(task, origin, axes[0]);
  }
  const points = new Float64Array(2 * n);
  let reach = 0.1;
  for (let k = 0; k < n; k++) {
    for (const a of [0, 1]) {
      let sum = 0;
      for (let p = 0; p < d; p++) sum += (x[k * d + p] - origin[p]) * axes[a][p];
      points[2 * k + a] = sum;
      reach = Math.max(reach, Math.abs(sum));
    }
  }
  return { origin, axes, points, reach: 1.12 * reach, whole: d <= 2 };
}

/** The main direction of the rows around `origin`, orthogonal to another, by power iteration. */
function component({ rows: n, cols: d, x }: Task, origin: Float64Array, beside: Float64Array | null): Float64Array {
  let direction = Float64Array.from({ length: d }, (_, p) => 1 + ((p * 7919) % 13) / 13);
  for (let turn = 0; turn < 60; turn++) {
    const next = new Float64Array(d);
    for (let k = 0; k < n; k++) {
      let sum = 0;
      for (let p = 0; p < d; p++) sum += (x[k * d + p] - origin[p]) * direction[p];
      for (let p = 0; p < d; p++) next[p] += sum * (x[k * d + p] - origin[p]);
    }
    if (beside !== null) {
      const along = next.reduce((sum, value, p) => sum + value * beside[p], 0);
      for (let p = 0; p < d; p++) next[p] -= along * beside[p];
    }
    const size = Math.hypot(...next);
    if (size === 0) break;
    direction = next.map((value) => value / size);
  }
  return direction;
}
