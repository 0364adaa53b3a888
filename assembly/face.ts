/**
 * Least squares on the rows of a face, by a Cholesky factor that follows them as they come and go: src/convex/operators/face.ts
 * in another language, step by step.
 */

/** The constants of face.ts. */
const INDEPENDENT: f64 = 1e-12;
const REBUILT: f64 = 0.1;

// Where things lie, and the face: for one projection.
let X: usize = 0;
export let n: i32 = 0;
export let d: i32 = 0;
let gram: usize = 0; // X X' [n x n]; 0: products are made anew
export let capacity: i32 = 0;
export let size: i32 = 0;
let rotations: i32 = 0;
export let z: usize = 0; // [d]
export let z0: usize = 0; // [d]
export let rows: usize = 0; // [capacity] i32
let factor: usize = 0; // L by rows of its lower triangle
export let lambda: usize = 0; // [capacity]
export let target: usize = 0; // [capacity]
let forward: usize = 0; // [capacity]: L^-1 (-X_F z0)
export let norms: usize = 0; // [n]
export let weights: usize = 0; // [n]: -s_j / |x_j|, 0 for rows that are zero
export let violation: usize = 0; // [n]
export let candidates: usize = 0; // [n] i32
export let taken: usize = 0; // [n] bytes: 1 in the face, 2 blocked

function triangle(k: i32): i32 {
  return k * (k + 1) / 2;
}

/** Doubles of a place for projections in d dimensions with n rows. */
export function coneRoom(rowCount: i32, columns: i32): i32 {
  const most = min(rowCount, columns);
  return 1 + 2 * columns + 5 * most + triangle(most) + 6 * rowCount;
}

/** What lies at `place`: counts (size, rotations; 2 i32), z [d], rows [capacity] i32, L by its lower triangle, and the rest. */
export function locate(place: usize, XAt: usize, rowCount: i32, columns: i32, gramAt: usize): void {
  X = XAt;
  n = rowCount;
  d = columns;
  gram = gramAt;
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

/** Begins with the rows of a face in the place, and their factor unless it is to be made anew. */
export function restore(count: i32, turned: i32, renew: bool): void {
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
}

/** Puts the counts of the face into the place. */
export function keep(place: usize): void {
  store<i32>(place, size);
  store<i32>(place + 4, rotations);
}

export function append(j: i32): bool {
  if (size == capacity) return false;
  const at = factor + (triangle(size) << 3);
  const length = load<f64>(norms + (j << 3));
  const square = length * length;
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

export function solve(): void {
  memory.copy(target, forward, size << 3);
  for (let k = size - 1; k >= 0; k--) {
    const at = factor + (triangle(k) << 3);
    const value = load<f64>(target + (k << 3)) / load<f64>(at + (k << 3));
    store<f64>(target + (k << 3), value);
    addMultiple(-value, at, target, k);
  }
}

/** Drops `count` places of the face, which are in `candidates`, increasing. */
export function remove(count: i32): void {
  if (count > REBUILT * (size - load<i32>(candidates))) rebuildWithout(count);
  else for (let k = count - 1; k >= 0; k--) rotateOut(load<i32>(candidates + (k << 2)));
}

export function apply(): void {
  memory.copy(z, z0, d << 3);
  for (let k = 0; k < size; k++) addMultiple(load<f64>(lambda + (k << 3)), row(load<i32>(rows + (k << 2))), z, d);
}

function advance(k: i32): void {
  const at = factor + (triangle(k) << 3);
  const along = dot(row(load<i32>(rows + (k << 2))), z0, d) + dot(at, forward, k);
  store<f64>(forward + (k << 3), -along / load<f64>(at + (k << 3)));
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

// @ts-ignore: decorator
@inline
export function row(j: i32): usize {
  return X + ((j * d) << 3);
}

export function dot(a: usize, b: usize, length: i32): f64 {
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

/** y [length] += multiple x. */
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
