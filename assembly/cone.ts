/**
 * Projection onto a cone {u : s_j x_j u >= 0}, s_j = 1 where a mask has bit j and -1 elsewhere: src/convex/operators/faceSearch.ts
 * and face.ts in another language, step by step.
 */

/** The constants of faceSearch.ts and face.ts. */
const VIOLATED: f64 = 1e-12;
const ENTERING: i32 = 8;
const COMPANION: f64 = 0.3;
const INDEPENDENT: f64 = 1e-12;
const REBUILT: f64 = 0.1;
const ZERO: f64 = 1e-15;

// Where things lie, and the face: for one projection.
let X: usize = 0;
let n: i32 = 0;
let d: i32 = 0;
let gram: usize = 0; // X X' [n x n]; 0: products are made anew
let capacity: i32 = 0;
let size: i32 = 0;
let rotations: i32 = 0;
let z: usize = 0; // [d]
let z0: usize = 0; // [d]
let rows: usize = 0; // [capacity] i32
let factor: usize = 0; // L by rows of its lower triangle
let lambda: usize = 0; // [capacity]
let target: usize = 0; // [capacity]
let forward: usize = 0; // [capacity]: L^-1 (-X_F z0)
let norms: usize = 0; // [n]
let weights: usize = 0; // [n]: -s_j / |x_j|, 0 for rows that are zero
let violation: usize = 0; // [n]
let candidates: usize = 0; // [n] i32
let taken: usize = 0; // [n] bytes: 1 in the face, 2 blocked

function triangle(k: i32): i32 {
  return k * (k + 1) / 2;
}

/** Doubles of a place for projections in d dimensions with n rows. */
export function coneRoom(rowCount: i32, columns: i32): i32 {
  const most = min(rowCount, columns);
  return 1 + 2 * columns + 5 * most + triangle(most) + 6 * rowCount;
}

/** At `place`: counts (size, rotations; 2 i32), z [d], rows [capacity] i32, L [capacity (capacity + 1) / 2], and the rest. */
function locate(place: usize, XAt: usize, rowCount: i32, columns: i32): void {
  X = XAt;
  n = rowCount;
  d = columns;
  capacity = min(n, d);
  z = place + 8;
  rows = z + (d << 3);
  factor = rows + (capacity << 3);
  z0 = factor + (triangle(capacity) << 3);
  lambda = z0 + (d << 3);
  target = lambda + (capacity << 3);
  forward = target + (capacity << 3);
  norms = forward + (capacity << 3);
  weights = norms + (n << 3);
  violation = weights + (n << 3);
  candidates = violation + (n << 3);
  taken = candidates + (n << 3);
}

