/**
 * Projection onto a cone {u : s_j x_j u >= 0}, s_j = 1 where a mask has bit j and -1 elsewhere: as in
 * src/convex/operators/faceSearch.ts, step by step.
 */

import {
  append, apply, candidates, capacity, d, dot, keep, lambda, locate, n, norms, remove, restore, row, rows, size, solve, taken,
  target, violation, weights, z, z0,
} from "./face";

export { coneRoom } from "./face";

/** The constants of faceSearch.ts. */
const VIOLATED: f64 = 1e-12;
const ENTERING: i32 = 8;
const COMPANION: f64 = 0.3;
const ZERO: f64 = 1e-15;

/** Writes the norms of the rows of X [n x d]; once, before `project`. */
export function prepareCones(place: usize, XAt: usize, rowCount: i32, columns: i32): void {
  locate(place, XAt, rowCount, columns, 0);
  for (let j = 0; j < n; j++) store<f64>(norms + (j << 3), Math.sqrt(dot(row(j), row(j), d)));
}

/**
 * Projects z in place and answers its norm; ends once that is at most `threshold`. The place has the counts
 * and the rows of a face to begin with and, unless `renew`, their factor; then those of the last face.
 */
export function project(
  place: usize, XAt: usize, rowCount: i32, columns: i32,
  mask: usize, gramAt: usize, renew: bool,
  threshold: f64,
): f64 {
  locate(place, XAt, rowCount, columns, gramAt);
  readMask(mask);
  memory.copy(z0, z, d << 3);
  memory.fill(taken, 0, n);
  restore(load<i32>(place), renew ? 0 : load<i32>(place + 4), renew);
  begin();
  apply();
  const scale = Math.sqrt(dot(z0, z0, d));
  let norm = Math.sqrt(dot(z, z, d));
  const limit = 3 * (capacity + 10);
  for (let pivot = 0; norm > threshold && pivot < limit; pivot++) {
    if (!enter(scale, pivot < limit / 2 ? ENTERING : 1)) break;
    solveAndPrune();
    apply();
    norm = Math.sqrt(dot(z, z, d));
  }
  keep(place);
  return norm;
}

function readMask(mask: usize): void {
  let word: u32 = 0;
  for (let j = 0; j < n; j++) {
    if ((j & 31) == 0) word = load<u32>(mask + ((j >> 5) << 2));
    const length = load<f64>(norms + (j << 3));
    const inverse = length > 0 ? 1 / length : 0;
    store<f64>(weights + (j << 3), word & 1 ? -inverse : inverse);
    word >>= 1;
  }
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

function enter(scale: f64, most: i32): bool {
  const slack = VIOLATED * scale;
  let worst: f64 = 0;
  for (let j = 0; j < n; j++) {
    let value: f64 = 0;
    if (load<u8>(taken + j) == 0) value = load<f64>(weights + (j << 3)) * dot(row(j), z, d);
    store<f64>(violation + (j << 3), value);
    worst = max(worst, value);
  }
  if (!(worst > slack)) return false;
  return enterAbove(max(slack, COMPANION * worst), most) || enterAbove(slack, 1);
}

function enterAbove(limit: f64, most: i32): bool {
  let count = 0;
  for (let j = 0; j < n; j++) {
    if (load<f64>(violation + (j << 3)) > limit) {
      store<i32>(candidates + (count << 2), j);
      count++;
    }
  }
  let entered = 0;
  while (entered < most && count > 0) {
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
    else store<u8>(taken + j, 2);
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
  for (let j = 0; j < n; j++) store<u8>(taken + j, load<u8>(taken + j) & 1);
  if (count > 0) remove(count);
}

// @ts-ignore: decorator
@inline
function sign(k: i32): f64 {
  return load<f64>(weights + (load<i32>(rows + (k << 2)) << 3)) < 0 ? 1 : -1;
}
