/** What a user may ask of the trainer, with defaults, and the refusal of everything else. */

import {
  abortSignal,
  count,
  integer,
  isRecord,
  MOST_STARTS,
  oneOf,
  optional,
  positive,
  refuse,
  refuseUnknown,
  tolerance,
} from "../arguments.js";
import type { Arrangements, Growth } from "../convex/arrangements/index.js";
import { type EngineChoice, engineNames } from "../convex/kernels/index.js";
import type { Pricing } from "../convex/pricing/allGates.js";
import type { Constraint } from "../convex/solvers/constrained.js";
import { type SolverName, solverNames } from "../convex/solvers/index.js";
import type { Penalty } from "../convex/types.js";

/** What beta is, or how it is found; or what holds in its place. */
export type RegularizationWish = number | "from-model" | "auto" | "held-out" | "share" | Constraint;

export interface TrainerOptions {
  /** The network class; by default read from the first layer: "gated" for GatedDense, else "relu". */
  readonly formulation?: "relu" | "gated";
  /**
   * Where the gates come from. Default for ReLU: all where there are at most 512, else they grow; for gated networks those that
   * the layer has, or 256 sampled ones.
   */
  readonly arrangements?: Arrangements;
  /**
   * How gates outside the set are priced (ReLU only). { kind: "search" }, the default, looks for better ones where gates grow,
   * and what it did not find is evidence. { kind: "branch-and-bound" } also bounds what any gate at all can be worth, by cutting
   * the space of directions into at most `cones` cones: a certificate for all gates, for data of few dimensions (up to 5 it takes
   * seconds; beyond 10 singular values bound it, loosely). Where the bound stays loose, or the cones or the time run out,
   * `certificate.allGates` has it, and the certificate is about these gates.
   */
  readonly pricing?: Pricing;
  /**
   * The weight beta of the program's penalty: a number; "from-model": 2 sqrt(g1 g2) of the layers' l2 regularizers; "held-out": of
   * a grid the largest whose loss on rows that were not trained on is within 2 % of the least, the validation data where there are
   * any, else up to five folds (`result.regularization.curve`); "share": 1e-3 of the smallest beta at which no neuron that a search finds pays; "auto":
   * "held-out" where 30 rows or more can judge, else "share". Default: the model's where it has them, else "auto". With
   * `depth: "alternate"` and in `certify`, which trains nothing, "auto" is "share".
   *
   * Or none: "interpolate" finds the network of least weights (|W1|^2 + |W2|^2) / 2 among those that fit every target exactly,
   * "max-margin" the one among those with y z >= 1 on every row (hinge losses and binary cross entropy).
   */
  readonly regularization?: RegularizationWish;
  /** Relative duality gap at which to stop, at least 2.2e-16; default 1e-4. */
  readonly tolerance?: number;
  /** Rounds of the solver (epochs, for callbacks); default 1000. */
  readonly maxIterations?: number;
  /**
   * Seconds after which the best point so far is taken, all parts of a call counted in. Default no limit: where gates grow and
   * neither this nor `tolerance` nor `maxIterations` is given, a fit ends with status "slowed" when more work brings next to nothing.
   */
  readonly timeLimit?: number;
  /** Stops the solve; the best point so far is written. */
  readonly signal?: AbortSignal;
  /** Seed of the gates; default 0. */
  readonly seed?: number;
  /**
   * When more neurons are needed than the model has: "keep" finds the best network of the model's width that a descent finds, with
   * status "widthLimit" and a certificate against networks of any width; "resize" returns a wider model. Default "keep".
   */
  readonly width?: "keep" | "resize";
  /**
   * How a model is trained whose layers below the last hidden one are trained, too. "head": these are held as they are, and the
   * last hidden layer and the read-out are fitted to what they compute (the read-out alone, where that hidden layer is none that
   * a program has). "read-out": the read-out alone is fitted, exactly, and all else held. "alternate": rounds of the program of
   * "head", begun at the model's own units, and of a descent of all layers together (L-BFGS) on the
   * objective of the model; no round ends above the one before. "layerwise": one hidden layer after the other, from the first, by
   * descents and the program of it and a read-out of its own on what the layers below compute; these stay as they are from then on. Where
   * a layer has two ReLU units for each output, or one for each feature and keeps their places, no stage ends above the read-out
   * before it; of rows held out the stage is taken on that is best on them. The certificate is always about the head, given its features.
   * Default: "alternate" where the last hidden layer is one that a program has and layers below it are trained, or where no program has a
   * layer before the read-out (max pooling, separable convolutions, recurrent layers, sums of branches) and `formulation` asks for none;
   * else none. Where none is asked for, a descent alone trains a model of which no part has a program.
   */
  readonly depth?: Depth;
  /**
   * How several outputs are charged. "nuclear", the default: as weight decay does, neurons feeding all outputs; exact for gated
   * networks, for ReLU by descent from the solution of the convex program and with a bound of its own.
   * "perOutput": each neuron feeds one, and the convex program is exact for both. Along a path, and in cross-validation, ReLU
   * neurons feed one output each, whatever this says.
   */
  readonly vectorPenalty?: Penalty["name"];
  /**
   * Whether the objective charges weights as those of standardised columns (each of x less its mean, brought to the spread of the widest), so that
   * units of measurement do not matter; the weights are written for x as it is. Default: true where neither the model has
   * regularizers nor `regularization` a number, which speak of the layers' own weights, and for dense layers only.
   */
  readonly standardize?: boolean;
  /**
   * Scale t of the hidden bias where the layer does not regularize it: the program charges it as (b / t)^2 beside the kernel.
   * Default the largest row norm of x (of standardised columns, where these are charged).
   */
  readonly hiddenBiasScale?: number;
  /**
   * Solves in the span of the first singular vectors of x, a number of them or those above rounding ("numerical"); the weights
   * are written for x as it is, with the same outputs. The certificate's bound holds for x as it is. Default: x as it is.
   */
  readonly rank?: number | "numerical";
  /**
   * Solves on the first principal components of x, less its mean; centring and rotation are folded into the first layer, which
   * needs a bias. The certificate is for networks on these components. Default: x as it is.
   */
  readonly pca?: number;
  /**
   * Where the work is done: "auto" takes what is fastest for the program. The engines on devices ("webgpu", "webgl", "gpujs",
   * "tfjs") keep the blocks of gated dense or convolutional models and (but for "gpujs") of dense ReLU models, whose neurons move there
   * too, in float32; all else, certificates too, is float64 on the host.
   */
  readonly engine?: EngineChoice;
  /**
   * How many threads the WASM engine may use, 1 to 31; the result is the same to the last bit. Default: as many as the host runs
   * side by side, at most 4. It is one on a page's main thread, and in pages that are not cross-origin isolated.
   */
  readonly threads?: number;
  /**
   * Name of the solver; by default the first that fits. Never taken unasked on the host: "stochastic", steps over mini-batches for gated
   * programs of many rows, and "splitting", whose steps are wide, for ReLU programs and losses with kinks where an engine keeps their blocks.
   * "affine-newton" is for linear layers that follow one another.
   */
  readonly solver?: SolverName;
}

