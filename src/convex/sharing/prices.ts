/**
 * Prices of ReLU neurons that feed all outputs: max |N' (X u)_+| over unit u in the cones K_i = {u : (2 D_i - I) X u >= 0}.
 *
 * This is the dual constraint of networks whose neurons share their outputs (Sahiner et al. 2021, theorem 1); to know it is
 * NP-hard in the number of outputs. With V_i = N' D_i X it is the largest h_i(g) = |Proj_{K_i} V_i' g| over unit g in R^C, and h_i
 * is sublinear: on a simplicial cone of directions g its values at the corners bound it. So few outputs allow branch and bound
 * over g, to any accuracy. For more it is the largest |V_i u| over unit u in K_i, bounded by a relaxation (`relaxation/`) that
 * mostly comes to the same.
 */

import type { GatedProducts, Kernels } from "../kernels/types.js";
import { smallSolve } from "../linear/smallSolve.js";
import { dot, norm } from "../linear/vectors.js";
import { coneProjector } from "../operators/coneProjection.js";
import { penalties } from "../penalties/index.js";
import { ConeRelaxation } from "../relaxation/index.js";
import type { ConvexProgram } from "../types.js";
import { dearestAtMost } from "./dearest.js";

/** Outputs up to which directions are split: a gate begins with 2^C orthants. */
const MOST_SPLIT = 3;
/** Gates whose vectors are held at a time: bounds the memory, not the result; fewer than the fewest would go through patches once for each. */
const CHUNK = 64;
const FEWEST_TOGETHER = 4;
/** Multiplications between two turns of the host: some 10 ms. */
const TURN = 3e7;
/** What a patch costs beside the sum of its sample, in multiplications of each column, and turns that find a largest singular value. */
const PATCH = 1.5;
const SINGULAR = 40;
/** Doubles of relaxations that are kept for a next round: 128 MB. */
const ROOM = 2 ** 24;
/** Projections that a round of a relaxation counts for: it factors small matrices, too. */
const RELAXED = 20;
/** Alternations between a neuron and its outputs that make a price found larger. */
const ALTERNATIONS = 8;
/** A projection below this share of what was projected is rounding: it has no direction. */
const NOTHING = 1e-9;
/** Multipliers above this are as good as not negative. */
const ROUNDING = -1e-12;

/** A neuron that descends: its unit direction u, and the unit outputs against its pull. */
export interface DearNeuron {
  readonly gate: number;
  readonly direction: Float64Array; // [d]
  readonly outputs: Float64Array; // [C]: -N'(X u)_+ / |N'(X u)_+|
  readonly value: number; // |N'(X u)_+|
}

export interface SharedPrices {
  readonly upper: number; // no neuron of these gates is dearer
  readonly lower: number; // one that is this dear was found
  readonly dearest: readonly DearNeuron[]; // the dearest found of each gate that was looked into, dearest first
}

/** Directions g for which a gate's price is bounded: all of them, or the cone over C corners. */
interface Region {
  readonly gate: number;
  readonly bound: number;
  readonly corners: readonly Corner[] | null;
  readonly relaxation: ConeRelaxation | null; // of the whole gate, as far as it has come
}

interface Corner {
  readonly g: Float64Array; // [C], unit
  readonly value: number; // h_i(g)
}

/** How exact prices are to be, and when to stop: what is not looked into by then keeps the bound that it has. */
export interface PricingBudget {
  readonly tolerance: number; // between the bound and the dearest found, relative
  readonly projections: number; // onto cones, at most
  readonly pause: () => Promise<boolean>; // lets the host breathe between them; true to end early
  readonly late?: (() => boolean) | undefined; // asked where there is no turn for the host, and before gates are looked at: true to end early as well
}

/** Multiplications of the bound of one gate whose cone is forgotten. */
export function workOfGate({ X, loss }: Pick<ConvexProgram, "X" | "loss">): number {
  const C = loss.outputs;
  const ofPatches = X.rows > loss.rows ? PATCH * X.rows : 0;
  return X.cols * (ofPatches + C * (loss.rows + SINGULAR * C));
}

/** Bounds the price of all gates from both sides. */
export async function priceShared(
  program: ConvexProgram,
  kernels: Kernels,
  products: GatedProducts,
  N: Float64Array, // [n x C]
  budget: PricingBudget,
): Promise<SharedPrices> {
  return new SharedPricing(program, kernels, products, N).run(budget);
}

