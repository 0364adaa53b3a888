/** What a fit of a parallel network answers with. */

import type * as tf from "@tensorflow/tfjs";
import type { Status } from "../../convex/types.js";
import type { Objective } from "../records.js";
import { RoundsResult } from "../report/result.js";
import type { ParallelCertificate } from "./written.js";

/** Everything beside the history; `M` is the class of the model. */
export interface ParallelSummary<M extends tf.LayersModel = tf.Sequential> {
  /**
   * Dense layers, before them an OnesColumn where hidden neurons have a bias; the kernels between the first and the last are block diagonal. Gated:
   * GatedBranches - dense in their place, of several outputs with branches that share gates. Compiled, its regularizers those of the objective.
   * The caller disposes.
   */
  readonly model: M;
  readonly certificate: ParallelCertificate;
  readonly objective: Objective;
  readonly status: Status;
  readonly advice: string;
  readonly branches: number; // that are not zero
  /** Blocks that the bound is over, and those that the program was solved over in the end. */
  readonly blocks: { readonly count: number; readonly solved: number };
  readonly rounds: number;
  readonly seconds: number;
}

/** A tf.History whose epochs are rounds of the solver, with `loss`, `relativeGap` and `seconds`, and what is known of the network. */
export class ParallelResult<M extends tf.LayersModel = tf.Sequential>
  extends RoundsResult<ParallelSummary<M>>
  implements ParallelSummary<M>
{
  declare readonly model: M;
  declare readonly certificate: ParallelCertificate;
  declare readonly objective: Objective;
  declare readonly status: Status;
  declare readonly advice: string;
  declare readonly branches: number;
  declare readonly blocks: ParallelSummary["blocks"];
  declare readonly rounds: number;
  declare readonly seconds: number;
}
