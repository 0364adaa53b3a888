/** Fits with shards, each in a process of its own, and how their rows of a table read. */

import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { batchCount } from "../../../src/convex/solvers/stochastic/batches.js";
import { PASSES } from "../../../src/convex/solvers/stochastic/katyusha.js";
import { bytes, objective, seconds } from "../report.js";
import type { OnePassWish, ShardedCaseWish, ShardedUse } from "./oneFit.js";

const script = fileURLToPath(new URL("oneFit.js", import.meta.url));

/** What it took. */
export function inItsOwnProcess<Use>(wish: ShardedCaseWish | OnePassWish): Use {
  const { status, stdout, stderr } = spawnSync(process.execPath, ["--import", "tsx", script, JSON.stringify(wish)], {
    encoding: "utf8",
    maxBuffer: 2 ** 24,
  });
  if (status !== 0) throw new Error(`shards: ${JSON.stringify(wish)} ended with ${status}: ${stderr}`);
  return JSON.parse(stdout.trim().split("\n").at(-1) ?? "");
}

/** Steps over batches of n rows in a round. */
export function batchSteps(n: number): number {
  return PASSES * batchCount(n);
}

export function nameOf({ cluster, shards }: ShardedUse): string {
  return cluster === "one process" ? "one process, `fit`" : `${cluster}, ${shards} shard${shards === 1 ? "" : "s"}`;
}

export function cellsOf(use: ShardedUse): string[] {
  const { processor, peak } = use;
  const workers = peak.workers.length === 0 ? "" : peak.workers.map(bytes).join(", ");
  return [
    ...[nameOf(use), `${use.iterations}`, objective(use.primal), use.relativeGap.toExponential(1)],
    ...[seconds(use.openSeconds), seconds(use.seconds)],
    ...[seconds(processor.workers), seconds(processor.driver), seconds(processor.engine)],
    ...[bytes(peak.driver), workers],
  ];
}

export const HEAD = [
  ...["run", "iterations", "objective", "gap", "s to read", "s to solve"],
  ...["CPU s: workers", "driver", "engine", "peak: driver", "peak: workers"],
];
