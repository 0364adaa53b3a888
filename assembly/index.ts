/**
 * What JavaScript calls: each function describes a job, runs its tasks on at most `threads` threads, and answers what
 * `runTasks` does.
 */

import { FEW } from "./few";
import {
  ADJOINT, FORWARD, FORWARD_ROWS, LAYER_BACKWARD, LAYER_FORWARD, LOWER_PRODUCT, MASKED_GRAM, NEURONS_BACKWARD, NEURONS_FORWARD, POOL, PRODUCT_BY_COLUMNS, PRODUCT_BY_ROWS, PRODUCT_OF_FEW, PROJECT,
  ROUGH_ADJOINT, ROUGH_FORWARD, ROUGH_LOWER_PRODUCT, ROUGH_PRODUCT_BY_COLUMNS, ROUGH_PRODUCT_BY_ROWS, setFields, setJob, SIGNS, TIMES_COUNTS, TOGETHER_BACKWARD, TOGETHER_FORWARD,
} from "./jobs";
import { NEURON_ROWS } from "./neurons";
import { runTasks } from "./threads";

export { choleskySmall, inverseSmall } from "./cholesky";
export { layerPlace, workBytes } from "./jobs";
export { coneRoom, prepareCones, recordRoom, sharedRoom } from "./cone";
export { neuronPlace } from "./neurons";
export { nullspace } from "./nullspace";
export { pairProduct, twoLoops } from "./pairs";
export { enroll } from "./thread";
export { finish, serve } from "./threads";

/** Multiplications from which a product is shared out: some 100 microseconds of one thread. */
const SHARED_WORK: i64 = 1_000_000;
/** The same where numbers are used a few times. */
const SHARED_FEW: i64 = 200_000;
/** The same for patches: a table serves four of them. */
const POOL_WORK: i64 = 4_000_000;
/** Tasks a thread gets, so that a late one leaves little behind, unless they would be smaller than is worth packing for. */
const TASKS_PER_THREAD: i32 = 3;
const WORTH_PACKING: i32 = 192;

/** Most rows of the list that a task of `adjoint` takes: its part of G should stay in a cache. */
const MOST_GATES: i32 = 256;

/** Rows of a task when `rows` are shared out: a multiple of 4. */
function partOf(rows: i32, threads: i32): i32 {
  const fine = max(WORTH_PACKING, (rows + threads * TASKS_PER_THREAD - 1) / (threads * TASKS_PER_THREAD));
  return (min(fine, (rows + threads - 1) / threads) + 3) & ~3;
}

function tasksOf(rows: i32, part: i32): i32 {
  return (rows + part - 1) / part;
}

/** C += alpha A B; rough: multiplied in float32, but for few rows. */
export function multiply(
  threads: i32,
  m: i32, n: i32, k: i32,
  A: usize, rsa: i32, csa: i32,
  B: usize, rsb: i32, csb: i32,
  C: usize, ldc: i32,
  alpha: f64, lower: bool, rough: bool,
): f64 {
  const few = m <= FEW && csa == 1 && (rsb == 1 || csb == 1);
  const shared = threads > 1 && <i64>m * <i64>n * <i64>k >= (few ? SHARED_FEW : SHARED_WORK);
  const byRows = lower || (m >= n && !few);
  const rows = byRows ? m : n;
  const part = shared ? partOf(rows, threads) : rows;
  let kind = lower ? LOWER_PRODUCT : few ? PRODUCT_OF_FEW : byRows ? PRODUCT_BY_ROWS : PRODUCT_BY_COLUMNS;
  if (rough && kind != PRODUCT_OF_FEW) {
    kind = lower ? ROUGH_LOWER_PRODUCT : byRows ? ROUGH_PRODUCT_BY_ROWS : ROUGH_PRODUCT_BY_COLUMNS;
  }
  setJob(kind, alpha);
  setFields(m, n, k, <i32>A, rsa, csa, <i32>B, rsb, csb, <i32>C, ldc, part);
  return runTasks(tasksOf(rows, part), threads);
}

