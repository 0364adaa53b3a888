/** An orthonormal basis of {u : x_j u = 0 for the rows of a face}, by Householder reflections; two vectors at a time. */

/**
 * Writes d - F orthonormal vectors [d - F x d] to `out`, given F independent rows of X [? x d] in `face` [F] i32 and room for
 * F d doubles at W, which then has the reflectors: unit vectors, that in row k zero before k.
 */
export function nullspace(X: usize, d: i32, face: usize, F: i32, W: usize, out: usize): void {
  const bytes = d << 3;
  for (let k = 0; k < F; k++) memory.copy(W + k * bytes, X + load<i32>(face + (k << 2)) * bytes, bytes);
  for (let k = 0; k < F; k++) {
    const w = W + k * bytes;
    makeReflector(w, k, d);
    reflect(w, k, d, w + bytes, F - 1 - k);
  }
  const count = d - F;
  memory.fill(out, 0, count * bytes);
  for (let i = 0; i < count; i++) store<f64>(out + i * bytes + ((F + i) << 3), 1);
  for (let k = F - 1; k >= 0; k--) reflect(W + k * bytes, k, d, out, count);
}

/** Replaces a vector by the unit w (zero before `first`) whose reflection I - 2 w w' maps its tail onto one axis. */
function makeReflector(w: usize, first: i32, d: i32): void {
  let square: f64 = 0;
  for (let p = first; p < d; p++) {
    const entry = load<f64>(w + (p << 3));
    square += entry * entry;
  }
  memory.fill(w, 0, first << 3);
  const at = w + (first << 3);
  const head = load<f64>(at);
  const moved = head + (head >= 0 ? Math.sqrt(square) : -Math.sqrt(square));
  store<f64>(at, moved);
  const length = Math.sqrt(max(0, square - head * head) + moved * moved);
  if (length > 0) for (let p = first; p < d; p++) store<f64>(w + (p << 3), load<f64>(w + (p << 3)) / length);
}

/** Rows v of V [count x d] become v - 2 (w'v) w, w zero before `first`. */
function reflect(w: usize, first: i32, d: i32, V: usize, count: i32): void {
  const start = first & ~1;
  const whole = d & ~1;
  const bytes = d << 3;
  for (let i = 0; i < count; i += 2) {
    const a = V + i * bytes;
    const b = i + 1 < count ? a + bytes : a;
    let sumA = f64x2.splat(0);
    let sumB = f64x2.splat(0);
    for (let p = start << 3; p < whole << 3; p += 16) {
      const at = v128.load(w + p);
      sumA = f64x2.add(sumA, f64x2.mul(at, v128.load(a + p)));
      sumB = f64x2.add(sumB, f64x2.mul(at, v128.load(b + p)));
    }
    let alongA = f64x2.extract_lane(sumA, 0) + f64x2.extract_lane(sumA, 1);
    let alongB = f64x2.extract_lane(sumB, 0) + f64x2.extract_lane(sumB, 1);
    const last = whole << 3;
    if (whole < d) {
      alongA += load<f64>(w + last) * load<f64>(a + last);
      alongB += load<f64>(w + last) * load<f64>(b + last);
    }
    const stepA = f64x2.splat(2 * alongA);
    const stepB = b == a ? f64x2.splat(0) : f64x2.splat(2 * alongB);
    for (let p = start << 3; p < last; p += 16) {
      const at = v128.load(w + p);
      v128.store(a + p, f64x2.sub(v128.load(a + p), f64x2.mul(stepA, at)));
      v128.store(b + p, f64x2.sub(v128.load(b + p), f64x2.mul(stepB, at)));
    }
    if (whole < d) {
      store<f64>(a + last, load<f64>(a + last) - 2 * alongA * load<f64>(w + last));
      if (b != a) store<f64>(b + last, load<f64>(b + last) - 2 * alongB * load<f64>(w + last));
    }
  }
}
