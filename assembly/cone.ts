/**
 * Projection onto a cone {u : s_j x_j u >= 0}, s_j = 1 where a mask has bit j and -1 elsewhere: as in
 * src/convex/operators/faceSearch.ts, but for the few rows at which it looks most of the time.
 */

import {
  append, apply, candidates, capacity, d, inverses, keep, lambda, n, remove, restore, row, rows, size, solve, taken, target, violation, watch,
  z, z0,
} from "./face";
import { nearCount, nearRows, remember } from "./near";
import { dot, dotFour, first, fourth, second, third } from "./vectors";

export { coneRoom, locate, sharedRoom } from "./face";
export { recordRoom } from "./near";

/** The constants of faceSearch.ts. */
const VIOLATED: f64 = 1e-12;
const ENTERING: i32 = 8;
const COMPANION: f64 = 0.3;
const ZERO: f64 = 1e-15;

let mask: usize = 0; // bits of the gate
let watched: i32 = 0; // rows in the list `watch`
let blocked: bool = false; // whether any row is

/** Writes what projections onto cones of X [n x d] share; once, before them. */
export function prepareCones(shared: usize, X: usize, n: i32, d: i32): void {
  for (let j = 0; j < n; j++) {
    const x = X + ((j * d) << 3);
    const length = Math.sqrt(dot(x, x, d));
    store<f64>(shared + (j << 3), length);
    store<f64>(shared + ((n + j) << 3), length > 0 ? 1 / length : 0);
  }
}

/**
 * Projects z in place, from the face of a record, which then has the last one, and answers its norm; ends once that is at most
 * `threshold`. Where things lie was said by `locate`.
 */
export function project(maskAt: usize, record: usize, threshold: f64): f64 {
  mask = maskAt;
  memory.copy(z0, z, d << 3);
  memory.fill(taken, 0, n);
  watched = 0;
  blocked = false;
  restore(record);
  begin();
  apply();
  const scale = Math.sqrt(dot(z0, z0, d));
  let norm = Math.sqrt(dot(z, z, d));
  const limit = 3 * (capacity + 10);
  for (let pivot = 0; norm > threshold && pivot < limit; pivot++) {
    if (!enter(record, scale, pivot < limit / 2 ? ENTERING : 1)) break;
    solveAndPrune();
    apply();
    norm = Math.sqrt(dot(z, z, d));
  }
  keep(record);
  return norm;
}

/** -s_j / |x_j|, or zero for a row that is zero. */
// @ts-ignore: decorator
@inline
function weight(j: i32): f64 {
  return reinterpret<f64>(load<u64>(inverses + (j << 3)) | (<u64>bit(j) << 63));
}

// @ts-ignore: decorator
@inline
function bit(j: i32): u32 {
  return (load<u32>(mask + ((j >> 5) << 2)) >> (j & 31)) & 1;
}

/** Drops the rows of the kept face that push the wrong way, until none does. */
function begin(): void {
  while (size > 0) {
    solve();
    let wrong = false;
    for (let k = 0; k < size; k++) {
      const value = load<f64>(target + (k << 3));
      store<f64>(lambda + (k << 3), value);
      if (sign(k) * value <= 0) wrong = true;
    }
    if (!wrong) return;
    removeBlocking();
  }
}

/**
 * Lets rows that z violates enter the face, the worst first. Looks at the rows that were violated the last time that it looked
 * at all, and at all again when none of these is any more: or at those that the record keeps as near, when only these can be.
 */
function enter(record: usize, scale: f64, most: i32): bool {
  const slack = VIOLATED * scale;
  if (watched > 0) {
    const worst = measure(watch, watched);
    if (worst > slack && enterWorst(watch, watched, worst, slack, most)) return true;
  }
  const near = nearCount(record);
  const list = near > 0 ? nearRows(record) : 0;
  const count = near > 0 ? near : n;
  const worst = measure(list, count);
  if (!(worst > slack)) {
    if (near == 0) remember(record);
    return false;
  }
  watched = 0;
  for (let k = 0; k < count; k++) {
    const j = at(list, k);
    if (load<f64>(violation + (j << 3)) > slack) {
      store<i32>(watch + (watched << 2), j);
      watched++;
    }
  }
  return enterWorst(watch, watched, worst, slack, most);
}

