/** Gated branches solved for on tensors: the program of their layers, or of gates that are drawn. */

import type * as tf from "@tensorflow/tfjs";
import { chooseEngine } from "../../../convex/kernels/index.js";
import { bindLoss } from "../../../convex/losses/index.js";
import {
  type BranchGates,
  distinctGates,
  drawBranchGates,
  type GatedBranchProblem,
  type GatedBranchSolution,
  refusesGated,
  solveGatedBranches,
} from "../../../convex/parallel/gated/index.js";
import type { Matrix } from "../../../convex/types.js";
import { ConvexError } from "../../../errors.js";
import type { Settings } from "../../options.js";
import { readData, refuseDegenerate, withColumn } from "../../read/data.js";
import type { Weighting } from "../../read/sampleWeights.js";
import { type GatedParts, type GatedWish, gatedModelOf, gatedPartsOf, gatedWishOf } from "./wish.js";
import { heldBranches, writtenGated } from "./written.js";

export { type GatedParts, type GatedWish, gatedPartsOf } from "./wish.js";

type Budget = Pick<Settings, "tolerance" | "maxIterations" | "timeLimit" | "signal" | "seed">;

interface Task extends Weighting {
  readonly x: tf.Tensor;
  readonly y: tf.Tensor;
  readonly settings: Budget;
}

/** A new model of so many drawn branches, or more where several outputs need them; the caller disposes it. */
export async function trainGated(where: string, wish: GatedWish, task: Task) {
  const features = task.x?.shape?.[1] ?? 1;
  const inputs = features + Number(wish.hiddenBias);
  refuseMany(where, inputs, wish);
  const gates = drawBranchGates(inputs, wish.hidden, wish.branches, task.settings.seed);
  const solved = await solveFor(where, wish, features, task, gates);
  const K = Math.max(wish.branches, solved.solution.branches.length);
  const model = gatedModelOf(wish, features, K);
  return { model, ...(await writtenGated(gatedPartsOf(model) as GatedParts, wish, K, solved)) };
}

/** The same over the gates that a model's layer has. */
export async function fitGated(where: string, model: tf.LayersModel, parts: GatedParts, task: Task) {
  const wish = gatedWishOf(model, parts);
  const held = (await heldBranches(parts)).layers.gates;
  refuseNaN(where, parts, held.first.data, held.second);
  const { distinct: gates } = distinctGates(held);
  const solved = await solveFor(where, wish, model.inputs[0].shape[1] ?? 1, task, gates);
  const needed = solved.solution.branches.length;
  if (needed > wish.branches) {
    throw new ConvexError(
      "model/units",
      `${where}: expected at least ${needed} branches, of which several share gates, got ${wish.branches}. ` +
        `Build the layer with branches: ${needed}, or raise the regularization.`,
    );
  }
  return writtenGated(parts, wish, wish.branches, solved);
}

async function solveFor(
  where: string,
  wish: GatedWish,
  features: number,
  { x, y, settings, sampleWeight = null, classWeight = null }: Task,
  gates: BranchGates,
): Promise<{ readonly problem: GatedBranchProblem; readonly solution: GatedBranchSolution }> {
  const { outputs, loss: name, hiddenBias, labels = "as the loss has them" } = wish;
  const spec = { inputShape: [features], convolution: null, outputs, loss: name, hiddenBias, labels };
  const data = await readData(x, y, spec, { sampleWeight, classWeight });
  refuseDegenerate(data);
  const X: Matrix = hiddenBias ? withColumn(data.x, 1) : data.x;
  refuseMasks(where, X.rows, gates.second.length);
  const problem: GatedBranchProblem = {
    ...{ X, loss: bindLoss(name, data.y, data.weights), outputBias: wish.outputBias ? { ridge: 0 } : null },
    ...{ beta: wish.regularization, gates, charge: wish.charge === "power" ? "sum" : "frobenius" },
  };
  const refusal = refusesGated(problem);
  if (refusal !== null) {
    throw new ConvexError("model/loss", `${where}: ${refusal}. Choose another loss, or charge: "power".`);
  }
  const { tolerance, maxIterations, timeLimit, signal } = settings;
  const budget = { tolerance, maxIterations, seconds: timeLimit, stopped: () => signal?.aborted === true };
  const { kernels } = await chooseEngine("auto");
  return { problem, solution: await solveGatedBranches(problem, kernels, budget) };
}

/** Numbers of the gates of all branches together: 2 GB. */
const MOST_NUMBERS = 2 ** 28;

function refuseMany(where: string, inputs: number, { branches, hidden }: GatedWish): void {
  const numbers = inputs * branches * hidden;
  if (numbers <= MOST_NUMBERS) return;
  throw new ConvexError(
    "data/size",
    `${where}: expected gates of at most ${MOST_NUMBERS} numbers, got ${branches} branches of ${hidden} neurons on ${inputs} columns, ` +
      `${numbers}. Ask for fewer branches or neurons.`,
  );
}

function refuseMasks(where: string, rows: number, neurons: number): void {
  const words = Math.ceil(rows / 32) * neurons;
  if (words <= MOST_NUMBERS) return;
  throw new ConvexError(
    "data/size",
    `${where}: expected at most ${32 * MOST_NUMBERS} rows times hidden neurons, got ${rows} rows and ${neurons} neurons. ` +
      `Ask for fewer branches or neurons, or give fewer rows.`,
  );
}

function refuseNaN(where: string, { branches }: GatedParts, ...gates: readonly Float64Array[]): void {
  if (gates.every((values) => values.every(Number.isFinite))) return;
  throw new ConvexError(
    "model/weights",
    `${where}: expected finite gates in layer "${branches.name}", got NaN or infinite ones. Draw them anew.`,
  );
}