class SharedPricing {
  private readonly projector;
  private readonly C: number;
  private readonly d: number;
  private readonly dearest = new Map<number, DearNeuron>();
  private lower = 0;
  private unseen = 0; // a bound of gates that there was no time for
  private spent = 0;
  private V = new Float64Array(0); // [C x d] of the gate in hand
  private held = -1;
  private room = ROOM;

  constructor(
    private readonly program: ConvexProgram,
    private readonly kernels: Kernels,
    private readonly products: GatedProducts,
    private readonly N: Float64Array,
  ) {
    this.projector = coneProjector(program, products);
    this.C = program.loss.outputs;
    this.d = program.X.cols;
  }

  async run({ tolerance, projections, pause, late = () => false }: PricingBudget): Promise<SharedPrices> {
    const open = await this.wholeGates(pause, late);
    let settled = this.unseen; // the largest bound of regions that are not split
    for (;;) {
      let top = -1;
      for (let k = 0; k < open.length; k++) if (top < 0 || open[k].bound > open[top].bound) top = k;
      const bound = Math.max(settled, top < 0 ? 0 : open[top].bound);
      const near = settled >= bound || bound <= this.lower * (1 + tolerance);
      if (top < 0 || near || this.spent >= projections || (await pause())) {
        const dearest = [...this.dearest.values()].sort((a, b) => b.value - a.value);
        return { upper: Math.max(bound, this.lower), lower: this.lower, dearest };
      }
      const region = open[top];
      open[top] = open[open.length - 1];
      open.pop();
      if (region.corners !== null) {
        open.push(...this.halves(region.gate, region.corners));
      } else if (this.C <= MOST_SPLIT) {
        open.push(...this.orthants(region));
      } else {
        const { relaxed, ended } = await this.relax(region, tolerance, pause, late);
        if (ended) settled = Math.max(settled, relaxed.bound);
        else open.push(relaxed);
      }
    }
  }

  /** Every gate that there is time for, bounded by the largest singular value of V_i: its cone forgotten. */
  private async wholeGates(pause: PricingBudget["pause"], late: () => boolean): Promise<Region[]> {
    const { C, d, program, products, kernels, N } = this;
    const together = Math.max(FEWEST_TOGETHER, Math.min(CHUNK, Math.floor(TURN / workOfGate(program))));
    const regions: Region[] = [];
    const block = C * d;
    const vectors = new Float64Array(together * block);
    for (let from = 0; from < program.gates.count; from += together) {
      if (late()) {
        this.unseen = dearestAtMost(program, N, kernels);
        break;
      }
      const list = Int32Array.from({ length: Math.min(together, program.gates.count - from) }, (_, k) => from + k);
      products.adjoint(N, C, list, vectors);
      for (let k = 0; k < list.length; k++) {
        const bound = penalties.nuclear.dualNorm(vectors.subarray(k * block, (k + 1) * block), C, d);
        regions.push({ gate: list[k], bound, corners: null, relaxation: null });
      }
      await pause();
    }
    return regions;
  }

  /** The gate after a round of its relaxation, or after all of them where there is no room to keep it for later. */
  private async relax(
    { gate, bound, relaxation }: Region,
    tolerance: number,
    pause: PricingBudget["pause"],
    late: () => boolean,
  ): Promise<{ relaxed: Region; ended: boolean }> {
    const { C, d, kernels } = this;
    this.hold(gate);
    this.spent += RELAXED;
    const now = relaxation ?? new ConeRelaxation(this.V, C, d, kernels);
    const lack = (y: Float64Array) => {
      if (late()) return new Float64Array(d); // what is not looked for is not found, and the bound stays what it is
      const u = y.slice();
      const size = this.projectInto(gate, u);
      const missing = u.map((value, p) => value - y[p]);
      if (size > NOTHING * norm(y)) this.climb(gate, u);
      return missing;
    };
    if (relaxation !== null) this.room += now.size;
    const roomy = this.room > 0;
    let more = true;
    do more = now.sharpen(lack, this.lower * (1 + tolerance), tolerance / 2);
    while (more && !roomy && now.bound > this.lower * (1 + tolerance) && !(await pause()));
    const kept = more && roomy;
    if (kept) this.room -= now.size;
    const relaxed = { gate, bound: Math.min(bound, now.bound), corners: null, relaxation: kept ? now : null };
    return { relaxed, ended: !kept };
  }

  private orthants({ gate, bound }: Region): Region[] {
    const corners = this.axes(gate);
    const regions: Region[] = [];
    for (let signs = 0; signs < 1 << this.C; signs++) {
      const mine = corners.map((pair, c) => pair[(signs >> c) & 1]);
      regions.push({ gate, bound: Math.min(bound, largestOver(mine)), corners: mine, relaxation: null });
    }
    return regions;
  }

