/** What a shard says of cones, in its own places of answers that are added. */

import type { Kernels } from "../../kernels/types.js";
import type { GateSet, Matrix } from "../../types.js";
import type { ShardSpec } from "../cluster.js";
import { type Directions, reachOf, rowsAt } from "./rows.js";

interface Cut {
  readonly X: Matrix; // [n x d]
  readonly gates: GateSet;
}

/** Of gates [count] and vectors [count x d]: in the places of this shard, [count x shards x 2], how far outside their cones these are. */
export function reachOnShard(
  { X, gates }: Cut,
  { shard, shards }: ShardSpec,
  { count }: { readonly count: number },
  payload: Float64Array,
  kernels: Kernels,
): Float64Array {
  const mine = reachOf(X, gates, directionsFrom(payload, count, X.cols), kernels);
  const out = new Float64Array(2 * count * shards);
  for (let k = 0; k < count; k++) out.set(mine.subarray(2 * k, 2 * k + 2), 2 * (k * shards + shard));
  return out;
}

/** Of the same and the owners [count x each] of places: rows in those that are this shard's, [count x each x d]. */
export function rowsOnShard(
  { X, gates }: Cut,
  { shard }: ShardSpec,
  { count, each }: { readonly count: number; readonly each: number },
  payload: Float64Array,
  kernels: Kernels,
): Float64Array {
  const d = X.cols;
  const owners = payload.subarray(count * (1 + d));
  const places = Array.from({ length: count }, (_, k) =>
    Array.from({ length: each }, (_, slot) => k * each + slot).filter((place) => owners[place] === shard),
  );
  const wanted = Int32Array.from(places, (mine) => mine.length);
  const found = rowsAt(X, gates, directionsFrom(payload, count, d), wanted, kernels);
  const out = new Float64Array(count * each * d);
  places.forEach((mine, k) => {
    mine.forEach((place, slot) => {
      out.set(found[k].subarray(slot * d, (slot + 1) * d), place * d);
    });
  });
  return out;
}

/** Gates [count] and vectors [count x d] at the beginning of a payload. */
function directionsFrom(payload: Float64Array, count: number, d: number): Directions {
  return { gates: Int32Array.from(payload.subarray(0, count)), vectors: payload.subarray(count, count * (1 + d)) };
}
