/**
 * Proximal Newton steps for programs with cones on sums: a model of second order over some gates, which the driver solves without any
 * row, then a stride along which shards say what the loss is. All that a shard has to know is the point: one that was lost gets it back
 * by a product.
 */

import type { Kernels } from "../../kernels/types.js";
import { concatenated, dot } from "../../linear/vectors.js";
import type { ConvexProgram } from "../../types.js";
import type { Place, RowSums } from "../crew.js";
import {
  type Best,
  balanced,
  boundAt,
  chargeOf,
  constantsAt,
  type Judged,
  kinkGap,
  type Slopes,
  slopesAt,
  truthAt,
} from "../judge.js";
import { hasKinks, type KinkState, kinksAfter, kinksMoved } from "../kinks/index.js";
import type { ConeSet } from "./cones.js";
import { ConeModels } from "./model.js";
import { bendOf, solveConeQuadratic } from "./quadratic.js";

/** Columns of a model: gates times d. */
export const MOST_COLUMNS = 4500;
/** Gates without neurons whose price is at least this share of beta are in a model, where it has not all; and at least so many. */
const DEAR = 0.95;
const LEAST_DEAR = 16;
/** What is left of a model may be this share of the gap. */
const EXACT = 0.1;
/** A stride may find so many times the curvature of the model: then the objective falls, whatever the stride. */
const MOST_BEND = 1.5;
const STRIDES = Array.from({ length: 16 }, (_, k) => 2 ** -k);
/**
 * Levenberg's damping, of rows where a loss is straight (Huber's beyond delta): more where the model held over a part of the way only,
 * less where it held over all of it.
 */
const FIRST_DAMPING = 1e-2;
const LEAST_DAMPING = 1e-10;
const SHORT = 0.25;
/** Of the loss: rounding of a difference of two. */
const ROUNDING = 1e-14;

/** What a step goes on from; with the program and the rows of cones that are known, all that a new driver has to know. */
export interface NewtonIterate extends Place {
  readonly weights: readonly number[]; // of the alternating directions of the last model, output by output; 0: none yet
  readonly damping: number; // share of the loss's curvature that rows bend by at least in a model
  readonly gap: number | null; // between the iterate and its bound; null before there is one
  readonly kinks: KinkState | null; // of a loss that has some
}

export class ConeNewton {
  private readonly models: ConeModels;
  private slopes: Slopes | null = null; // at the iterate
  private broken = false; // whether a model was not finite

  constructor(
    private readonly crew: RowSums,
    private readonly program: ConvexProgram,
    private readonly cones: ConeSet,
    private readonly kernels: Kernels,
    private iterate: NewtonIterate,
    private readonly columns = MOST_COLUMNS,
  ) {
    this.models = new ConeModels(crew, program);
  }

  get state(): NewtonIterate {
    return this.iterate;
  }

  /** The best point of the program that is seen from the iterate, and a bound. */
  async look(): Promise<Best> {
    const { crew, program, cones } = this;
    const { blocks, bias: last } = this.iterate;
    if (this.broken) return { primal: Number.NaN, dual: Number.NaN, blocks, bias: last };
    const slopes = await this.slopesHere();
    const { kinks } = this.iterate;
    // Of a wider program no step is taken, and its shards have the loss rounded off all the same.
    const kinked = hasKinks(program.loss);
    const here = kinked ? await truthAt(crew, this.point, slopes.bias) : slopes.value;
    const relaxed = here + chargeOf(program, blocks, slopes.bias);
    const largest = cones.largestPrice(slopes.pull, program.beta);
    const dual = await boundAt(crew, program, this.point, slopes, relaxed, largest);
    this.iterate = { ...this.iterate, gap: Number.isFinite(dual) ? relaxed - dual : null };
    if (kinks !== null) {
      const left = await kinkGap(crew, program, this.point, slopes, here, cones.folded(blocks));
      this.iterate = { ...this.iterate, kinks: kinksAfter(kinks, left, relaxed - dual) };
    }
    const inside = await cones.inside(crew, blocks);
    if (!inside.moved) return { primal: relaxed, dual, blocks, bias: slopes.bias };
    await crew.lookAside(cones.folded(inside.blocks), slopes.bias);
    const point: Judged = { from: { aside: true }, blocks: inside.blocks, bias: slopes.bias };
    const bias = await balanced(crew, program, point);
    const value = kinked ? await truthAt(crew, point, bias) : (await constantsAt(crew, point, bias)).value;
    return { primal: value + chargeOf(program, inside.blocks, bias), dual, blocks: inside.blocks, bias };
  }

