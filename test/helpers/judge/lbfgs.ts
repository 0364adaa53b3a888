/** Limited-memory BFGS with a weak Wolfe line search (Lewis and Overton 2013), which kinks do not stop. */

const MEMORY = 8;
/** A descent ends after so many steps in a row that gained next to nothing. */
const IDLE = 3;
const LITTLE = 1e-10;

export function minimise(
  x: Float64Array, // overwritten by the best point
  value: (x: Float64Array, gradient: Float64Array) => number,
  iterations: number,
): number {
  const size = x.length;
  let gradient = new Float64Array(size);
  let f = value(x, gradient);
  const steps: Float64Array[] = [];
  const changes: Float64Array[] = [];
  const curvatures: number[] = [];
  let idle = 0;
  for (let round = 0; round < iterations; round++) {
    const direction = twoLoops(gradient, steps, changes, curvatures);
    let slope = dot(direction, gradient);
    if (!(slope < 0)) {
      if (steps.length === 0) break;
      steps.length = 0;
      changes.length = 0;
      curvatures.length = 0;
      for (let k = 0; k < size; k++) direction[k] = -gradient[k];
      slope = dot(direction, gradient);
      if (!(slope < 0)) break;
    }
    let low = 0;
    let high = Number.POSITIVE_INFINITY;
    let t = steps.length === 0 ? Math.min(1, 1 / Math.sqrt(dot(gradient, gradient))) : 1;
    let found = false;
    const at = new Float64Array(size);
    const slopeAt = new Float64Array(size);
    let fAt = f;
    for (let trial = 0; trial < 40; trial++) {
      for (let k = 0; k < size; k++) at[k] = x[k] + t * direction[k];
      fAt = value(at, slopeAt);
      if (!(fAt <= f + 1e-4 * t * slope)) high = t;
      else if (dot(slopeAt, direction) < 0.9 * slope) {
        low = t;
        found = true;
      } else {
        found = true;
        break;
      }
      t = high === Number.POSITIVE_INFINITY ? 2 * low : (low + high) / 2;
      if (trial > 30 && found) break;
    }
    if (!(fAt < f)) break;
    const step = new Float64Array(size);
    const change = new Float64Array(size);
    for (let k = 0; k < size; k++) {
      step[k] = at[k] - x[k];
      change[k] = slopeAt[k] - gradient[k];
    }
    const fell = f - fAt;
    x.set(at);
    gradient = slopeAt;
    f = fAt;
    const curvature = dot(step, change);
    if (curvature > 1e-300) {
      steps.push(step);
      changes.push(change);
      curvatures.push(curvature);
      if (steps.length > MEMORY) for (const list of [steps, changes, curvatures]) list.shift();
    }
    idle = fell <= LITTLE * Math.abs(f) ? idle + 1 : 0;
    if (idle === IDLE) break;
  }
  return f;
}

function twoLoops(
  gradient: Float64Array,
  steps: readonly Float64Array[],
  changes: readonly Float64Array[],
  curvatures: readonly number[],
): Float64Array {
  const q = gradient.slice();
  const alphas: number[] = [];
  for (let k = steps.length - 1; k >= 0; k--) {
    const alpha = dot(steps[k], q) / curvatures[k];
    alphas[k] = alpha;
    for (let p = 0; p < q.length; p++) q[p] -= alpha * changes[k][p];
  }
  const last = steps.length - 1;
  if (last >= 0) {
    const scale = curvatures[last] / dot(changes[last], changes[last]);
    for (let p = 0; p < q.length; p++) q[p] *= scale;
  }
  for (let k = 0; k < steps.length; k++) {
    const beta = dot(changes[k], q) / curvatures[k];
    for (let p = 0; p < q.length; p++) q[p] += steps[k][p] * (alphas[k] - beta);
  }
  for (let p = 0; p < q.length; p++) q[p] = -q[p];
  return q;
}

function dot(a: Float64Array, b: Float64Array): number {
  let sum = 0;
  for (let k = 0; k < a.length; k++) sum += a[k] * b[k];
  return sum;
}
