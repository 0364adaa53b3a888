/** What a fit answers with: a tf.History with the certificate and everything that explains it. */

import * as tf from "@tensorflow/tfjs";
import { refuseAs } from "../../arguments.js";
import type { Certificate, GateSet, SparseBlocks, Status } from "../../convex/types.js";
import type { Objective, Problem, Regularization } from "../records.js";

/** One hidden layer of `depth: "layerwise"`, trained on what the layers below it compute. */
export interface Stage {
  readonly layer: string; // its name
  /** Loss and regularizers of the network up to here, under a read-out of its own. */
  readonly objective: number;
  /** What the program of this stage begins at where it takes the read-out before on, by its own loss and two layers; null without. */
  readonly carried: number | null;
  readonly relativeGap: number; // of the stage's program, given its features
  readonly status: Status;
  /** Loss on the rows held out; null without. */
  readonly validationLoss: number | null;
  /** Whether the model computes what this stage does. */
  readonly chosen?: boolean;
}

/** What every fit says of what it trained; `M` is the class of the model. */
export interface TrainedSummary<M extends tf.LayersModel = tf.Sequential> {
  /** The model with the weights: the one that was given, or the wider one of width "resize". */
  readonly model: M;
  readonly certificate: Certificate;
  readonly objective: Objective;
  readonly status: Status;
  readonly advice: string;
  /** Neurons of the program's network that are not zero; NaN where there is no program. */
  readonly neurons: number;
  readonly regularization: Regularization;
  /** How the objective was read, in sentences. */
  readonly notes: readonly string[];
  readonly solver: string;
  readonly engine: string;
  readonly seconds: number;
}

/** Everything beside the history. */
export interface FitSummary<M extends tf.LayersModel = tf.Sequential> extends TrainedSummary<M> {
  /** The gates of the program and its solution: pass the result as `warmStart` to begin from them. */
  readonly gates: GateSet;
  readonly blocks: SparseBlocks;
  /** The program that was solved, with the data as float64: what optimalSet and describeNetwork go on from. */
  readonly problem: Problem;
  /** Of depth "layerwise": its stages. */
  readonly stages?: readonly Stage[];
  /** Of a model that a descent alone has trained: what there is no convex program for. Then gates, blocks and problem refuse. */
  readonly noProgram?: string;
}

/** A tf.History whose epochs are rounds of the solver, with a summary of its own. */
export abstract class RoundsResult<S extends object> extends tf.History {
  constructor(epoch: readonly number[], history: Readonly<Record<string, number[]>>, summary: S) {
    super();
    this.epoch = [...epoch];
    this.history = { ...history };
    Object.assign(this, summary);
  }
}

/** The same of a fit. */
export abstract class TrainedResult<S extends TrainedSummary<M>, M extends tf.LayersModel = tf.Sequential>
  extends RoundsResult<S>
  implements TrainedSummary<M>
{
  declare readonly model: M;
  declare readonly certificate: Certificate;
  declare readonly objective: Objective;
  declare readonly status: Status;
  declare readonly advice: string;
  declare readonly neurons: number;
  declare readonly regularization: Regularization;
  declare readonly notes: readonly string[];
  declare readonly solver: string;
  declare readonly engine: string;
  declare readonly seconds: number;
}

/** What a fit answers with. */
export class FitResult<M extends tf.LayersModel = tf.Sequential>
  extends TrainedResult<FitSummary<M>, M>
  implements FitSummary<M>
{
  declare readonly gates: GateSet;
  declare readonly blocks: SparseBlocks;
  declare readonly problem: Problem;
  declare readonly stages?: readonly Stage[];
  declare readonly noProgram?: string;

  /** The result for a model of which no part has a convex program: asked for that, or what is of it, it refuses. */
  static withoutProgram<M extends tf.LayersModel>(
    epoch: readonly number[],
    history: Readonly<Record<string, number[]>>,
    summary: SummaryAlone<M>,
  ): FitResult<M> {
    const result = new FitResult<M>(epoch, history, summary as FitSummary<M>);
    for (const name of OF_PROGRAM) {
      const get = () =>
        refuseAs(
          "FitResult",
          `a model with a convex program for result.${name}`,
          summary.noProgram,
          "result.certificate, result.objective and result.notes say what there is.",
          "model/layer",
        );
      Object.defineProperty(result, name, { get });
    }
    return result;
  }
}

/** What a result has of its program alone. */
const OF_PROGRAM = ["gates", "blocks", "problem"] as const;

/** What there is to say of a descent alone. */
export type SummaryAlone<M extends tf.LayersModel = tf.Sequential> = Omit<
  FitSummary<M>,
  (typeof OF_PROGRAM)[number]
> & {
  readonly noProgram: string;
};
