/** A small network after a short descent of the model's own objective: what predicts about as a fit at the same beta does. */

import { columnScalesOf, randomStarts } from "../../convex/growth/index.js";
import type { Kernels } from "../../convex/kernels/index.js";
import { descendWorthwhile } from "../../convex/linear/lbfgs.js";
import { norm } from "../../convex/linear/vectors.js";
import { smoothed } from "../../convex/losses/smoothed.js";
import { LayerObjective } from "../../convex/narrowing/index.js";
import type { Network, Neuron } from "../../convex/network.js";
import { minimiseOverBias } from "../../convex/operators/outputBias.js";
import type { Clock } from "../../convex/solvers/clock.js";
import type { ConvexProgram } from "../../convex/types.js";
import type { Problem } from "../records.js";
import { AUTO_SHARE } from "./regularization.js";

/** Units of the networks that are descended, where the layer has not fewer. */
const UNITS = 32;
/** Steps of a descent, from nothing and from the beta before. */
const FIRST = 600;
const NEXT = 200;
/** A descent ends where so many steps took less than this share off the objective: held-out losses differ by more. */
const WINDOW = 10;
const TOLERANCE = 2e-3;
/** Units smaller than this share of the largest begin anew, at this share of the mean. */
const DEAD = 1e-3;
const ANEW = 0.1;
/** Of the loss without units, how far around a kink it is rounded off. */
const ROUNDED = 0.1;

/** A network after some steps down its objective, from another one or from nothing. */
export async function shortDescent(
  problem: Problem,
  from: Network | null,
  draw: () => number,
  kernels: Kernels,
  clock: Clock,
): Promise<Network> {
  const program = rounded(problem.program);
  const start = refilled({ ...problem, program }, from, draw, kernels);
  const objective = new LayerObjective(program, kernels, true);
  const packed = objective.pack(start);
  const scales = new Float64Array(packed.length).fill(1);
  const columns = columnScalesOf(program.X);
  start.neurons.forEach((_, j) => void scales.set(columns, j * columns.length));
  const steps = from === null ? FIRST : NEXT;
  const pause = () => clock.pause();
  const { x } = await descendWorthwhile(objective.over(start.neurons), packed, steps, pause, {
    window: WINDOW,
    share: TOLERANCE,
    scales,
    breath: pause,
  });
  return objective.unpack(x, start);
}

/** The program with kinks of its loss rounded off: quasi-Newton steps across kinks end far above where it is least. */
function rounded(program: ConvexProgram): ConvexProgram {
  const { loss } = program;
  if (Number.isFinite(loss.curvature)) return program;
  const tau = ROUNDED * loss.rows * loss.outputs * lossAlone(program, constant(program));
  return tau > 0 ? { ...program, loss: smoothed(loss, tau) } : program;
}

export function unitsOf({ spec }: Pick<Problem, "spec">): number {
  return Math.min(UNITS, spec.units);
}

/** All units that there are: those of the network that live, and others in random directions, under gates of the program in turn. */
function refilled(problem: Problem, from: Network | null, draw: () => number, kernels: Kernels): Network {
  const { program } = problem;
  const { loss, gates, pooling, cones, X } = program;
  const before = from ?? constant(program);
  const sizes = before.neurons.map(({ output }) => norm(output));
  const largest = sizes.reduce((most, size) => Math.max(most, size), 0);
  const living = before.neurons.filter((_, j) => sizes[j] > DEAD * largest);
  const count = unitsOf(problem);
  const mean = living.reduce((sum, { output }) => sum + norm(output), 0) / living.length;
  const size = living.length > 0 ? ANEW * mean : firstSize(program, before) / count;
  const fresh = randomStarts(program, kernels, count - living.length, draw).map(({ direction }, j): Neuron => {
    const place = (living.length + j) % gates.count;
    const output = Float64Array.from({ length: loss.outputs * (pooling?.positions ?? 1) }, draw);
    const [length, long] = [norm(direction), norm(output)];
    return {
      direction: direction.map((value) => value / length),
      output: output.map((value) => (value * size) / long),
      gate: cones ? null : gates.generators.data.slice(place * X.cols, (place + 1) * X.cols),
    };
  });
  return { ...before, neurons: [...living, ...fresh] };
}

/** The best network without units. */
function constant({ loss, outputBias, cones, pooling }: ConvexProgram): Network {
  const zero = new Float64Array(loss.rows * loss.outputs);
  const bias = outputBias === null ? new Float64Array(loss.outputs) : minimiseOverBias(loss, zero, outputBias);
  return { gated: !cones, neurons: [], bias, pooling: pooling ?? null };
}

/** The size of all units at which the loss would be gone, if it went on falling as it does at zero; at the beta that "share" takes. */
function firstSize(program: ConvexProgram, network: Network): number {
  return (AUTO_SHARE * lossAlone(program, network)) / program.beta;
}

/** The loss of a network's output bias alone. */
function lossAlone({ loss }: ConvexProgram, { bias }: Network): number {
  return loss.value(Float64Array.from({ length: loss.rows * loss.outputs }, (_, k) => bias[k % loss.outputs]));
}
