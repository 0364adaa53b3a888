/**
 * The best network of a given width that a descent finds, from a network that has more neurons than that.
 *
 * To know the best network of a width is NP-hard in general; the bound over all widths says how far this one can be from it. The
 * wide network is thinned out a share at a time, its neurons moving in between; other starts begin at its largest neurons and at
 * random ones. Where neurons have no gates that are held, the weakest are exchanged for those that the residual asks for.
 */

import { columnScalesOf, passOver, randomStarts, searchGates } from "../growth/index.js";
import type { Kernels } from "../kernels/types.js";
import { descendWorthwhile } from "../linear/lbfgs.js";
import { gaussianSource } from "../linear/random.js";
import { norm } from "../linear/vectors.js";
import type { Network, Neuron } from "../network.js";
import { mergeNeurons } from "../recovery/index.js";
import type { ConvexProgram } from "../types.js";
import { LayerObjective } from "./objective.js";
import { largest, shrunk } from "./shrink.js";

/** Share of the neurons that a thinning leaves, and steps of the descent after it. */
const LEFT = 0.7;
const SETTLING = 40;
/** Steps of a first descent, after which starts are compared, and of the last. */
const FIRST = 200;
const LAST = 2000;
/** Steps over which a descent has to gain the tolerance, to go on. */
const WINDOW = 50;
/** Exchanges of weak neurons in a row that gain nothing, that end it; how many in all, and the share that is exchanged. */
const FAILURES = 2;
const EXCHANGES = 12;
const WEAK = 0.06;
/** Starts of the search for newcomers, its steps, and the size of a newcomer against the mean. */
const STARTS = 64;
const ASCENT_STEPS = 30;
const JOINING_SIZE = 0.05;
/** Random starts at most; multiplications after which there is one. */
const RANDOM = 16;
const CHEAP = 2 ** 30;
/** Multiplications that all descents together may take: some 20 s. */
const WORK = 2 ** 35;

export interface NarrowOptions {
  readonly units: number;
  readonly tolerance: number;
  readonly seed: number;
  /** Whether each neuron may feed all outputs. */
  readonly shares: boolean;
  readonly pause: () => Promise<boolean>;
  /** A network of that width to begin from, too. */
  readonly from?: Network | null;
  /** Whether a first descent will do. */
  readonly quick?: boolean;
}

export interface Narrowed {
  readonly network: Network;
  readonly value: number; // its objective, in float64
}

/**
 * Answers with the network itself where it is as narrow already. Where neurons may share outputs, those of one direction are one to begin
 * with: four filters that are read out at 36 places for ten outputs are 1,440 neurons of a program, and need no thinning.
 */
export async function narrowed(
  program: ConvexProgram,
  network: Network,
  kernels: Kernels,
  options: NarrowOptions,
): Promise<Narrowed> {
  const objective = new LayerObjective(program, kernels, options.shares);
  if (network.neurons.length <= options.units) return { network, value: objective.valueOf(network) };
  const few = options.shares ? mergeNeurons(network.neurons) : [];
  const wide = few.length > 0 ? { ...network, neurons: few } : network;
  return new Narrowing(program, kernels, objective, options).run(wide);
}

class Narrowing {
  private readonly draw: () => number;
  private readonly scales: Float64Array;
  private spent = 0; // multiplications

  constructor(
    private readonly program: ConvexProgram,
    private readonly kernels: Kernels,
    private readonly objective: LayerObjective,
    private readonly options: NarrowOptions,
  ) {
    this.draw = gaussianSource(options.seed);
    this.scales = columnScalesOf(program.X);
  }

  async run(wide: Network): Promise<Narrowed> {
    const { units, pause, from = null } = this.options;
    let best = await this.thinned(wide);
    if (this.options.quick === true) return best;
    if (from !== null) best = lower(best, { network: from, value: this.objective.valueOf(from) });
    const starts = [...(from === null ? [] : [from]), { ...wide, neurons: largest(wide.neurons, units) }];
    for (let k = 0; k < starts.length + RANDOM; k++) {
      if ((k > starts.length && this.spent > CHEAP) || (await pause())) break;
      const start = starts[k] ?? this.random(wide);
      if (start === null) break;
      best = lower(best, await this.descended(start, FIRST));
    }
    if (await pause()) return best;
    best = lower(best, await this.descended(best.network, LAST));
    for (let turn = 0, failures = 0; turn < EXCHANGES && failures < FAILURES; turn++) {
      const newcomers = await this.newcomers(best.network);
      if (newcomers.length === 0 || this.spent > WORK || (await pause())) break;
      const kept = shrunk(best.network, units - newcomers.length);
      const other = await this.descended({ ...kept, neurons: [...kept.neurons, ...newcomers] }, LAST / 4);
      failures = other.value < best.value * (1 - this.options.tolerance) ? 0 : failures + 1;
      best = lower(best, other);
    }
    return best;
  }

