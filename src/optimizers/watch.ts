/** Judges every round of the solver as model.fit judges an epoch, and hands it to the callbacks. */

import type * as tf from "@tensorflow/tfjs";
import type { Round } from "../convex/solvers/solve.js";
import { SplitEvaluator } from "./evaluate.js";
import type { Problem } from "./pose.js";
import { type Callbacks, Progress } from "./progress.js";
import type { Dataset } from "./readData.js";
import type { NetworkSpec } from "./readModel.js";
import { programWeights } from "./solvePosed.js";

export class Watch {
  readonly progress: Progress;
  readonly names: readonly string[];
  private readonly evaluator: SplitEvaluator;
  private readonly detailed: boolean;

  constructor(
    model: tf.Sequential,
    spec: NetworkSpec,
    private readonly problem: Problem,
    data: { readonly train: Dataset; readonly validation: Dataset | null },
    how: { readonly callbacks: Callbacks | null | undefined; readonly verbose: number; readonly tolerance: number },
  ) {
    const { program, column } = problem;
    const { validation } = data;
    this.progress = new Progress(model, how.callbacks, how.verbose, how.tolerance);
    const metrics = model.metricsNames.slice(1);
    this.detailed = metrics.length > 0 || validation !== null;
    this.evaluator = new SplitEvaluator(model, spec, program.X, column.value, data);
    const own = ["loss", ...metrics];
    this.names = [...own, ...(validation === null ? [] : own.map((name) => `val_${name}`)), "relativeGap", "seconds"];
  }

  async round(round: Round): Promise<boolean> {
    const { gap, seconds, index, blocks, program } = round;
    const logs: Record<string, number> = { loss: gap.primal };
    if (this.detailed) {
      const network = this.problem.formulation.recover(program, blocks);
      const { loss: _loss, ...others } = await this.evaluator.judge(
        programWeights({ ...this.problem, program }, network),
      );
      Object.assign(logs, others);
    }
    return this.progress.round(index, { ...logs, relativeGap: gap.relative, seconds });
  }
}
