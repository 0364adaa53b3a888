/** The one pass: workers read rows, cut them by gates, add up their moments, and are done. */

import type * as tf from "@tensorflow/tfjs";
import { counted, refuseAs } from "../../arguments.js";
import {
  Crew,
  collectMoments,
  MOST_NUMBERS,
  MomentRows,
  type Moments,
  momentNumbers,
  type ShardFacts,
  together,
} from "../../convex/sharded/index.js";
import type { Clock } from "../../convex/solvers/clock.js";
import type { Settings } from "../options.js";
import { refuseOwnBeta } from "../pose/betas.js";
import type { NetworkSpec } from "../read/model.js";
import { readRows, type ShardedRows, shardedSpec, specsOf } from "../sharded/arguments.js";
import { refuseFew } from "../sharded/fit.js";
import { type Cut, cutRows, type Posed, posedOn } from "../sharded/pose.js";
import type { ShardsReport } from "../sharded/result.js";
import { stopping } from "./stopping.js";

/** What is known once no row is needed any more. */
export interface Pass {
  readonly spec: NetworkSpec;
  readonly cut: Cut;
  readonly all: Moments;
  readonly folds: readonly Moments[];
  readonly rows: number; // of all shards
  readonly shards: ShardsReport;
  readonly engine: string; // of the workers
}

/** @throws ConvexError for a model, an option or rows that do not fit, and where time is up before its end. No worker is left when it ends. */
export async function onePass(
  where: string,
  model: tf.LayersModel,
  given: ShardedRows,
  settings: Settings,
  folds: number,
  clock: Clock,
): Promise<Pass> {
  const plan = readRows(where, given);
  // Betas are those of the path.
  const spec = shardedSpec(model, { ...settings, regularization: null }, where, ["gated"]);
  refuseOwnBeta(spec);
  if (spec.loss !== "meanSquaredError") {
    refuseAs(
      where,
      "meanSquaredError, of which some sums over the rows say all",
      `"${spec.loss}"`,
      "Compile with it, or follow the path by fitSharded at one beta after another.",
      "model/loss",
    );
  }
  try {
    const facts = await plan.cluster.open(specsOf(plan, spec, settings));
    const crew = new Crew(stopping(where, plan.cluster, clock, settings.timeLimit), facts);
    refuseFew(where, crew.rows);
    const cut = await cutRows(model, spec, crew, settings, () => clock.pause());
    const { rows: gates, cols: width } = cut.generators;
    const { inputs, outputs } = spec;
    refuseLarge(where, folds, gates, width, momentNumbers(folds, gates, inputs));
    const wish = { gates, inputs, biasColumn: cut.column.value, outputs, folds, seed: settings.seed };
    const parts = await collectMoments(crew, wish);
    const { restarts, name } = plan.cluster;
    const shards = { cluster: name, rows: crew.facts.map(({ rows }) => rows), restarts, ...crew.traffic };
    return { spec, cut, all: together(parts), folds: parts, rows: crew.rows, shards, engine: enginesOf(facts) };
  } finally {
    await plan.cluster.close();
  }
}

/** What the workers multiplied with, where they say it. */
function enginesOf(facts: readonly ShardFacts[]): string {
  const names = new Set(facts.map(({ engine }) => engine ?? "unknown"));
  return `${[...names].join(" and ")} in the workers, plain sums after them`;
}

/** The program of some of the rows, and who answers for them. */
export async function posedByMoments(
  moments: Moments,
  { spec, cut }: Pass,
  settings: Settings,
): Promise<{ readonly posed: Posed; readonly rows: MomentRows }> {
  const rows = new MomentRows(moments, cut.generators.data, spec.outputBias && spec.l2.outputBias === 0);
  // As `poseForPath`: its beta is yet to be set.
  return { rows, posed: await posedOn(rows, cut, spec, { ...settings, regularization: 1 }) };
}

function refuseLarge(where: string, folds: number, gates: number, width: number, numbers: number): void {
  if (numbers <= MOST_NUMBERS) return;
  refuseAs(
    where,
    `sums of at most ${8 * MOST_NUMBERS} bytes`,
    `${8 * numbers} bytes of ${counted(gates, "gate")}, ${counted(width, "column")}${folds > 1 ? ` and ${folds} folds` : ""}`,
    `Use fewer gates${folds > 1 ? " or folds" : ""}, or fitSharded, which goes through the rows for every beta.`,
    "data/size",
  );
}