/** Writes the norms of the rows of X [n x d]; once, before `project`. */
export function prepareCones(place: usize, XAt: usize, rowCount: i32, columns: i32): void {
  locate(place, XAt, rowCount, columns);
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
  locate(place, XAt, rowCount, columns);
  gram = gramAt;
  readMask(mask);
  memory.copy(z0, z, d << 3);
  memory.fill(taken, 0, n);
  begin(load<i32>(place), renew ? 0 : load<i32>(place + 4), renew);
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
  store<i32>(place, size);
  store<i32>(place + 4, rotations);
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

function begin(count: i32, turned: i32, renew: bool): void {
  size = 0;
  rotations = turned;
  if (renew) {
    memory.copy(candidates, rows, count << 2);
    for (let k = 0; k < count; k++) append(load<i32>(candidates + (k << 2)));
  } else {
    for (; size < count; size++) {
      store<u8>(taken + load<i32>(rows + (size << 2)), 1);
      advance(size);
    }
  }
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
  if (count == 0) return;
  if (count > REBUILT * (size - load<i32>(candidates))) rebuildWithout(count);
  else for (let k = count - 1; k >= 0; k--) rotateOut(load<i32>(candidates + (k << 2)));
}

function rebuildWithout(count: i32): void {
  const last = size;
  const first = load<i32>(candidates);
  for (let k = first; k < last; k++) store<u8>(taken + load<i32>(rows + (k << 2)), 0);
  size = first;
  let next = 0;
  for (let k = first; k < last; k++) {
    if (next < count && k == load<i32>(candidates + (next << 2))) {
      next++;
      continue;
    }
    const multiplier = load<f64>(lambda + (k << 3));
    if (append(load<i32>(rows + (k << 2)))) store<f64>(lambda + ((size - 1) << 3), multiplier);
  }
}

function append(j: i32): bool {
  if (size == capacity) return false;
  const at = factor + (triangle(size) << 3);
  const square = load<f64>(norms + (j << 3)) ** 2;
  let rest = square;
  for (let k = 0; k < size; k++) {
    const other = load<i32>(rows + (k << 2));
    const product = gram == 0 ? dot(row(j), row(other), d) : load<f64>(gram + ((j * n + other) << 3));
    const above = factor + (triangle(k) << 3);
    const value = (product - dot(at, above, k)) / load<f64>(above + (k << 3));
    store<f64>(at + (k << 3), value);
    rest -= value * value;
  }
  if (!(rest > INDEPENDENT * square)) return false;
  store<f64>(at + (size << 3), Math.sqrt(rest));
  store<i32>(rows + (size << 2), j);
  store<f64>(lambda + (size << 3), 0);
  store<u8>(taken + j, 1);
  advance(size);
  size++;
  return true;
}

function advance(k: i32): void {
  const at = factor + (triangle(k) << 3);
  const along = dot(row(load<i32>(rows + (k << 2))), z0, d) + dot(at, forward, k);
  store<f64>(forward + (k << 3), -along / load<f64>(at + (k << 3)));
}

function solve(): void {
  memory.copy(target, forward, size << 3);
  for (let k = size - 1; k >= 0; k--) {
    const at = factor + (triangle(k) << 3);
    const value = load<f64>(target + (k << 3)) / load<f64>(at + (k << 3));
    store<f64>(target + (k << 3), value);
    addMultiple(-value, at, target, k);
  }
}

function rotateOut(place: i32): void {
  store<u8>(taken + load<i32>(rows + (place << 2)), 0);
  size--;
  rotations += size - place;
  memory.copy(rows + (place << 2), rows + ((place + 1) << 2), (size - place) << 2);
  memory.copy(lambda + (place << 3), lambda + ((place + 1) << 3), (size - place) << 3);
  for (let k = place; k < size; k++) {
    const at = factor + (triangle(k + 1) << 3);
    const entry = at + (k << 3);
    const a = load<f64>(entry);
    const b = load<f64>(entry, 8);
    const length = Math.sqrt(a * a + b * b);
    const c = a / length;
    const s = b / length;
    store<f64>(entry, length);
    for (let i = k + 2; i <= size; i++) turn(factor + ((triangle(i) + k) << 3), c, s);
    turn(forward + (k << 3), c, s);
    memory.copy(factor + (triangle(k) << 3), at, (k + 1) << 3);
  }
}

// @ts-ignore: decorator
@inline
function turn(pair: usize, c: f64, s: f64): void {
  const left = load<f64>(pair);
  const right = load<f64>(pair, 8);
  store<f64>(pair, c * left + s * right);
  store<f64>(pair, c * right - s * left, 8);
}

function apply(): void {
  memory.copy(z, z0, d << 3);
  for (let k = 0; k < size; k++) addMultiple(load<f64>(lambda + (k << 3)), row(load<i32>(rows + (k << 2))), z, d);
}

// @ts-ignore: decorator
@inline
function row(j: i32): usize {
  return X + ((j * d) << 3);
}

// @ts-ignore: decorator
@inline
function sign(k: i32): f64 {
  return load<f64>(weights + (load<i32>(rows + (k << 2)) << 3)) < 0 ? 1 : -1;
}

function dot(a: usize, b: usize, length: i32): f64 {
  let even = f64x2.splat(0);
  let odd = f64x2.splat(0);
  const end = a + ((length & ~3) << 3);
  while (a < end) {
    even = f64x2.add(even, f64x2.mul(v128.load(a), v128.load(b)));
    odd = f64x2.add(odd, f64x2.mul(v128.load(a, 16), v128.load(b, 16)));
    a += 32;
    b += 32;
  }
  const both = f64x2.add(even, odd);
  let sum = f64x2.extract_lane(both, 0) + f64x2.extract_lane(both, 1);
  for (let p = length & 3; p > 0; p--) {
    sum += load<f64>(a) * load<f64>(b);
    a += 8;
    b += 8;
  }
  return sum;
}

/** y [length] += factor x. */
function addMultiple(multiple: f64, x: usize, y: usize, length: i32): void {
  const splat = f64x2.splat(multiple);
  const end = x + ((length & ~1) << 3);
  while (x < end) {
    v128.store(y, f64x2.add(v128.load(y), f64x2.mul(splat, v128.load(x))));
    x += 16;
    y += 16;
  }
  if (length & 1) store<f64>(y, load<f64>(y) + multiple * load<f64>(x));
}
