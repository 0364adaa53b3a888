/**
 * Least squares on the rows of a face, by a Cholesky factor that follows them as they come and go: src/convex/operators/face.ts
 * in another language, with triangles solved four entries at a time.
 */

import { addFour, addMultiple, dot, dotFour, first, fourth, second, third } from "./vectors";

/** As in face.ts. */
const INDEPENDENT: f64 = 1e-12;
/** Rotations are quicker here, beside a new factor, than there. */
const REBUILT: f64 = 0.6;
const WORN: i32 = 1000;

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
let inverse: usize = 0; // [capacity]: of the diagonal of L
export let norms: usize = 0; // [n]
export let violation: usize = 0; // [n]
export let candidates: usize = 0; // [n] i32
export let watch: usize = 0; // [n] i32
export let inverses: usize = 0; // [n]: 1 / |x_j|, 0 for rows that are zero
export let taken: usize = 0; // [n] bytes: 1 in the face, 2 blocked

export function triangle(k: i32): i32 {
  return k * (k + 1) / 2;
}

/** Doubles of what all projections onto cones of X share: norms and inverse norms of its rows. */
export function sharedRoom(rowCount: i32): i32 {
  return 2 * rowCount;
}

/** Doubles that a thread wants for projections. */
export function coneRoom(rowCount: i32, columns: i32): i32 {
  const most = min(rowCount, columns);
  return columns + 6 * most + triangle(most) + 4 * rowCount;
}

/** Finds everything: what is shared, the thread's own place, and the point, which is projected where it lies. */
export function locate(shared: usize, place: usize, XAt: usize, rowCount: i32, columns: i32, gramAt: usize, zAt: usize): void {
  X = XAt;
  n = rowCount;
  d = columns;
  gram = gramAt;
  capacity = min(n, d);
  z = zAt;
  norms = shared;
  inverses = norms + (n << 3);
  rows = place;
  factor = rows + (capacity << 3);
  z0 = factor + (triangle(capacity) << 3);
  lambda = z0 + (d << 3);
  target = lambda + (capacity << 3);
  forward = target + (capacity << 3);
  inverse = forward + (capacity << 3);
  violation = inverse + (capacity << 3);
  candidates = violation + (n << 3);
  watch = candidates + (n << 2);
  taken = watch + (n << 2);
}

/** Where a record keeps the factor. */
export function factorIn(record: usize): usize {
  return record + 16 + (capacity << 3);
}
/**
 * Begins with the face of a record: size, rotations, room, near rows (4 i32; -1: it has no room for any), from 16 on its rows (i32);
 * L by its lower triangle; what near.ts keeps.
 */
export function restore(record: usize): void {
  const count = load<i32>(record);
  rotations = load<i32>(record, 4);
  size = 0;
  if (rotations > WORN) {
    rotations = 0;
    memory.copy(candidates, record + 16, count << 2);
    for (let k = 0; k < count; k++) append(load<i32>(candidates + (k << 2)));
    return;
  }
  memory.copy(rows, record + 16, count << 2);
  memory.copy(factor, factorIn(record), triangle(count) << 3);
  for (; size < count; size++) {
    store<u8>(taken + load<i32>(rows + (size << 2)), 1);
    store<f64>(inverse + (size << 3), 1 / load<f64>(factor + ((triangle(size) + size) << 3)));
    advance(size);
  }
}

/** Keeps the face in a record; a factor for which there is no room is made anew the next time. */
export function keep(record: usize): void {
  const fits = size <= load<i32>(record, 8);
  store<i32>(record, size);
  store<i32>(record, fits ? rotations : i32.MAX_VALUE, 4);
  memory.copy(record + 16, rows, size << 2);
  if (fits) memory.copy(factorIn(record), factor, triangle(size) << 3);
}

export function append(j: i32): bool {
  if (size == capacity) return false;
  const at = factor + (triangle(size) << 3);
  const length = load<f64>(norms + (j << 3));
  const square = length * length;
  if (gram == 0) multiplyFace(row(j), at);
  else {
    const from = gram + ((j * n) << 3);
    for (let k = 0; k < size; k++) store<f64>(at + (k << 3), load<f64>(from + (load<i32>(rows + (k << 2)) << 3)));
  }
  const rest = square - forwardSolve(at);
  if (!(rest > INDEPENDENT * square)) return false;
  const pivot = Math.sqrt(rest);
  store<f64>(at + (size << 3), pivot);
  store<f64>(inverse + (size << 3), 1 / pivot);
  store<i32>(rows + (size << 2), j);
  store<f64>(lambda + (size << 3), 0);
  store<u8>(taken + j, 1);
  advance(size);
  size++;
  return true;
}