  /** One step. */
  async round(pause: () => Promise<boolean>): Promise<void> {
    const { cones } = this;
    cones.forget();
    const slopes = await this.slopesFrom();
    const list = this.gatesOf(slopes.pull);
    const { iterate } = this;
    const offset = slopes.bias.map((value, c) => value - iterate.bias[c]);
    const { blocks, bias, weights, models } = await this.modelled(list, slopes, offset, pause);
    if (this.broken || models.length === 0) return;
    const move = concatenated(
      cones.folded(blocks.map((value, k) => value - iterate.blocks[k])),
      bias.map((value, c) => value - slopes.bias[c]),
    );
    const stride = this.models.exact ? 1 : await this.strideAlong(move, slopes, offset, models);
    const damping = this.models.exact ? iterate.damping : dampingAfter(iterate.damping, stride);
    const to = (from: Float64Array, end: Float64Array) =>
      stride === 1 ? end : from.map((value, k) => value + stride * (end[k] - value));
    const next = { blocks: to(iterate.blocks, blocks), bias: to(slopes.bias, bias) };
    this.iterate = {
      ...iterate,
      ...next,
      version: iterate.version + 1,
      before: next.blocks,
      biasBefore: next.bias,
      weights,
      damping,
    };
    this.slopes = null;
  }

  /** The slopes that a step begins with, of the next multipliers where it is time for them. */
  private async slopesFrom(): Promise<Slopes> {
    const { crew, cones } = this;
    const slopes = this.slopes ?? (await this.slopesHere());
    const { blocks, kinks } = this.iterate;
    if (kinks === null || kinks.next === null) return slopes;
    await crew.anchor(kinks.next, cones.folded(blocks), slopes.bias);
    this.iterate = { ...this.iterate, kinks: kinksMoved(kinks) };
    return this.slopesHere();
  }

  private get point(): Judged {
    const { blocks, bias } = this.iterate;
    return { from: { aside: true }, blocks, bias };
  }

  private async slopesHere(): Promise<Slopes> {
    const { crew, cones, iterate, program } = this;
    await crew.lookAside(cones.folded(iterate.blocks), iterate.bias);
    this.slopes = await slopesAt(crew, program, this.point);
    return this.slopes;
  }

  /**
   * All gates where a model has room for them and is the loss itself; else those with neurons, and the dearest. Where there is no room
   * for these, half of it is for the dearest above beta, and those with neurons take turns: every block has its step again and again.
   */
  private gatesOf(pull: Float64Array): number[] {
    const { cones, program, iterate, models } = this;
    const { gates, beta } = program;
    const all = Array.from({ length: gates.count }, (_, gate) => gate);
    if (models.exact && models.columns(gates.count, 1) <= this.columns) return all;
    const prices = cones.prices(pull, DEAR * beta);
    const sizes = cones.sizes(iterate.blocks);
    const used = all.filter((gate) => sizes[gate] > 0);
    const dear = all
      .filter((gate) => sizes[gate] === 0 && prices[gate] > DEAR * beta)
      .sort((a, b) => prices[b] - prices[a])
      .slice(0, Math.max(LEAST_DEAR, used.length));
    const room = Math.max(1, Math.floor(this.columns / models.columns(1, 1)));
    if (used.length + dear.length <= room) return [...used, ...dear].sort((a, b) => a - b);
    const above = dear.filter((gate) => prices[gate] > beta).length;
    const entering = Math.min(
      dear.length,
      Math.max(Math.min(above, halfOf(room, iterate.version)), room - used.length),
    );
    const staying = Math.min(used.length, room - entering);
    const turn = room === 1 ? iterate.version >>> 1 : iterate.version * (room >>> 1);
    const first = used.length === 0 ? 0 : turn % used.length;
    const turned = [...used.slice(first), ...used.slice(0, first)].slice(0, staying);
    return [...turned, ...dear.slice(0, entering)].sort((a, b) => a - b);
  }

  /** Outputs that a model is of together: all of them where they see each other and there is room; else each by itself. */
  private groupsOf(list: readonly number[]): readonly (readonly number[])[] {
    const { loss } = this.program;
    const outputs = Array.from({ length: loss.outputs }, (_, c) => c);
    const together = !loss.separable && this.models.columns(list.length, loss.outputs) <= this.columns;
    return together ? [outputs] : outputs.map((c) => [c]);
  }

