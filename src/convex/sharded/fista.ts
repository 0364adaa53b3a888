/** FISTA on sums: the steps of `solvers/fista.ts`, blocks here and rows with the shards, one trip an iteration. */

import { concatenated, norm } from "../linear/vectors.js";
import type { ConvexProgram, Loss } from "../types.js";
import type { Place, RowSums } from "./crew.js";
import type { Judged, Verdict } from "./judge.js";
import { type KinkState, kinksAfter, kinksMoved } from "./kinks/index.js";

const POWER_STEPS = 12; // for the norm of the operator: the line search mends what they miss
const SHRINK = 0.5; // of the step, when the line search refuses it
const GROW = 1.02; // of the step, after every accepted iteration
const MAX_SHRINKS = 60;
/** Rounding of the left side of the line search, relative to its terms, and of one product. */
const ROUNDING = 1e-12;
const NOISE = 3 * 2 ** -53;
/** Numbers of an answer to "advance" before the gradient. */
const HEAD = 3;

/** What an iteration goes on from; with the program, all that a new driver has to know. */
export interface Iterate extends Place {
  readonly momentum: number; // t of Beck and Teboulle
  readonly step: number;
  readonly biasScale: number; // c moves this times as far as a block would
  readonly kinks: KinkState | null; // of a loss that has some
}

export class ShardedFista {
  private commit = false;

  private constructor(
    private readonly crew: RowSums,
    private readonly program: ConvexProgram,
    private iterate: Iterate,
    private slope: Float64Array, // [C + P x C x d]: of the bias, and of the blocks, at the extrapolated point
  ) {}

  /** From blocks of zero and an output bias [C]. */
  static async begin(
    crew: RowSums,
    program: ConvexProgram,
    bias: Float64Array,
    kinks: KinkState | null,
  ): Promise<ShardedFista> {
    const squaredNorm = await operatorNorm(crew, program.gates.count * program.X.cols);
    const { loss } = program;
    return ShardedFista.from(crew, program, {
      ...placeAtZero(program, bias),
      momentum: 1,
      step: 1 / (curvatureOf(loss, kinks) * squaredNorm),
      biasScale: squaredNorm / loss.rows,
      kinks,
    });
  }

  /** From where another driver was. */
  static async from(crew: RowSums, program: ConvexProgram, iterate: Iterate): Promise<ShardedFista> {
    return new ShardedFista(crew, program, iterate, await crew.resume(iterate));
  }

  get state(): Iterate {
    return this.iterate;
  }

  /** The iterate, for the judge; the shards learn by it that the last step was taken. */
  judged(): Judged {
    const { version, blocks, bias } = this.iterate;
    return { from: { version, commit: this.commit }, blocks, bias };
  }

  /** One iteration: a step that the line search accepts, with momentum or restart. */
  async advance(): Promise<void> {
    const { crew, program, iterate } = this;
    for (let shrinks = 0; ; shrinks++) {
      const { step, version } = this.iterate;
      const tried = this.tried(step);
      const momentum = tried.turned > 0 ? 1 : iterate.momentum;
      const after = (1 + Math.sqrt(1 + 4 * momentum * momentum)) / 2;
      const pull = tried.turned > 0 ? 0 : (momentum - 1) / after;
      const answer = await crew.ask(
        { op: "advance", version, commit: this.commit, pull },
        concatenated(tried.blocks, tried.bias),
      );
      this.commit = false; // they know by now
      const [bend, long, away] = answer;
      const noise = NOISE * Math.sqrt(long);
      const slack = curvatureOf(program.loss, iterate.kinks) * noise * (2 * Math.sqrt(away) + noise);
      if (bend <= (tried.moved / step) * (1 + ROUNDING) + slack || shrinks === MAX_SHRINKS) {
        const { blocks, bias } = tried;
        this.take({ ...iterate, before: iterate.blocks, biasBefore: iterate.bias, blocks, bias, pull }, after, step);
        this.slope = answer.slice(HEAD);
        return;
      }
      this.iterate = { ...this.iterate, step: SHRINK * step };
    }
  }

