/**
 * Steps over batches, as of `solvers/stochastic`, on sums: the driver holds the points, shards what a batch makes of a difference from the
 * snapshot, one trip a step. The snapshot is the point that shards look at beside their state: a worker that was lost gets it by a product.
 */

import { uniformSource } from "../../linear/random.js";
import { concatenated, largestOf, norm } from "../../linear/vectors.js";
import { batchCount, POWER_STEPS, PROBED, shuffled, squaredNormFrom } from "../../solvers/stochastic/batches.js";
import { FIRST_PACE, Katyusha, PASSES, type Pace } from "../../solvers/stochastic/katyusha.js";
import type { ConvexProgram } from "../../types.js";
import type { OneBatch } from "../cluster.js";
import { offsetsOf, type Place, type RowSums } from "../crew.js";
import { type Best, boundAt, chargeOf, type Judged, pricesOf, type Slopes, slopesAt } from "../judge.js";

/** What a round goes on from: the snapshot, in the place of the blocks, and z of `Katyusha`, in that of those before. */
export interface StochasticIterate extends Place {
  readonly pace: Pace;
  readonly squaredNorm: number; // as `Batches` has it; 0: not known yet
}

export class ShardedStochastic {
  private readonly steps: Katyusha;
  private slopes: Slopes | null = null; // at the snapshot
  private taken: Best | null = null; // the snapshot
  private readonly batches: number;
  private readonly size: number; // of a block, [C x d]

  constructor(
    private readonly crew: RowSums,
    private readonly program: ConvexProgram,
    private iterate: StochasticIterate,
  ) {
    const { before, blocks, biasBefore, bias, pace } = iterate;
    this.steps = new Katyusha(program, { x: blocks, z: before, cx: bias, cz: biasBefore }, pace);
    this.batches = batchCount(crew.rows);
    this.size = program.loss.outputs * program.X.cols;
  }

  get state(): StochasticIterate {
    return this.iterate;
  }

  /** Some passes over the batches. */
  async round(pause: () => Promise<boolean>): Promise<void> {
    const { steps, crew } = this;
    const slopes = this.slopes ?? (await this.begun());
    if (this.iterate.squaredNorm === 0) this.iterate = { ...this.iterate, squaredNorm: await this.squaredNorm() };
    const { squaredNorm } = this.iterate;
    const gates = steps.begin();
    steps.with(gates, this.blocksOf(slopes.pull, gates), slopes.sums);
    const offset = slopes.bias.map((value, c) => value - this.iterate.bias[c]);
    const C = offset.length;
    for (let pass = 0; pass < PASSES; pass++) {
      // Another order each time, which a driver that goes on from here has, too.
      for (const batch of shuffled(this.batches, uniformSource(1 + this.iterate.version))) {
        const { away, shift } = steps.towards();
        const payload = concatenated(offset, shift, Float64Array.from(gates), away);
        const answer = await crew.ask({ ...this.one(batch), op: "turn", aside: true }, payload);
        steps.step({ sums: answer.subarray(0, C), pull: answer.subarray(C) }, squaredNorm);
        this.iterate = { ...this.iterate, version: this.iterate.version + 1 };
        if (await pause()) return;
      }
    }
  }

  /** What the steps came to, which is the next snapshot, or, where the objective rose, the snapshot before. */
  async look(): Promise<Best> {
    const { steps, iterate } = this;
    const [blocks, bias] = [steps.x.slice(), steps.cx.slice()];
    const { slopes, prices, ...best } = await this.judgedAt(blocks, bias);
    const taken = steps.judged({ bias: slopes.bias, prices, primal: best.primal });
    if (taken) [this.slopes, this.taken] = [slopes, best];
    const snapshot = taken ? { blocks, bias } : { blocks: iterate.blocks, bias: iterate.bias };
    this.iterate = { ...iterate, ...snapshot, before: steps.z.slice(), biasBefore: steps.cz.slice(), pace: steps.at };
    if (taken || this.taken === null) return best;
    await this.crew.lookAside(iterate.blocks, iterate.bias);
    // The bound of a point that is not taken may be the better one all the same.
    const bounds = Number.isFinite(best.primal) && best.dual > this.taken.dual;
    return bounds ? { ...this.taken, dual: best.dual } : this.taken;
  }

  /** Where the shards learn of the snapshot that the first round goes from. */
  private async begun(): Promise<Slopes> {
    const { blocks, bias, pace, version } = this.iterate;
    const { slopes, prices, ...best } = await this.judgedAt(blocks, bias);
    const { primal } = best;
    const snapshot = { bias: slopes.bias, prices, primal };
    if (version === 0) this.steps.judged(snapshot);
    else this.steps.resume(snapshot);
    this.iterate = { ...this.iterate, pace: version === 0 ? this.steps.at : pace };
    [this.slopes, this.taken] = [slopes, best];
    return slopes;
  }

  private async judgedAt(blocks: Float64Array, bias: Float64Array) {
    const { crew, program } = this;
    const point: Judged = { from: { aside: true }, blocks, bias };
    await crew.lookAside(blocks, bias);
    const slopes = await slopesAt(crew, program, point);
    const primal = slopes.value + chargeOf(program, blocks, slopes.bias);
    const prices = pricesOf(program, slopes.pull);
    const dual = await boundAt(crew, program, point, slopes, primal, largestOf(prices));
    return { primal, dual, blocks, bias: slopes.bias, slopes, prices };
  }

  private async squaredNorm(): Promise<number> {
    const { crew, program, batches } = this;
    const size = program.gates.count * program.X.cols;
    let largest = 0;
    for (let batch = 0; batch < Math.min(PROBED, batches); batch++) {
      let v = new Float64Array(size).fill(1 / Math.sqrt(size));
      for (let step = 0; step < POWER_STEPS; step++) {
        const image = await crew.ask({ ...this.one(batch), op: "batchPower" }, v);
        const length = norm(image);
        largest = Math.max(largest, length);
        if (length > 0) v = image.map((entry) => entry / length);
      }
    }
    return squaredNormFrom(largest, batches);
  }

  private one(batch: number): OneBatch {
    return { batch, batches: this.batches, offsets: offsetsOf(this.crew.facts) };
  }

  private blocksOf(all: Float64Array, gates: Int32Array): Float64Array {
    const out = new Float64Array(gates.length * this.size);
    gates.forEach((gate, k) => {
      out.set(all.subarray(gate * this.size, (gate + 1) * this.size), k * this.size);
    });
    return out;
  }
}

/** No steps yet. */
export function stochasticAt(place: Place): StochasticIterate {
  return { ...place, pace: FIRST_PACE, squaredNorm: 0 };
}
