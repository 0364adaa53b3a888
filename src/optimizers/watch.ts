/** Judges every round of the solver as model.fit judges an epoch, and hands it to the callbacks. */

import type * as tf from "@tensorflow/tfjs";
import { weightsOf } from "../convex/network.js";
import type { Round } from "../convex/solvers/solve.js";
import { Evaluator } from "./evaluate.js";
import { inputRows } from "./inputRows.js";
import type { Problem } from "./pose.js";
import { type Callbacks, Progress } from "./progress.js";
import type { Dataset } from "./readData.js";
import type { NetworkSpec } from "./readModel.js";
import { decayOf } from "./regularization.js";

export class Watch {
  readonly progress: Progress;
  readonly names: readonly string[];
  private readonly train: Evaluator;
  private readonly validation: Evaluator | null;
  private readonly detailed: boolean;

  constructor(
    model: tf.Sequential,
    spec: NetworkSpec,
    private readonly problem: Problem,
    data: { readonly train: Dataset; readonly validation: Dataset | null },
    how: { readonly callbacks: Callbacks | null | undefined; readonly verbose: number; readonly tolerance: number },
  ) {
    const { program, column } = problem;
    const { train, validation } = data;
    this.progress = new Progress(model, how.callbacks, how.verbose, how.tolerance);
    const metrics = model.metricsNames.slice(1);
    this.detailed = metrics.length > 0 || validation !== null;
    this.train = new Evaluator(model, spec, program.X, train);
    const rows = validation === null ? null : inputRows(spec, validation.x, column.value);
    this.validation = validation === null || rows === null ? null : new Evaluator(model, spec, rows, validation);
    const own = ["loss", ...metrics];
    this.names = [...own, ...(validation === null ? [] : own.map((name) => `val_${name}`)), "relativeGap", "seconds"];
  }

  async round(round: Round): Promise<boolean> {
    const { gap, seconds, index, blocks, program } = round;
    const logs: Record<string, number> = { loss: gap.primal };
    if (this.detailed) {
      const { regularization, formulation, column } = this.problem;
      const network = formulation.recover(program, blocks);
      const units = Math.max(1, network.neurons.length);
      const weights = weightsOf(network, decayOf(regularization), program.X.cols, units, column.value);
      const { loss: _loss, ...metrics } = await this.train.judge(weights);
      Object.assign(logs, metrics);
      if (this.validation !== null) {
        for (const [name, value] of Object.entries(await this.validation.judge(weights))) logs[`val_${name}`] = value;
      }
    }
    return this.progress.round(index, { ...logs, relativeGap: gap.relative, seconds });
  }
}
