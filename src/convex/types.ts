/**
 * The central types of the mathematics, and nothing else.
 *
 * Letters: n samples, d features (with the bias column where there is one), C outputs, P gates, B blocks (P when gated,
 * 2P for ReLU: first the P positive, then the P negative). All matrices are row-major float64.
 */

/** A dense row-major matrix. */
export interface Matrix {
  readonly rows: number;
  readonly cols: number;
  readonly data: Float64Array; // [rows x cols]
  /**
   * Where the rows are made from something smaller (patches of images): rows [from, from + count) as [count x cols], valid
   * until the next call. Asking for `data` makes them all.
   */
  block?(from: number, count: number): Float64Array;
  /** Where the rows are patches of images: what they are gathered from. */
  readonly gathered?: Gathered;
}

/** Patches as places in images: entry p of row j K + k is images[j, places[k, p]], and the last one `bias` where that is above 0. */
export interface Gathered {
  readonly images: Matrix; // [n x pixels]
  readonly places: Int32Array; // [K x h], h = d, or d - 1 with a bias; -1: zero
  readonly bias: number;
}

/** Sign patterns of the rows of X, D_i = diag(1[X g_i >= 0]), bit-packed. */
export interface GateSet {
  readonly count: number; // P
  readonly rows: number; // n
  readonly bits: Uint32Array; // [P x ceil(n / 32)]; bit (j & 31) of word j >> 5 of gate i is D_i[j, j]
  readonly generators: Matrix; // [P x d]; row i is a g_i with D_i = diag(1[X g_i >= 0])
  /** True only if every arrangement of the rows is present; among gates of gated networks also those of directions on which rows lie. */
  readonly complete: boolean;
}

/** The losses by their tfjs names. */
export type LossName =
  | "meanSquaredError"
  | "binaryCrossentropy"
  | "categoricalCrossentropy"
  | "hinge"
  | "squaredHinge"
  | "huberLoss"
  | "meanAbsoluteError"
  | "logcosh"
  | "kullbackLeiblerDivergence";

/**
 * A convex loss L(Z) of the network's outputs before the last activation, bound to its targets and sample weights.
 *
 * Z, N, Q are [n x C]. The scaling is tfjs's: mean over samples and outputs (categoricalCrossentropy: over samples).
 */
export interface Loss {
  readonly name: LossName;
  readonly rows: number; // n
  readonly outputs: number; // C
  /** True when L is a sum over entries, so that its outputs do not see each other. */
  readonly separable: boolean;
  /** Lipschitz constant of the gradient; Infinity for a loss with kinks. */
  readonly curvature: number;
  value(Z: Float64Array): number;
  /** A (sub)gradient at Z. */
  gradient(Z: Float64Array, out: Float64Array): void;
  /** The value with the gradient, where both at once take less than one after the other; the same to the last bit. */
  valueAndGradient?(Z: Float64Array, out: Float64Array): number;
  /** Diagonal of the Hessian at Z; 0 where the loss is linear. */
  hessianDiagonal(Z: Float64Array, out: Float64Array): void;
  /** L*(N) = sup_Z <N, Z> - L(Z); Infinity outside its domain (a rounding error outside counts as inside). */
  conjugate(N: Float64Array): number;
  /**
   * Z = argmin L(Z) + |Z - Q|^2 / (2 tau). Row k of its Jacobian is diag(slope_k) + spread_k spread_k', spread being
   * written only where `separable` is false.
   */
  prox(Q: Float64Array, tau: number, Z: Float64Array, slope: Float64Array, spread: Float64Array | null): void;
  /** Moves N into the domain of L* with columns that sum to zero (what a free output bias asks of a dual point). */
  balance(N: Float64Array): void;
  /** The same loss on one output (separable losses only): a [n x 1] loss with the same scaling. */
  output(c: number): Loss;
  /** The terms of L that some rows have, in their order: those of parts that share out the rows add up to L. */
  part?(rows: Int32Array): Loss;
  /** out := L''(Z) V, where the Hessian is no diagonal. */
  hessianTimes?(Z: Float64Array, V: Float64Array, out: Float64Array): void;
  /** Where this is the least of another loss over a linear part beside the network: that part. */
  readonly beside?: LinearPart;
  /** Where its prox is that of a formula: what engines on devices evaluate it from. */
  readonly terms?: LossTerms;
  /** Where this is the model's own loss: what it was bound to, Y [n x C] and the sample weights [n] (null: ones). */
  readonly bound?: { readonly targets: Matrix; readonly weights: Float64Array | null };
}

