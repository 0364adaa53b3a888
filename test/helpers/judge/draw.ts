/** One integer -> a small problem, over every option of the trainer. */

import type { LossName, TrainerOptions } from "../../../src/index.js";
import { Dice } from "./dice.js";
import type { Before, Convolved, L2, Recipe } from "./recipe.js";
import { drawRows } from "./rows.js";

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

const LOSSES: readonly LossName[] = [
  "meanSquaredError",
  "binaryCrossentropy",
  "categoricalCrossentropy",
  "hinge",
  "squaredHinge",
  "huberLoss",
  "meanAbsoluteError",
];

export function drawRecipe(seed: number): Recipe {
  const dice = new Dice(seed);
  const layer = dice.weighted<Recipe["layer"]>([
    ["dense", 78],
    ["conv1d", 11],
    ["conv2d", 11],
  ]);
  const formulation = layer === "conv1d" ? "relu" : dice.weighted([["relu", 65] as const, ["gated", 35] as const]);
  const loss = dice.weighted(LOSSES.map((name) => [name, name === "meanSquaredError" ? 30 : 12]));
  const outputs = dice.weighted<number>([
    [1, loss === "categoricalCrossentropy" ? 0 : 60],
    [2, 25],
    [3, 15],
  ]);
  const shape = drawShape(dice, layer);
  const inputs = shape.inputShape.reduce((product, size) => product * size, 1);
  const rows = dice.chance(0.01) ? 1 : dice.whole(2, layer === "dense" ? 14 : 8);
  const { X, what } = drawRows(dice, rows, inputs);
  const y = drawTargets(dice, loss, rows, outputs, X, inputs);
  const hiddenBias = dice.chance(0.5);
  const outputBias = dice.chance(0.5);
  const beta = betaFor(dice, X, y, rows, inputs);
  const drawn: Mutable<Recipe> = {
    seed,
    layer,
    formulation,
    slope: formulation === "gated" ? 0 : drawSlope(seed),
    loss,
    outputs,
    rows,
    inputShape: shape.inputShape,
    data: what,
    x: X,
    y,
    hiddenBias,
    outputBias,
    units: dice.chance(0.8) ? 40 : dice.whole(1, 12),
    l2: { hidden: 0, hiddenBias: 0, output: 0, outputBias: 0 },
    sampleWeight: null,
    classWeight: null,
    options: {},
    convolution: shape.convolution,
    skip: null,
    before: { kind: "nothing" },
    use: "warmStart",
    nearby: X.map((value) => Math.fround(value * (1 + 1e-3 * dice.gauss()))),
    senseless: false,
  };
  drawWeights(dice, drawn);
  drawOptions(dice, drawn, beta);
  if (dice.chance(0.2)) drawn.before = { kind: dice.pick(BEFORE) };
  if (drawn.before.kind !== "nothing") fitBefore(dice, drawn);
  drawn.skip = drawSkip(drawn, beta);
  drawn.senseless = isSenseless(drawn);
  return drawn;
}

const BEFORE: readonly Exclude<Before["kind"], "nothing">[] = [
  "own result",
  "other beta",
  "other formulation",
  "nearby data",
  "nearby data",
  "few rounds",
];

/** With dice of its own, so that all else of a seed is as it was before there were slopes. */
function drawSlope(seed: number): number {
  const dice = new Dice(seed + 0x51098);
  if (dice.chance(0.85)) return 0;
  return Math.fround(dice.pick([0.3, 0.01, -1, 0.2, -0.5, dice.power(-2, 0.5)]));
}

/** The same; a free one only where it does not fit all targets alone. */
function drawSkip({ seed, layer, loss, rows, inputShape }: Recipe, beta: number): Recipe["skip"] {
  const dice = new Dice(seed + 0x5c07);
  const fits = layer === "dense" && loss !== "hinge" && loss !== "meanAbsoluteError";
  if (dice.chance(0.85) || !fits) return null;
  const free = dice.chance(0.5) && rows > inputShape[0] + 2;
  return { l2: free ? 0 : Math.fround(beta * dice.power(-2, 2)), bias: dice.chance(0.4) };
}

function drawShape(dice: Dice, layer: Recipe["layer"]): { inputShape: number[]; convolution: Convolved | null } {
  if (layer === "dense") {
    const inputShape = [
      dice.weighted([
        [1, 20],
        [2, 40],
        [3, 22],
        [4, 8],
        [dice.whole(5, 16), 10],
      ]),
    ];
    return { inputShape, convolution: null };
  }
  const channels = dice.whole(1, 2);
  const [height, width] = layer === "conv1d" ? [1, dice.whole(3, 5)] : [dice.whole(2, 3), dice.whole(2, 3)];
  const size = (length: number) => dice.whole(1, Math.min(2, length));
  const convolution: Convolved = {
    kernelSize: layer === "conv1d" ? [1, size(width)] : [size(height), size(width)],
    strides: dice.chance(0.8) ? [1, 1] : layer === "conv1d" ? [1, 2] : [2, 2],
    padding: dice.pick(["valid", "same"]),
    dilation: 1,
    readOut: dice.pick(["average", "flatten", "windows"]),
    window: 2,
  };
  const inputShape = layer === "conv1d" ? [width, channels] : [height, width, channels];
  return { inputShape, convolution };
}

