/** A run of `splitting`: its iterations, its weight, what is judged in float64, and when Newton steps go on. */

import { GapJudge } from "../../certificate/index.js";
import type { ConeIterate, ConeResiduals, OuterNumbers, OuterState } from "../../kernels/types.js";
import { inTurns } from "../../linear/pieces.js";
import { norm } from "../../linear/vectors.js";
import { zeroBlocks } from "../../operators/blocks.js";
import { minimiseOverBias } from "../../operators/outputBias.js";
import type { Gap, SparseBlocks } from "../../types.js";
import { BestPoint } from "../bestPoint.js";
import type { Point, Run, Setting, Solver } from "../solver.js";
import { type StepRoom, stepOnHost, stepRoom } from "./outer.js";
import { SplittingSystem } from "./system.js";

const RELAXATION = 1.8; // a
/** Iterations between two judgements: each takes the projections of many points onto their cones. */
const ITERATIONS_A_ROUND = 50;
/** The weight is balanced after the first few iterations, then from time to time, and at last at intervals that grow with the run. */
const EARLY_BALANCES = [5, 10, 15, 20];
const BALANCED_EVERY = 25;
const OFTEN = 500; // iterations
const BALANCE_GROWTH = 1.1;
const MOST_CHANGE = 3;
/** Gaps below which float32 may end; and the steps come slowly before that. */
const DIGITS = 1e-5;
/** A run rests when so many rounds did not take this share off its gap. */
const STALL_ROUNDS = 8;
const STALL_SHARE = 0.3;

/** Multiplications of steps that an engine makes between two turns of the host: by the sizes and not by the clock, which digits would show. */
const TURN = 5e9;
/** Points that are projected between two turns of the host. */
const POINTS = 32;

/** Where a run begins. */
interface Start {
  readonly blocks: SparseBlocks;
  readonly N: Float64Array; // [n x C]
  readonly slope: number; // root mean square of the gradient
  readonly point: Point;
}

export class SplittingRun implements Run {
  private readonly judge: GapJudge;
  private readonly best: BestPoint;
  private readonly size: number; // n C
  private readonly C: number;
  private system: SplittingSystem | null = null;
  private successor: Run | null = null; // what goes on from here
  private weight: number; // k
  private iterations = 0;
  private nextBalance = EARLY_BALANCES[0]; // the iteration
  private readonly state: OuterState; // te is of e as t is of p
  private readonly room: StepRoom;
  private readonly affordable: number; // steps that an engine makes between two turns of the host
  private readonly gaps: number[] = []; // of the best point after each round

  constructor(
    private readonly setting: Setting,
    private readonly from: SparseBlocks | null,
    private readonly next: Solver,
  ) {
    const { program, products, memory } = setting;
    const { loss } = program;
    this.judge = new GapJudge(program, products, memory.judge, setting.late);
    this.best = new BestPoint(program);
    this.C = loss.outputs;
    this.size = loss.rows * loss.outputs;
    const [z, c] = [0, 1].map(() => new Float64Array(this.size));
    this.state = { z, c, e: new Float64Array(this.C), te: new Float64Array(this.C) };
    this.room = stepRoom(loss);
    this.affordable = Math.max(1, Math.floor(TURN / (this.size * program.X.cols * program.gates.count)));
    this.weight = 1;
  }

  async round(): Promise<Point & { readonly resting: boolean; readonly onHost?: boolean }> {
    if (this.successor !== null) return this.goOn(this.successor);
    let { system } = this;
    if (system === null) {
      const start = await this.start();
      system = await SplittingSystem.of(this.setting);
      this.system = system;
      if (system === null) {
        const over = await this.setting.pause();
        return over ? { ...start.point, resting: false } : this.handOver(start.point);
      }
      await this.begin(system, start);
      if (start.point.gap.relative <= this.setting.tolerance) return { ...start.point, resting: false };
    }
    let over = false;
    for (let k = 0; k < ITERATIONS_A_ROUND && !over; ) {
      k += await this.advance(system, ITERATIONS_A_ROUND - k);
      over = await this.setting.pause();
    }
    const N = this.state.c.map((value) => value * this.weight * system.outputWeight);
    const blocks = await this.feasible(await system.iterate.read());
    const point = this.best.consider(blocks, await this.gapOf(blocks, N), N);
    this.gaps.push(point.gap.relative);
    if (over || !this.rests(point.gap.relative)) return { ...point, resting: false };
    return this.handOver(point);
  }

