/**
 * A solve by steps over mini-batches of rows that are here. Some passes over the batches make a round; its end is judged in float64 over all
 * rows and gates and becomes the next snapshot, so that the judgement is part of the method and not a cost beside it. Only differences from
 * the snapshot are multiplied by batches: in float32 their rounding shrinks with them. Gates that the last judgement priced well below beta
 * are left out of a round.
 */

import { GapJudge } from "../../certificate/index.js";
import { nonzeroVectors } from "../../kernels/nonzero.js";
import { columnSums } from "../../linear/vectors.js";
import { zeroBlocks } from "../../operators/blocks.js";
import { minimiseOverBias } from "../../operators/outputBias.js";
import type { SparseBlocks } from "../../types.js";
import { BestPoint } from "../bestPoint.js";
import type { Point, Run, Setting } from "../solver.js";
import { Batches, outputsAt, turnOf } from "./batches.js";
import { Katyusha, PASSES } from "./katyusha.js";

const SEED = 1;

/** Of the snapshot, [n x C] each. */
interface Outputs {
  readonly Z: Float64Array;
  readonly R: Float64Array; // the gradient of the loss
}

export class StochasticRun implements Run {
  private readonly judge: GapJudge;
  private readonly best: BestPoint;
  private readonly steps: Katyusha;
  private batches: Batches | null = null;
  private here: Outputs | null = null;
  private point: Point | null = null;

  constructor(
    private readonly setting: Setting,
    from: SparseBlocks | null,
  ) {
    const { program, products } = setting;
    this.judge = new GapJudge(program, products, null, setting.late);
    this.best = new BestPoint(program);
    const [C, d] = [program.loss.outputs, program.X.cols];
    const start = from ?? zeroBlocks(program);
    const x = new Float64Array(program.gates.count * C * d);
    start.index.forEach((index, k) => {
      x.set(start.vectors.subarray(k * d, (k + 1) * d), index * d);
    });
    const c = Float64Array.from(start.bias);
    this.steps = new Katyusha(program, { x, z: x, cx: c, cz: c });
  }

  async round(): Promise<Point & { readonly resting: boolean }> {
    const from = this.here ?? this.look();
    if (!(await this.setting.pause())) {
      await this.epoch(from);
      this.look();
    }
    if (this.point === null) throw new Error("stochastic: a round without a judgement.");
    return { ...this.point, resting: false };
  }

  dispose(): void {
    this.batches?.dispose();
  }

  /** Judges where the steps are, and has them go on from there or from the snapshot before. */
  private look(): Outputs {
    const { loss, outputBias, gates, X } = this.setting.program;
    const { x, cx } = this.steps;
    const C = loss.outputs;
    const { index, vectors } = nonzeroVectors(x, gates.count * C, X.cols);
    const Z = new Float64Array(loss.rows * C);
    this.judge.predict({ index, vectors, bias: new Float64Array(C) }, Z);
    const bias = (outputBias === null ? cx : minimiseOverBias(loss, Z, outputBias)).slice();
    for (let k = 0; k < Z.length; k++) Z[k] += bias[k % C];
    const R = new Float64Array(Z.length);
    loss.gradient(Z, R);
    const blocks = { index, vectors, bias };
    const N = R.slice();
    const gap = this.judge.gap(blocks, N);
    const { prices } = gap.prices;
    const dearest = Float64Array.from({ length: gates.count }, (_, i) =>
      prices.subarray(i * C, (i + 1) * C).reduce((most, one) => Math.max(most, one), 0),
    );
    const taken = this.steps.judged({ bias, prices: dearest, primal: gap.primal });
    // The bound of a point that is not taken may be the best there is all the same.
    if (taken || Number.isFinite(gap.primal + gap.dual)) this.point = this.best.consider(blocks, gap, N);
    if (taken || this.here === null) this.here = { Z, R };
    return this.here;
  }

  private async epoch({ Z, R }: Outputs): Promise<void> {
    const { program, products, kernels, pause } = this.setting;
    this.batches ??= await Batches.of(program, kernels, SEED, pause);
    if (this.batches === null) return;
    const { list, squaredNorm } = this.batches;
    const C = program.loss.outputs;
    const gates = this.steps.begin();
    const G = new Float64Array(gates.length * C * program.X.cols);
    products.adjoint(R, C, gates, G);
    this.steps.with(gates, G, columnSums(R, C));
    for (let pass = 0; pass < PASSES; pass++) {
      for (const batch of this.batches.pass()) {
        this.steps.step(turnOf(batch, list.length, gates, this.steps.towards(), outputsAt(batch, Z, C)), squaredNorm);
        if (await pause()) return;
      }
    }
  }
}
