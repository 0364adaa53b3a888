/** What a user may ask of the trainer, with defaults, and the refusal of everything else. */

import type { Arrangements, Growth } from "../convex/arrangements/index.js";
import { type EngineChoice, engineNames } from "../convex/kernels/index.js";
import type { Pricing } from "../convex/pricing/allGates.js";
import type { Constraint } from "../convex/solvers/constrained.js";
import type { Penalty } from "../convex/types.js";
import { ConvexError } from "../errors.js";

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
   * The weight beta of the program's penalty: a number; "from-model": 2 sqrt(g1 g2) of the layers' l2 regularizers; "auto":
   * 1e-3 of the smallest beta at which the zero network is optimal. Default: the model's where it has them, else "auto".
   *
   * Or none: "interpolate" finds the network of least weights (|W1|^2 + |W2|^2) / 2 among those that fit every target exactly,
   * "max-margin" the one among those with y z >= 1 on every row (hinge losses and binary cross entropy).
   */
  readonly regularization?: number | "from-model" | "auto" | Constraint;
  /** Relative duality gap at which to stop; default 1e-4. */
  readonly tolerance?: number;
  /** Rounds of the solver (epochs, for callbacks); default 1000. */
  readonly maxIterations?: number;
  /** Seconds after which the best point so far is taken, those of the gates counted in; default no limit. */
  readonly timeLimit?: number;
  /** Stops the solve; the best point so far is written. */
  readonly signal?: AbortSignal;
  /** Seed of the gates; default 0. */
  readonly seed?: number;
  /** When more neurons are needed than the model has: "keep" refuses, "resize" returns a wider model. Default "keep". */
  readonly width?: "keep" | "resize";
  /**
   * How several outputs are charged. "nuclear", the default: as weight decay does, neurons feeding all outputs; exact for gated
   * networks, for ReLU by descent from the solution of the convex program and with a bound of its own.
   * "perOutput": each neuron feeds one, and the convex program is exact for both. Along a path, and in cross-validation, ReLU
   * neurons feed one output each, whatever this says.
   */
  readonly vectorPenalty?: Penalty["name"];
  /**
   * Scale t of the hidden bias where the layer does not regularize it: the program charges it as (b / t)^2 beside the kernel.
   * Default the largest row norm of x.
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
   * "tfjs") keep the blocks of a first-order solver, for gated dense or convolutional models, in float32; all else, certificates
   * too, is float64 on the host.
   */
  readonly engine?: EngineChoice;
  /**
   * How many threads the WASM engine may use, 1 to 31; the result is the same to the last bit. Default: as many as the host runs
   * side by side, at most 4. It is one on a page's main thread, and in pages that are not cross-origin isolated.
   */
  readonly threads?: number;
  /** Name of the solver; by default the first that fits. */
  readonly solver?: string;
}

/** The options with their defaults. */
export interface Settings {
  readonly formulation: "relu" | "gated" | null;
  readonly arrangements: Arrangements | null;
  readonly pricing: Pricing | null;
  readonly regularization: number | "from-model" | "auto" | Constraint | null;
  readonly tolerance: number;
  readonly maxIterations: number;
  readonly timeLimit: number;
  readonly signal: AbortSignal | null;
  readonly seed: number;
  readonly width: "keep" | "resize";
  readonly vectorPenalty: Penalty["name"] | null;
  readonly hiddenBiasScale: number | null;
  readonly rank: number | "numerical" | null;
  readonly pca: number | null;
  readonly engine: EngineChoice;
  readonly threads: number | null;
  readonly solver: string | null;
}