  /** The prices of the outputs one by one, up and down. */
  private axes(gate: number): [Corner, Corner][] {
    return Array.from({ length: this.C }, (_, c) => {
      const axis = (sign: number) =>
        this.corner(
          gate,
          Float64Array.from({ length: this.C }, (_, k) => (k === c ? sign : 0)),
        );
      return [axis(1), axis(-1)];
    });
  }

  /** Splits the longest edge of a cone of directions in its middle. */
  private halves(gate: number, corners: readonly Corner[]): Region[] {
    let [a, b] = [0, 1];
    for (let i = 0; i < corners.length; i++) {
      for (let j = i + 1; j < corners.length; j++) {
        if (dot(corners[i].g, corners[j].g) < dot(corners[a].g, corners[b].g)) [a, b] = [i, j];
      }
    }
    const sum = corners[a].g.map((value, c) => value + corners[b].g[c]);
    const size = norm(sum);
    const middle = this.corner(
      gate,
      sum.map((value) => value / size),
    );
    return [a, b].map((left) => {
      const mine = corners.map((corner, k) => (k === left ? middle : corner));
      return { gate, bound: largestOver(mine), corners: mine, relaxation: null };
    });
  }

  /** h_i(g); the neuron that attains it, made dearer by turns with its outputs, is a candidate for the dearest. */
  private corner(gate: number, g: Float64Array): Corner {
    this.hold(gate);
    const u = new Float64Array(this.d);
    const value = this.project(gate, g, u);
    this.climb(gate, u);
    return { g, value };
  }

  private hold(gate: number): void {
    if (this.held === gate) return;
    if (this.V.length === 0) this.V = new Float64Array(this.C * this.d);
    this.products.adjoint(this.N, this.C, Int32Array.of(gate), this.V);
    this.held = gate;
  }

  /** Makes the neuron u and its outputs dearer by turns; each turn can only raise |V_i u| / |u|. */
  private climb(gate: number, u: Float64Array): void {
    const { C, d, V } = this;
    for (let turn = 0; turn < ALTERNATIONS; turn++) {
      const length = norm(u);
      if (length === 0) return;
      const pull = Float64Array.from({ length: C }, (_, c) => dot(V.subarray(c * d, (c + 1) * d), u) / length);
      const value = norm(pull);
      if (!(value > (this.dearest.get(gate)?.value ?? 0))) return;
      const outputs = pull.map((entry) => -entry / value);
      this.dearest.set(gate, { gate, direction: u.map((entry) => entry / length), outputs, value });
      this.lower = Math.max(this.lower, value);
      this.project(
        gate,
        pull.map((entry) => entry / value),
        u,
      );
    }
  }

  /** u := Proj_{K_i} V_i' g; its length. */
  private project(gate: number, g: Float64Array, u: Float64Array): number {
    const { C, d, V } = this;
    u.fill(0);
    for (let c = 0; c < C; c++) for (let p = 0; p < d; p++) u[p] += g[c] * V[c * d + p];
    const nothing = NOTHING * norm(u);
    const value = this.projectInto(gate, u);
    if (value <= nothing) u.fill(0);
    return value;
  }

  /** u := Proj_{K_i} u; its length, or an upper bound of it where it is nothing but rounding. */
  private projectInto(gate: number, u: Float64Array): number {
    this.spent += 1;
    return this.projector.project(gate, gate, u, NOTHING * norm(u)).norm;
  }
}

/**
 * The most that a sublinear h can be at a unit vector of the cone over these corners, from its values there: the largest
 * sum_l lambda_l h(g_l) over lambda >= 0 with |sum_l lambda_l g_l| = 1, which lies within one of the faces.
 */
function largestOver(corners: readonly Corner[]): number {
  let largest = 0;
  for (let face = 1; face < 1 << corners.length; face++) {
    const mine = corners.filter((_, k) => ((face >> k) & 1) === 1);
    const m = mine.length;
    const gram = Float64Array.from({ length: m * m }, (_, k) => dot(mine[Math.floor(k / m)].g, mine[k % m].g));
    const lambda = Float64Array.from(mine, ({ value }) => value);
    smallSolve(gram, lambda, m);
    if (!lambda.every((value) => value >= ROUNDING)) continue;
    const square = mine.reduce((sum, { value }, k) => sum + value * lambda[k], 0);
    largest = Math.max(largest, Math.sqrt(Math.max(0, square)));
  }
  return largest;
}