/** out := X_F x. */
function multiplyFace(x: usize, out: usize): void {
  let k = 0;
  for (; k + 4 <= size; k += 4) {
    const j = rows + (k << 2);
    dotFour(row(load<i32>(j)), row(load<i32>(j, 4)), row(load<i32>(j, 8)), row(load<i32>(j, 12)), x, d);
    const to = out + (k << 3);
    store<f64>(to, first);
    store<f64>(to, second, 8);
    store<f64>(to, third, 16);
    store<f64>(to, fourth, 24);
  }
  for (; k < size; k++) store<f64>(out + (k << 3), dot(row(load<i32>(rows + (k << 2))), x, d));
}

/** b := L^-1 b for the factor of the face, four entries at a time; answers |b|^2. */
function forwardSolve(b: usize): f64 {
  let sum: f64 = 0;
  let k = 0;
  for (; k + 4 <= size; k += 4) {
    const r0 = factor + (triangle(k) << 3);
    const r1 = r0 + ((k + 1) << 3);
    const r2 = r1 + ((k + 2) << 3);
    const r3 = r2 + ((k + 3) << 3);
    dotFour(r0, r1, r2, r3, b, k);
    const at = <usize>(k << 3);
    const to = b + at;
    const v = inverse + at;
    const x0 = (load<f64>(to) - first) * load<f64>(v);
    const x1 = (load<f64>(to, 8) - second - load<f64>(r1 + at) * x0) * load<f64>(v, 8);
    const x2 = (load<f64>(to, 16) - third - load<f64>(r2 + at) * x0 - load<f64>(r2 + at, 8) * x1) * load<f64>(v, 16);
    const rest = load<f64>(r3 + at) * x0 + load<f64>(r3 + at, 8) * x1 + load<f64>(r3 + at, 16) * x2;
    const x3 = (load<f64>(to, 24) - fourth - rest) * load<f64>(v, 24);
    store<f64>(to, x0);
    store<f64>(to, x1, 8);
    store<f64>(to, x2, 16);
    store<f64>(to, x3, 24);
    sum += x0 * x0 + x1 * x1 + (x2 * x2 + x3 * x3);
  }
  for (; k < size; k++) {
    const at = b + (k << 3);
    const value = (load<f64>(at) - dot(b, factor + (triangle(k) << 3), k)) * load<f64>(inverse + (k << 3));
    store<f64>(at, value);
    sum += value * value;
  }
  return sum;
}

/** target := L'^-1 L^-1 (-X_F z0), from the last entry, four at a time. */
export function solve(): void {
  memory.copy(target, forward, size << 3);
  let k = size;
  for (; k >= 4; k -= 4) {
    const r0 = factor + (triangle(k - 4) << 3);
    const r1 = r0 + ((k - 3) << 3);
    const r2 = r1 + ((k - 2) << 3);
    const r3 = r2 + ((k - 1) << 3);
    const at = <usize>((k - 4) << 3);
    const to = target + at;
    const v = inverse + at;
    const x3 = load<f64>(to, 24) * load<f64>(v, 24);
    const x2 = (load<f64>(to, 16) - x3 * load<f64>(r3 + at, 16)) * load<f64>(v, 16);
    const x1 = (load<f64>(to, 8) - x3 * load<f64>(r3 + at, 8) - x2 * load<f64>(r2 + at, 8)) * load<f64>(v, 8);
    const rest = x3 * load<f64>(r3 + at) + x2 * load<f64>(r2 + at) + x1 * load<f64>(r1 + at);
    const x0 = (load<f64>(to) - rest) * load<f64>(v);
    store<f64>(to, x0);
    store<f64>(to, x1, 8);
    store<f64>(to, x2, 16);
    store<f64>(to, x3, 24);
    addFour(-x0, r0, -x1, r1, -x2, r2, -x3, r3, target, k - 4);
  }
  while (--k >= 0) {
    const at = factor + (triangle(k) << 3);
    const value = load<f64>(target + (k << 3)) * load<f64>(inverse + (k << 3));
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
  let k = 0;
  for (; k + 4 <= size; k += 4) {
    const x = lambda + (k << 3);
    const j = rows + (k << 2);
    addFour(
      load<f64>(x), row(load<i32>(j)), load<f64>(x, 8), row(load<i32>(j, 4)),
      load<f64>(x, 16), row(load<i32>(j, 8)), load<f64>(x, 24), row(load<i32>(j, 12)),
      z, d,
    );
  }
  for (; k < size; k++) addMultiple(load<f64>(lambda + (k << 3)), row(load<i32>(rows + (k << 2))), z, d);
}

function advance(k: i32): void {
  const at = factor + (triangle(k) << 3);
  const along = dot(row(load<i32>(rows + (k << 2))), z0, d) + dot(at, forward, k);
  store<f64>(forward + (k << 3), -along * load<f64>(inverse + (k << 3)));
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
    const short = 1 / length;
    const c = a * short;
    const s = b * short;
    store<f64>(entry, length);
    store<f64>(inverse + (k << 3), short);
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