  dispose(): void {
    this.system?.dispose();
    this.successor?.dispose();
  }

  /** The start with the best bias, its outputs in z, its gradient scaled until it is feasible, and its gap. */
  private async start(): Promise<Start> {
    const { from, judge, setting } = this;
    const { z } = this.state;
    const { loss, outputBias } = setting.program;
    const blocks = from ?? zeroBlocks(setting.program);
    if (from === null && outputBias !== null) blocks.bias.set(minimiseOverBias(loss, z, outputBias));
    judge.predict(blocks, z);
    const N = new Float64Array(this.size);
    loss.gradient(z, N);
    const judged = await this.gapOf(blocks, N);
    const point = this.best.consider(blocks, judged, N);
    return { blocks, N: N.map((value) => judged.scale * value), slope: norm(N) / Math.sqrt(this.size), point };
  }

  /** Weight, multipliers and blocks of the start. */
  private async begin(system: SplittingSystem, { blocks, N, slope }: Start): Promise<void> {
    const { loss, outputBias, beta } = this.setting.program;
    const length = norm(blocks.vectors);
    const curvature = Number.isFinite(loss.curvature) ? loss.curvature : slope;
    const weight = length > 0 ? (beta * Math.sqrt(blocks.index.length)) / length : system.weightFor(curvature);
    if (weight > 0 && Number.isFinite(weight)) this.weight = weight;
    const { c, e, te } = this.state;
    for (let k = 0; k < this.size; k++) c[k] = N[k] / (this.weight * system.outputWeight);
    e.set(blocks.bias);
    const pull = (2 * (outputBias?.ridge ?? 0) * system.biasScale) / this.weight;
    for (let o = 0; o < this.C; o++) te[o] = (1 + pull) * e[o];
    if (length > 0) await this.write(system, blocks);
  }

  /** p := the blocks; t is what beta, over the weight, shortens to them. */
  private async write({ iterate }: SplittingSystem, { index, vectors }: SparseBlocks): Promise<void> {
    const threshold = this.setting.program.beta / this.weight;
    const d = vectors.length / index.length;
    const t = vectors.slice();
    for (let at = 0; at < t.length; at += d) {
      const length = norm(vectors.subarray(at, at + d));
      for (let k = at; k < at + d; k++) t[k] *= length > 0 ? 1 + threshold / length : 0;
    }
    await iterate.write(index, t, threshold);
  }

  /** At most `most` steps, and no further than the next change of the weight; answers with how many. */
  private async advance(system: SplittingSystem, most: number): Promise<number> {
    const { setting, state, room, weight } = this;
    const { loss, beta, outputBias } = setting.program;
    const { iterate, outputWeight: r, biasScale } = system;
    const numbers: OuterNumbers = {
      relaxation: RELAXATION,
      threshold: beta / weight,
      tau: 1 / (weight * r),
      biasShare: 1 / (1 + (2 * (outputBias?.ridge ?? 0) * biasScale) / weight),
    };
    const until = this.nextBalance - this.iterations;
    const count = iterate.steps === undefined ? 1 : Math.min(most, until, this.affordable);
    const balances = count === until;
    let left: ConeResiduals | null;
    if (iterate.steps === undefined) {
      left = await stepOnHost(system, loss, state, numbers, room, balances, setting.pause);
    } else {
      left = await iterate.steps(count, numbers, state);
      // In float64: the engine's z and c are rounded, and what is a multiplier of the loss must be one to the last digit.
      room.y.set(state.z);
      loss.prox(room.y, numbers.tau, state.z, room.slope, room.spread);
      for (let k = 0; k < this.size; k++) state.c[k] = room.y[k] - state.z[k];
    }
    this.iterations += count;
    if (balances) {
      this.nextBalance = balanceAfter(this.iterations);
      if (left !== null) await this.balance(iterate, left);
    }
    return count;
  }

