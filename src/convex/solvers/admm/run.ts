/** A run of `admm`: its iterations, what it judges after some of them, and when it lets gates in or hands over to Newton steps. */

import { GapJudge, type Judged } from "../../certificate/index.js";
import { log } from "../../linear/elementary.js";
import { inTurns } from "../../linear/pieces.js";
import { columnSums, LEAST, largestOf, norm } from "../../linear/vectors.js";
import { blockOutputs, meanSquaredNorm, zeroBlocks } from "../../operators/blocks.js";
import { minimiseOverBias } from "../../operators/outputBias.js";
import type { SparseBlocks } from "../../types.js";
import { type ActiveBlocks, shrinkSpectra, shrinkVectors } from "../activeBlocks.js";
import { BestPoint } from "../bestPoint.js";
import { proximalNewton } from "../newton/index.js";
import type { Point, Run, Setting } from "../solver.js";
import { WorkingSet } from "../workingSet.js";
import { lowerPrices } from "./loweredPrices.js";
import { newtonIsCheaper, type Work } from "./newtonIsCheaper.js";
import { roughProducts, type StepProducts } from "./roughProducts.js";
import { GraphState } from "./state.js";
import { GraphSystem, hasFewColumns, isFactored } from "./system.js";
import { FIRST_LOOK, GraphWeights } from "./weights.js";

/**
 * With cones, where a judgement is dearer, twice as many. So many times that in a first round from zero that has all gates, after
 * which no gap is small (with cones twice as many again), and near the optimum, there once more at the pace of the last round.
 */
const ITERATIONS_A_ROUND = 10;
const LONGER = 2;
/** A round that is reckoned to reach this share of the tolerance is shorter, but not than so many. */
const ENOUGH = 0.7;
const LEAST_ITERATIONS = 2;
/** With cones a longer step. */
const RELAXATION = 1.6; // a
const CONES_RELAXATION = 1.8;
/** The diagonal of A A' against what narrow cones leave of it. */
const NARROW = 10;
/** From this gap on, with cones, rounds are twice as long, and each ends with prices that are lowered. */
const NEAR_GAP = 0.3;
/**
 * The first gates have this many coefficients for each row, and products with them take CHEAP to DEAR multiplications; where those
 * are half of all gates or more, all are the first.
 */
const FIRST_COEFFICIENTS = 20;
const CHEAP_PRODUCT = 1e8;
const DEAR_PRODUCT = 1e9;
/** From this gap on products are in float64. */
const EXACT_GAP = 1e-4;
/** Gates enter when they cost the bound this share of the gap, together with those that are this share of it below beta. */
const BOUND_SHARE = 0.25;
const NEAR_SHARE = 0.5;
/** With cones: where the first dual point is above this scale, few blocks open, and Newton steps are cheap. */
const CONES_SCALE = 5e-3;

/** A run that is opened in its first round, where the host gets its turns. */
export function admmRun(setting: Setting, from: SparseBlocks | null): Run {
  let run: AdmmRun | null = null;
  return {
    round: async () => {
      if (run !== null) return run.round();
      run = await AdmmRun.opened(setting, from);
      return run.first();
    },
    dispose: () => run?.dispose(),
  };
}

/** Where a run begins. */
interface Opening {
  readonly blocks: SparseBlocks;
  readonly judge: GapJudge;
  readonly judged: Judged;
  readonly c: Float64Array; // [C]
  readonly Z: Float64Array; // [n x C]
  readonly xi: Float64Array; // the gradient at Z, scaled until no block prices it above beta
}

export class AdmmRun implements Run {
  private readonly judge: GapJudge;
  private readonly best: BestPoint;
  private readonly roughly: StepProducts | null;
  private readonly system: GraphSystem;
  private readonly working: WorkingSet;
  private readonly state: GraphState;
  private readonly n: number;
  private readonly C: number;
  private readonly vectors: number; // of a block: C for each position
  private readonly d: number;
  private kept: Pick<ActiveBlocks, "slots" | "vectors"> = { slots: [], vectors: new Float64Array(0) }; // W
  private readonly Y: Float64Array; // [n x C]
  private readonly N: Float64Array;
  private readonly F: Float64Array; // A W + 1 e'
  private readonly move: Float64Array; // of H
  private readonly left: Float64Array; // what a system that is not solved to the end leaves
  private readonly slope: Float64Array;
  private readonly spread: Float64Array | null;
  private readonly e: Float64Array;
  private readonly weights: GraphWeights;
  private readonly biasScale: number; // g^2
  private readonly begin: Point;
  private iterations = 0;
  private length = 0; // iterations of the last round
  private drifted = false; // what the state keeps is not exact any more
  private readonly gaps: number[] = []; // of the best point after each round
  private newton: Run | null = null; // what goes on from here