/** The schedules by which deep models are trained. */
export type Depth = (typeof DEPTHS)[number];
const DEPTHS = ["head", "read-out", "alternate", "layerwise"] as const;

/** The options with their defaults. */
export interface Settings {
  readonly formulation: "relu" | "gated" | null;
  readonly arrangements: Arrangements | null;
  readonly pricing: Pricing | null;
  readonly regularization: RegularizationWish | null;
  readonly tolerance: number;
  readonly maxIterations: number;
  readonly timeLimit: number;
  readonly signal: AbortSignal | null;
  readonly seed: number;
  readonly width: "keep" | "resize";
  readonly depth: Depth | null;
  readonly vectorPenalty: Penalty["name"] | null;
  readonly standardize: boolean | null;
  readonly hiddenBiasScale: number | null;
  readonly rank: number | "numerical" | null;
  readonly pca: number | null;
  readonly engine: EngineChoice;
  readonly threads: number | null;
  readonly solver: SolverName | null;
  /** Whether to stop where more work brings next to nothing: unless tolerance, maxIterations or timeLimit say how far to go. */
  readonly patient: boolean;
}

/** The module numbers them by the bits of a word. */
const MOST_THREADS = 31;

/** Each cone that waits is kept, some hundred bytes. */
const MOST_CONES = 1e7;

const NAMES = [
  "formulation",
  "arrangements",
  "pricing",
  "regularization",
  "tolerance",
  "maxIterations",
  "timeLimit",
  "signal",
  "seed",
  "width",
  "depth",
  "vectorPenalty",
  "standardize",
  "hiddenBiasScale",
  "rank",
  "pca",
  "engine",
  "threads",
  "solver",
] as const satisfies readonly (keyof TrainerOptions)[];

/**
 * Checks every option and fills in the defaults.
 *
 * @throws ConvexError "options/unknown" for a name that is none, "options/value" for a value that is out of range.
 */