/** Z [n x C] += sum_k sign_k D_k X v_k in column output_k; `gates` and `outputs` [count] i32, `signs` [count], V [count x d]; rough: in float32. */
export function forward(
  threads: i32,
  X: usize, n: i32, d: i32,
  bits: usize, words: i32,
  count: i32, gates: usize, outputs: usize, signs: usize, V: usize,
  Z: usize, C: i32,
  rough: bool,
): f64 {
  setJob(rough ? ROUGH_FORWARD : FORWARD, 1);
  setFields(<i32>X, n, d, <i32>bits, words, count, <i32>gates, <i32>outputs, <i32>signs, <i32>V, <i32>Z, C);
  return runTasks(tasksOf(n, FORWARD_ROWS), <i64>count * <i64>n * <i64>d >= SHARED_WORK ? threads : 1);
}

/** Rows of the list that a task of `adjoint` takes; with norms G wants that many rows of d for each thread. */
export function adjointPart(threads: i32, count: i32): i32 {
  return min(MOST_GATES, partOf(count, threads));
}

/** G [count x d]: row k = X' D_k R_k, R' [? x n]; `columns` [count] i32 says which row of R' it is. Or the norms [count] of these. Rough: in float32. */
export function adjoint(
  threads: i32,
  X: usize, n: i32, d: i32,
  bits: usize, words: i32,
  count: i32, gates: usize, columns: usize, R: usize,
  G: usize, norms: usize,
  rough: bool,
): f64 {
  const part = adjointPart(threads, count);
  setJob(rough ? ROUGH_ADJOINT : ADJOINT, 1);
  setFields(<i32>X, n, d, <i32>bits, words, count, <i32>gates, <i32>columns, <i32>R, <i32>G, <i32>norms, part);
  return runTasks(tasksOf(count, part), <i64>count * <i64>n * <i64>d >= SHARED_WORK ? threads : 1);
}

/**
 * Projects the rows of Z [count x d] in place onto the cones of `gates` [count] i32 and writes their norms [count]; ends each once
 * that is at most `threshold`. `records` [count] i32 are addresses of faces, each once; `places` has `coneRoom` for each thread.
 */
export function project(
  threads: i32,
  X: usize, n: i32, d: i32,
  bits: usize, words: i32,
  count: i32, gates: usize, records: usize,
  shared: usize, places: usize, gram: usize,
  Z: usize, norms: usize, threshold: f64,
): f64 {
  setJob(PROJECT, threshold);
  setFields(
    <i32>X, n, d, <i32>bits, words, <i32>shared, <i32>places, <i32>gram, <i32>gates, <i32>records, <i32>Z, <i32>norms,
  );
  return runTasks(count, threads);
}

/** Lower triangle of S [n x n] += sum_k weight_k m_k m_k', m_k the mask of gate k; `gates` [count] i32. */
export function maskedGram(
  threads: i32,
  bits: usize, words: i32,
  count: i32, gates: usize, weights: usize,
  S: usize, n: i32,
): f64 {
  const shared = threads > 1 && <i64>n * <i64>n * <i64>count >= SHARED_WORK;
  const part = shared ? partOf(n, threads) : n;
  setJob(MASKED_GRAM, 1);
  setFields(<i32>bits, words, count, <i32>gates, <i32>weights, <i32>S, n, part);
  return runTasks(tasksOf(n, part), threads);
}

/** H [rows x n] times the gates that are open at both samples, + more, up to `columns` and `further` for each row after the first (assembly/counts.ts). */
export function timesCounts(
  threads: i32, H: usize, n: i32, rows: i32, columns: i32, further: i32, mine: usize, bits: usize, words: i32, more: f64,
): f64 {
  const shared = threads > 1 && <i64>rows * <i64>(columns + rows * further) * <i64>words >= SHARED_WORK;
  const part = shared ? partOf(rows, threads) : rows;
  setJob(TIMES_COUNTS, more);
  setFields(<i32>H, n, rows, columns, further, <i32>mine, <i32>bits, words, part);
  return runTasks(tasksOf(rows, part), threads);
}

