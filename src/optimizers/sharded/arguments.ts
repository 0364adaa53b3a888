/** What `fitSharded` is told, read and refused. */

import type * as tf from "@tensorflow/tfjs";
import { count, isRecord, refuse, refuseAs, refuseUnknown, sendable, shown, urlOf } from "../../arguments.js";
import { type Checkpoint, type Cluster, hasKinks, lossElsewhere, type ShardSpec } from "../../convex/sharded/index.js";
import type { Settings } from "../options.js";
import { anatomyOf } from "../read/anatomy.js";
import { type NetworkSpec, readModel } from "../read/model.js";
import type { Callbacks } from "../report/progress.js";

/** Rows that are with shards, and who runs these. */
export interface ShardedRows {
  /** Who runs the shards: `local()` or `ray()` of "tfjs-convex/sharded". It is opened and closed by the call. */
  readonly cluster: Cluster;
  /** Into how many shards the rows are cut. */
  readonly shards: number;
  /**
   * A module whose `rows({ shard, shards, args })` yields the rows of one shard, as { x, y } of a row or of several: the same ones
   * every time. A path counts from the current folder; a URL such as new URL("./rows.mjs", import.meta.url) from where it says.
   */
  readonly load: string | URL;
  /** What that function gets as `args`; sent as JSON, and refused where JSON would change it (NaN, undefined, typed arrays). */
  readonly args?: unknown;
}

/** Arguments of `fitSharded`. */
export interface ShardedArgs extends ShardedRows {
  readonly callbacks?: Callbacks | null;
  /** 1 shows progress with the time left: a bar in a terminal, lines elsewhere; default 0. */
  readonly verbose?: number;
  /** Where the state is kept, from which a new fit with the same arguments goes on; default nowhere. */
  readonly checkpoint?: Checkpoint;
  /** Rounds of the solver (20 iterations each) between two checkpoints; default 5. */
  readonly checkpointRounds?: number;
}

export const ROWS_ARGS = ["cluster", "shards", "load", "args"];
export const SHARDED_ARGS = [...ROWS_ARGS, "callbacks", "verbose", "checkpoint", "checkpointRounds"];
const MOST_SHARDS = 4096;
const CHECKPOINT_ROUNDS = 5;

/** The same as workers are told of them. */
export interface RowsPlan {
  readonly cluster: Cluster;
  readonly shards: number;
  readonly load: string; // URL
  readonly args: unknown;
}

/** The same with defaults. */
export interface ShardedPlan extends RowsPlan {
  readonly checkpoint: Checkpoint | null;
  readonly checkpointRounds: number;
}

/** @throws ConvexError "options/unknown" or "options/value". */
export function readPlan(given: ShardedArgs): ShardedPlan {
  refuseUnknown("fitSharded", given, SHARDED_ARGS);
  const { checkpoint } = given;
  if (checkpoint !== undefined && (typeof checkpoint?.read !== "function" || typeof checkpoint.write !== "function"))
    refuse("fitSharded: checkpoint", 'fileCheckpoint(path) of "tfjs-convex/sharded"', checkpoint);
  return {
    ...readRows("fitSharded", given),
    checkpoint: checkpoint ?? null,
    checkpointRounds:
      given.checkpointRounds === undefined
        ? CHECKPOINT_ROUNDS
        : count("fitSharded: checkpointRounds", given.checkpointRounds),
  };
}

/** @throws ConvexError "options/value". */
export function readRows(where: string, { cluster, shards, load, args = null }: ShardedRows): RowsPlan {
  const calls = cluster as Partial<Cluster> | undefined;
  if (!isRecord(cluster) || [calls?.open, calls?.sum, calls?.close].some((call) => typeof call !== "function"))
    refuse(`${where}: cluster`, 'local() or ray() of "tfjs-convex/sharded"', cluster, "Import one of them.");
  return {
    cluster,
    shards: count(`${where}: shards`, shards, MOST_SHARDS),
    load: urlOf(`${where}: load`, load),
    args: sendable(`${where}: args`, args),
  };
}

/** What each worker is told. */
export function specsOf({ shards, load, args }: RowsPlan, spec: NetworkSpec, { threads }: Settings): ShardSpec[] {
  const { inputs, outputs, loss, labels } = spec;
  const each = { shards, load, args, inputs, outputs, loss, labels, threads: threads ?? 1 };
  return Array.from({ length: shards }, (_, shard) => ({ shard, ...each }));
}

/**
 * The network of a model that shards can train: a GatedDense or a ReLU layer and a dense read-out, nothing before them.
 *
 * @throws ConvexError "model/..." or "options/value".
 */
export function shardedSpec(
  model: tf.LayersModel,
  settings: Settings,
  where = "fitSharded",
  formulations: readonly NetworkSpec["formulation"][] = ["gated", "relu"],
): NetworkSpec {
  const spec = readModel(model, settings.formulation, "fit", true);
  const { trunk } = anatomyOf(model, "write", spec.cut);
  const relu = formulations.includes("relu");
  const named = `a model of a gatedDense layer${relu ? ", or of one with relu," : ""} and a dense one`;
  const todo = `Build the first layer as ${relu ? "one of these" : "gatedDense"}, or fit on one machine with fit.`;
  const no = (came: string) => refuseAs(where, named, came, todo, "model/layer");
  if (!formulations.includes(spec.formulation)) no(`one of formulation "${spec.formulation}"`);
  if (spec.convolution !== null) no("a convolutional one");
  if (spec.negativeSlope !== 0) no("one of units with a slope below zero");
  if (spec.normalization !== null) no("one with batch normalisation");
  if (spec.skip !== null) no("one with a linear layer beside the hidden one");
  if (trunk.length > 0) no(`one with ${trunk.length} more before these, whose outputs the module could yield`);
  refuseSettings(where, settings, spec);
  return spec;
}

function refuseSettings(where: string, settings: Settings, { formulation, loss, outputs }: NetworkSpec): void {
  const relu = formulation === "relu";
  const { standardize, rank, pca, regularization, solver, engine, arrangements, pricing } = settings;
  const no = (name: string, expected: string, got: unknown) =>
    refuseAs(`${where}: ${name}`, expected, shown(got), "Leave it out, or fit on one machine with fit.");
  if (standardize === true) no("standardize", "columns as the module yields them", standardize);
  if (rank !== null) no("rank", "no rank", rank);
  if (pca !== null) no("pca", "no pca", pca);
  if (pricing?.kind === "branch-and-bound") no("pricing", "no pricing of all gates", pricing.kind);
  const batches = where === "fitSharded" && !relu && !hasKinks(lossElsewhere(loss, 1, outputs));
  if (solver !== null && solver !== "fista" && !(batches && solver === "stochastic"))
    no("solver", batches ? '"fista" or "stochastic"' : '"fista"', solver);
  if (engine !== "auto" && engine !== "wasm") no("engine", '"wasm", which the workers have', engine);
  if (regularization === "held-out" || regularization === "interpolate" || regularization === "max-margin")
    no("regularization", 'a number, "from-model" or "share"', regularization);
  if (arrangements === null) return;
  const kind = "kind" in arrangements ? arrangements.kind : "a gate set";
  const other = relu ? "as many as the layer has units" : "the gates of the layer";
  if (kind !== "sample") no("arrangements", `{ kind: "sample" }, or none: then ${other}`, kind);
}
