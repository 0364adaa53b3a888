/** Judges every round of the solver as model.fit judges an epoch, and hands it to the callbacks. */

import type * as tf from "@tensorflow/tfjs";
import { relativeGap, sharedAtLeast } from "../../convex/certificate/index.js";
import type { Network } from "../../convex/network.js";
import type { SharedRound } from "../../convex/sharing/index.js";
import type { Round, Solution } from "../../convex/solvers/solve.js";
import type { ConvexProgram, Gap } from "../../convex/types.js";
import { programWeights } from "../pose/programWeights.js";
import type { Dataset } from "../read/data.js";
import type { NetworkSpec } from "../read/model.js";
import type { Problem } from "../records.js";
import { SplitEvaluator } from "./evaluate.js";
import { type Callbacks, Progress } from "./progress.js";

export class Watch {
  readonly progress: Progress;
  readonly names: readonly string[];
  private readonly evaluator: SplitEvaluator;
  private readonly detailed: boolean;
  private readonly shares: boolean;
  private rounds = 0;

  constructor(
    model: tf.LayersModel,
    spec: NetworkSpec,
    private readonly problem: Problem,
    data: { readonly train: Dataset; readonly validation: Dataset | null },
    how: {
      readonly callbacks: Callbacks | null | undefined;
      readonly verbose: number;
      readonly tolerance: number;
      readonly timeLimit?: number;
      readonly heard: boolean; // whether anybody hears of metrics
      readonly shares: boolean; // whether neurons come to feed several outputs after the program, where each feeds one
    },
  ) {
    const { program, column } = problem;
    const { validation } = data;
    this.progress = new Progress(model, how.callbacks, how.verbose, how.tolerance, how.timeLimit);
    const metrics = model.metricsNames.slice(1);
    this.detailed = how.heard && (metrics.length > 0 || validation !== null);
    this.evaluator = new SplitEvaluator(model, spec, program.X, column.value, data);
    const own = ["loss", ...metrics];
    this.shares = how.shares;
    const gaps = ["relativeGap", ...(how.shares ? ["perOutputGap"] : [])];
    this.names = [...own, ...(validation === null ? [] : own.map((name) => `val_${name}`)), ...gaps, "seconds"];
  }

  async round({ gap, seconds, index, blocks, program }: Round): Promise<boolean> {
    const network = () => this.problem.formulation.recover(program, blocks);
    return this.judge(index, { loss: gap.primal, ...this.gapsOf(gap), seconds }, program, network);
  }

  /** The gap is about networks like the one to be returned; that of the program whose neurons feed one output each has its name. */
  private gapsOf({ primal, dual, relative }: Gap): Record<string, number> & { relativeGap: number } {
    if (!this.shares) return { relativeGap: relative };
    const { outputs } = this.problem.spec;
    return {
      relativeGap: relativeGap(primal, sharedAtLeast(dual, outputs), this.problem.program),
      perOutputGap: relative,
    };
  }

  /** A round after the program's, in which neurons came to feed several outputs. */
  async sharedRound(
    { gap, seconds, network }: SharedRound,
    program: ConvexProgram,
    before: Solution,
  ): Promise<boolean> {
    const gaps = { relativeGap: gap.relative, perOutputGap: before.gap.relative };
    const logs = { loss: gap.primal, ...gaps, seconds: before.seconds + seconds };
    return this.judge(this.rounds, logs, program, () => network);
  }

  private async judge(
    index: number,
    { loss, ...rest }: Readonly<Record<string, number> & { loss: number; relativeGap: number; seconds: number }>,
    program: ConvexProgram,
    network: () => Network,
  ): Promise<boolean> {
    this.rounds = index + 1;
    const logs: Record<string, number> = { loss };
    if (this.detailed) {
      const { loss: _loss, ...others } = await this.evaluator.judge(
        programWeights({ ...this.problem, program }, network()),
      );
      Object.assign(logs, others);
    }
    return this.progress.round(index, { ...logs, ...rest });
  }
}
