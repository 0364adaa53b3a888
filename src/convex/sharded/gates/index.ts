/** Gates for rows that are with shards: generators drawn or given by the driver, told apart by sums over all rows. */

import { gaussianSource } from "../../linear/random.js";
import type { Crew } from "../crew.js";
import { DistinctGates } from "./patterns.js";

/** As in `arrangements/sample.ts`, whose gates these are. */
const DRAWS_PER_GATE = 20;
const TOGETHER = 128;

/** What a layer makes of a generator [d]. */
type Written = (generator: Float64Array) => Float64Array;

/** Lets the host breathe between two calls; true when it is time to stop. */
type Pause = () => Promise<boolean>;

/**
 * At most `count` generators g ~ N(0, I), as `written`, of distinct patterns that some row passes; the same for any number of shards.
 * Fewer where a pause says stop once some are there.
 */
export async function distinctGates(
  crew: Crew,
  d: number,
  biasColumn: number,
  { count, seed }: { readonly count: number; readonly seed: number },
  written: Written,
  pause: Pause,
): Promise<Float64Array[]> {
  const draw = gaussianSource(seed);
  const gates = new DistinctGates();
  for (let spent = 0; spent < DRAWS_PER_GATE * count && gates.generators.length < count; ) {
    if ((await pause()) && gates.generators.length > 0) break;
    const drawn = Math.min(TOGETHER, count - gates.generators.length);
    const some = Array.from({ length: drawn }, () => written(Float64Array.from({ length: d }, draw)));
    gates.add(some, await patternsOf(crew, some, biasColumn), true);
    spent += drawn;
  }
  return gates.generators;
}

/** Those of the generators whose patterns are distinct; the first of each stays. A pause does not end it: all are wanted. */
export async function chosenGates(
  crew: Crew,
  generators: readonly Float64Array[],
  biasColumn: number,
  pause: Pause,
): Promise<Float64Array[]> {
  const gates = new DistinctGates();
  for (let from = 0; from < generators.length; from += TOGETHER) {
    await pause();
    const some = generators.slice(from, from + TOGETHER);
    gates.add(some, await patternsOf(crew, some, biasColumn), false);
  }
  return gates.generators;
}

function patternsOf(crew: Crew, generators: readonly Float64Array[], biasColumn: number): Promise<Float64Array> {
  const d = generators[0].length;
  const payload = new Float64Array(generators.length * d);
  generators.forEach((generator, i) => {
    payload.set(generator, i * d);
  });
  return crew.ask({ op: "patterns", biasColumn, offsets: crew.offsets() }, payload);
}
