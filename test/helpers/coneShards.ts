/** A ReLU program on rows that some shards in this process hold, and the same program in one place. */

import { gatesFrom } from "../../src/convex/arrangements/index.js";
import { formulations } from "../../src/convex/formulations/index.js";
import { referenceKernels } from "../../src/convex/kernels/cpu.js";
import { bindLoss } from "../../src/convex/losses/index.js";
import {
  Cones,
  Crew,
  factsOf,
  lookAtZero,
  lossElsewhere,
  Shard,
  type ShardCall,
  type ShardedSolution,
  solveSharded,
} from "../../src/convex/sharded/index.js";
import { Clock } from "../../src/convex/solvers/clock.js";
import { solve } from "../../src/convex/solvers/solve.js";
import type { ConvexProgram, LossName, Matrix } from "../../src/convex/types.js";
import type { Cluster } from "../../src/index.js";
import { sumOf } from "./inProcess.js";

export interface ConeCase {
  readonly X: Matrix; // [n x d], of float32 numbers
  readonly Y: Matrix; // [n x C]
  readonly generators: Matrix; // [P x d]
  readonly loss: LossName;
  readonly beta: number;
}

export interface ConeWish {
  readonly tolerance: number;
  readonly maxIterations?: number;
  readonly columns?: number; // that a model has at most
  readonly clock?: Clock;
  /** Hears of every call before it is made. */
  readonly onCall?: (call: ShardCall) => void;
}

const SHARDS = 2;

/** Rows, program, what solves it, and what has a shard begin anew. */
export async function onShards(one: ConeCase, onCall: (call: ShardCall) => void = () => undefined) {
  const { X, Y, generators, beta } = one;
  const [n, d, C] = [X.rows, X.cols, Y.cols];
  const cut = Array.from({ length: SHARDS + 1 }, (_, k) => Math.round((k * n) / SHARDS));
  const parts = Array.from({ length: SHARDS }, (_, shard) => ({
    spec: {
      ...{ shard, shards: SHARDS, load: "", args: null, inputs: d, outputs: C, loss: one.loss, threads: 1 },
      labels: "as the loss has them" as const,
    },
    rows: {
      count: cut[shard + 1] - cut[shard],
      x: Float32Array.from(X.data.subarray(cut[shard] * d, cut[shard + 1] * d)),
      y: Y.data.slice(cut[shard] * C, cut[shard + 1] * C),
    },
  }));
  const begun = (k: number) => new Shard(parts[k].spec, parts[k].rows, referenceKernels);
  const shards = parts.map((_, k) => begun(k));
  const lose = (k: number) => {
    shards[k].dispose();
    shards[k] = begun(k);
  };
  const cluster = {
    sum: (...[message, restore]: Parameters<Cluster["sum"]>) => {
      onCall(message.call);
      return sumOf(shards, message, restore);
    },
  };
  const crew = new Crew(
    cluster,
    parts.map(({ rows }) => factsOf(rows, d, 0)),
  );
  await crew.bind(generators.data, 0);
  const elsewhere = { rows: n, cols: d, data: new Float64Array(0) };
  const gates = { count: generators.rows, rows: n, bits: new Uint32Array(0), generators, complete: false };
  const loss = lossElsewhere(one.loss, n, C);
  const parted = { X: elsewhere, gates, loss, beta, outputBias: { ridge: 0 }, pooling: null };
  const program = formulations.relu.build(parted, "perOutput");
  return { crew, program, lose };
}

export async function solvedOnShards(one: ConeCase, wish: ConeWish): Promise<ShardedSolution> {
  const { crew, program } = await onShards(one, wish.onCall);
  const { columns, tolerance, maxIterations = 60 } = wish;
  const clock = wish.clock ?? new Clock(60, () => false);
  const pause = () => clock.pause();
  const cones = await Cones.of(crew, program, pause);
  const { bias } = await lookAtZero(crew, program, cones, pause);
  const budget = { tolerance, maxIterations, clock, checkpoint: null, everyRounds: 1, onRound: async () => false };
  return solveSharded(crew, program, bias, budget, {
    cones,
    kernels: referenceKernels,
    ...(columns === undefined ? {} : { columns }),
  });
}

export function inOnePlace({ X, Y, generators, loss, beta }: ConeCase): ConvexProgram {
  const gates = gatesFrom(X, generators);
  const parts = { X, gates, loss: bindLoss(loss, Y), beta, outputBias: { ridge: 0 }, pooling: null };
  return formulations.relu.build(parts, "perOutput");
}

export function solvedInOnePlace(one: ConeCase, tolerance: number) {
  return solve(inOnePlace(one), referenceKernels, { tolerance, maxIterations: 2000, seconds: 60 });
}
