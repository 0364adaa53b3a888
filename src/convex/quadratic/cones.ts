/**
 * Nonnegative numbers and second-order cones {(t, u): |u| <= t}, one after the other in a vector, with the algebra that interior points
 * take: products, their inverses, Nesterov and Todd's scaling (1997), as Vandenberghe writes them (The CVXOPT linear and quadratic cone
 * program solvers, 2010), and projections with their derivatives.
 */

/** Sizes: first numbers, then cones. A cone of one entry is a number. */
export interface Cones {
  readonly numbers: number;
  readonly cones: readonly number[];
}

/** Where a cone begins and how long it is; numbers are cones of one. */
export type Block = readonly [from: number, size: number];

export function blocksOf({ numbers, cones }: Cones): Block[] {
  const blocks: Block[] = Array.from({ length: numbers }, (_, k) => [k, 1] as const);
  let from = numbers;
  for (const size of cones) {
    blocks.push([from, size]);
    from += size;
  }
  return blocks;
}

function tail(u: Float64Array, v: Float64Array, [from, size]: Block): number {
  let sum = 0;
  for (let k = from + 1; k < from + size; k++) sum += u[k] * v[k];
  return sum;
}

/** t - |u|: above zero inside. */
export function depth(v: Float64Array, block: Block): number {
  return v[block[0]] - Math.sqrt(tail(v, v, block));
}

/** t^2 - |u|^2 of a vector inside, without the rounding of large numbers' difference. */
function square(v: Float64Array, block: Block): number {
  const length = Math.sqrt(tail(v, v, block));
  return (v[block[0]] - length) * (v[block[0]] + length);
}

/** The largest step, at most one, for which v + step d stays inside. */
export function longestStep(v: Float64Array, d: Float64Array, blocks: readonly Block[]): number {
  let step = 1;
  for (const block of blocks) {
    const [from, size] = block;
    if (size === 1) {
      if (d[from] < 0) step = Math.min(step, -v[from] / d[from]);
      continue;
    }
    // (v + a d) leaves where a quadratic in a is zero, or its first entry is.
    const a = d[from] * d[from] - tail(d, d, block);
    const b = v[from] * d[from] - tail(v, d, block);
    const c = Math.max(0, square(v, block));
    const root = b * b - a * c;
    if (d[from] < 0) step = Math.min(step, -v[from] / d[from]);
    if (root < 0) continue;
    const q = b < 0 ? -b + Math.sqrt(root) : -b - Math.sqrt(root);
    for (const at of [q / a, c / q]) if (at > 0) step = Math.min(step, at); // NaN and Infinity are no limits
    if (c === 0 && b < 0) step = 0;
  }
  return step;
}

/** u o v: (u'v, t_u v_1 + t_v u_1). */
export function product(u: Float64Array, v: Float64Array, blocks: readonly Block[]): Float64Array {
  const out = new Float64Array(u.length);
  for (const block of blocks) {
    const [from, size] = block;
    out[from] = u[from] * v[from] + tail(u, v, block);
    for (let k = from + 1; k < from + size; k++) out[k] = u[from] * v[k] + v[from] * u[k];
  }
  return out;
}

/** x with u o x = v, u inside. */
export function quotient(u: Float64Array, v: Float64Array, blocks: readonly Block[]): Float64Array {
  const out = new Float64Array(u.length);
  for (const block of blocks) {
    const [from, size] = block;
    out[from] = size === 1 ? v[from] / u[from] : (u[from] * v[from] - tail(u, v, block)) / square(u, block);
    for (let k = from + 1; k < from + size; k++) out[k] = (v[k] - out[from] * u[k]) / u[from];
  }
  return out;
}

/** W, symmetric, with W z = W^-1 s: a stretch and a hyperbolic turn of each cone. */
export class Scaling {
  private readonly stretch: Float64Array;
  private readonly turn: Float64Array; // unit: t^2 - |u|^2 = 1
  readonly lambda: Float64Array;

  constructor(
    s: Float64Array,
    z: Float64Array,
    private readonly blocks: readonly Block[],
  ) {
    this.stretch = new Float64Array(blocks.length);
    this.turn = new Float64Array(s.length);
    blocks.forEach((block, at) => {
      const [from, size] = block;
      const [a, b] = [Math.sqrt(square(s, block)), Math.sqrt(square(z, block))];
      this.stretch[at] = Math.sqrt(a / b);
      const half = (s[from] / a) * (z[from] / b) + tail(s, z, block) / (a * b);
      const twice = 2 * Math.sqrt((1 + half) / 2);
      this.turn[from] = (s[from] / a + z[from] / b) / twice;
      for (let k = from + 1; k < from + size; k++) this.turn[k] = (s[k] / a - z[k] / b) / twice;
    });
    this.lambda = this.times(z);
  }

  /** W v. */
  times(v: Float64Array): Float64Array {
    return this.turned(v, 1);
  }

  /** W^-1 v. */
  over(v: Float64Array): Float64Array {
    return this.turned(v, -1);
  }

  private turned(v: Float64Array, sign: 1 | -1): Float64Array {
    const { turn, stretch } = this;
    const out = new Float64Array(v.length);
    this.blocks.forEach((block, at) => {
      const [from, size] = block;
      const by = sign === 1 ? stretch[at] : 1 / stretch[at];
      const along = tail(turn, v, block);
      out[from] = by * (turn[from] * v[from] + sign * along);
      const rest = along / (1 + turn[from]) + sign * v[from];
      for (let k = from + 1; k < from + size; k++) out[k] = by * (v[k] + rest * turn[k]);
    });
    return out;
  }

  /** Takes W^2 from the entries of M [size x size] from row and column `corner` on. */
  subtractSquare(M: Float64Array, size: number, corner: number): void {
    this.blocks.forEach(([from, length], at) => {
      const by = this.stretch[at] ** 2;
      for (let i = from; i < from + length; i++) {
        for (let j = from; j < from + length; j++) {
          const mirror = i === j ? (i === from ? 1 : -1) : 0;
          M[(corner + i) * size + corner + j] -= by * (2 * this.turn[i] * this.turn[j] - mirror);
        }
      }
    });
  }
}

/** The nearest point of the cones to w. */
export function projection(w: Float64Array, blocks: readonly Block[]): Float64Array {
  const out = new Float64Array(w.length);
  for (const block of blocks) {
    const [from, size] = block;
    const length = Math.sqrt(tail(w, w, block));
    const first = w[from];
    if (length <= -first) continue;
    const share = length <= first ? 1 : (1 + first / length) / 2;
    out[from] = length <= first ? first : share * length;
    for (let k = from + 1; k < from + size; k++) out[k] = share * w[k];
  }
  return out;
}

/** The derivative of the projection onto a cone at w, written into D [size x size]. */
export function projectionSlope(w: Float64Array, [from, size]: Block): Float64Array {
  const D = new Float64Array(size * size);
  const length = Math.sqrt(tail(w, w, [from, size]));
  const first = w[from];
  if (length <= -first) return D;
  if (length <= first) {
    for (let k = 0; k < size; k++) D[k * size + k] = 1;
    return D;
  }
  const share = first / length;
  for (let i = 0; i < size; i++) {
    for (let j = 0; j < size; j++) {
      const [a, b] = [i === 0 ? 1 : w[from + i] / length, j === 0 ? 1 : w[from + j] / length];
      if (i === 0 || j === 0) D[i * size + j] = (a * b) / 2;
      else D[i * size + j] = ((i === j ? 1 + share : 0) - share * a * b) / 2;
    }
  }
  return D;
}