export function readOptions(options: TrainerOptions): Settings {
  refuseUnknown("ConvexReLUTrainer", options, NAMES);
  const { arrangements, regularization, signal } = options;
  if (typeof regularization === "number") positive("regularization", regularization);
  else if (regularization !== undefined)
    oneOf("regularization", regularization, ["from-model", "auto", "held-out", "share", "interpolate", "max-margin"]);
  if (signal !== undefined) abortSignal("signal", signal);
  if (options.rank !== undefined && options.pca !== undefined) refuse("rank", "nothing beside pca", options.rank);
  if (options.solver !== undefined) oneOf("solver", options.solver, solverNames);
  if (arrangements !== undefined) checkArrangements(arrangements);
  if (options.pricing !== undefined) checkPricing(options.pricing);
  return {
    formulation: optional(options.formulation, (value) => oneOf("formulation", value, ["relu", "gated"])),
    arrangements: arrangements ?? null,
    pricing: options.pricing ?? null,
    regularization: regularization ?? null,
    tolerance: optional(options.tolerance, (value) => tolerance("tolerance", value)) ?? 1e-4,
    maxIterations: optional(options.maxIterations, (value) => count("maxIterations", value)) ?? 1000,
    timeLimit: optional(options.timeLimit, (value) => positive("timeLimit", value)) ?? Number.POSITIVE_INFINITY,
    signal: signal ?? null,
    seed: optional(options.seed, (value) => integer("seed", value)) ?? 0,
    width: optional(options.width, (value) => oneOf("width", value, ["keep", "resize"])) ?? "keep",
    depth: optional(options.depth, (value) => oneOf("depth", value, DEPTHS)),
    vectorPenalty: optional(options.vectorPenalty, (value) => oneOf("vectorPenalty", value, ["perOutput", "nuclear"])),
    standardize: optional(options.standardize, (value) => oneOf("standardize", value, [true, false])),
    hiddenBiasScale: optional(options.hiddenBiasScale, (value) => positive("hiddenBiasScale", value)),
    rank: optional(options.rank, (value) => (value === "numerical" ? value : count("rank", value))),
    pca: optional(options.pca, (value) => count("pca", value)),
    engine: optional(options.engine, (value) => oneOf("engine", value, engineNames)) ?? "auto",
    threads: optional(options.threads, (value) => count("threads", value, MOST_THREADS)),
    solver: options.solver ?? null,
    patient: options.tolerance === undefined && options.maxIterations === undefined && options.timeLimit === undefined,
  };
}

function checkArrangements(arrangements: Arrangements): void {
  if (!isRecord(arrangements)) {
    refuse(
      "arrangements",
      '{ kind: "sample", count }, { kind: "enumerate" }, { kind: "grow" } or a gate set',
      arrangements,
    );
  }
  if (!("kind" in arrangements)) {
    if (!("bits" in arrangements && "generators" in arrangements)) {
      refuse(
        "arrangements",
        '{ kind: "sample", count }, { kind: "enumerate" }, { kind: "grow" } or a gate set',
        Object.keys(arrangements),
      );
    }
    return;
  }
  oneOf("arrangements.kind", arrangements.kind, ["sample", "enumerate", "grow"]);
  if (arrangements.kind === "sample") {
    refuseUnknown("arrangements", arrangements, ["kind", "count", "seed"]);
    count("arrangements.count", arrangements.count);
    if (arrangements.seed !== undefined) integer("arrangements.seed", arrangements.seed);
  } else if (arrangements.kind === "grow") {
    refuseUnknown("arrangements", arrangements, ["kind", "method", "count", "starts", "batch", "seed"]);
    if (arrangements.method !== undefined)
      oneOf("arrangements.method", arrangements.method, ["moving-neurons", "frank-wolfe"]);
    if (arrangements.batch !== undefined) checkBatch(arrangements);
    if (arrangements.count !== undefined) count("arrangements.count", arrangements.count);
    if (arrangements.starts !== undefined) count("arrangements.starts", arrangements.starts, MOST_STARTS);
    if (arrangements.seed !== undefined) integer("arrangements.seed", arrangements.seed);
  } else {
    refuseUnknown("arrangements", arrangements, ["kind"]);
  }
}

function checkBatch({ method, batch }: Growth): void {
  count("arrangements.batch", batch);
  if (method !== "frank-wolfe") refuse("arrangements.batch", 'none without method "frank-wolfe"', batch);
}

function checkPricing(pricing: Pricing): void {
  if (!isRecord(pricing)) {
    refuse("pricing", '{ kind: "search" } or { kind: "branch-and-bound" }', pricing);
  }
  oneOf("pricing.kind", pricing.kind, ["search", "branch-and-bound"]);
  refuseUnknown("pricing", pricing, pricing.kind === "search" ? ["kind"] : ["kind", "cones"]);
  if (pricing.kind === "branch-and-bound" && pricing.cones !== undefined)
    count("pricing.cones", pricing.cones, MOST_CONES);
}
