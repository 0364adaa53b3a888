/** One integer -> a random small problem, its fit, and the judgement of all that the result says. */

import * as tf from "@tensorflow/tfjs";
import { ConvexError, ConvexReLUTrainer, type FitArgs, type FitResult, type TrainerOptions } from "../../src/index.js";
import { Dice } from "./judge/dice.js";
import { drawRecipe } from "./judge/draw.js";
import { modelOf, tensorsOf } from "./judge/models.js";
import type { Recipe } from "./judge/recipe.js";
import { type Failure, judge } from "./judge/verdict.js";

export interface Verdict {
  readonly seed: number;
  readonly recipe: Recipe;
  /** The status of the fit, or the code of its refusal. */
  readonly outcome: string;
  readonly scope: string;
  readonly failures: readonly Failure[];
  readonly message: string; // of a refusal
  readonly room: number;
  readonly seconds: number; // of the processor
}

export async function judgeSeed(seed: number, descents = 30): Promise<Verdict> {
  return judgeRecipe(drawRecipe(seed), descents);
}

export async function judgeRecipe(recipe: Recipe, descents = 30): Promise<Verdict> {
  const began = now();
  const held = tf.memory().numTensors;
  const tensors = tensorsOf(recipe);
  const model = modelOf(recipe);
  const failures: Failure[] = [];
  let said: Pick<Verdict, "outcome" | "scope" | "message" | "room"> = {
    outcome: "",
    scope: "",
    message: "",
    room: Number.NaN,
  };
  let result: FitResult | null = null;
  try {
    const weights = weightsIn(model);
    const { options, args } = await withBefore(recipe);
    const living = tf.memory().numTensors;
    try {
      result = await new ConvexReLUTrainer(options).fit(model, tensors.x, tensors.y, args);
    } catch (error) {
      said = { ...said, ...refusal(error, failures, weights, model) };
    }
    const resized = result !== null && result.model !== model; // then a model more lives, which the end disposes
    const left = tf.memory().numTensors - living;
    if (left !== 0 && !resized) failures.push({ kind: "tensors left behind", detail: `${left} (${said.outcome})` });
    if (result !== null) {
      const judged = judge(recipe, result, tensors, new Dice(recipe.seed + 0.5), descents);
      failures.push(...judged.failures);
      said = { outcome: result.status, scope: result.certificate.scope, message: "", room: judged.room };
      if (recipe.senseless && recipe.before.kind === "nothing")
        failures.push({ kind: "options that contradict one another taken", detail: JSON.stringify(recipe.options) });
    }
  } catch (error) {
    if (!(error instanceof BeforeRefused)) throw error;
    said = { ...said, outcome: `before: ${error.message}` };
  } finally {
    if (result !== null && result.model !== model) result.model.dispose();
    model.dispose();
    tf.dispose([tensors.x, tensors.y]);
  }
  const left = tf.memory().numTensors - held;
  if (left !== 0 && !failures.some(({ kind }) => kind === "tensors left behind"))
    failures.push({ kind: "tensors left behind", detail: `${left} in the end` });
  return { seed: recipe.seed, recipe, ...said, failures, seconds: now() - began };
}

/** An earlier fit that the trainer refused: nothing to judge. */
class BeforeRefused extends Error {}

/** The options and arguments of the fit, after the earlier one where there is one. */
async function withBefore(recipe: Recipe): Promise<{ options: TrainerOptions; args: FitArgs }> {
  const { options, sampleWeight, classWeight, before, use } = recipe;
  const args: FitArgs = {
    ...(sampleWeight === null ? {} : { sampleWeight: [...sampleWeight] }),
    ...(classWeight === null ? {} : { classWeight }),
  };
  if (before.kind === "nothing") return { options, args };
  const earlier = await earlierResult(recipe, args);
  if (use === "arrangements") return { options: { ...options, arrangements: earlier.gates }, args };
  return { options, args: { ...args, warmStart: { gates: earlier.gates, blocks: earlier.blocks } } };
}

async function earlierResult(recipe: Recipe, args: FitArgs): Promise<FitResult> {
  const { before, options, l2, formulation } = recipe;
  const { regularization } = options;
  const other = formulation === "relu" ? ("gated" as const) : ("relu" as const);
  let first: Recipe = { ...recipe, units: 400, options: { ...options, width: "resize", tolerance: 1e-4 } };
  if (before.kind === "other beta") {
    const factor = 3;
    if (typeof regularization === "number")
      first = { ...first, options: { ...first.options, regularization: factor * regularization } };
    else
      first = {
        ...first,
        l2: { ...l2, hidden: l2.hidden * factor, output: l2.output * factor, hiddenBias: l2.hiddenBias * factor },
      };
  } else if (before.kind === "few rounds") {
    first = { ...first, options: { ...first.options, maxIterations: 2 } };
  } else if (before.kind === "other formulation") {
    const { pricing: _pricing, formulation: _formulation, arrangements: _arrangements, ...rest } = first.options;
    first = { ...first, formulation: other, options: { ...rest, arrangements: { kind: "sample", count: 12 } } };
  }
  const model = modelOf(first);
  const { x, y } = tensorsOf(first, before.kind === "nearby data" ? recipe.nearby : recipe.x);
  try {
    const result = await new ConvexReLUTrainer(first.options).fit(model, x, y, args);
    if (result.model !== model) result.model.dispose();
    return result;
  } catch (error) {
    if (!(error instanceof ConvexError)) throw error;
    throw new BeforeRefused(error.code);
  } finally {
    model.dispose();
    tf.dispose([x, y]);
  }
}

function refusal(
  error: unknown,
  failures: Failure[],
  weights: readonly Float32Array[],
  model: tf.Sequential,
): { outcome: string; message: string } {
  const same = weightsIn(model).every((values, k) => values.every((value, p) => Object.is(value, weights[k][p])));
  if (!same) failures.push({ kind: "weights changed by a refused fit", detail: String(error) });
  if (error instanceof ConvexError) return { outcome: error.code, message: error.message };
  failures.push({
    kind: "an error that is no ConvexError",
    detail: error instanceof Error ? `${error.stack}` : String(error),
  });
  return { outcome: "error", message: String(error) };
}

function weightsIn(model: tf.Sequential): Float32Array[] {
  return model.getWeights().map((weight) => Float32Array.from(weight.dataSync()));
}

function now(): number {
  return typeof process === "undefined" ? performance.now() / 1000 : process.cpuUsage().user / 1e6;
}