function drawTargets(dice: Dice, loss: LossName, n: number, C: number, X: readonly number[], d: number): number[] {
  const kind = dice.weighted([
    ["random", 70],
    ["equal", 5],
    ["linear", 15],
    ["whole", 10],
  ]);
  const scale = dice.weighted<number>([
    [1, 80],
    [1e3, 10],
    [1e-3, 10],
  ]);
  const direction = Array.from({ length: d * C }, () => dice.gauss());
  const largest = X.reduce((most, value) => Math.max(most, Math.abs(value)), 1e-30);
  const score = (k: number, c: number) => {
    if (kind === "equal") return 1;
    if (kind !== "linear") return dice.gauss();
    let sum = 0;
    for (let p = 0; p < d; p++) sum += (X[k * d + p] / largest) * direction[p * C + c];
    return sum;
  };
  const y: number[] = [];
  for (let k = 0; k < n; k++) {
    const scores = Array.from({ length: C }, (_, c) => score(k, c));
    const top = scores.indexOf(Math.max(...scores));
    for (let c = 0; c < C; c++) {
      if (loss === "categoricalCrossentropy") y.push(c === top ? 1 : 0);
      else if (loss === "binaryCrossentropy") y.push(scores[c] > 0 ? 1 : 0);
      else if (loss === "hinge" || loss === "squaredHinge") y.push(scores[c] > 0 ? 1 : -1);
      else y.push(Math.fround(scale * (kind === "whole" ? Math.round(scores[c]) : scores[c])));
    }
  }
  if (loss === "binaryCrossentropy" && dice.chance(0.1)) return y.map((value) => Math.fround(0.1 + 0.8 * value));
  return y;
}

/** A share of what the rows and targets could ask for: large ones make the zero network best, small ones fit closely. */
function betaFor(dice: Dice, X: readonly number[], y: readonly number[], n: number, d: number): number {
  let square = 0;
  for (const value of X) square += value * value;
  const length = Math.sqrt(square / n) || 1;
  const target = Math.sqrt(y.reduce((sum, value) => sum + value * value, 0) / y.length) || 1;
  const share = dice.power(-4, dice.pick([-2, -1, 0]));
  return Math.min(1e30, Math.max(1e-30, share * length * target)) / Math.sqrt(d);
}

function drawWeights(dice: Dice, drawn: Mutable<Recipe>): void {
  const { rows, outputs, loss } = drawn;
  if (dice.chance(0.2)) {
    const zeros = dice.chance(0.4);
    const weights = Array.from({ length: rows }, () =>
      zeros && dice.chance(0.3) ? 0 : Math.fround(dice.power(-1, 0.5)),
    );
    if (!weights.some((weight) => weight > 0)) weights[0] = 1;
    drawn.sampleWeight = weights;
  }
  if (dice.chance(0.12)) {
    const labels =
      loss === "categoricalCrossentropy"
        ? Array.from({ length: outputs }, (_, c) => c)
        : outputs === 1 && loss === "binaryCrossentropy" && drawn.y.every((value) => value === 0 || value === 1)
          ? [0, 1]
          : null;
    if (labels !== null) {
      const first = dice.chance(0.25) ? 0 : dice.power(-1, 1);
      drawn.classWeight = Object.fromEntries(labels.map((label) => [label, label === 0 ? first : dice.power(-1, 1)]));
    }
  }
}

