/** The best network of a given width that descents on sums find, from one that has more neurons: one trip a step. */

import { columnScalesFrom } from "../../growth/index.js";
import { type DeviceObjective, descend } from "../../linear/lbfgs.js";
import { gaussianSource } from "../../linear/random.js";
import { concatenated, dot, norm } from "../../linear/vectors.js";
import { largest, packed, shrunk, unpacked } from "../../narrowing/index.js";
import type { Network, Neuron } from "../../network.js";
import type { ConvexProgram } from "../../types.js";
import type { RowSums } from "../crew.js";
import { hasKinks, narrowTau } from "../kinks/index.js";

/** Share of the neurons that a thinning leaves, and steps of the descent after it, as in `narrowing/narrow.ts`. */
const LEFT = 0.7;
const SETTLING = 20;
/** Steps of a first descent, after which starts are compared, and of the last. */
const FIRST = 100;
const LAST = 600;
/** Steps over which a descent has to gain the tolerance, to go on; and some that it takes even where time is up. */
const WINDOW = 30;
const SOME = 5;
/** Where kinks are rounded off, by how much less at the end, once and once more. */
const SHARPER = [0.1, 0.1];
/** Random starts, of neurons without gates that are held. */
const RANDOM = 6;

export interface NarrowOnShards {
  readonly units: number;
  readonly tolerance: number;
  readonly seed: number;
  readonly pause: () => Promise<boolean>;
}

export interface NarrowedOnShards {
  readonly network: Network;
  readonly value: number; // its objective, in float64
}

export async function narrowedOnShards(
  crew: RowSums,
  program: ConvexProgram,
  wide: Network,
  options: NarrowOnShards,
): Promise<NarrowedOnShards> {
  const squares = await crew.ask({ op: "squares" }, new Float64Array(0));
  return new Narrowing(crew, program, columnScalesFrom(squares), options).run(wide);
}

class Narrowing {
  private readonly draw: () => number;
  /** By which kinks are rounded off on the way: quasi-Newton steps across them end far above where the loss is least. */
  private tau = 0;

  constructor(
    private readonly crew: RowSums,
    private readonly program: ConvexProgram,
    private readonly scales: Float64Array, // [d]
    private readonly options: NarrowOnShards,
  ) {
    this.draw = gaussianSource(options.seed);
  }

  async run(wide: Network): Promise<NarrowedOnShards> {
    const { units, pause } = this.options;
    if (hasKinks(this.program.loss)) this.tau = narrowTau(await this.valueOf(wide), this.program.loss);
    let best = await this.thinned(wide);
    const starts = [{ ...wide, neurons: largest(wide.neurons, units) }];
    for (let k = 0; k < RANDOM && !wide.gated; k++) starts.push({ ...wide, neurons: this.random(wide) });
    for (const start of starts) {
      if (await pause()) return best;
      best = lower(best, await this.descended(start, FIRST));
    }
    best = lower(best, await this.descended(best.network, LAST));
    for (const share of this.tau > 0 ? SHARPER : []) {
      this.tau *= share;
      best = lower(best, await this.descended(best.network, LAST));
    }
    return best;
  }

  private async thinned(wide: Network): Promise<NarrowedOnShards> {
    const { units, pause } = this.options;
    let network = wide;
    while (network.neurons.length > units) {
      const target = (await pause()) ? units : Math.max(units, Math.floor(LEFT * network.neurons.length));
      network = (await this.descended(shrunk(network, target), SETTLING)).network;
    }
    return this.descended(network, FIRST);
  }

  /** Random directions in the units of the columns, with the outputs of the largest neurons. */
  private random({ neurons }: Network): Neuron[] {
    const { draw, scales } = this;
    return largest(neurons, this.options.units).map(({ output }) => {
      const direction = scales.map((scale) => Math.sqrt(scale) * draw());
      const length = norm(direction);
      return { direction: direction.map((value) => value / length), output, gate: null };
    });
  }

  private async descended(network: Network, most: number): Promise<NarrowedOnShards> {
    const { program, scales } = this;
    const { tolerance, pause } = this.options;
    const [d, C, m] = [program.X.cols, program.loss.outputs, network.neurons.length];
    const start = packed(network, d, C);
    const all = new Float64Array(start.length).fill(1);
    for (let j = 0; j < m; j++) all.set(scales, j * d);
    let lowest = Number.POSITIVE_INFINITY;
    let before = Number.POSITIVE_INFINITY;
    let step = 0;
    const objective = this.objectiveOf(network, this.tau);
    const watched: DeviceObjective = async (x, gradient) => {
      const value = await objective(x, gradient);
      lowest = Math.min(lowest, value);
      return value;
    };
    const enough = async () => {
      step += 1;
      if ((await pause()) && step > SOME) return true;
      if (step % WINDOW !== 0) return false;
      const slow = before - lowest < tolerance * Math.abs(lowest);
      before = lowest;
      return slow;
    };
    const { x } = await descend(watched, start, most, enough, all);
    // Balancing each neuron can only lower it.
    const there = unpacked(x, network, d, C);
    return { network: there, value: await this.valueOf(there) };
  }

  private valueOf(network: Network): Promise<number> {
    const { X, loss } = this.program;
    const numbers = packed(network, X.cols, loss.outputs);
    return this.objectiveOf(network, 0)(numbers, new Float64Array(numbers.length));
  }

  /** loss + beta / 2 (|W|^2 + |A|^2) + ridge |c|^2; gates, and zeros of outputs where neurons feed one each, are held. */
  private objectiveOf({ neurons, gated }: Network, tau: number) {
    const { X, loss, beta, outputBias, penalty } = this.program;
    const [d, C, m] = [X.cols, loss.outputs, neurons.length];
    const end = m * (d + C);
    const ridge = outputBias?.ridge ?? 0;
    const gates = gated ? concatenated(...neurons.map(({ gate }) => gate ?? new Float64Array(d))) : new Float64Array(0);
    const held = (k: number) => penalty.separable && neurons[k % m].output[Math.floor(k / m)] === 0;
    return async (x: Float64Array, gradient: Float64Array): Promise<number> => {
      const [value, ...slopes] = await this.crew.ask({ op: "layer", units: m, gated, tau }, concatenated(x, gates));
      for (let k = 0; k < end; k++) gradient[k] = slopes[k] + beta * x[k];
      for (let k = 0; k < C * m; k++) if (held(k)) gradient[m * d + k] = 0;
      let charge = 0;
      for (let c = 0; c < C; c++) {
        gradient[end + c] = outputBias === null ? 0 : slopes[end + c] + 2 * ridge * x[end + c];
        charge += ridge * x[end + c] ** 2;
      }
      const weights = x.subarray(0, end);
      return value + 0.5 * beta * dot(weights, weights) + charge;
    };
  }
}

function lower(a: NarrowedOnShards, b: NarrowedOnShards): NarrowedOnShards {
  return a.value <= b.value ? a : b;
}