  private constructor(
    private readonly setting: Setting,
    from: SparseBlocks | null,
    { blocks: at, judge, judged, c, Z, xi }: Opening,
  ) {
    const { program, products } = setting;
    const { loss, outputBias, X } = program;
    this.best = new BestPoint(program);
    this.n = loss.rows;
    this.C = loss.outputs;
    this.vectors = blockOutputs(program);
    this.d = X.cols;
    this.roughly = roughProducts(setting);
    this.system = new GraphSystem(setting, this.roughly);
    this.judge = judge;
    const size = this.n * this.C;
    [this.Y, this.N, this.F, this.move, this.left, this.slope] = Array.from(
      { length: 6 },
      () => new Float64Array(size),
    );
    this.spread = loss.separable ? null : new Float64Array(size);
    this.e = c.slice();
    const curvature = Number.isFinite(loss.curvature) ? loss.curvature : Math.max(norm(xi) / Math.sqrt(size), LEAST);
    this.begin = this.best.consider(at, judged, xi);
    for (let k = 0; k < size; k++) xi[k] *= judged.scale;
    const wanted = Math.max(FIRST_COEFFICIENTS * this.n, CHEAP_PRODUCT / this.n);
    const some = Math.ceil(Math.min(wanted, DEAR_PRODUCT / this.n) / this.d);
    const first = 2 * some < program.gates.count ? some : program.gates.count;
    this.working = new WorkingSet(program, judged.prices.prices, from, first);
    // The mean diagonal of A A', where about every other row is open.
    const blocks = this.working.halves * this.working.gates.length;
    const mean = Math.max(0.5 * blocks * meanSquaredNorm(program), LEAST);
    this.biasScale = outputBias === null ? 0 : mean;
    const kind = program.cones ? "cones" : isFactored(program, this.working.gates.length) ? "factored" : "rough";
    this.weights = new GraphWeights(curvature, mean / (program.cones ? NARROW : 1), kind);
    this.state = new GraphState(products, this.working, this.weights, this.biasScale, c, Z, xi);
    const few = program.cones && from === null && judged.scale > CONES_SCALE;
    if (few) this.newton = proximalNewton.start(setting, null);
  }

  static async opened(setting: Setting, from: SparseBlocks | null): Promise<AdmmRun> {
    const { program, products, memory } = setting;
    const { loss, outputBias } = program;
    const judge = new GapJudge(program, products, memory.judge, setting.late);
    const size = loss.rows * loss.outputs;
    const c = new Float64Array(loss.outputs);
    const Z = new Float64Array(size);
    if (from !== null) {
      judge.predict(from, Z);
      c.set(from.bias);
    } else if (outputBias !== null) {
      c.set(minimiseOverBias(loss, Z, outputBias));
      for (let k = 0; k < size; k++) Z[k] = c[k % loss.outputs];
    }
    const xi = new Float64Array(size);
    loss.gradient(Z, xi);
    const blocks: SparseBlocks = from ?? { ...zeroBlocks(program), bias: c.slice() };
    const judged = await inTurns(judge.gapping(blocks, xi), setting.pause);
    const run = new AdmmRun(setting, from, { blocks, judge, judged, c, Z, xi });
    await inTurns(run.state.entering(), setting.pause);
    const length = norm(blocks.vectors);
    if (length === 0) return run;
    const { weights, state } = run;
    const { blocks: p, outputs: r } = weights;
    weights.set(run.sizeOf(state.B) / length, norm(xi) / norm(Z));
    state.reweigh(p, r);
    run.iterations = FIRST_LOOK;
    return run;
  }

  /** The first round; where the time is up already, the point that it would begin at. */
  async first(): Promise<Point & { readonly resting: boolean }> {
    return (await this.setting.pause()) ? { ...this.begin, resting: false } : this.round();
  }