/** sum_k a_k l(z_k; y_k) over entries, or over the rows of softmax cross entropy, up to what z does not see. */
export interface LossTerms {
  readonly kind: Exclude<LossName, "kullbackLeiblerDivergence">;
  readonly targets: Float64Array; // Y [n x C]
  readonly weights: Float64Array; // a [n x C], of rows [n]
}

/** The columns of a linear part. */
export interface LinearColumns {
  readonly F: Matrix; // [n x k]
  readonly ridge: Float64Array; // [k]
  readonly gram: Float64Array; // [k x k]: F'F
  /** [d + 1 x k]: F = [X, 1] times this, of the rows as layers see them and of the program's own (without a bias column). */
  readonly maps: { readonly layers: Matrix; readonly program: Matrix };
}

/** A linear part beside the network, F c with c [k x C], charged sum_p ridge_p |c_p|^2 (0: free). */
export interface LinearPart extends LinearColumns {
  readonly loss: Loss; // of the network's outputs and those of the part together
  /** The best c at outputs Z [n x C] of the network. */
  best(Z: Float64Array): Float64Array;
  /** Z += F c. */
  add(c: Float64Array, Z: Float64Array): void;
  /** F'N [k x C]. */
  pull(N: Float64Array): Float64Array;
}

/** What the penalty charges for the blocks; scaled by beta in the program. */
export interface Penalty {
  readonly name: "perOutput" | "nuclear" | "ridge";
  /** True where a block is a branch, read as one matrix [C x m d] of its m neurons: not every solver shrinks that. */
  readonly branches?: true;
  /** True when (gate, output) vectors are charged one by one, so that outputs do not see each other. */
  readonly separable: boolean;
  /** Value at one gate's block Z_i [C x d] (row c is the vector of output c). */
  value(block: Float64Array, outputs: number, width: number): number;
  /** In place: argmin_U value(U) * threshold + |U - block|^2 / 2. Returns the penalty's value at the result. */
  prox(block: Float64Array, outputs: number, width: number, threshold: number): number;
  /** The dual norm at one gate's block G_i [C x d]. */
  dualNorm(block: Float64Array, outputs: number, width: number): number;
}

/** How the output bias enters: absent, free (0), or charged ridge * c^2. */
export interface OutputBias {
  readonly ridge: number;
}

/**
 * How the K patches of a sample make its outputs (Ergen and Pilanci 2021): rows j K .. j K + K - 1 of X are the patches of
 * sample j, and n samples have n K rows.
 *
 * A positions are read out, a divisor of K: 1 (all patches are summed), K (each patch has its own), or windows of K / A patches
 * each. Patch k belongs to position k mod A. A block then has A C vectors, that of position a and output c at a C + c, and
 * D_i X V_i in the program becomes Z_jc = scale sum_k D_i[jK + k] x_{jK + k} V_i^{ac}, a = k mod A. With a `negativeSlope` a the
 * entries of D_i that are 0 are a instead, here and everywhere but in the cones; a dense program with one has K = 1.
 */
export interface Pooling {
  readonly patches: number; // K
  readonly positions: number; // A
  readonly scale: number; // A / K for averages, else 1
  /** What units do to negative sums: the factor a of leaky ReLU, -1 for absolute values; 0, ReLU, where it is missing. */
  readonly negativeSlope?: number;
}

/**
 * min over blocks V and output bias c of
 *   L(sum_i sign_i D_i X V_i + 1 c') + beta sum_i penalty(V_i) + ridge |c|^2   subject to  (2 D_i - I) X V_i >= 0
 * with the cones only for ReLU (then B = 2P, sign_i = -1 for the second half); gated: B = P, no cones. With `pooling` the
 * rows of X and of the gates are patches, n K of them; a vector of one position of many needs the cone of its own rows only.
 */
