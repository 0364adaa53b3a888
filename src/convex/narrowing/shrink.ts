/** A network with fewer neurons: those that are alike become one, those that do little go, the cheapest first. */

import { dot, norm } from "../linear/vectors.js";
import type { Network, Neuron } from "../network.js";

/** To leave a neuron of size s out costs this much s; to make one of two, s t / (s + t) times a distance that is at most 2. */
const DROP = 1;
/** Neurons whose pairs are looked at, also where time is up: more are dropped first. */
const MOST_PAIRED = 2000;
const PAIRED_LATE = 200;

/** The network with at most `units` neurons. */
export function shrunk(network: Network, units: number, late = false): Network {
  let { neurons } = network;
  const most = Math.max(units, late ? PAIRED_LATE : MOST_PAIRED);
  if (neurons.length > most) neurons = largest(neurons, most);
  while (neurons.length > units) neurons = once(neurons, neurons.length - units);
  return { ...network, neurons };
}

export function largest(neurons: readonly Neuron[], most: number): Neuron[] {
  return [...neurons].sort((a, b) => norm(b.output) - norm(a.output)).slice(0, most);
}

interface Step {
  readonly cost: number;
  readonly i: number;
  readonly j: number; // -1: i is dropped
}

/** At most `many` steps that have no neuron in common. */
function once(neurons: readonly Neuron[], many: number): Neuron[] {
  const sizes = neurons.map(({ output }) => norm(output));
  const steps: Step[] = sizes.map((size, i) => ({ cost: DROP * size, i, j: -1 }));
  for (let i = 0; i < neurons.length; i++) {
    for (let j = 0; j < i; j++) {
      const between = (sizes[i] * sizes[j]) / (sizes[i] + sizes[j]);
      const cost = between * distance(neurons[i], neurons[j], sizes[i], sizes[j]);
      if (cost < DROP * Math.min(sizes[i], sizes[j])) steps.push({ cost, i, j });
    }
  }
  steps.sort((a, b) => a.cost - b.cost);
  const gone = new Set<number>();
  const made: Neuron[] = [];
  let left = many;
  for (const { i, j } of steps) {
    if (left === 0) break;
    if (gone.has(i) || gone.has(j)) continue;
    gone.add(i);
    if (j >= 0) {
      gone.add(j);
      const both = mean(neurons[i], neurons[j], sizes[i], sizes[j]);
      if (both !== null) made.push(both);
    }
    left -= 1;
  }
  return [...neurons.filter((_, i) => !gone.has(i)), ...made];
}

/** Between u o' / |o| of two neurons, squared; Infinity where their gates are held and differ. */
function distance(a: Neuron, b: Neuron, s: number, t: number): number {
  if (a.gate !== null && (b.gate === null || !a.gate.every((value, p) => value === b.gate?.[p]))) {
    return Number.POSITIVE_INFINITY;
  }
  return 2 - (2 * dot(a.direction, b.direction) * dot(a.output, b.output)) / (s * t);
}

/** One neuron for two: its direction between theirs, its output their sum. */
function mean(a: Neuron, b: Neuron, s: number, t: number): Neuron | null {
  const sum = a.direction.map((value, p) => s * value + t * b.direction[p]);
  const output = a.output.map((value, k) => value + b.output[k]);
  const length = norm(sum);
  if (!(length > 0) || !(norm(output) > 0)) return null;
  return { direction: sum.map((value) => value / length), output, gate: a.gate };
}
