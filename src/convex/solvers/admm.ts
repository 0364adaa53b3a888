/**
 * Alternating directions for gated programs of many rows: an n x n matrix is factored a few times in all, not once a step.
 *
 * Graph form (Parikh and Boyd 2014, section 2, with the relaxation of Boyd et al. 2011, section 3.4.3). Blocks W carry the
 * penalty, outputs Y the loss, e the ridge of the bias, and (V, c, Z) lie on the graph Z = A V + 1 c'. With weights p of the
 * blocks, r of the outputs and p / g^2 of the bias, one iteration is
 *
 *   W = shrink(V - A' xi / p, beta / p),   Y = prox of L / r at Z + xi / r,   e = prox of the ridge at c - g^2 1'xi / p,
 *   M H = A W + 1 e' - Y,   M = A A' + g^2 1 1' + (p / r) I,
 *   V += a (W - V - A' H),   c += a (e - c - g^2 1'H),   Z += a (Y - Z + (p / r) H),   xi += a p H,
 *
 * a the relaxation. M depends on the ratio of the weights only, and has n rows whatever d and the number of gates are.
 * N = r (Z - Y) + xi, a gradient of the loss at Y, is the dual point.
 *
 * The last digits may come slowly. Where Newton steps are reckoned to cost less, they go on from here.
 */

import { GapJudge } from "../certificate.js";
import { nonzeroVectors } from "../kernels/nonzero.js";
import { blockOutputs, meanSquaredNorm, zeroBlocks } from "../operators/blocks.js";
import { minimiseOverBias } from "../operators/outputBias.js";
import type { SparseBlocks } from "../types.js";
import { columnSums, LEAST, norm } from "../vectors.js";
import { BestPoint } from "./bestPoint.js";
import { GraphSystem, hasFewColumns } from "./graphSystem.js";
import { FIRST_LOOK, GraphWeights } from "./graphWeights.js";
import { newtonIsCheaper, type Work } from "./newtonIsCheaper.js";
import { DENSE_ROWS } from "./newtonSystem.js";
import { proximalNewton } from "./proximalNewton.js";
import type { Point, Run, Setting, Solver } from "./solver.js";
import { WorkingSet } from "./workingSet.js";

const ITERATIONS_A_ROUND = 10;
const RELAXATION = 1.6; // a
/** The first gates have this many coefficients for each row; a product with them takes between CHEAP and DEAR multiplications. */
const FIRST_COEFFICIENTS = 20;
const CHEAP_PRODUCT = 1e8;
const DEAR_PRODUCT = 1e9;
/** Gates enter when they cost the bound this share of the gap, together with those that are this share of it below beta. */
const BOUND_SHARE = 0.25;
const NEAR_SHARE = 0.5;
/** Rows from which it is ahead of Newton steps; fewer over patches, or where these would need a system that couples the outputs. */
const MANY_ROWS = 1000;
const MANY_COUPLED = 300;
/** Beyond DENSE_ROWS rows: multiplications of a product, above which first-order steps come further in the time there is. */
const MOST_PRODUCT = 2e9;

export const admm: Solver = {
  name: "admm",
  firstOrder: false,
  joint: true,
  refuses({ cones }) {
    return cones ? `admm: has no step that keeps cones; use "proximal-newton" for ReLU programs.` : null;
  },
  suits(program) {
    const { X, gates, loss, penalty, pooling } = program;
    const { rows } = loss;
    const small = rows <= DENSE_ROWS || hasFewColumns(program, gates.count);
    const alone = pooling == null && penalty.separable && loss.separable;
    return (
      (small || rows * X.cols * gates.count * blockOutputs(program) <= MOST_PRODUCT) &&
      rows >= (alone ? MANY_ROWS : MANY_COUPLED)
    );
  },
  start: (setting, from) => new AdmmRun(setting, from),
};

class AdmmRun implements Run {
  private readonly judge: GapJudge;
  private readonly best = new BestPoint();
  private readonly system: GraphSystem;
  private readonly working: WorkingSet; // its centers are V
  private readonly n: number;
  private readonly C: number;
  private readonly vectors: number; // of a block: C for each position
  private readonly d: number;
  private W = new Float64Array(0); // [slots x d], like V
  private G = new Float64Array(0); // A' xi
  private moves = new Float64Array(0); // A' H
  private readonly xi: Float64Array; // [n x C]
  private readonly Y: Float64Array;
  private readonly Z: Float64Array;
  private readonly N: Float64Array;
  private readonly H: Float64Array;
  private readonly left: Float64Array; // A V + 1 c' - Z, where systems are not solved to the end
  private readonly slope: Float64Array;
  private readonly spread: Float64Array | null;
  private readonly c: Float64Array;
  private readonly e: Float64Array;
  private readonly weights: GraphWeights;
  private biasScale: number; // g^2
  private iterations = 0;
  private readonly gaps: number[] = []; // of the best point after each round
  private newton: Run | null = null; // what goes on from here

