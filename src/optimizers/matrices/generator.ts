/** Generators of a Wasserstein GAN with a quadratic or linear discriminator, in closed form or in two convex steps. */

import type * as tf from "@tensorflow/tfjs";
import { count, oneOf, positive, tolerance as readTolerance, refuse, refuseUnknown } from "../../arguments.js";
import { referenceKernels } from "../../convex/kernels/index.js";
import { columnSums } from "../../convex/linear/vectors.js";
import {
  directionsOf,
  discriminated,
  type GeneratorProblem,
  type GeneratorSolution,
  linearGenerators,
} from "../../convex/matrices/index.js";
import type { Matrix, Status } from "../../convex/types.js";
import { ConvexError } from "../../errors.js";
import { readOptions } from "../options.js";
import { readMatrix, refuseTensor } from "../read/data.js";
import { type DenseWeights, generatedRows, generatorModel } from "../write/generatorModel.js";
import { fitToRows, type SecondStep } from "./generatorSecondStep.js";
import { type ImageShape, resample } from "./resample.js";

export type { SecondStep } from "./generatorSecondStep.js";

/** Options of `trainGenerator`. */
export interface GeneratorOptions {
  /** What tells images from generated rows: sums of (x u)^2 over unit vectors (default), or x u. */
  readonly discriminator?: "quadratic" | "linear";
  /** The weight beta of the discriminator's charge: second moments (or means) that differ by less are not told apart. */
  readonly regularization?: number;
  /** In place of that: how many directions are generated at most; beta is then the next squared singular value. Default: all that the latents have. */
  readonly rank?: number;
  /** "linear" (default), or "relu": (z U)_+ A + b, whose weights a second convex program fits to what the linear one generates. */
  readonly generator?: "linear" | "relu";
  /** Sides of square images, growing, the last that of `images`: one linear layer each, which begins at what the one before generates. */
  readonly sides?: readonly number[];
  /**
   * Of the second step: hidden units at most (default as many as it takes; with fewer the network is dearer and its bound loose), the weight
   * of its decay (default 1e-3), its gap (default 1e-2), its seconds (default 60).
   */
  readonly units?: number;
  readonly decay?: number;
  readonly tolerance?: number;
  readonly timeLimit?: number;
  readonly seed?: number;
  readonly signal?: AbortSignal;
}

/** What is proven of one layer of a linear generator, given the rows that go into it. */
export interface GeneratorCertificate {
  readonly primal: number; // mean square of generated rows, less their mean (for a linear discriminator with it)
  readonly dual: number; // no rows that the discriminator can't tell from images have less
  readonly relativeGap: number;
  /** |W|^2, and what no W whose rows the discriminator can't tell from images is below. */
  readonly weights: { readonly primal: number; readonly dual: number };
  readonly beta: number;
  /** What the best discriminator sees of the rows that the layers generate as written (float32): at most beta is nothing. */
  readonly discriminated: number;
  readonly claim: string;
}

export interface GeneratorStage {
  readonly side: number | null; // of square images; null where there are no stages
  readonly rank: number; // directions that are generated
  readonly certificate: GeneratorCertificate;
}

export interface GeneratorResult {
  /**
   * Latents to images: [dense] or a dense layer a stage, or [dense(relu), dense], and a reshape where images have a shape; compiled.
   * The caller disposes.
   */
  readonly model: tf.Sequential;
  readonly stages: readonly GeneratorStage[];
  /** The last stage's certificate: of a ReLU generator that of the rows it was fitted to. */
  readonly certificate: GeneratorCertificate;
  /** Of a ReLU generator: the second step, in coordinates of the generated directions, and what a discriminator sees of its rows. */
  readonly second: (SecondStep & { readonly discriminated: number }) | null;
  readonly status: Status;
  readonly advice: string;
  readonly seconds: number;
}

const NAMES = [
  ..."discriminator regularization rank generator sides units decay tolerance timeLimit seed signal".split(" "),
];
const MOST_STAGES = 16;
const DECAY = 1e-3;
const TOLERANCE = 1e-2;
const SECONDS = 60;
/** Of the closed forms themselves. */
const ROUNDING = 1e-8;

