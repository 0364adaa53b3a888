/** The regularization path of rows that are with shards, from one pass over them. */

import type * as tf from "@tensorflow/tfjs";
import { refuse, refuseUnknown } from "../../arguments.js";
import { certify } from "../../convex/certificate/index.js";
import { formulations } from "../../convex/formulations/index.js";
import type { Network } from "../../convex/network.js";
import type { MomentRows, ShardedSolution } from "../../convex/sharded/index.js";
import type { Clock } from "../../convex/solvers/clock.js";
import type { Matrix } from "../../convex/types.js";
import type { Settings } from "../options.js";
import type { PathPoint, PathResult } from "../path.js";
import { betasFrom, type PathGrid } from "../pose/betas.js";
import { hiddenWeights } from "../pose/programWeights.js";
import { modelObjective } from "../pose/regularization.js";
import { CONTRADICTED, contradicts } from "../report/ended.js";
import { ROWS_ARGS, type ShardedRows } from "../sharded/arguments.js";
import { endOf, judged } from "../sharded/judge.js";
import type { Posed } from "../sharded/pose.js";
import type { ShardsReport } from "../sharded/result.js";
import { chargedFor } from "../solve/alongBetas.js";
import { clockOf } from "../solve/withinWidth.js";
import { writePoint } from "../write/point.js";
import { eachBetaByMoments } from "./along.js";
import { onePass, type Pass, posedByMoments } from "./pass.js";

/** Arguments of `pathSharded`. */
export interface ShardedPathArgs extends ShardedRows, PathGrid {
  /** Called after every point; answering false ends the path there. */
  readonly onPoint?: (point: ShardedPathPoint) => unknown;
}

/** One beta of a path, as `PathPoint`, but for the patterns of its gates, which are with the rows. */
export interface ShardedPathPoint extends Omit<PathPoint, "gates"> {
  /** The gates of the program [P x d]. */
  readonly generators: Matrix;
}

/** A path, from the largest beta to the smallest. */
export interface ShardedPathResult<M extends tf.LayersModel = tf.Sequential>
  extends Omit<PathResult<M>, "points" | "write"> {
  readonly points: readonly ShardedPathPoint[];
  readonly rows: number; // of all shards
  readonly shards: ShardsReport;
  /** Seconds until the sums were there and no row was needed any more. */
  readonly passSeconds: number;
  /** Writes the network of a point into the model, or into a wider one with width "resize", and answers with it. */
  write(point: ShardedPathPoint): M;
}

const ARGS = [...ROWS_ARGS, "betas", "count", "ratio", "onPoint"];
/** Metrics that are the loss by another name. */
const SQUARED = ["mse", "MSE", "meanSquaredError"];

/** Solves along the betas of `args` for a compiled model without l2 regularizers; nothing is written until `write`. */
export async function pathSharded<M extends tf.LayersModel>(
  settings: Settings,
  model: M,
  args: ShardedPathArgs,
): Promise<ShardedPathResult<M>> {
  refuseUnknown("pathSharded", args, ARGS);
  if (args.onPoint !== undefined && typeof args.onPoint !== "function")
    refuse("pathSharded", "onPoint to be a function", args.onPoint);
  betasFrom(args, () => 1); // whatever is wrong with it, before any worker starts
  const clock = clockOf(settings);
  const pass = await onePass("pathSharded", model, args, settings, 1, clock);
  return followMoments(settings, model, pass, args, clock, clock.seconds);
}

/** The path of all rows of a pass. */
export async function followMoments<M extends tf.LayersModel>(
  settings: Settings,
  model: M,
  pass: Pass,
  args: PathGrid & Pick<ShardedPathArgs, "onPoint">,
  clock: Clock,
  passSeconds: number,
): Promise<ShardedPathResult<M>> {
  const { rows, posed } = await posedByMoments(pass.all, pass, settings);
  const betas = betasFrom(args, () => posed.zero.trivialBeta);
  const points: ShardedPathPoint[] = [];
  const networks = new Map<ShardedPathPoint, Network>();
  await eachBetaByMoments(rows, posed, betas, settings, clock, async (at, solution) => {
    const network = formulations.gated.recover(at.program, solution.blocks);
    const point = await pointOf(rows, at, solution, network, model.metricsNames, settings);
    points.push(point);
    networks.set(point, network);
    return args.onPoint?.(point) !== false;
  });
  const { spec, shards } = pass;
  return {
    ...{ points, engine: pass.engine, seconds: clock.seconds, rows: pass.rows, shards, passSeconds },
    write(point) {
      return writePoint(model, spec, settings, posed.column.value, networks.get(point), (network, units) =>
        hiddenWeights({ ...posed, regularization: chargedFor(posed.regularization, point.beta) }, network, units),
      );
    },
  };
}

/** What is said of one beta. */
async function pointOf(
  rows: MomentRows,
  posed: Posed,
  solution: ShardedSolution,
  network: Network,
  names: readonly string[],
  { tolerance }: Settings,
): Promise<ShardedPathPoint> {
  const { program, regularization, column, zero } = posed;
  const { gap, seconds, blocks } = solution;
  const weights = hiddenWeights(posed, network, Math.max(1, network.neurons.length));
  const { written } = await judged(rows, posed, weights);
  const certificate = certify(gap, written.total, program);
  const objective = modelObjective(written, weights.kernel, regularization.hidden, column.charged);
  return {
    ...{ beta: regularization.beta, certificate, objective, regularization, seconds, blocks },
    status: contradicts(certificate)
      ? CONTRADICTED.status
      : endOf(solution, written.total, certificate.dual, tolerance, zero).status,
    neurons: network.neurons.length,
    metrics: metricsOf(names, written.loss),
    generators: program.gates.generators,
  };
}

/** The loss, and the metrics that are the same: others are no sums that a pass has. */
export function metricsOf(names: readonly string[], loss: number): Record<string, number> {
  const same = names.filter((name) => name === "loss" || SQUARED.includes(name));
  return Object.fromEntries(same.map((name) => [name, loss]));
}