  /** Thins the network out a share at a time. */
  private async thinned(wide: Network): Promise<Narrowed> {
    const { units, pause } = this.options;
    let network = wide;
    while (network.neurons.length > units) {
      const late = await pause();
      const hurried = this.spent > WORK / 2 || late;
      const target = hurried ? units : Math.max(units, Math.floor(LEFT * network.neurons.length));
      network = (await this.descended(shrunk(network, target, late), SETTLING)).network;
    }
    return this.descended(network, FIRST);
  }

  /** At most so many steps, fewer where they gain nothing; some even where time is up, so that the outputs fit their new company. */
  private async descended(network: Network, steps: number): Promise<Narrowed> {
    const { objective, scales, program } = this;
    const { tolerance, pause } = this.options;
    const m = network.neurons.length;
    if (m === 0) return { network, value: objective.valueOf(network) };
    const start = objective.pack(network);
    const each = m * passOver(program.X);
    let step = 0;
    const enough = async () => {
      const over = await pause();
      step += 1;
      return (over && step > SOME) || this.spent + step * each > WORK;
    };
    const all = new Float64Array(start.length).fill(1);
    for (let j = 0; j < m; j++) all.set(scales, j * program.X.cols);
    const {
      x,
      value,
      steps: made,
    } = await descendWorthwhile(objective.over(network.neurons), start, steps, enough, {
      window: WINDOW,
      share: tolerance,
      scales: all,
      breath: pause,
    });
    this.spent += each * made;
    // Balancing each neuron can only lower it.
    const there = objective.unpack(x, network);
    return { network: there, value: Math.min(value, objective.valueOf(there)) };
  }

  /** Random directions, sizes of the mean of the largest; none where gates are held. */
  private random({ neurons, ...rest }: Network): Network | null {
    const { units, shares } = this.options;
    const { program, kernels, draw } = this;
    if (neurons[0].gate !== null) return null;
    const size = meanSize(largest(neurons, units));
    const made = randomStarts(program, kernels, units, draw).map(({ direction, output, sign }) => {
      const out = new Float64Array(neurons[0].output.length);
      if (shares) for (let k = 0; k < out.length; k++) out[k] = draw();
      else out[output] = sign;
      const length = norm(out);
      return unitNeuron(
        direction,
        out.map((value) => (value * size) / length),
      );
    });
    return { ...rest, neurons: made };
  }

  /** The neurons that the residual asks for most. */
  private async newcomers(network: Network): Promise<Neuron[]> {
    const { program, kernels, draw, objective } = this;
    const { X, loss, pooling, beta } = program;
    const { units, pause } = this.options;
    if (network.neurons.length === 0 || network.neurons[0].gate !== null) return [];
    const many = Math.max(1, Math.floor(WEAK * units));
    const N = objective.residual(network);
    const starts = randomStarts(program, kernels, STARTS, draw);
    this.spent += 2 * STARTS * ASCENT_STEPS * passOver(X);
    const found = await searchGates(kernels, X, N, loss.outputs, starts, ASCENT_STEPS, 2, pooling ?? null, pause);
    const size = JOINING_SIZE * meanSize(network.neurons);
    return found
      .map((end, k) => ({ ...starts[k], ...end }))
      .filter(({ value }) => value > beta)
      .sort((a, b) => b.value - a.value)
      .slice(0, many)
      .map(({ direction, output, sign }) => {
        const out = new Float64Array(network.neurons[0].output.length);
        out[output] = sign * size;
        return unitNeuron(direction, out);
      });
  }
}

/** Steps that a descent takes even where time is up. */
const SOME = 5;

function lower(a: Narrowed, b: Narrowed): Narrowed {
  return b.value < a.value ? b : a;
}

function meanSize(neurons: readonly Neuron[]): number {
  return neurons.reduce((sum, { output }) => sum + norm(output), 0) / neurons.length;
}

function unitNeuron(direction: Float64Array, output: Float64Array): Neuron {
  const length = norm(direction);
  return { direction: direction.map((value) => value / length), output, gate: null };
}
