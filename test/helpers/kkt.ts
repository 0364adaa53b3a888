/** A judge of optimality that shares no code with the library: plain loops over the definition. */

import type { ConvexProgram, SparseBlocks } from "../../src/convex/types.js";

/** How far a point is from the conditions of optimality; all relative. */
export interface Violations {
  readonly cones: number; // largest -(2 D - 1) x_j v / (|x_j| |v|)
  readonly dual: number; // how far a block prices above beta
  readonly complementary: number; // | <price vector, v> - beta |v| | over beta |v|, over all nonzero blocks
  readonly bias: number; // imbalance of the residual under a free output bias
}

/** Judges a point of a program with smooth loss: the dual point is the gradient at its predictions. */
export function violationsOf(program: ConvexProgram, blocks: SparseBlocks): Violations {
  const { X, gates, loss, beta, cones, outputBias } = program;
  const { rows: n, cols: d } = X;
  const C = loss.outputs;
  const open = (gate: number, j: number) => ((gates.bits[gate * Math.ceil(n / 32) + (j >> 5)] >>> (j % 32)) & 1) === 1;
  const Z = new Float64Array(n * C);
  let worstCone = 0;
  const parts = Array.from(blocks.index, (index, k) => {
    const block = Math.floor(index / C);
    const v = Array.from(blocks.vectors.slice(k * d, (k + 1) * d));
    return { gate: block % gates.count, sign: block < gates.count ? 1 : -1, output: index % C, v };
  });
  for (const { gate, sign, output, v } of parts) {
    for (let j = 0; j < n; j++) {
      const x = Array.from(X.data.slice(j * d, (j + 1) * d));
      const product = dot(x, v);
      if (open(gate, j)) Z[j * C + output] += sign * product;
      if (cones) worstCone = Math.max(worstCone, ((open(gate, j) ? -1 : 1) * product) / (norm(x) * norm(v) || 1));
    }
  }
  for (let k = 0; k < Z.length; k++) Z[k] += blocks.bias[k % C];
  const N = new Float64Array(n * C);
  loss.gradient(Z, N);
  let dual = 0;
  let complementary = 0;
  for (let gate = 0; gate < gates.count; gate++) {
    for (const sign of cones ? [1, -1] : [1]) {
      for (let output = 0; output < C; output++) {
        const g = new Array<number>(d).fill(0);
        const rows: number[][] = [];
        for (let j = 0; j < n; j++) {
          const x = Array.from(X.data.slice(j * d, (j + 1) * d));
          rows.push(x.map((value) => (open(gate, j) ? value : -value)));
          if (open(gate, j)) for (let p = 0; p < d; p++) g[p] -= sign * N[j * C + output] * x[p];
        }
        dual = Math.max(dual, norm(cones ? projectByDykstra(g, rows) : g) / beta - 1);
        for (const part of parts) {
          if (part.gate !== gate || part.sign !== sign || part.output !== output) continue;
          const charged = beta * norm(part.v);
          complementary = Math.max(complementary, Math.abs(dot(g, part.v) - charged) / charged);
        }
      }
    }
  }
  let bias = 0;
  if (outputBias !== null) {
    for (let c = 0; c < C; c++) {
      let sum = 2 * outputBias.ridge * blocks.bias[c];
      for (let j = 0; j < n; j++) sum += N[j * C + c];
      bias = Math.max(bias, Math.abs(sum) / (norm(Array.from(N)) || 1));
    }
  }
  return { cones: worstCone, dual, complementary, bias };
}

/** Projection onto {u : row u >= 0 for all rows} by Dykstra's alternating projections: slow, and hard to get wrong. */
export function projectByDykstra(z: readonly number[], rows: readonly number[][], sweeps = 20000): number[] {
  let u = [...z];
  const corrections = rows.map(() => new Array<number>(z.length).fill(0));
  for (let sweep = 0; sweep < sweeps; sweep++) {
    let moved = 0;
    rows.forEach((row, k) => {
      const square = dot(row, row);
      if (square === 0) return;
      const from = u.map((value, p) => value + corrections[k][p]);
      const step = Math.max(0, -dot(row, from) / square);
      const to = from.map((value, p) => value + step * row[p]);
      corrections[k] = from.map((value, p) => value - to[p]);
      moved = Math.max(moved, ...to.map((value, p) => Math.abs(value - u[p])));
      u = to;
    });
    if (moved < 1e-13 * norm(z)) break;
  }
  return u;
}

function dot(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let sum = 0;
  for (let p = 0; p < a.length; p++) sum += a[p] * b[p];
  return sum;
}

function norm(a: ArrayLike<number>): number {
  return Math.sqrt(dot(a, a));
}