/** By how much z violates the rows of a list, or the first `count` of all (list 0); answers the largest. */
function measure(list: usize, count: i32): f64 {
  let worst: f64 = 0;
  for (let k = 0; k < count; k += 4) {
    const j0 = at(list, k);
    const j1 = at(list, min(k + 1, count - 1));
    const j2 = at(list, min(k + 2, count - 1));
    const j3 = at(list, min(k + 3, count - 1));
    dotFour(row(j0), row(j1), row(j2), row(j3), z, d);
    worst = max(worst, note(j0, first));
    worst = max(worst, note(j1, second));
    worst = max(worst, note(j2, third));
    worst = max(worst, note(j3, fourth));
  }
  return worst;
}

// @ts-ignore: decorator
@inline
function at(list: usize, k: i32): i32 {
  return list == 0 ? k : load<i32>(list + (k << 2));
}

// @ts-ignore: decorator
@inline
function note(j: i32, product: f64): f64 {
  const value = load<u8>(taken + j) == 0 ? weight(j) * product : 0;
  store<f64>(violation + (j << 3), value);
  return value;
}

function enterWorst(list: usize, count: i32, worst: f64, slack: f64, most: i32): bool {
  return enterAbove(list, count, max(slack, COMPANION * worst), most) || enterAbove(list, count, slack, 1);
}

/** Lets rows of a list enter that are violated by more than `limit`, the worst first. */
function enterAbove(list: usize, length: i32, limit: f64, most: i32): bool {
  // A face of so many rows is the whole space: what is violated there is rounding, and every row depends on it.
  if (size == d) return false;
  let count = 0;
  for (let k = 0; k < length; k++) {
    const j = load<i32>(list + (k << 2));
    if (load<f64>(violation + (j << 3)) > limit) {
      store<i32>(candidates + (count << 2), j);
      count++;
    }
  }
  let entered = 0;
  while (entered < most && count > 0 && size < d) {
    let worst = candidates;
    let largest: f64 = -1;
    for (let at = candidates; at < candidates + (count << 2); at += 4) {
      const value = load<f64>(violation + (load<i32>(at) << 3));
      if (value > largest) {
        largest = value;
        worst = at;
      }
    }
    const j = load<i32>(worst);
    count--;
    store<i32>(worst, load<i32>(candidates + (count << 2)));
    if (append(j)) entered++;
    else {
      store<u8>(taken + j, 2);
      blocked = true;
    }
  }
  return entered > 0;
}

function solveAndPrune(): void {
  for (;;) {
    solve();
    let step: f64 = 1;
    let shortest = -1;
    for (let k = 0; k < size; k++) {
      const s = sign(k);
      const next = s * load<f64>(target + (k << 3));
      if (next >= 0) continue;
      const before = s * load<f64>(lambda + (k << 3));
      const reach = before > 0 ? before / (before - next) : 0;
      if (shortest < 0 || reach < step) {
        step = reach;
        shortest = k;
      }
    }
    for (let k = 0; k < size; k++) {
      const at = lambda + (k << 3);
      store<f64>(at, load<f64>(at) + step * (load<f64>(target + (k << 3)) - load<f64>(at)));
    }
    if (shortest < 0) return;
    store<f64>(lambda + (shortest << 3), 0);
    removeBlocking();
  }
}

function removeBlocking(): void {
  let largest: f64 = 0;
  for (let k = 0; k < size; k++) largest = max(largest, Math.abs(load<f64>(lambda + (k << 3))));
  let count = 0;
  for (let k = 0; k < size; k++) {
    const s = sign(k);
    if (s * load<f64>(target + (k << 3)) > 0 || s * load<f64>(lambda + (k << 3)) > ZERO * largest) continue;
    store<i32>(candidates + (count << 2), k);
    count++;
  }
  if (blocked) for (let j = 0; j < n; j++) store<u8>(taken + j, load<u8>(taken + j) & 1);
  blocked = false;
  if (count > 0) remove(count);
}

// @ts-ignore: decorator
@inline
function sign(k: i32): f64 {
  return bit(load<i32>(rows + (k << 2))) ? 1 : -1;
}