/**
 * Trains a generator of `images` [n x d] or [n x height x width x channels] from `latents` [m x k] against the best discriminator there is
 * (Sahiner et al., ICLR 2022), a game whose value is known:
 *
 * - a quadratic discriminator sees second moments (means are brought into line by the bias): the generated rows of least variance that it
 *   can't tell from the images are a soft threshold of their squared singular values, and linear generators of least weights attain it;
 * - with `sides`, the same at one resolution after the other, each from the rows of the last;
 * - a ReLU generator takes a second program, the least weights that generate these rows. Each step is convex; the two are not one
 *   optimum (docs/claims.md, 5), and the result says so by having two certificates;
 * - a linear discriminator sees means, and one row for all latents is the optimum.
 *
 * @throws ConvexError "options/...", "data/..." for options or data that do not fit.
 *
 * @example
 * ```ts
 * const { model, certificate } = await trainGenerator(tf.randomNormal([n, 8]), x, { regularization: 0.1 });
 * certificate.relativeGap < 1e-8; // true
 * certificate.discriminated <= 0.1 * (1 + 1e-4); // true: nothing is left to see
 * ```
 */
export async function trainGenerator(
  latents: tf.Tensor,
  images: tf.Tensor,
  options: GeneratorOptions = {},
): Promise<GeneratorResult> {
  const began = performance.now();
  refuseUnknown("trainGenerator", options, NAMES);
  const wish = readWish(options);
  const rows = refuseTensor("latents", latents, [null], "the generator's input");
  const Z = await readMatrix("latents", latents, [latents.shape[1] as number], "the generator's input");
  const shape = shapeOf(images);
  const X = await readMatrix("images", images, shape, "trainGenerator");
  if (rows < 2 || X.rows < 2) refuseRows(rows, X.rows);
  const square: ImageShape = [shape[0], shape[1] ?? 1, shape[2] ?? 1];
  const layers: LinearLayer[] = [];
  for (const side of wish.sides === null ? [null] : refuseSides(wish.sides, shape)) {
    const scaled = side === null ? X : resample(X, square, [side, side, square[2]]);
    layers.push(await stageOf(layers.at(-1)?.generated ?? Z, scaled, wish, side));
  }
  const last = layers[layers.length - 1];
  const stages = layers.map(({ side, rank, certificate }) => ({ side, rank, certificate }));
  const seconds = () => (performance.now() - began) / 1000;
  const common = { stages, certificate: last.certificate };
  if (wish.generator === "linear") {
    const model = generatorModel(layers, shape);
    return { model, ...common, second: null, status: last.status, advice: last.advice, seconds: seconds() };
  }
  if (last.rank === 0) {
    refuse(
      "trainGenerator: regularization",
      "directions to generate, for ReLU units to learn",
      "none above it",
      "Lower it.",
    );
  }
  const given = { rows: last.generated, mean: last.mean, directions: last.directions };
  const { layers: dense, step } = await fitToRows(latents as tf.Tensor2D, given, wish.units, {
    ...wish.trainer,
    regularization: wish.decay,
  });
  const seen = discriminated(X, generatedRows(Z, dense), wish.discriminator);
  return {
    ...{ model: generatorModel(dense, shape), ...common, second: { ...step, discriminated: seen } },
    ...{ status: step.status, advice: step.advice, seconds: seconds() },
  };
}

interface Wish {
  readonly discriminator: "quadratic" | "linear";
  readonly regularization: number | null;
  readonly rank: number | null;
  readonly generator: "linear" | "relu";
  readonly sides: readonly number[] | null;
  readonly units: number | null;
  readonly decay: number;
  readonly trainer: { tolerance: number; timeLimit: number; seed?: number; signal?: AbortSignal };
}

function readWish(options: GeneratorOptions): Wish {
  const { discriminator = "quadratic", generator = "linear", regularization, rank, sides = null } = options;
  const { units, decay = DECAY, tolerance = TOLERANCE, timeLimit = SECONDS, seed, signal } = options;
  const where = (name: string) => `trainGenerator: ${name}`;
  if ((options.sides as unknown) === null) refuse(where("sides"), "a list of sides", null);
  oneOf(where("discriminator"), discriminator, ["quadratic", "linear"] as const);
  oneOf(where("generator"), generator, ["linear", "relu"] as const);
  if (regularization !== undefined) positive(where("regularization"), regularization);
  if (rank !== undefined) count(where("rank"), rank);
  if (regularization !== undefined && rank !== undefined) {
    refuse(where("rank"), "either a rank or a regularization", rank, "Leave one of them out.");
  }
  if (discriminator === "linear") {
    if (regularization === undefined)
      refuse(where("regularization"), "a finite number above 0 for a linear discriminator", regularization);
    if (generator === "relu")
      refuse(where("generator"), '"linear" for a linear discriminator, which sees means alone', generator);
    if (sides !== null) refuse(where("sides"), "no stages for a linear discriminator, which sees means alone", sides);
  }
  if (sides !== null && generator === "relu") refuse(where("sides"), "stages of linear generators alone", sides);
  const heard = { ...(seed === undefined ? {} : { seed }), ...(signal === undefined ? {} : { signal }) };
  readOptions(heard); // also where there is no second step that would read them
  return {
    ...{ discriminator, generator, sides },
    regularization: regularization ?? null,
    rank: rank ?? null,
    units: units === undefined ? null : count(where("units"), units),
    decay: positive(where("decay"), decay),
    trainer: {
      tolerance: readTolerance(where("tolerance"), tolerance),
      timeLimit: positive(where("timeLimit"), timeLimit),
      ...heard,
    },
  };
}

