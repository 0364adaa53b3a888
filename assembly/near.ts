/** The rows near a projected point, which a record keeps: a later projection from nearby looks only at these. */

import { d, factorIn, n, triangle, violation, z } from "./face";
import { dot } from "./vectors";

/** One row of so many is kept as near. */
const NEAR: i32 = 8;
/** Radii, in a mean entry of z: the first, what the next are shorter by, and how many. */
const FIRST_RADIUS: f64 = 0.4;
const SHORTER: f64 = 0.7;
const ATTEMPTS: i32 = 8;

/** Doubles of a record that keeps a face, with the factor where it has at most `room` rows, and with near rows or without. */
export function recordRoom(rowCount: i32, columns: i32, room: i32, near: bool): i32 {
  return 2 + min(rowCount, columns) + triangle(room) + (near ? 2 + columns + nearRoom(rowCount) : 0);
}

/** Doubles for the rows that a record keeps as near. */
function nearRoom(rowCount: i32): i32 {
  return rowCount / NEAR / 2;
}

/** Where a record has what `remember` says. */
function nearIn(record: usize): usize {
  return factorIn(record) + (triangle(load<i32>(record, 8)) << 3);
}

/**
 * Keeps z in a record, where no row is violated, with a radius and the rows that are nearer to it, so many that there is room
 * for: the radius and 1 / |z|^2, z, and the rows (i32).
 */
export function remember(record: usize): void {
  if (load<i32>(record, 12) < 0) return;
  const near = nearIn(record);
  const list = near + 16 + (d << 3);
  const most = 2 * nearRoom(n);
  const square = dot(z, z, d);
  let radius = Math.sqrt(square / d) * FIRST_RADIUS;
  let count = most + 1;
  for (let attempt = 0; attempt < ATTEMPTS && count > most; attempt++) {
    radius *= SHORTER;
    count = 0;
    for (let j = 0; j < n && count <= most; j++) {
      if (load<f64>(violation + (j << 3)) < -radius) continue;
      if (count < most) store<i32>(list + (count << 2), j);
      count++;
    }
  }
  store<i32>(record, count > most ? 0 : count, 12);
  store<f64>(near, radius);
  store<f64>(near, 1 / square, 8);
  memory.copy(near + 16, z, d << 3);
}

/**
 * How many rows a record keeps as near, if only these can be violated, else 0: where |z - a y| <= a radius for what it keeps, y, and some a,
 * others have at least a radius - |z - a y| left.
 */
export function nearCount(record: usize): i32 {
  const count = load<i32>(record, 12);
  if (count <= 0) return 0;
  const near = nearIn(record);
  const y = near + 16;
  const a = dot(z, y, d) * load<f64>(near, 8);
  let square: f64 = 0;
  for (let p = 0; p < d << 3; p += 8) {
    const off = load<f64>(z + p) - a * load<f64>(y + p);
    square += off * off;
  }
  const reach = a * load<f64>(near);
  return reach > 0 && reach < Infinity && square <= reach * reach ? count : 0;
}

/** The rows that a record keeps as near. */
export function nearRows(record: usize): usize {
  return nearIn(record) + 16 + (d << 3);
}
