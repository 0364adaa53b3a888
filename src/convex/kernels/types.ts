/**
 * What an engine gives the solvers: float64 (or float32) arithmetic on plain typed arrays, nothing that decides.
 *
 * `kernels/cpu.ts` is the reference in plain TypeScript: slow, short, and for ever the truth of the fast ones.
 * Matrices are row-major; "lower" means that only the lower triangle is read and written.
 */

import type { GateSet, LossTerms, Matrix, Penalty, Pooling } from "../types.js";

export type EngineName = "cpu" | "wasm" | "webgl" | "webgpu" | "gpujs" | "tfjs";

/**
 * Dense linear algebra, and products with gates bound to one data matrix. Synchronous, on the host, in float64.
 *
 * An engine on a device leaves that to a host engine and has `iterate`, whose blocks are of its own dtype.
 */
export interface Kernels {
  readonly name: EngineName;
  readonly dtype: "float64" | "float32";
  /** out [m x n] = A [m x k] B [k x n]. */
  multiply(A: Float64Array, B: Float64Array, out: Float64Array, m: number, k: number, n: number): void;
  /** out [m x n] = A [m x k] B', B [n x k]. */
  multiplyTransposed(A: Float64Array, B: Float64Array, out: Float64Array, m: number, k: number, n: number): void;
  /** Lower triangle of H [n x n] += alpha Y' Y, Y [k x n] (each row of Y is one rank-one term). */
  addOuter(H: Float64Array, Y: Float64Array, n: number, k: number, alpha: number): void;
  /** Cholesky in place, lower. False when a pivot is not positive (H is then spoilt). */
  factor(H: Float64Array, n: number): boolean;
  /** b := H^-1 b, given the factor. */
  solve(L: Float64Array, n: number, b: Float64Array): void;
  /** H := its inverse, given its lower triangle, [n x n] in a cache. False when it is not positive definite; `inverseOf` where it is missing. */
  inverse?(H: Float64Array, n: number): boolean;
  /** A Cholesky factor that stays with the engine, of H [n x n] (lower, left as it is); null when H is not positive definite. */
  cholesky(H: Float64Array, n: number): CholeskyFactor | null;
  /**
   * out [g x A x s x d] = scale times the sums of the patches that g gates select, of s samples in a row; A, K and scale are those
   * of the pooling. rows [s K x d]; masks [g x words], whose bit `first` (below 32) is row 0.
   */
  poolPatches(rows: Float64Array, masks: Uint32Array, shape: PoolShape, out: Float64Array): void;
  /** Writes the patterns 1[X g >= 0] of generators, plain sums in the order of the columns; `packPatterns` where it is missing. */
  packPatterns?(X: Matrix, generators: readonly Float64Array[], words: readonly Uint32Array[]): void;
  /** A layer of m neurons over X that feeds C outputs; who needs it multiplies himself where an engine has nothing faster. The caller disposes it. */
  layer?(X: Matrix, m: number, C: number, slope: number): NeuronLayer;
  /**
   * The same for neurons that feed one output each, `outputs` [m] below C, in float32: A is [m], and each pass back follows one forward
   * with the same weights.
   */
  neurons?(X: Matrix, outputs: Int32Array, C: number, slope: number): NeuronLayer;
  /** The same as `layer` in float32: each pass back follows one forward with the same weights. */
  roughLayer?(X: Matrix, m: number, C: number, slope: number): NeuronLayer;
  /** The same over patches, `roughLayer` of each sample with its activations added up times the scale; of one position. */
  roughFilters?(X: Matrix, m: number, C: number, pooling: Pooling): NeuronLayer;
  /** Room for so many pairs of vectors of a size; who needs it has plain ones where an engine has nothing faster. The caller disposes it. */
  pairs?(size: number, count: number): VectorPairs;
  /** A matrix for products with it again and again; who needs it multiplies with the matrix itself where an engine has nothing faster. The caller disposes it. */
  hold?(X: Matrix): HeldMatrix;
  /** Room for so many rows of n that grow; who needs it multiplies with copies where an engine has nothing faster. The caller disposes it. */
  growing?(n: number, most: number): GrowingRows;
  /** Copies what never changes to where the engine wants it. The caller disposes the result. */
  bind(X: Matrix, gates: GateSet): GatedProducts;
  /**
   * Blocks kept on the engine for first-order solvers, of C outputs or, with pooling, of A C; without it `hostIterate` makes
   * them from the products.
   */
  iterate?(
    X: Matrix,
    gates: GateSet,
    outputs: number,
    penalty: Penalty,
    pooling?: Pooling | null,
  ): Promise<BlockIterate>;
  /** Blocks kept on the engine for splittings, with cones or without, of C outputs; without it `hostCones` makes them from the products. */
  iterateCones?(X: Matrix, gates: GateSet, outputs: number, system: ConeSystem): Promise<ConeIterate>;
  /** Products of neurons on a device, in float32, that feed `outputs` C, of at most so many neurons at a time; rejects with "engine/unavailable" where it has no room. */
  neuronsThere?(X: Matrix, outputs: number, most: number): Promise<DeviceNeurons>;
  /** Multiplications of a product, n d m, from which these are asked. */
  readonly neuronsFrom?: number;
  /** What of its threads was used so far; an engine without it has one. */
  threads?(): ThreadUse;
}