  /** Where the models have their minima; where a pause says stop, of the outputs that there was time for. */
  private async modelled(list: readonly number[], slopes: Slopes, offset: Float64Array, pause: () => Promise<boolean>) {
    const { cones, iterate, kernels, crew } = this;
    const { beta, X } = this.program;
    const blocks = iterate.blocks.slice();
    const bias = slopes.bias.slice();
    const weights = iterate.weights.slice();
    const groups = this.groupsOf(list);
    const enough = (EXACT * (iterate.gap ?? slopes.value)) / groups.length;
    if (!this.models.exact) await crew.lookAside(cones.folded(iterate.blocks), iterate.bias);
    const models: Model[] = [];
    for (const outputs of groups) {
      const H = await this.models.of(outputs, list, offset, iterate.damping, pause);
      if (H === null) break;
      const model = { outputs, list, H };
      models.push(model);
      const members = outputs.flatMap((c) => list.map((gate) => ({ gate, slots: cones.slotsOf(gate, c) })));
      const slotOf = (j: number) => members[j % members.length].slots[j < members.length ? 0 : 1];
      const found = await solveConeQuadratic(
        {
          ...{ H: model.H, beta, width: X.cols },
          gradient: this.entriesOf(
            model,
            slopes.pull,
            slopes.sums.map((sum, c) => sum + this.ridgePull(slopes.bias[c])),
          ),
          centre: this.entriesOf(model, cones.folded(iterate.blocks), slopes.bias),
          prox: (j, z, threshold) => cones.prox(members[j % members.length].gate, slotOf(j), z, threshold),
        },
        concatenated(
          ...Array.from({ length: 2 * members.length }, (_, j) => vectorAt(iterate.blocks, slotOf(j), X.cols)),
        ),
        iterate.weights[outputs[0]],
        enough,
        kernels,
        pause,
      );
      if (found === null) {
        this.broken = true;
        break;
      }
      for (const c of outputs) weights[c] = found.weight;
      for (let j = 0; j < 2 * members.length; j++) blocks.set(vectorAt(found.vectors, j, X.cols), slotOf(j) * X.cols);
      found.free.forEach((value, k) => {
        bias[outputs[k]] = value;
      });
    }
    return { blocks, bias, weights, models };
  }

  private ridgePull(bias: number): number {
    return 2 * (this.program.outputBias?.ridge ?? 0) * bias;
  }

  /** The entries of a model in what is [P x C x d], and [C] of the bias. */
  private entriesOf({ outputs, list, H }: Model, all: Float64Array, bias: Float64Array): Float64Array {
    const { loss, X, outputBias } = this.program;
    const out = new Float64Array(Math.sqrt(H.length));
    outputs.forEach((c, a) => {
      list.forEach((gate, k) => {
        out.set(vectorAt(all, gate * loss.outputs + c, X.cols), (a * list.length + k) * X.cols);
      });
      if (outputBias !== null) out[outputs.length * list.length * X.cols + a] = bias[c];
    });
    return out;
  }

  /** The longest stride over which the loss bends no more than a few times what the models say; 0 where it is none. */
  private async strideAlong(
    move: Float64Array, // [P x C x d + C]
    { value, pull, sums }: Slopes,
    offset: Float64Array,
    models: readonly Model[],
  ): Promise<number> {
    const call = { op: "along", aside: true, strides: STRIDES } as const;
    const losses = await this.crew.ask(call, concatenated(offset, move));
    const [blocks, bias] = [move.subarray(0, pull.length), move.subarray(pull.length)];
    const slope = dot(pull, blocks) + dot(sums, bias);
    const bend = models.reduce((sum, model) => sum + bendOf(model.H, this.entriesOf(model, blocks, bias)), 0);
    const room = ROUNDING * Math.abs(value);
    const fits = STRIDES.find(
      (stride, k) => losses[k] - value - stride * slope <= (MOST_BEND * stride * bend) / 2 + room,
    );
    return fits ?? 0;
  }
}

/** Half of the room; where there is room for one only, all of it in every other step. */
function halfOf(room: number, version: number): number {
  return room === 1 ? version % 2 : room >>> 1;
}

function dampingAfter(damping: number, stride: number): number {
  if (stride === 1) return Math.max(LEAST_DAMPING, damping / 10);
  return stride > SHORT ? damping : Math.min(1, damping * (stride === 0 ? 1000 : 10));
}

/** A model of some outputs over some gates. */
interface Model {
  readonly outputs: readonly number[];
  readonly list: readonly number[];
  readonly H: Float64Array; // [q x q], its lower triangle
}

function vectorAt(all: Float64Array, place: number, d: number): Float64Array {
  return all.subarray(place * d, (place + 1) * d);
}

/** No neurons yet, and no weight of a step before. */
export function newtonAtZero(size: number, bias: Float64Array, kinks: KinkState | null): NewtonIterate {
  const zero = new Float64Array(size);
  const place = { version: 0, pull: 0, before: zero, blocks: zero, biasBefore: bias, bias };
  return { ...place, weights: Array.from(bias, () => 0), damping: FIRST_DAMPING, gap: null, kinks };
}