  /** Brings what the constraints miss and what the other side moves to one size (Boyd et al. 2011, section 3.4.1). */
  private async balance(iterate: ConeIterate, { missed, moved }: ConeResiduals): Promise<void> {
    const ratio = missed / moved;
    if (!Number.isFinite(ratio) || ratio === 0) return;
    const factor = Math.min(MOST_CHANGE, Math.max(1 / MOST_CHANGE, Math.sqrt(Math.sqrt(ratio))));
    const { c, e, te } = this.state;
    this.weight *= factor;
    for (let k = 0; k < c.length; k++) c[k] /= factor;
    for (let o = 0; o < te.length; o++) te[o] = e[o] + (te[o] - e[o]) / factor;
    await iterate.rescale(factor);
  }

  /** The gap with pauses, which is cut short only once it is late. */
  private gapOf(blocks: SparseBlocks, N: Float64Array): Promise<Gap & { readonly scale: number }> {
    const { pause, late } = this.setting;
    return inTurns(this.judge.gapAlone(blocks, N), async () => {
      await pause();
      return late();
    });
  }

  /** Blocks on their cones, in float64, with the bias that is best for them. */
  private async feasible({ index, vectors }: Pick<SparseBlocks, "index" | "vectors">): Promise<SparseBlocks> {
    const { program } = this.setting;
    const { loss, outputBias } = program;
    const done = !program.cones || (await this.project(index, vectors));
    const blocks = done
      ? { index, vectors, bias: this.state.e.slice() }
      : { ...zeroBlocks(program), bias: this.state.e.slice() };
    if (outputBias === null) return blocks;
    const Z = new Float64Array(this.size);
    this.judge.predict({ ...blocks, bias: new Float64Array(this.C) }, Z);
    return { ...blocks, bias: minimiseOverBias(loss, Z, outputBias) };
  }

  /** Projects the vectors of blocks [count x d] in place, with pauses; false where it was too late for all of them. */
  private async project(index: Int32Array, vectors: Float64Array): Promise<boolean> {
    const { program, memory, late, pause } = this.setting;
    const d = program.X.cols;
    for (let from = 0; from < index.length; from += POINTS) {
      const slots = Array.from(index.subarray(from, from + POINTS));
      const gates = slots.map((k) => Math.floor(k / program.loss.outputs) % program.gates.count);
      const Z = vectors.subarray(from * d, (from + slots.length) * d);
      if (memory.run?.projectAll({ gates, slots, Z }, -1, late).done !== true) return false;
      await pause();
    }
    return true;
  }

  /** True when Newton steps can go on, and more iterations would bring little in comparison; else whoever counts the rounds decides. */
  private rests(gap: number): boolean {
    if (this.next.refuses(this.setting.program) !== null) return false;
    if (gap <= DIGITS && gap > this.setting.tolerance) return true;
    const before = this.gaps[this.gaps.length - 1 - STALL_ROUNDS];
    return before !== undefined && gap > (1 - STALL_SHARE) * before;
  }

  /** Leaves the rest to Newton steps on the host, where they fit. */
  private async handOver(point: Point): Promise<Point & { readonly resting: boolean; readonly onHost?: boolean }> {
    const { setting, next } = this;
    if (next.refuses(setting.program) !== null) return { ...point, resting: true };
    this.system?.dispose();
    this.system = null;
    this.successor = next.start(setting, point.blocks, point.dualPoint);
    return { ...point, resting: false };
  }

  private async goOn(successor: Run): Promise<Point & { readonly resting: boolean; readonly onHost: boolean }> {
    const { blocks, gap, dualPoint, resting } = await successor.round();
    const onHost = this.setting.kernels.iterateCones !== undefined;
    return { ...this.best.consider(blocks, { ...gap, scale: 1 }, dualPoint), resting, onHost };
  }
}

/** The iteration after this one at which the weight is balanced. */
function balanceAfter(iteration: number): number {
  const early = EARLY_BALANCES.find((at) => at > iteration);
  if (early !== undefined) return early;
  const often = (Math.floor(iteration / BALANCED_EVERY) + 1) * BALANCED_EVERY;
  return often <= OFTEN ? often : Math.ceil(BALANCE_GROWTH * iteration);
}