  /** What was seen of the iterate: what kinks leave of its gap. */
  heard(left: number, { primal, dual }: Verdict): void {
    const { kinks } = this.iterate;
    if (kinks !== null) this.iterate = { ...this.iterate, kinks: kinksAfter(kinks, left, primal - dual) };
  }

  /** Begins anew from the iterate with the next multipliers, where it is time for them. */
  async settle(): Promise<void> {
    const { crew, iterate } = this;
    const { kinks, blocks, bias, step } = iterate;
    if (kinks === null || kinks.next === null) return;
    await crew.anchor(kinks.next, blocks, bias);
    const longer = kinks.next / kinks.tau;
    const place = { before: blocks, biasBefore: bias, pull: 0, momentum: 1, step: longer * step };
    this.iterate = { ...iterate, ...place, kinks: kinksMoved(kinks) };
    this.slope = await crew.resume(this.iterate);
    this.commit = false;
  }

  private take(next: Iterate, momentum: number, step: number): void {
    this.iterate = { ...next, version: next.version + 1, momentum, step: GROW * step };
    this.crew.moved(this.iterate);
    this.commit = true;
  }

  /** The proximal step from the extrapolated point, how far it goes, and whether it turns back. */
  private tried(step: number) {
    const { program, iterate, slope } = this;
    const { penalty, beta, outputBias, gates, loss, X } = program;
    const C = loss.outputs;
    const y = extrapolated(iterate.blocks, iterate.before, iterate.pull);
    const blocks = y.map((value, k) => value - step * slope[C + k]);
    const size = C * X.cols;
    for (let i = 0; i < gates.count; i++)
      penalty.prox(blocks.subarray(i * size, (i + 1) * size), C, X.cols, step * beta);
    let moved = 0;
    let turned = 0;
    for (let k = 0; k < blocks.length; k++) {
      const change = blocks[k] - y[k];
      moved += change * change;
      turned -= change * (blocks[k] - iterate.blocks[k]);
    }
    const bias = iterate.bias.slice();
    if (outputBias !== null) {
      const cy = extrapolated(iterate.bias, iterate.biasBefore, iterate.pull);
      const stride = step * iterate.biasScale;
      for (let o = 0; o < C; o++) {
        bias[o] = (cy[o] - stride * slope[o]) / (1 + 2 * outputBias.ridge * stride);
        moved += (bias[o] - cy[o]) ** 2 / iterate.biasScale;
        turned += ((cy[o] - bias[o]) * (bias[o] - iterate.bias[o])) / iterate.biasScale;
      }
    }
    return { blocks, bias, moved, turned };
  }
}

function curvatureOf({ curvature }: Loss, kinks: KinkState | null): number {
  return kinks === null ? curvature : 1 / kinks.tau;
}

/** The network without neurons. */
export function placeAtZero({ gates, loss, X }: ConvexProgram, bias: Float64Array): Place {
  const zero = new Float64Array(gates.count * loss.outputs * X.cols);
  return { version: 0, pull: 0, before: zero, blocks: zero, biasBefore: bias, bias };
}

function extrapolated(now: Float64Array, before: Float64Array, pull: number): Float64Array {
  return now.map((value, k) => value + pull * (value - before[k]));
}

/** |A|^2 for one output, all outputs having the same operator, by power steps. */
async function operatorNorm(crew: RowSums, size: number): Promise<number> {
  let v = new Float64Array(size).fill(1 / Math.sqrt(size));
  let value = 0;
  for (let k = 0; k < POWER_STEPS; k++) {
    const image = await crew.ask({ op: "power" }, v);
    value = norm(image);
    if (!(value > 0)) break;
    v = image.map((entry) => entry / value);
  }
  return value > 0 ? value : 1;
}