function drawOptions(dice: Dice, drawn: Mutable<Recipe>, beta: number): void {
  const { formulation, layer, outputs, loss, rows, inputShape, hiddenBias } = drawn;
  const options: Mutable<TrainerOptions> = { timeLimit: 60, maxIterations: 400, threads: 1 };
  const dense = layer === "dense";
  const gated = formulation === "gated";
  if (dice.chance(0.3)) options.tolerance = dice.pick([1e-2, 1e-3, 1e-6, 1e-8]);
  if (dice.chance(0.3)) options.seed = dice.whole(0, 99);
  const margins = loss === "hinge" || loss === "squaredHinge" || loss === "binaryCrossentropy";
  const plain = drawn.sampleWeight === null && drawn.classWeight === null;
  const constraint = margins ? "max-margin" : "interpolate";
  const regularization = dice.weighted([
    ["number", 40],
    ["layers", 30],
    ["auto", 20],
    ["constraint", plain && loss !== "categoricalCrossentropy" ? 10 : 0],
  ]);
  if (regularization === "number") options.regularization = beta;
  else if (regularization === "layers") drawn.l2 = drawL2(dice, drawn, beta);
  else if (regularization === "constraint") options.regularization = constraint;
  else if (dice.chance(0.5)) options.regularization = "auto";
  if (drawn.outputBias && drawn.l2.outputBias === 0 && regularization !== "layers" && dice.chance(0.3))
    drawn.l2 = { ...drawn.l2, outputBias: beta };
  if (hiddenBias && regularization !== "layers" && dice.chance(0.15)) options.hiddenBiasScale = dice.power(-1, 1);

  const constrained = regularization === "constraint";
  const dimensions = dense ? inputShape[0] + Number(hiddenBias) : 99;
  const few = dimensions <= 3 || (dimensions <= 4 && rows <= 9) || rows <= 5;
  const kind = dice.weighted([
    ["default", 30],
    ["sample", 20],
    ["enumerate", few ? 30 : 0],
    ["grow", gated || constrained ? 0 : 20],
    ["frank-wolfe", gated || constrained ? 0 : 5],
  ]);
  if (kind === "sample") options.arrangements = { kind, count: dice.whole(1, 20), seed: dice.whole(0, 9) };
  if (kind === "enumerate") options.arrangements = { kind };
  if (kind === "grow") {
    options.arrangements = {
      kind,
      ...(dice.chance(0.5) ? { count: dice.whole(1, 10), starts: dice.whole(1, 30) } : {}),
    };
  }
  if (kind === "frank-wolfe") options.arrangements = { kind: "grow", method: "frank-wolfe", starts: dice.whole(5, 30) };

  if (!gated && !constrained && dense && dimensions <= 4 && dice.chance(0.25))
    options.pricing = { kind: "branch-and-bound", cones: dice.pick([50, 1000, 5000]) };
  if (dense && !(constrained && dice.chance(0.9)) && dice.chance(0.15)) {
    if (hiddenBias && drawn.l2.hiddenBias === 0 && dice.chance(0.4)) options.pca = dice.whole(1, inputShape[0]);
    else options.rank = dice.chance(0.4) ? "numerical" : dice.whole(1, inputShape[0]);
  }
  const reduced = options.rank !== undefined || options.pca !== undefined;
  if (outputs > 1 && dice.chance(0.5))
    options.vectorPenalty = reduced && !gated ? "perOutput" : dice.pick(["perOutput", "nuclear"]);
  // Seeds that are kept go on to draw what they drew: a half of what was FISTA is another solver since.
  const named = ["admm", "admm", "proximal-newton", "proximal-newton", "fista", "stochastic"] as const;
  if (dice.chance(0.1)) options.solver = dice.pick(named);
  if (dice.chance(0.1)) options.engine = dice.pick(["cpu", "wasm"]);
  if (dice.chance(0.4)) options.width = "resize";
  if (dice.chance(0.05)) options.maxIterations = dice.whole(1, 5);
  if (dice.chance(0.1)) options.formulation = formulation;
  drawn.options = options;
}

/** 2 sqrt(g1 g2) = beta, with factors that differ. */
function drawL2(dice: Dice, { hiddenBias, outputBias }: Recipe, beta: number): L2 {
  const tilt = dice.chance(0.5) ? 1 : dice.power(-2, 2);
  const hidden = Math.fround((beta / 2) * tilt);
  return {
    hidden,
    hiddenBias: hiddenBias && dice.chance(0.5) ? hidden * dice.power(-1, 1) : 0,
    output: beta / (2 * tilt),
    outputBias: outputBias && dice.chance(0.5) ? beta * dice.power(-1, 1) : 0,
  };
}

/** An earlier result takes the place of named gates, or goes beside growing ones. */
function fitBefore(dice: Dice, drawn: Mutable<Recipe>): void {
  const { arrangements, ...rest } = drawn.options;
  const grows = arrangements !== undefined && "kind" in arrangements && arrangements.kind === "grow";
  drawn.use = dice.chance(0.25) && !grows ? "arrangements" : "warmStart";
  drawn.options = grows ? drawn.options : rest;
  if (drawn.before.kind === "nearby data" && dice.chance(0.5)) {
    // The complete set of rows that are equal is not that of rows moved apart.
    const d = drawn.inputShape.reduce((product, size) => product * size, 1);
    const x = [...drawn.x];
    for (let p = 0; p < d && drawn.rows > 2; p++) x[d + p] = x[p];
    drawn.nearby = x;
  }
}

/** Options that contradict one another, which the trainer must refuse. */
function isSenseless({ options, l2, convolution, formulation, before, skip }: Recipe): boolean {
  const grows =
    options.arrangements !== undefined && "kind" in options.arrangements && options.arrangements.kind === "grow";
  return (
    (convolution !== null && (options.rank !== undefined || options.pca !== undefined)) ||
    (options.pca !== undefined && l2.hiddenBias > 0) ||
    (skip !== null && (options.rank !== undefined || options.pca !== undefined)) ||
    (skip !== null && (options.regularization === "interpolate" || options.regularization === "max-margin")) ||
    (formulation === "gated" && grows) ||
    before.kind === "other formulation"
  );
}