/** Columns of `rows` rows, `stride` doubles apart, moved to `to` [rows x columns]; zeros stay. On this thread. */
export function lift(from: usize, stride: i32, rows: i32, columns: i32, to: usize): void {
  const bytes = <usize>columns << 3;
  for (let r = 0; r < rows; r++) {
    memory.copy(to, from, bytes);
    memory.fill(from, 0, bytes);
    to += bytes;
    from += <usize>stride << 3;
  }
}

/**
 * out [g x A x samples x d] = scale times the sums of patches that g masks select: X [samples K x d], patch t A + a of a sample is
 * patch t of position a; masks `stride` bytes apart, whose bit `first` is row 0 of X, and with a word to spare at their end.
 */
export function pool(
  threads: i32,
  X: usize, samples: i32, K: i32, A: i32, d: i32,
  masks: usize, stride: i32, first: i32, g: i32,
  out: usize, scale: f64,
): f64 {
  setJob(POOL, scale);
  setFields(<i32>X, K, A, d, <i32>masks, stride, first, g, <i32>out, samples);
  return runTasks(samples, <i64>samples * K * d * g >= POOL_WORK ? threads : 1);
}

/** Masks [g x words] of 1[X g >= 0], X [n x d]; G: panels [d x 4] of four generators each, the last filled up. */
export function signs(threads: i32, X: usize, n: i32, d: i32, G: usize, g: i32, out: usize, words: i32): f64 {
  const shared = threads > 1 && <i64>n * <i64>d * <i64>g >= SHARED_WORK;
  const part = shared ? (partOf(n, threads) + 31) & ~31 : (n + 31) & ~31;
  setJob(SIGNS, 1);
  setFields(<i32>X, n, d, <i32>G, g, <i32>out, words, part);
  return runTasks(tasksOf(n, part), threads);
}

/**
 * Z [n x C] += a(X W') A', a(h) = max(h, slope h), W [m x d], A [C x m]; or, backward, G: for each part of so many rows the gradients
 * [m x d], [C x m] of <N, that>, N in the place of Z, after it. `places` has `layerPlace` for each thread; `kept` [n x m] keeps
 * what both want, or is 0.
 */
export function layer(
  threads: i32,
  X: usize, n: i32, d: i32,
  W: usize, m: i32, A: usize, C: i32, Z: usize,
  places: usize, G: usize, part: i32, kept: usize, slope: f64,
): f64 {
  setJob(G == 0 ? LAYER_FORWARD : LAYER_BACKWARD, slope);
  setFields(<i32>X, n, d, <i32>W, m, <i32>A, C, <i32>Z, <i32>places, <i32>G, part, <i32>kept);
  return runTasks(tasksOf(n, part), <i64>m * <i64>n * <i64>(d + C) >= SHARED_FEW ? threads : 1);
}

/**
 * Outputs and signs of a layer of `rows` rows, or samples where rows are patches (assembly/filters.ts), that says of itself where all lies (assembly/neurons.ts), or, backward, G of its `groups`;
 * `together`: each neuron feeds all outputs (assembly/together.ts). What is in a part does not change a bit of it.
 */
export function neurons(
  threads: i32, layer: usize, rows: i32, groups: i32, columns: i32, together: bool, backward: bool, slope: f64,
): f64 {
  const shared = threads > 1 && <i64>rows * <i64>groups * <i64>columns * 8 >= SHARED_WORK;
  const all = backward ? groups : rows;
  let part = all;
  if (shared) part = backward ? (groups + threads * TASKS_PER_THREAD - 1) / (threads * TASKS_PER_THREAD) : NEURON_ROWS;
  if (together) setJob(backward ? TOGETHER_BACKWARD : TOGETHER_FORWARD, slope);
  else setJob(backward ? NEURONS_BACKWARD : NEURONS_FORWARD, slope);
  setFields(<i32>layer, all, part, 0, 0, 0);
  return runTasks(tasksOf(all, part), threads);
}