/** A matrix X [n x d] held by the engine. */
export interface HeldMatrix {
  /** out [m x d] = A X, A [m x n]. */
  times(A: Float64Array, out: Float64Array, m: number): void;
  /** out [m x n] = A X', A [m x d]. */
  timesTransposed(A: Float64Array, out: Float64Array, m: number): void;
  dispose(): void;
}

/** Rows F [r x n] held by the engine, more and more of them. */
export interface GrowingRows {
  /** Puts rows [b x n] at the end. */
  add(rows: Float64Array): void;
  /** G [m x n] -= A F, A [m x r]; `rough`: multiplied in float32. */
  subtract(A: Float64Array, G: Float64Array, m: number, rough: boolean): void;
  dispose(): void;
}

/** A layer of m neurons, a(h) = h where h > 0 and slope h elsewhere, over all rows of X [n x d], that feeds C outputs. */
export interface NeuronLayer {
  /** Z [n x C] += a(X W') A', W [m x d], A [C x m]. */
  forward(W: Float64Array, A: Float64Array, Z: Float64Array): void;
  /** inW [m x d] and inA [C x m] += the gradients of <N, a(X W') A'>, N [n x C]. */
  backward(W: Float64Array, A: Float64Array, N: Float64Array, inW: Float64Array, inA: Float64Array): void;
  dispose(): void;
}

/** Neurons w_j over the rows of X on a device, each of which feeds the output columns[j]; when that goes away they reject with "engine/lost". */
export interface DeviceNeurons {
  /** Z [n x C] += sum_j scales_j (X w_j)_+, weights [m x d]. */
  outputs(weights: Float64Array, scales: Float64Array, columns: Int32Array, Z: Float64Array): Promise<void>;
  /** The N [n x C] of the pulls to come. */
  turn(N: Float64Array): void;
  /** Row j of out [m x d] := X'(N_c o 1[X w_j > 0]), c = columns[j], weights [m x d]: times w_j it is N_c'(X w_j)_+, of which it is the gradient. */
  pulls(weights: Float64Array, columns: Int32Array, out: Float64Array): Promise<void>;
  dispose(): void;
}

/** A step of a descent and what it changed of the gradient, [size] each. */
export interface VectorPair {
  readonly move: Float32Array;
  readonly turn: Float32Array;
}

