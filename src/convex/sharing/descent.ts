/** The descent of neurons that feed all outputs, with newcomers among them, and of the outputs alone along the directions at hand. */

import { descendNeurons } from "../growth/index.js";
import type { Kernels } from "../kernels/types.js";
import { descend } from "../linear/lbfgs.js";
import { concatenated, dot, norm } from "../linear/vectors.js";
import type { Neuron } from "../network.js";
import type { ConvexProgram } from "../types.js";
import type { SharingEffort } from "./effort.js";
import { networkOf, type SharedNeurons, SharedObjective, sharedNeurons } from "./neurons.js";
import { outputsObjective } from "./outputWeights.js";
import type { Newcomer } from "./search.js";

/** Steps of a descent at most, and of its first part, after which newcomers that die out are let go. */
const DESCENT = 1500;
const SETTLING = 40;
/** A descent ends where so many steps took less than this share off the objective. */
const WINDOW = 50;
const SLOW = 1e-4;
/** Steps of the outputs alone, along directions that are held. */
const SETTLED = 1000;
const DYING = 1e-3;
/** Size of newcomers against the mean of those that are there. */
const JOINING_SIZE = 0.05;

/** Neurons, what the network's objective is there, and its outputs [n x C] where they are at hand. */
export interface SharedPoint {
  readonly neurons: SharedNeurons;
  readonly value: number;
  readonly outputs: Float64Array | null;
}

/** All neurons and newcomers descend together; newcomers that die out soon are let go. */
export async function descendTogether(
  neurons: SharedNeurons,
  newcomers: readonly Newcomer[],
  units: number,
  program: ConvexProgram,
  kernels: Kernels,
  pause: () => Promise<boolean>,
  effort: SharingEffort,
  givenUp: (lowest: number, before: number) => boolean = () => false, // asked after each window, with the value there and at the last
  hurried = false, // as `descendNeurons` has it
): Promise<SharedPoint> {
  const d = program.X.cols;
  const objective = new SharedObjective(program, kernels);
  const old = networkOf(neurons, null, 0).neurons;
  const mean = old.reduce((sum, { output }) => sum + norm(output), 0) / Math.max(1, old.length);
  const size = old.length > 0 ? JOINING_SIZE * mean : 1e-3;
  const fresh = newcomers.map(({ direction, outputs }) => ({
    direction,
    output: outputs.map((entry) => size * entry),
  }));
  let now = sharedNeurons([...old, ...fresh], d, neurons.bias);
  if (fresh.length > 0) {
    const many = old.length + fresh.length;
    const first = effort.steps(SETTLING, many);
    const settled = await descendNeurons(program, kernels, objective.descent(many), packed(now), first, pause);
    effort.descent(settled.steps, many);
    const alive = networkOf(unpacked(settled.x, now), null, DYING);
    now = sharedNeurons(largest(alive.neurons, units), d, alive.bias);
  }
  const m = now.weights.length / d;
  let counted = 0;
  let before = Number.POSITIVE_INFINITY;
  let hopeless = false;
  const onWindow = (lowest: number) => {
    counted += WINDOW;
    effort.descent(WINDOW, m);
    effort.mark(lowest);
    hopeless = givenUp(lowest, before);
    before = lowest;
  };
  const worthwhile = { window: WINDOW, share: SLOW, onWindow, hurried };
  const passes = objective.descent(m);
  const { x, value, steps, outputs } = await descendNeurons(
    program,
    kernels,
    passes,
    packed(now),
    effort.steps(DESCENT, m),
    async () => (await pause()) || hopeless,
    worthwhile,
  );
  effort.descent(steps - counted, m);
  const moved = unpacked(x, now);
  if ((await pause()) || hopeless) return { ...balanced(moved, value, program), outputs };
  return settleOutputs(objective, moved, program, kernels, pause, effort);
}

/** The same function by neurons with |w| = |a|, which are charged least. */
function balanced(neurons: SharedNeurons, value: number, { X, beta }: ConvexProgram) {
  const alike = sharedNeurons(networkOf(neurons, null, 0).neurons, X.cols, neurons.bias);
  const charge = ({ weights, outputs }: SharedNeurons) => 0.5 * beta * (dot(weights, weights) + dot(outputs, outputs));
  return { neurons: alike, value: value - charge(neurons) + charge(alike) };
}

/** The `most` neurons with the largest outputs. */
function largest(neurons: readonly Neuron[], most: number): readonly Neuron[] {
  if (neurons.length <= most) return neurons;
  return [...neurons].sort((a, b) => norm(b.output) - norm(a.output)).slice(0, most);
}

/** The best outputs along the directions that the neurons have. */
async function settleOutputs(
  objective: SharedObjective,
  neurons: SharedNeurons,
  program: ConvexProgram,
  kernels: Kernels,
  pause: () => Promise<boolean>,
  effort: SharingEffort,
): Promise<SharedPoint> {
  const d = program.X.cols;
  const { neurons: list, bias } = networkOf(neurons, null, 0);
  const units = concatenated(...list.map(({ direction }) => direction));
  const held = outputsObjective(program, kernels, objective.activations(units));
  const sizes = list.map(({ output }) => Math.sqrt(norm(output)));
  const across = Array.from(bias, (_, c) => list.map(({ output }, j) => output[c] / (sizes[j] || 1)));
  const first = Float64Array.from([...sizes, ...across.flat(), ...bias]);
  const m = list.length;
  const { x, value, steps } = await descend(held, first, effort.steps(SETTLED, m, true), pause);
  effort.descent(steps, m, true);
  const best = list.map(({ direction }, j) => ({
    direction,
    output: Float64Array.from(bias, (_, c) => x[j] * x[m + c * m + j]),
  }));
  return { neurons: sharedNeurons(best, d, x.subarray(m * (1 + bias.length))), value, outputs: null };
}

/** x = (weights, outputs, bias) in one vector, as the descent wants it. */
function packed({ weights, outputs, bias }: SharedNeurons): Float64Array {
  return concatenated(weights, outputs, bias);
}

function unpacked(x: Float64Array, like: SharedNeurons): SharedNeurons {
  const [a, b] = [like.weights.length, like.weights.length + like.outputs.length];
  return { weights: x.slice(0, a), outputs: x.slice(a, b), bias: x.slice(b) };
}