  constructor(
    private readonly setting: Setting,
    from: SparseBlocks | null,
  ) {
    const { program, products, memory } = setting;
    const { loss, outputBias, X } = program;
    this.n = loss.rows;
    this.C = loss.outputs;
    this.vectors = blockOutputs(program);
    this.d = X.cols;
    this.system = new GraphSystem(setting);
    this.judge = new GapJudge(program, products, memory.judge, setting.late);
    const size = this.n * this.C;
    [this.xi, this.Y, this.Z, this.N, this.H, this.left, this.slope] = Array.from(
      { length: 7 },
      () => new Float64Array(size),
    );
    this.spread = loss.separable ? null : new Float64Array(size);
    this.c = new Float64Array(this.C);
    if (from !== null) {
      this.judge.predict(from, this.Z);
      this.c.set(from.bias);
    } else if (outputBias !== null) {
      this.c.set(minimiseOverBias(loss, this.Z, outputBias));
      for (let k = 0; k < size; k++) this.Z[k] = this.c[k % this.C];
    }
    this.e = Float64Array.from(this.c);
    loss.gradient(this.Z, this.xi);
    const curvature = Number.isFinite(loss.curvature)
      ? loss.curvature
      : Math.max(norm(this.xi) / Math.sqrt(size), LEAST);
    const begin: SparseBlocks = from ?? { ...zeroBlocks(program), bias: Float64Array.from(this.c) };
    const judged = this.judge.gap(begin, this.xi);
    this.best.consider(begin, judged, this.xi);
    for (let k = 0; k < size; k++) this.xi[k] *= judged.scale;
    const wanted = Math.max(FIRST_COEFFICIENTS * this.n, CHEAP_PRODUCT / this.n);
    const first = Math.ceil(Math.min(wanted, DEAR_PRODUCT / this.n) / this.d);
    this.working = new WorkingSet(program, judged.prices.prices, from, first);
    this.widen();
    // The mean diagonal of A A', where about every other row is open.
    const mean = Math.max(0.5 * this.working.gates.length * meanSquaredNorm(program), LEAST);
    this.biasScale = outputBias === null ? 0 : mean;
    this.weights = new GraphWeights(curvature, mean);
    const length = norm(begin.vectors);
    if (length > 0) {
      this.weights.set(norm(this.G) / length, norm(this.xi) / norm(this.Z));
      this.iterations = FIRST_LOOK;
    }
  }

  async round(): Promise<Point & { readonly resting: boolean }> {
    if (this.newton !== null) {
      const { blocks, gap, dualPoint, resting } = await this.newton.round();
      return { ...this.best.consider(blocks, { ...gap, scale: 1 }, dualPoint), resting };
    }
    let solvable = true;
    let over = await this.setting.pause();
    for (let k = 0; k < ITERATIONS_A_ROUND && solvable && !over; k++) {
      solvable = await this.advance();
      over = await this.setting.pause();
    }
    const blocks = this.point();
    const judged = this.judge.gap(blocks, this.N);
    const point = this.best.consider(blocks, judged, this.N);
    this.gaps.push(point.gap.relative);
    if (over) return { ...point, resting: false };
    const successor = proximalNewton.refuses(this.setting.program) === null;
    if (!solvable && !successor) return { ...point, resting: true };
    if (successor && (!solvable || newtonIsCheaper(this.work, this.setting.tolerance))) {
      this.system.drop();
      this.newton = proximalNewton.start(this.setting, point.blocks);
    } else {
      this.enlarge(judged.prices.prices, point.gap.relative);
    }
    return { ...point, resting: false };
  }

  dispose(): void {
    this.system.drop();
    this.newton?.dispose();
  }