function shapeOf(images: tf.Tensor): number[] {
  const rank = (images as tf.Tensor | undefined)?.shape?.length;
  if (rank !== 2 && rank !== 4) {
    refuseTensor("images", images, [null, null, null], "trainGenerator");
    refuse("trainGenerator: images", "a tensor [n x d] or [n x height x width x channels]", `rank ${rank}`);
  }
  refuseTensor("images", images, rank === 2 ? [null] : [null, null, null], "trainGenerator");
  return images.shape.slice(1);
}

function refuseRows(latents: number, images: number): never {
  throw new ConvexError(
    "data/empty",
    `trainGenerator: expected at least 2 rows, got ${latents} of latents and ${images} of images. Second moments need several: give more.`,
  );
}

function refuseSides(sides: readonly number[], shape: readonly number[]): readonly number[] {
  const where = "trainGenerator: sides";
  if (!Array.isArray(sides) || sides.length === 0 || sides.length > MOST_STAGES) {
    refuse(where, `a list of 1 to ${MOST_STAGES} sides`, sides);
  }
  if (shape.length !== 3 || shape[0] !== shape[1]) {
    refuse(
      where,
      "images [n x side x side x channels]",
      `shape [n, ${shape.join(", ")}]`,
      "Reshape them, or leave sides out.",
    );
  }
  sides.forEach((side, k) => {
    count(where, side, shape[0], k === 0 ? 1 : sides[k - 1] + 1);
  });
  if (sides[sides.length - 1] !== shape[0])
    refuse(where, `the images' own side, ${shape[0]}, as the last`, sides[sides.length - 1]);
  return sides;
}

interface LinearLayer extends DenseWeights, GeneratorStage {
  readonly mean: Float64Array; // [d], of the images
  readonly directions: Matrix; // [rank x d]
  readonly status: Status;
  readonly advice: string;
  readonly generated: Matrix; // [m x d], by the layers as written
}

async function stageOf(Z: Matrix, X: Matrix, wish: Wish, side: number | null): Promise<LinearLayer> {
  const { discriminator, regularization, rank } = wish;
  const directions = rank ?? directionsOf(Z);
  const problem: GeneratorProblem = { Z, X, discriminator, beta: regularization ?? { directions } };
  const refusal = linearGenerators.refuses(problem);
  if (refusal !== null) {
    const at = side === null ? "" : ` (side ${side})`;
    throw new ConvexError(
      "data/shape",
      `trainGenerator: ${refusal}${at}. Give latents of more columns, raise the regularization, or set rank.`,
    );
  }
  const budget = { tolerance: ROUNDING, maxIterations: 1, seconds: Number.POSITIVE_INFINITY };
  const solved = await linearGenerators.build(problem).solve(referenceKernels, budget);
  const { rank: found, directions: along, status, advice } = solved;
  const layer = {
    W: { ...solved.W, data: solved.W.data.map(Math.fround) },
    bias: solved.bias.map(Math.fround),
    activation: "linear",
  } as const;
  const generated = generatedRows(Z, [layer]);
  const certificate = certificateOf(solved, discriminated(X, generated, discriminator), discriminator);
  const mean = columnSums(X.data, X.cols).map((sum) => sum / X.rows);
  return { ...layer, side, rank: found, directions: along, mean, status, advice, certificate, generated };
}

function certificateOf(
  { gap, weights, beta }: GeneratorSolution,
  seen: number,
  discriminator: "quadratic" | "linear",
): GeneratorCertificate {
  const [what, size] =
    discriminator === "quadratic"
      ? ["second moments, means taken away,", "variance (the mean square less their mean)"]
      : ["means", "mean square"];
  return {
    ...{ primal: gap.primal, dual: gap.dual, relativeGap: gap.relative, weights, beta, discriminated: seen },
    claim:
      `No rows whose ${what} are within ${beta.toPrecision(6)} of those of the images have a ${size} below ` +
      `${gap.dual.toPrecision(8)}; the solution has ${gap.primal.toPrecision(8)}. As written, in float32, the difference is ${seen.toPrecision(6)}.`,
  };
}
