/**
 * min 1/2 a'S a + q'a subject to a >= low, for a small positive definite S.
 *
 * Block principal pivoting (Portugal, Judice and Vicente 1994): all entries on the wrong side change sides at once, and one at a
 * time where that does not lead to fewer of them.
 */

import type { Kernels } from "../kernels/types.js";
import { largestOf } from "./vectors.js";

/** Exchanges of all wrong entries that may lead to no fewer of them. */
const PATIENCE = 3;
/** Exchanges for every entry there is, unless someone says otherwise. */
const EXCHANGES = 5;
/** An entry is wrong beyond this share of the largest one. */
const WRONG = 1e-10;

/** The minimiser, or null where S is not definite or the exchanges do not come to an end, or not before it is `late`. `free` marks where to begin. */
export function boundedQuadratic(
  S: Float64Array, // [m x m], symmetric
  q: Float64Array, // [m]
  low: Float64Array, // [m]; -Infinity: no bound
  free: readonly boolean[], // [m]: those that are expected above their bounds
  kernels: Pick<Kernels, "factor" | "solve">,
  most = EXCHANGES * (q.length + 1),
  late: () => boolean = () => false,
): Float64Array | null {
  const m = q.length;
  const inside = free.slice();
  let fewest = m + 1;
  let patience = PATIENCE;
  for (let exchange = 0; exchange <= most && !late(); exchange++) {
    const a = minimiserOn(S, q, low, inside, kernels);
    if (a === null) return null;
    const wrong = wrongEntries(S, q, low, inside, a);
    if (wrong.length === 0) return a;
    if (wrong.length < fewest) {
      fewest = wrong.length;
      patience = PATIENCE;
    } else patience -= 1;
    const changed = patience >= 0 ? wrong : wrong.slice(-1);
    for (const i of changed) inside[i] = !inside[i];
  }
  return null;
}

/** The minimiser with the entries outside held at their bounds. */
function minimiserOn(
  S: Float64Array,
  q: Float64Array,
  low: Float64Array,
  inside: readonly boolean[],
  kernels: Pick<Kernels, "factor" | "solve">,
): Float64Array | null {
  const m = q.length;
  const list = Array.from(q.keys()).filter((i) => inside[i]);
  const k = list.length;
  const a = low.map((value, i) => (inside[i] ? 0 : value));
  const H = new Float64Array(k * k);
  const b = new Float64Array(k);
  for (let i = 0; i < k; i++) {
    const row = list[i] * m;
    let sum = -q[list[i]];
    for (let j = 0; j < m; j++) if (!inside[j]) sum -= S[row + j] * a[j];
    b[i] = sum;
    for (let j = 0; j <= i; j++) H[i * k + j] = S[row + list[j]];
  }
  if (k > 0) {
    if (!kernels.factor(H, k)) return null;
    kernels.solve(H, k, b);
  }
  for (let i = 0; i < k; i++) a[list[i]] = b[i];
  return a;
}

/** Entries inside that are below their bounds, and entries at their bounds along which the objective falls. */
function wrongEntries(
  S: Float64Array,
  q: Float64Array,
  low: Float64Array,
  inside: readonly boolean[],
  a: Float64Array,
): number[] {
  const m = q.length;
  const size = WRONG * largestOf(a);
  const steepness = WRONG * largestOf(q);
  const wrong: number[] = [];
  for (let i = 0; i < m; i++) {
    if (inside[i]) {
      if (a[i] < low[i] - size) wrong.push(i);
      continue;
    }
    let slope = q[i];
    for (let j = 0; j < m; j++) slope += S[i * m + j] * a[j];
    if (slope < -steepness) wrong.push(i);
  }
  return wrong;
}