/** Pairs of a quasi-Newton metric, in float32 since at many variables the time goes into reading them. */
export interface VectorPairs {
  readonly count: number; // pairs that there is room for
  /** Pair k, to be written; valid until anything else is asked of the engine. */
  at(k: number): VectorPair;
  /** Of pair k: move'turn and turn'turn. */
  products(k: number): { readonly curvature: number; readonly square: number };
  /**
   * q := H q, H the inverse Hessian's approximation by the pairs of `order`, oldest first, whose curvatures are given, from a multiple of
   * the diagonal `scales`, by two loops (Nocedal 1980).
   */
  apply(order: readonly number[], curvatures: readonly number[], scales: Float64Array, q: Float64Array): void;
  dispose(): void;
}

/** Threads that took part in an engine's work, and why there were no more where more were asked for. */
export interface ThreadUse {
  readonly ran: number;
  readonly note: string | null;
}

/** Sizes of `Kernels.poolPatches`. */
export interface PoolShape {
  readonly pooling: Pooling;
  readonly gates: number; // g
  readonly samples: number; // s
  readonly d: number;
  readonly first: number;
  readonly words: number; // of a gate's mask
}

/** H = L L', held by the engine. */
export interface CholeskyFactor {
  /** B := H^-1 B, B [n x k]. */
  solve(B: Float64Array, k: number): void;
  /** B := H B, B [n x k]. */
  multiply(B: Float64Array, k: number): void;
  dispose(): void;
}

/**
 * Products with D_i X for one X [n x d] and its P gates.
 *
 * With pooling (`ConvexProgram.pooling`) D_i X stands for the pooled A_i = S D_i X [n x d] of n samples, one for each of A
 * positions, and where blocks have C vectors they have A C: output a C + c of a vector means position a and column c of Z.
 */
export interface GatedProducts {
  /** out [n x C] = sum_k sign[k] D_{gate[k]} X vectors_k into column output[k]; vectors [k x d]. Overwrites out. */
  forward(
    gate: Int32Array,
    output: Int32Array,
    sign: Float64Array,
    vectors: Float64Array,
    outputs: number,
    out: Float64Array,
  ): void;
  /** out [g x C x d]: X' D_i R for each gate i of the list (null: all P gates), R [n x C]. */
  adjoint(R: Float64Array, outputs: number, list: Int32Array | null, out: Float64Array): void;
  /** The same two products multiplied in float32, where the engine has that faster; they live as long as these. */
  roughly?(): Pick<GatedProducts, "forward" | "adjoint">;
  /** out [P x C]: |X' D_i R_c| for every gate, without storing the vectors. */
  adjointNorms(R: Float64Array, outputs: number, out: Float64Array): void;
  /** out [n] = X z, z [d], without gates; who needs it multiplies himself where an engine has nothing faster. */
  times?(z: Float64Array, out: Float64Array): void;
  /** out [d] = X' z, z [n], likewise. */
  timesTransposed?(z: Float64Array, out: Float64Array): void;
  /** New projections onto the cones of the gates, where the engine has them, and memory; they live as long as the products. */
  faceSearch?(): FaceSearch | null;
  /** out [k x n]: row j is D_i X u_j, for the rows u_j of U [k x d]; with pooling at a position (0 unless said). */
  rows(gate: number, U: Float64Array, k: number, out: Float64Array, position?: number): void;
  /**
   * An orthonormal basis u_j [d - F x d] of what the F independent rows of a face do not see, and out [d - F x n], row j D_i X u_j;
   * who needs it makes the basis himself where an engine has nothing faster.
   */
  faceRows?(gate: number, face: Int32Array, basis: Float64Array, out: Float64Array): void;
  /** Lower triangle of H [n x n] += sum_k weight[k] D_{gate[k]} K D_{gate[k]}, K = X X'; with pooling summed over positions. */
  addMaskedGram(H: Float64Array, gate: Int32Array, weight: Float64Array): void;
  /**
   * A factor of sum_k D_k K D_k + more 1 1' + shift I over the gates of a list, in pieces (linear/pieces.ts); `rough`: multiplied
   * in float32, so that who takes it has to try it. Null where that is not positive definite, or where it is told to come to an
   * end. Who needs it makes it of `addMaskedGram` where an engine has nothing faster; the caller disposes it.
   */
  gatedFactor?(
    list: Int32Array,
    shift: number,
    more: number,
    rough: boolean,
  ): Generator<void, CholeskyFactor | null, boolean | undefined>;
  /**
   * Columns of sum_k D_k K D_k + more 1 1' over the gates of a list; who needs them makes them of masks where an engine has nothing
   * faster. The caller disposes them.
   */
  gatedColumns?(list: Int32Array, more: number): GatedColumns;
  /** The Gram matrix K = X X' of the rows of X, made once and kept. */
  gram(): Float64Array;
  dispose(): void;
}