export interface ConvexProgram {
  readonly X: Matrix; // [n x d]
  readonly gates: GateSet;
  readonly loss: Loss;
  readonly penalty: Penalty;
  readonly beta: number;
  readonly outputBias: OutputBias | null;
  readonly cones: boolean;
  readonly pooling?: Pooling | null;
}

/**
 * The nonzero blocks of a point: `vectors` row k is the vector of (block, output) `index[k] = block * C + output`; with
 * pooling over A positions of (block, position, output) `index[k] = (block * A + position) * C + output`.
 */
export interface SparseBlocks {
  readonly index: Int32Array; // [k], increasing
  readonly vectors: Float64Array; // [k x d]
  readonly bias: Float64Array; // [C]; zeros where the program has no output bias
}

export type Status =
  | "solved"
  | "widthLimit" // the layer is narrower than what the program's solution needs
  | "slowed" // without a limit of one's own: progress is slow against the work that it takes
  | "iterationLimit"
  | "timeLimit"
  | "stalled"
  | "nonFinite"
  | "cancelled";

/** The duality gap of one program at one point; everything float64. */
export interface Gap {
  readonly primal: number;
  readonly dual: number;
  readonly relative: number; // (primal - dual) / max(|primal|, a billionth of the loss of constant outputs)
}

/** What was seen and not proven: the dearest gate outside the set that a search found, in units of beta (1: none is better). */
export interface Evidence {
  readonly bestRatio: number;
  readonly starts: number; // of the search, over all rounds
  /**
   * What each restart from other random neurons took off the objective, relative: how far luck goes. Another seed may end about as much
   * lower as the last ones gained, or higher. Missing where there was none.
   */
  readonly restartGains?: readonly number[];
}

/**
 * Of the convex program in which every neuron of a ReLU network feeds one output: its objective at a feasible point, and what no
 * network of such neurons is below. A network whose neurons feed several outputs may be.
 */
export interface PerOutputBound {
  readonly primal: number;
  readonly dual: number;
  readonly relativeGap: number;
  readonly scope: Certificate["scope"];
  readonly claim: string;
  readonly evidence: Evidence | null;
  readonly allGates: AllGatesBound | null;
}

/**
 * A bound over all gates there are, by branch and bound (or singular values) on the worth of a gate: at a dual point N no
 * direction u has |N_c' (X u)_+| above ratio beta |u|, so that N / ratio is feasible for every gate.
 */
export interface AllGatesBound {
  readonly dual: number; // no network with any activation patterns has less (of several outputs, whose neurons each feed one)
  readonly relativeGap: number; // of the primal value to it
  readonly ratio: number; // proven: no gate is worth more, in units of beta
  readonly bestRatio: number; // found: some gate is worth that
  readonly cones: number; // of directions that were bounded; 0: singular values of the rows bounded them all
  readonly finished: boolean; // false: the budget or the dimensions ran out before ratio came close to max(bestRatio, 1)
  readonly dualNorm: number; // the longest column of N
}

/** What the gap proves, and for what: all of it is about the network that was returned. */
export interface Certificate {
  readonly primal: number; // the network's objective in float64, before its weights became float32
  readonly dual: number; // no network that `scope` and `neurons` name is below
  readonly relativeGap: number; // (primal - dual) / max(|primal|, a billionth of the loss of constant outputs)
  readonly network: number; // objective of the recovered network by a plain forward pass, weights as written (float32)
  /** "all gates" only if the gate set is complete, or branch and bound has finished. */
  readonly scope: "these gates" | "all gates";
  readonly claim: string; // the statement that is proven, in one sentence
  readonly evidence: Evidence | null; // where gates were searched for beyond the set
  /** The networks that `dual` is about: those that the layers can be, or, of several outputs, those whose neurons each feed one. */
  readonly neurons: "feed all outputs" | "feed one output each";
  /** Where neurons feed several outputs: the convex program in which each feeds one. */
  readonly perOutput: PerOutputBound | null;
  readonly allGates: AllGatesBound | null; // where gates beyond the set were priced by branch and bound
}
