/** Neurons that are equal up to scale become one: the function stays, the penalty can only fall. */

import type { Neuron } from "../network.js";

/** Distance below which two unit directions are one; rounding of a float64 solve, far above float64 itself. */
const SAME = 1e-7;

/**
 * Adds the outputs of neurons with the same direction (and the same gate). |o1 + o2| <= |o1| + |o2|, with room where the
 * neurons feed different outputs or pull against each other; a neuron whose outputs cancel is left out. With `apart` only neurons
 * that feed the same outputs become one, so that each goes on feeding one.
 */
export function mergeNeurons(neurons: readonly Neuron[], apart = false): Neuron[] {
  return apart ? byOutputs(neurons).flatMap(merged) : merged(neurons);
}

/** Neurons in groups that feed the same outputs. */
function byOutputs(neurons: readonly Neuron[]): Neuron[][] {
  const groups = new Map<string, Neuron[]>();
  for (const neuron of neurons) {
    const fed: number[] = [];
    for (let c = 0; c < neuron.output.length; c++) if (neuron.output[c] !== 0) fed.push(c);
    const key = fed.join();
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [neuron]);
    else group.push(neuron);
  }
  return [...groups.values()];
}

function merged(neurons: readonly Neuron[]): Neuron[] {
  // Equal directions have equal sums of entries, so that sorting by the sum brings them together.
  const order = neurons
    .map((neuron) => ({ neuron, key: neuron.direction.reduce((sum, value) => sum + value, 0) }))
    .sort((a, b) => a.key - b.key);
  const kept: { neuron: Neuron; key: number; output: Float64Array }[] = [];
  for (const { neuron, key } of order) {
    let twin: (typeof kept)[number] | undefined;
    const reach = SAME * Math.sqrt(neuron.direction.length);
    for (let k = kept.length - 1; k >= 0 && kept[k].key >= key - reach && twin === undefined; k--) {
      if (sameDirection(kept[k].neuron, neuron)) twin = kept[k];
    }
    if (twin === undefined) kept.push({ neuron, key, output: neuron.output.slice() });
    else for (let c = 0; c < twin.output.length; c++) twin.output[c] += neuron.output[c];
  }
  return kept
    .filter(({ output }) => output.some((value) => value !== 0))
    .map(({ neuron, output }) => ({ ...neuron, output }));
}

function sameDirection(a: Neuron, b: Neuron): boolean {
  if (distance(a.direction, b.direction) > SAME) return false;
  if (a.gate === null || b.gate === null) return a.gate === b.gate;
  return distance(a.gate, b.gate) === 0;
}

function distance(a: Float64Array, b: Float64Array): number {
  let sum = 0;
  for (let p = 0; p < a.length; p++) sum += (a[p] - b[p]) ** 2;
  return Math.sqrt(sum);
}