  async round(): Promise<Point & { readonly resting: boolean }> {
    if (this.newton !== null) {
      const { blocks, gap, dualPoint, resting } = await this.newton.round();
      return { ...this.best.consider(blocks, { ...gap, scale: 1 }, dualPoint), resting };
    }
    const { pause } = this.setting;
    if (this.drifted) await inTurns(this.state.renewing(), pause);
    this.drifted = false;
    let solvable = true;
    let over = await pause();
    this.length = this.nextLength();
    for (let k = 0; k < this.length && solvable && !over; k++) {
      solvable = await this.advance();
      over = await pause();
    }
    const { setting, working } = this;
    const { tolerance, program } = setting;
    const lowers = this.near && program.loss.separable && !over;
    const T = this.slope.map((slope) => 1 - slope);
    const N = (lowers ? lowerPrices(setting, working, this.N, T) : null) ?? this.N;
    const blocks = this.point();
    const judged = await inTurns(this.judge.gapping(blocks, N), pause);
    const point = this.best.consider(blocks, judged, N);
    this.gaps.push(point.gap.relative);
    if (over) return { ...point, resting: false };
    const successor = proximalNewton.refuses(program) === null;
    if (!solvable && !successor) return { ...point, resting: true };
    if (successor && (!solvable || newtonIsCheaper(this.workAt(blocks.index.length), tolerance))) {
      this.system.dispose();
      this.newton = proximalNewton.start(this.setting, point.blocks, program.cones ? point.dualPoint : undefined);
    } else {
      await this.enlarge(judged.prices.prices, point.gap.relative);
    }
    return { ...point, resting: false };
  }

  dispose(): void {
    this.system.dispose();
    this.newton?.dispose();
  }

  /** One iteration. False when M has no factor. */
  private async advance(): Promise<boolean> {
    const { setting, system, state, weights, working, biasScale, C, d, Y, F, move, left, e } = this;
    const { now, step, H, B, image } = state;
    const { halves } = working;
    const relaxation = halves > 1 ? CONES_RELAXATION : RELAXATION;
    const shift = weights.blocks / weights.outputs;
    if (system.stale && !(await system.prepare(working.gates, shift / halves, biasScale / halves))) return false;
    if (!this.separate()) return true;
    const { products } = this;
    this.drifted ||= system.drifts || products !== setting.products;
    const { slots, vectors } = this.kept;
    const { gate, output, sign } = working.columns(slots);
    products.forward(gate, output, sign, vectors, C, F);
    for (let k = 0; k < F.length; k++) {
      F[k] += e[k % C];
      // M H is known, so that the system is one for what H moves by.
      step.Q[k] = 2 * (F[k] - Y[k]) - now.T[k] + now.Q[k];
      move[k] = step.Q[k] - image[k] - shift * H[k];
    }
    await system.solve(move, left, step.S.subarray(0, step.S.length / halves), products);
    working.spread(step.S, 1 / halves);
    for (let k = 0; k < F.length; k++) {
      H[k] += move[k] / halves;
      image[k] = step.Q[k] - left[k] - shift * H[k];
      step.Q[k] = relaxation * (Y[k] - now.Q[k] + shift * H[k]);
      step.T[k] = relaxation * (F[k] - now.T[k] - image[k]);
    }
    for (let k = 0; k < B.length; k++) {
      B[k] += step.S[k];
      step.S[k] = -relaxation * (now.S[k] + B[k]);
    }
    slots.forEach((slot, k) => {
      for (let p = 0; p < d; p++) step.S[slot * d + p] += relaxation * vectors[k * d + p];
    });
    const sums = columnSums(H, C);
    for (let o = 0; o < C; o++) step.s[o] = relaxation * (e[o] - now.s[o] - biasScale * sums[o]);
    state.advance(system.exact);
    this.iterations += 1;
    const size = norm(vectors);
    const { blocks: p, outputs: r } = weights;
    if (size === 0) weights.open(this.longest(), setting.program.beta);
    else if (weights.follow(this.iterations, this.sizeOf(B) / size, this.sizeOf(H) / norm(Y))) system.drop();
    state.reweigh(p, r);
    return true;
  }