  /** One iteration. False when M has no factor. */
  private async advance(): Promise<boolean> {
    const { setting, system, weights, working, C, W, G, moves, xi, Y, Z, H, left, c, e } = this;
    const V = working.centers;
    const shift = weights.blocks / weights.outputs;
    if (system.stale && !(await system.prepare(working.gates, shift, this.biasScale))) return false;
    const p = weights.blocks;
    this.separate();
    const { index, vectors } = nonzeroVectors(W, working.slots, this.d);
    const { gate, output, sign } = working.columns(index);
    setting.products.forward(gate, output, sign, vectors, C, H);
    const again = (1 - RELAXATION) / RELAXATION;
    for (let k = 0; k < H.length; k++) H[k] += e[k % C] - Y[k] + again * left[k];
    await system.solve(H, left, moves);
    for (let k = 0; k < left.length; k++) left[k] *= RELAXATION;
    for (let k = 0; k < V.length; k++) {
      V[k] += RELAXATION * (W[k] - V[k] - moves[k]);
      G[k] += RELAXATION * p * moves[k];
    }
    for (let k = 0; k < H.length; k++) {
      Z[k] += RELAXATION * (Y[k] - Z[k] + shift * H[k]);
      xi[k] += RELAXATION * p * H[k];
    }
    if (this.biasScale > 0) {
      const sums = columnSums(H, C);
      for (let o = 0; o < C; o++) c[o] += RELAXATION * (e[o] - c[o] - this.biasScale * sums[o]);
    }
    this.iterations += 1;
    const size = norm(W);
    if (size === 0) weights.open(this.longest(), setting.program.beta);
    else if (weights.follow(this.iterations, norm(G) / size, norm(xi) / norm(Y))) system.drop();
    return true;
  }

  /** W, Y and e, each for itself; N on the way. */
  private separate(): void {
    const { setting, weights, working, C, vectors, d, W, G, xi, Y, Z, N, H, c, e } = this;
    const { loss, penalty, outputBias, beta } = setting.program;
    const V = working.centers;
    const p = weights.blocks;
    const r = weights.outputs;
    for (let k = 0; k < V.length; k++) W[k] = V[k] - G[k] / p;
    const size = vectors * d;
    for (let at = 0; at < W.length; at += size) penalty.prox(W.subarray(at, at + size), vectors, d, beta / p);
    const Q = H; // whose turn comes later
    for (let k = 0; k < Q.length; k++) Q[k] = Z[k] + xi[k] / r;
    loss.prox(Q, 1 / r, Y, this.slope, this.spread);
    for (let k = 0; k < Q.length; k++) N[k] = r * (Q[k] - Y[k]);
    if (outputBias === null) return;
    const stride = this.biasScale / p;
    const sums = columnSums(xi, C);
    for (let o = 0; o < C; o++) e[o] = (c[o] - stride * sums[o]) / (1 + 2 * outputBias.ridge * stride);
  }

  /** The largest price of p V - A' xi in a gate: p times what the shrinkage sees. */
  private longest(): number {
    const { working, G, vectors, d, setting, weights } = this;
    const block = new Float64Array(vectors * d);
    let longest = 0;
    for (let at = 0; at < G.length; at += block.length) {
      for (let k = 0; k < block.length; k++) block[k] = weights.blocks * working.centers[at + k] - G[at + k];
      longest = Math.max(longest, setting.program.penalty.dualNorm(block, vectors, d));
    }
    return longest;
  }

  /** What it takes to judge whether Newton steps would be cheaper from here. */
  private get work(): Work {
    const { n, C, d, vectors, W, working, gaps, setting } = this;
    const active = nonzeroVectors(W, working.slots, d).index.length;
    // Each position has columns of its own.
    const gates = (working.gates.length * vectors) / C;
    const side = hasFewColumns(setting.program, working.gates.length) ? gates * d : n;
    return { n, C, d, gates, side, active, gaps, iterations: ITERATIONS_A_ROUND };
  }

  /** Takes in gates outside the set where these, and not those inside, limit the bound. */
  private enlarge(prices: Float64Array, gap: number): void {
    const { working, vectors, setting } = this;
    const { beta, gates } = setting.program;
    if (working.gates.length === gates.count) return;
    let inside = 0;
    for (const gate of working.gates) {
      for (let o = 0; o < vectors; o++) inside = Math.max(inside, prices[gate * vectors + o]);
    }
    const largest = prices.reduce((most, price) => Math.max(most, price), 0);
    const dear = (1 + Math.max(0.1 * setting.tolerance, BOUND_SHARE * gap)) * beta;
    if (largest <= Math.max(inside, dear)) return;
    if (working.grow(prices, beta, -NEAR_SHARE * Math.min(1, gap)) === 0) return;
    this.system.drop();
    this.widen();
  }

  /** Makes room for the gates of the working set. */
  private widen(): void {
    const size = this.working.slots * this.d;
    this.G = new Float64Array(size);
    this.W = new Float64Array(size);
    this.moves = new Float64Array(size);
    this.setting.products.adjoint(this.xi, this.C, this.working.gates, this.G);
  }

  /** W and e as a point of the program. */
  private point(): SparseBlocks {
    const { index, vectors } = nonzeroVectors(this.W, this.working.slots, this.d);
    return this.working.point(index, vectors, this.e);
  }
}