/** The module numbers them by the bits of a word. */
const MOST_THREADS = 31;

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
  "vectorPenalty",
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
    oneOf("regularization", regularization, ["from-model", "auto", "interpolate", "max-margin"]);
  if (signal !== undefined && !(typeof signal === "object" && signal !== null && "aborted" in signal)) {
    refuse("signal", "an AbortSignal", signal);
  }
  if (options.rank !== undefined && options.pca !== undefined) refuse("rank", "nothing beside pca", options.rank);
  if (options.solver !== undefined && typeof options.solver !== "string") refuse("solver", "a name", options.solver);
  if (arrangements !== undefined) checkArrangements(arrangements);
  if (options.pricing !== undefined) checkPricing(options.pricing);
  return {
    formulation: optional(options.formulation, (value) => oneOf("formulation", value, ["relu", "gated"])),
    arrangements: arrangements ?? null,
    pricing: options.pricing ?? null,
    regularization: regularization ?? null,
    tolerance: optional(options.tolerance, (value) => positive("tolerance", value)) ?? 1e-4,
    maxIterations: optional(options.maxIterations, (value) => count("maxIterations", value)) ?? 1000,
    timeLimit: optional(options.timeLimit, (value) => positive("timeLimit", value)) ?? Number.POSITIVE_INFINITY,
    signal: signal ?? null,
    seed: optional(options.seed, (value) => integer("seed", value)) ?? 0,
    width: optional(options.width, (value) => oneOf("width", value, ["keep", "resize"])) ?? "keep",
    vectorPenalty: optional(options.vectorPenalty, (value) => oneOf("vectorPenalty", value, ["perOutput", "nuclear"])),
    hiddenBiasScale: optional(options.hiddenBiasScale, (value) => positive("hiddenBiasScale", value)),
    rank: optional(options.rank, (value) => (value === "numerical" ? value : count("rank", value))),
    pca: optional(options.pca, (value) => count("pca", value)),
    engine: optional(options.engine, (value) => oneOf("engine", value, engineNames)) ?? "auto",
    threads: optional(options.threads, (value) => upTo(MOST_THREADS, "threads", value)),
    solver: options.solver ?? null,
  };
}

/** What model.fit takes for its descent, and a convex program has no use for. */
const DESCENT = ["epochs", "batchSize", "shuffle", "initialEpoch", "stepsPerEpoch", "validationSteps", "yieldEvery"];

/** @internal Throws on the first name of a record that is not in the list. */
export function refuseUnknown(where: string, record: object, names: readonly string[]): void {
  if (typeof record !== "object" || record === null) refuse(where, "an object of options", record);
  for (const name of Object.keys(record)) {
    if (names.includes(name)) continue;
    const advice = DESCENT.includes(name)
      ? "Leave it out: that is for gradient descent; the solver stops at the trainer's tolerance, maxIterations or timeLimit."
      : "Check the spelling or leave it out.";
    throw new ConvexError(
      "options/unknown",
      `${where}: expected options among ${names.join(", ")}, got "${name}". ${advice}`,
    );
  }
}

function checkArrangements(arrangements: Arrangements): void {
  if (typeof arrangements !== "object" || arrangements === null) {
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
    if (arrangements.starts !== undefined) count("arrangements.starts", arrangements.starts);
    if (arrangements.seed !== undefined) integer("arrangements.seed", arrangements.seed);
  } else {
    refuseUnknown("arrangements", arrangements, ["kind"]);
  }
}

function checkBatch({ method, batch }: Growth): void {
  count("arrangements.batch", batch as number);
  if (method !== "frank-wolfe") refuse("arrangements.batch", 'none without method "frank-wolfe"', batch);
}

function checkPricing(pricing: Pricing): void {
  if (typeof pricing !== "object" || pricing === null) {
    refuse("pricing", '{ kind: "search" } or { kind: "branch-and-bound" }', pricing);
  }
  oneOf("pricing.kind", pricing.kind, ["search", "branch-and-bound"]);
  refuseUnknown("pricing", pricing, pricing.kind === "search" ? ["kind"] : ["kind", "cones"]);
  if (pricing.kind === "branch-and-bound" && pricing.cones !== undefined) count("pricing.cones", pricing.cones);
}

function optional<T>(value: T | undefined, check: (value: T) => T): T | null {
  return value === undefined ? null : check(value);
}

function positive(name: string, value: number): number {
  if (typeof value !== "number" || !(value > 0) || !Number.isFinite(value))
    refuse(name, "a finite number above 0", value);
  return value;
}

function count(name: string, value: number): number {
  if (!Number.isInteger(value) || value < 1) refuse(name, "an integer of at least 1", value);
  return value;
}

function upTo(most: number, name: string, value: number): number {
  if (!Number.isInteger(value) || value < 1 || value > most) refuse(name, `an integer of 1 to ${most}`, value);
  return value;
}

function integer(name: string, value: number): number {
  if (!Number.isSafeInteger(value)) refuse(name, "an integer", value);
  return value;
}

function oneOf<T>(name: string, value: T, known: readonly T[]): T {
  if (!known.includes(value)) refuse(name, known.map((entry) => `"${entry}"`).join(" or "), value);
  return value;
}

function refuse(name: string, expected: string, got: unknown): never {
  const shown = typeof got === "string" ? `"${got}"` : String(got);
  throw new ConvexError("options/value", `${name}: expected ${expected}, got ${shown}. Change it or leave it out.`);
}