  /** In float32 while the gap is far above what that leaves, and where a factor in it was good enough. */
  private get products(): StepProducts {
    const far = !(this.gaps[this.gaps.length - 1] <= EXACT_GAP) && !this.system.wantsDigits;
    return (far ? this.roughly : null) ?? this.setting.products;
  }

  private get near(): boolean {
    return this.setting.program.cones && this.gaps[this.gaps.length - 1] <= NEAR_GAP;
  }

  /** Iterations of the next round: until the gap is small enough at the pace of the last one, or some. */
  private nextLength(): number {
    const { gaps, working, length, iterationsARound: some } = this;
    const [before, last] = gaps.slice(-2);
    if (!(last < before)) return some;
    const left = (length * log(last / (ENOUGH * this.setting.tolerance))) / log(before / last);
    const most = this.near ? LONGER * some : some;
    return Math.min(most, Math.max(working.halves * LEAST_ITERATIONS, Math.ceil(left)));
  }

  private get iterationsARound(): number {
    const { working, iterations, setting } = this;
    const far = iterations === 0 && working.gates.length === setting.program.gates.count;
    const longer = far ? working.halves * LONGER : this.near ? LONGER : 1;
    return working.halves * ITERATIONS_A_ROUND * longer;
  }

  /** The length of p times a vector. */
  private sizeOf(vector: Float64Array): number {
    return this.weights.blocks * norm(vector);
  }

  /** W, Y and e, each for itself; N on the way. False when it is too late for all cones. */
  private separate(): boolean {
    const { setting, weights, working, C, Y, N, e } = this;
    const { S, Q, s } = this.state.now;
    const { program } = setting;
    const { loss, penalty, outputBias } = program;
    const { blocks: p, outputs: r } = weights;
    const shrink = penalty.separable ? shrinkVectors : shrinkSpectra;
    const { memory, late } = setting;
    const step = { program, working, centers: S, projector: memory.run, sigma: 1 / p, spans: memory.spans, late };
    const kept = shrink(step, null);
    if (kept === null) return false;
    this.kept = kept;
    loss.prox(Q, 1 / r, Y, this.slope, this.spread);
    for (let k = 0; k < Q.length; k++) N[k] = r * (Q[k] - Y[k]);
    if (outputBias === null) return true;
    for (let o = 0; o < C; o++) e[o] = s[o] / (1 + (2 * outputBias.ridge * this.biasScale) / p);
    return true;
  }

  /** The largest price of p S in a gate: p times what the shrinkage sees. */
  private longest(): number {
    const { vectors, d, setting, weights } = this;
    const { S } = this.state.now;
    const size = vectors * d;
    let longest = 0;
    for (let at = 0; at < S.length; at += size) {
      longest = Math.max(longest, setting.program.penalty.dualNorm(S.subarray(at, at + size), vectors, d));
    }
    return weights.blocks * longest;
  }

  /** What it takes to judge whether Newton steps would be cheaper from a point of so many vectors. */
  private workAt(active: number): Work {
    const { n, C, d, vectors, working, gaps, setting } = this;
    // Each position has columns of its own.
    const gates = (working.gates.length * vectors) / C;
    const side = hasFewColumns(setting.program, working.gates.length) ? gates * d : n;
    const { cones } = setting.program;
    return { n, C, d, gates, side, active, gaps, iterations: this.length, cones };
  }

  /** Takes in gates outside the set where these, and not those inside, limit the bound. */
  private async enlarge(prices: Float64Array, gap: number): Promise<void> {
    const { working, setting } = this;
    const { beta, gates, cones } = setting.program;
    if (working.gates.length === gates.count) return;
    let inside = 0;
    for (let slot = 0; slot < working.slots; slot++) inside = Math.max(inside, prices[working.indexOf(slot)]);
    const largest = largestOf(prices);
    const dear = (1 + Math.max(0.1 * setting.tolerance, BOUND_SHARE * gap)) * beta;
    if (largest <= Math.max(inside, dear)) return;
    // Prices of cones that are below beta are known no better than that.
    if (working.grow(prices, beta, cones ? 0 : -NEAR_SHARE * Math.min(1, gap)) === 0) return;
    this.system.drop();
    await inTurns(this.state.entering(), setting.pause);
  }

  /** W and e as a point of the program. */
  private point(): SparseBlocks {
    return this.working.point(this.kept.slots, this.kept.vectors, this.e);
  }
}