/** A symmetric S [n x n] that is never made. */
export interface GatedColumns {
  /** out [b x n] := its columns at the b pivots. */
  columns(pivots: readonly number[], out: Float64Array): void;
  dispose(): void;
}

/** Points to be projected onto cones K_i = {u : (2 D_i - I) X u >= 0}, k = 0 .. count - 1. */
export interface ConePoints {
  readonly count: number;
  readonly gates: Int32Array; // [count]
  /** Whose remembered face the search begins with, each once and always for the same gate; the last face is remembered in its place. */
  readonly slots: Int32Array; // [count]
  /** Only the rows of one position among pooled patches, else 0. */
  readonly positions: Int32Array; // [count]
  readonly Z: Float64Array; // [count x d]: the points, then their projections
  readonly norms: Float64Array; // [count]: of the projections
}

/** Projections onto cones, with a memory of the faces on which they rest. */
export interface FaceSearch {
  /** Projects all points in place and writes their norms; ends each once that is at most `threshold`. */
  project(points: ConePoints, threshold: number): void;
  /** The rows that the last projection of a slot rests on. */
  face(slot: number): Int32Array;
  /** Forgets all faces. */
  forget(): void;
}

/**
 * First-order work on blocks that stay where the engine keeps them: three vectors x (the iterate), y (the extrapolated
 * point) and g = A' R, each [P x C x d], or with pooling [P x A C x d]. Only [n x C] matrices and a few numbers cross the border.
 *
 * A float32 engine keeps its vectors as differences from a base point, so that rounding follows the size of the moves and not
 * that of the blocks; whoever knows the products of the base in float64 loses nothing. Elsewhere the base is zero.
 *
 * Calls take effect in their order, awaited or not, so that `step` and `forward` can be asked for together. When a device goes
 * away they reject with ConvexError "engine/lost".
 */
export interface BlockIterate {
  /** g := A' R, R [n x C]. */
  gradient(R: Float64Array): Promise<void>;
  /** x+ := prox of `threshold` times the penalty at y - step g. */
  step(step: number, threshold: number): Promise<StepReport>;
  /** out [n x C] := A (x+ - base). */
  forward(out: Float64Array): Promise<void>;
  /** y := x+ + momentum (x+ - x), then x := x+. */
  accept(momentum: number): Promise<void>;
  /** base := x+, rounded to the engine's dtype; to be called when x = x+. */
  rebase?(): Promise<void>;
  /** The nonzero vectors of x+. */
  read(): Promise<{ index: Int32Array; vectors: Float64Array }>;
  /** x := y := x+ := the given blocks, and base := them, rounded. */
  write(index: Int32Array, vectors: Float64Array): Promise<void>;
  dispose(): void;
}

/** What a step tells: enough for line search and restart. */
export interface StepReport {
  readonly moved: number; // |x+ - y|^2
  readonly turned: number; // <y - x+, x+ - x>
  readonly penalty: number; // of x+, without beta
}

