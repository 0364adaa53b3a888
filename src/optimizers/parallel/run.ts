/** The path of a parallel network's fit, of either kind: pose, solve in rounds that are told, write, judge. */

import type * as tf from "@tensorflow/tfjs";
import type { MatrixBudget } from "../../convex/matrices/index.js";
import type { Clock } from "../../convex/solvers/clock.js";
import type { Loss } from "../../convex/types.js";
import { ConvexError } from "../../errors.js";
import type { Settings } from "../options.js";
import type { Weighting } from "../read/sampleWeights.js";
import { type Callbacks, Progress } from "../report/progress.js";
import { clockOf } from "../solve/withinWidth.js";
import { weightsBefore } from "../write/weights.js";
import { ParallelResult, type ParallelSummary } from "./result.js";
import type { ParallelWish } from "./wish.js";

/** What is to be fitted, and how. */
export interface Task extends Required<Weighting> {
  readonly x: tf.Tensor;
  readonly y: tf.Tensor;
  readonly settings: Settings;
  readonly callbacks: Callbacks | null;
  readonly verbose: number;
}

interface Posed {
  readonly loss: Loss;
}

interface Solution {
  readonly branches: readonly unknown[];
}

/** A network class, as the path needs it: P the problem that was posed, S its solution. */
export interface Network<W extends ParallelWish, P extends Posed, S extends Solution> {
  solve(problem: P, budget: MatrixBudget): Promise<S>;
  /** A compiled model of K branches; the caller disposes. */
  modelOf(wish: W, features: number, K: number): tf.Sequential;
  /** Writes the solution into K branches, and judges what the layers hold then. */
  write(
    model: tf.LayersModel,
    wish: W,
    K: number,
    solved: { readonly problem: P; readonly solution: S },
  ): Promise<Omit<ParallelSummary, "model" | "seconds">>;
  /** What is wrong with a model of too few branches, and what to do. */
  tooFew(needed: number, wish: W): string;
}

/** What poses a problem once data have been read. */
type Pose<P> = () => Promise<P>;

/** Builds a model of at least `wish.branches` branches for the optimum; the caller disposes it. */
export async function trained<W extends ParallelWish, P extends Posed, S extends Solution>(
  network: Network<W, P, S>,
  wish: W,
  task: Task,
  pose: Pose<P>,
): Promise<ParallelResult> {
  const clock = clockOf(task.settings);
  const problem = await pose();
  const features = task.x.shape[1] ?? 1;
  const draft = network.modelOf(wish, features, wish.branches);
  let model = draft;
  try {
    const { solution, progress } = await solved(network, problem, draft, task, clock);
    const K = Math.max(wish.branches, solution.branches.length);
    if (K > wish.branches) model = network.modelOf(wish, features, K);
    const said = await network.write(model, wish, K, { problem, solution });
    await progress.end();
    return new ParallelResult(progress.epoch, progress.history, { model, ...said, seconds: clock.seconds });
  } catch (error) {
    model.dispose();
    throw error;
  } finally {
    if (model !== draft) draft.dispose();
  }
}

/** Writes the optimum into a model that has the branches that it takes; the weights are as they were where anything throws. */
export async function fitted<M extends tf.LayersModel, W extends ParallelWish, P extends Posed, S extends Solution>(
  where: string,
  network: Network<W, P, S>,
  model: M,
  wish: W,
  task: Task,
  pose: Pose<P>,
): Promise<ParallelResult<M>> {
  const clock = clockOf(task.settings);
  const problem = await pose();
  const { solution, progress } = await solved(network, problem, model, task, clock);
  const needed = solution.branches.length;
  if (needed > wish.branches) throw new ConvexError("model/units", `${where}: ${network.tooFew(needed, wish)}`);
  const restore = await weightsBefore(model);
  try {
    const said = await network.write(model, wish, wish.branches, { problem, solution });
    await progress.end();
    return new ParallelResult<M>(progress.epoch, progress.history, { model, ...said, seconds: clock.seconds });
  } catch (error) {
    restore();
    throw error;
  }
}

/** The solution, its rounds told to the callbacks of a model. */
async function solved<W extends ParallelWish, P extends Posed, S extends Solution>(
  network: Network<W, P, S>,
  problem: P,
  model: tf.LayersModel,
  { settings, callbacks, verbose }: Task,
  clock: Clock,
): Promise<{ readonly solution: S; readonly progress: Progress }> {
  const { tolerance, maxIterations, timeLimit } = settings;
  const progress = new Progress(model, callbacks, verbose, tolerance, timeLimit);
  try {
    await progress.begin(problem.loss.rows, maxIterations, ["loss", "relativeGap", "seconds"]);
    const solution = await network.solve(problem, {
      ...{ tolerance, maxIterations, seconds: clock.left, stopped: clock.stopped },
      onRound: ({ index, gap }) =>
        progress.round(index, { loss: gap.primal, relativeGap: gap.relative, seconds: clock.seconds }),
    });
    return { solution, progress };
  } finally {
    progress.close();
  }
}
