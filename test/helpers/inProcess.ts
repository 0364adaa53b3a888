/** Shards in this very process: what they add up, without what carries it. */

import { wasmKernels } from "../../src/convex/kernels/wasm/index.js";
import { factsOf, gatherRows, Shard, type ShardSpec, summed } from "../../src/convex/sharded/index.js";
import type { Cluster } from "../../src/index.js";

export function inProcess(): Cluster {
  let shards: Shard[] = [];
  return {
    name: "in this process",
    restarts: 0,
    pids: [],
    async open(specs) {
      const kernels = await wasmKernels(1);
      const opened = await Promise.all(
        specs.map(async (spec) => {
          const rows = await gatherRows(await rowsOf(spec), spec);
          return {
            shard: new Shard(spec, rows, kernels),
            facts: { ...factsOf(rows, spec.inputs, 0), engine: kernels.name },
          };
        }),
      );
      shards = opened.map(({ shard }) => shard);
      return opened.map(({ facts }) => facts);
    },
    sum: (message, restore) => sumOf(shards, message, restore),
    async close() {
      for (const shard of shards.splice(0)) shard.dispose();
    },
  };
}

/** What these shards add up to. */
export function sumOf(shards: readonly Shard[], ...[message, restore]: Parameters<Cluster["sum"]>) {
  return summed(
    async ({ call, payload }, only) =>
      shards
        .filter((_, k) => only === null || k === only)
        .map((shard) => {
          const answer = shard.answer(call, payload);
          return { stale: answer === null, payload: answer ?? new Float64Array(0) };
        }),
    message,
    restore,
  );
}

async function rowsOf({ load, shard, shards, args }: ShardSpec): Promise<unknown> {
  const { rows } = await import(/* @vite-ignore */ load);
  return rows({ shard, shards, args });
}