/** What a splitting keeps fixed, M = I + weight X'X; without cones M = I, and Y = X. */
export interface ConeSystem {
  readonly sides: 1 | 2; // vectors of a gate and output: of positive neurons alone where there are no cones
  readonly weight: number; // of the slacks against that of the blocks
  readonly inverse: Float64Array; // M^-1 [d x d]; empty without cones
  readonly Y: Matrix; // X M^-1 [n x d]
  /** Q^-1 [n x n], where `gather` is to end with it. */
  readonly solution: Float32Array | null;
  /** Where that is, the loss, whose prox the engine may make as well. */
  readonly outer?: OuterSystem | null;
}

/** What steps of a splitting need beside blocks and slacks: see solvers/splitting. */
export interface OuterSystem {
  readonly terms: LossTerms;
  readonly outputWeight: number; // r
  readonly biasScale: number; // g^2; 0 without a bias
  readonly ofBias: Float64Array; // Q^-1 1 [n]
}

/** Outputs and bias of a splitting, with their multipliers. */
export interface OuterState {
  readonly z: Float64Array; // [n x C]
  readonly c: Float64Array; // [n x C]
  readonly e: Float64Array; // [C]
  readonly te: Float64Array; // [C]
}

/** What all steps between two changes of the weight have in common. */
export interface OuterNumbers {
  readonly relaxation: number; // a
  readonly threshold: number; // of the blocks
  readonly tau: number; // of the loss's prox
  readonly biasShare: number; // 1 / (1 + charge) of the bias
}

/**
 * Alternating directions on blocks that stay where the engine keeps them: with cones 2 P C vectors, first those of positive neurons,
 * then those of negative ones, as `SparseBlocks` numbers them, each of block b with the signs S = 2 D - I of its gate.
 *
 * Blocks without cones are P C vectors of one sign, with neither S nor q: what is said of slacks below is not for them.
 *
 * Of each vector an engine has t [d], p = t shortened by the last threshold (both zero at first), and q [n], whose positive part is
 * the slack of the cone, S X p >= 0, and whose negative part its multiplier. A V = sum_b sign_b D_b X v_b. Only [n x C] matrices and a few numbers
 * cross the border; calls take effect in their order, awaited or not. When a device goes away they reject with "engine/lost".
 */
export interface ConeIterate {
  /** R := 2 p - t + weight X'(S |q|) + A'U; out [n x C] := A M^-1 R, or Q^-1 of that where the system has it. */
  gather(U: Float64Array, out: Float64Array): Promise<void>;
  /** out [n x C] := A M^-1 A'W. */
  curvature(W: Float64Array, out: Float64Array): Promise<void>;
  /**
   * x = M^-1 (R - A'W), h = S X x; t += a (x - p), q := a h + (1 - a) max(0, q) + min(0, q), with the relaxation a; then
   * p := t shortened by `threshold`. What that left and moved, where it is asked for.
   */
  advance(W: Float64Array, relaxation: number, threshold: number, measured: boolean): Promise<ConeResiduals | null>;
  /**
   * `count` steps with nothing but this state across the border: e and te as after them, z + c in z, whose prox in float64 tells z
   * from c. What the last step left and moved.
   */
  readonly steps?: ((count: number, numbers: OuterNumbers, state: OuterState) => Promise<ConeResiduals>) | undefined;
  /** Divides what the multipliers are, t - p and min(0, q), by `factor`. */
  rescale(factor: number): Promise<void>;
  /** The nonzero vectors p. */
  read(): Promise<{ index: Int32Array; vectors: Float64Array }>;
  /** t := the given vectors, p := these shortened by `threshold`, q := S X p; zero elsewhere. */
  write(index: Int32Array, vectors: Float64Array, threshold: number): Promise<void>;
  dispose(): void;
}

/** What an advance left and moved: squares, those of slacks times their weight. */
export interface ConeResiduals {
  readonly missed: number; // |x - p|^2 + weight |h - s|^2, s = max(0, q)
  readonly moved: number; // of p and s
}
