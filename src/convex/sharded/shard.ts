/**
 * A shard: some rows, the gates cut where the rows are, and what a first-order method keeps a number a row for.
 *
 * It decides nothing. Every answer is a vector of sums over its rows, so that those of all shards are added up; its loss is weighted by
 * its share of all rows, so that the sum is tfjs's mean.
 */

import type { Kernels } from "../kernels/types.js";
import { patternReader, wordsPerGate } from "../linear/bits.js";
import { bindLoss } from "../losses/index.js";
import { forward, type NetworkWeights } from "../network.js";
import { undecidedGates } from "../recovery/index.js";
import type { GateSet, Loss, Matrix } from "../types.js";
import {
  type Bound,
  biasAt,
  conjugatesAt,
  judgeAt,
  lossesAlong,
  outputsOf,
  powerOf,
  shifted,
  slopeOf,
  truthAt,
} from "./answers.js";
import { DealtRows } from "./batches/dealt.js";
import type { Aside, Dealing, FromState, OneBatch, ShardCall, ShardSpec } from "./cluster.js";
import { bends, curvatureOf, weightsOf } from "./cones/bends.js";
import { reachOnShard, rowsOnShard } from "./cones/onShard.js";
import { patternSums } from "./gates/patterns.js";
import { anchoredLoss } from "./kinks/index.js";
import { type Deal, linearMoments, pairSums } from "./moments/collect.js";
import { framed, totals } from "./moments/frame.js";
import { checksumOf, RowRefusal, rowsMatrix, type ShardRows } from "./rows.js";
import { layerSums, squaresOf } from "./width/layer.js";
import { networkFrom } from "./written.js";

const NOTHING = new Float64Array(0);

type Call<Op extends ShardCall["op"]> = Extract<ShardCall, { readonly op: Op }>;

/** What a loss with kinks is rounded off by, and about. */
interface Held {
  readonly tau: number;
  readonly N: Float64Array; // [n x C]
}

/** Outputs of the network, [n x C] each, of the iterate and of the extrapolated point, and the gradient there. */
interface Outputs {
  readonly Zx: Float64Array;
  readonly Zy: Float64Array;
  readonly R: Float64Array;
}

export class Shard {
  private bound: Bound | null = null;
  private version = -1; // of `now`
  private now: Outputs | null = null;
  private next: Outputs | null = null; // what an accepted step makes of it
  private beside: Float64Array | null = null; // outputs of a point that is looked at beside these
  private batches: DealtRows | null = null;
  private anchors = 0;
  private held: Held | null = null; // by the last anchor

  constructor(
    private readonly spec: ShardSpec,
    private readonly rows: ShardRows,
    private readonly kernels: Kernels,
  ) {}

  /** Null where the shard has not the state that the call goes on from. */
  answer(call: ShardCall, payload: Float64Array): Float64Array | null {
    switch (call.op) {
      case "echo":
        return payload;
      case "patterns":
        return this.patterns(call, payload);
      case "bind":
        return this.bind(call, payload);
      case "network":
        return this.bound && this.network(this.bound, call, payload);
      case "power":
        return this.bound && powerOf(this.bound.products, this.rows.count, this.bound.X.cols, payload);
      case "batchPower":
        return this.bound && this.dealtRows(this.bound, call).power(call, payload);
      case "reach":
        return this.bound && reachOnShard(this.bound, this.spec, call, payload, this.kernels);
      case "rows":
        return this.bound && rowsOnShard(this.bound, this.spec, call, payload, this.kernels);
      case "aside":
        return this.bound && this.aside(this.bound, payload);
      case "squares":
        return this.bound && squaresOf(this.bound.X);
      case "layer":
        return this.bound && layerSums(this.bound.X, this.bound.truth, call, payload, this.kernels);
      case "totals":
        return totals(this.rows, this.spec.inputs, this.spec.outputs);
      case "moments":
        return this.bound && this.moments(this.bound, call, payload);
      case "pairs":
        return this.bound && this.pairs(this.bound, call, payload);
      case "anchor":
        return this.bound && this.anchor(this.bound, call, payload);
      case "resume":
        return this.bound && this.resume(this.bound, call, payload);
      default:
        if (this.bound === null) return null;
        return "aside" in call ? this.atAside(this.bound, call, payload) : this.fromState(this.bound, call, payload);
    }
  }

  dispose(): void {
    this.bound?.products.dispose();
    this.batches?.dispose();
    this.batches = null;
    this.bound = null;
  }

  /** Of generators [g x d]: what tells their patterns on these rows apart, [g x 3]. */
  private patterns({ biasColumn, offsets }: Call<"patterns">, generators: Float64Array): Float64Array {
    const X = rowsMatrix(this.rows, this.spec.inputs, biasColumn);
    return patternSums(this.masksOf(X, generators), offsets[this.spec.shard]);
  }

  private masksOf(X: Matrix, generators: Float64Array): GateSet {
    const count = generators.length / X.cols;
    const words = wordsPerGate(X.rows);
    const bits = new Uint32Array(count * words);
    const list = Array.from({ length: count }, (_, i) => generators.subarray(i * X.cols, (i + 1) * X.cols));
    const masks = list.map((_, i) => bits.subarray(i * words, (i + 1) * words));
    patternReader(this.kernels)(X, list, masks);
    const matrix = { rows: count, cols: X.cols, data: generators.slice() };
    return { count, rows: X.rows, bits, generators: matrix, complete: false };
  }

  /**
   * Makes the gates of generators [P x d]; null where anchors are to stay that were lost with a worker. One that came back with other
   * rows is found out here.
   */
  private bind({ biasColumn, total, checksums, anchors }: Call<"bind">, generators: Float64Array): Float64Array | null {
    const { inputs, loss, outputs, shard } = this.spec;
    const { count, x, y } = this.rows;
    if (checksumOf([x, y]) !== checksums[shard]) {
      throw new RowRefusal(
        "cluster/module",
        null,
        `expected the rows that this shard had before its worker was lost, got others. The module must yield the same rows every time.`,
      );
    }
    if (anchors > this.anchors) return null;
    this.dispose();
    const X = rowsMatrix(this.rows, inputs, biasColumn);
    const gates = this.masksOf(X, generators);
    const share = new Float64Array(count).fill(count / total);
    const truth = bindLoss(loss, { rows: count, cols: outputs, data: y }, share);
    if (anchors === 0) [this.anchors, this.held] = [0, null];
    this.bound = { X, gates, products: this.kernels.bind(X, gates), truth, loss: lossOf(truth, this.held) };
    this.version = -1;
    this.beside = null;
    return NOTHING;
  }

  /** Makes the anchor of this number, if it is not there yet: from one before it nothing leads to it. */
  private anchor(bound: Bound, { index, tau }: Call<"anchor">, payload: Float64Array): Float64Array | null {
    if (index !== this.anchors) return index < this.anchors ? NOTHING : null;
    const size = payload.length - this.spec.outputs;
    const N = new Float64Array(bound.loss.rows * this.spec.outputs);
    if (index > 0) bound.loss.gradient(outputsOf(bound, payload.subarray(0, size), payload.subarray(size)), N);
    this.held = { tau, N };
    this.anchors += 1;
    this.bound = { ...bound, loss: lossOf(bound.truth, this.held) };
    this.version = -1;
    return NOTHING;
  }

  /** Keeps the outputs of blocks and biases [P x C x d + C] beside the state. */
  private aside(bound: Bound, payload: Float64Array): Float64Array {
    const size = payload.length - this.spec.outputs;
    this.beside = outputsOf(bound, payload.subarray(0, size), payload.subarray(size));
    return NOTHING;
  }

  /** About the means of columns and targets [inputs + C]. */
  private moments({ gates }: Bound, call: Call<"moments">, about: Float64Array): Float64Array {
    const { inputs, outputs: C } = this.spec;
    const Y = this.rows.y.map((value, k) => value - about[inputs + (k % C)]);
    return linearMoments(this.framed(about), Y, C, gates, this.kernels, this.dealt(call));
  }

  private pairs({ gates }: Bound, call: Call<"pairs">, about: Float64Array): Float64Array {
    return pairSums(this.framed(about), gates, this.kernels, this.dealt(call), call.from, call.to);
  }

  private framed(about: Float64Array): Matrix {
    return framed(this.rows, about.subarray(0, this.spec.inputs));
  }

  private dealt({ folds, seed, offsets }: Dealing): Deal {
    return { folds, seed, offset: offsets[this.spec.shard] };
  }

  /** The state of iterate and extrapolated point, from the last two iterates [P x C x d] and biases [C] as they were made. */
  private resume(bound: Bound, { version, pull }: Call<"resume">, payload: Float64Array): Float64Array {
    const C = this.spec.outputs;
    const size = (payload.length - 2 * C) / 2;
    const before = outputsOf(bound, payload.subarray(0, size), payload.subarray(2 * size, 2 * size + C));
    const Zx = outputsOf(bound, payload.subarray(size, 2 * size), payload.subarray(2 * size + C));
    this.now = this.extrapolated(bound, Zx, before, pull);
    this.next = null;
    this.version = version;
    return slopeOf(bound, this.now.R, 0);
  }

  private atAside(bound: Bound, call: Extract<ShardCall, Aside>, payload: Float64Array): Float64Array | null {
    const { beside } = this;
    const C = this.spec.outputs;
    if (beside === null) return null;
    switch (call.op) {
      case "bias":
        return biasAt(bound, beside, payload);
      case "judge":
        return judgeAt(bound, beside, payload);
      case "conjugates":
        return conjugatesAt(bound, beside, payload);
      case "truth":
        return truthAt(bound, beside, payload);
      case "weights":
        return weightsOf(bound, bends(bound.loss, shifted(beside, payload), call));
      case "curvature":
        return curvatureOf(
          bound,
          bends(bound.loss, shifted(beside, payload.subarray(0, C)), call),
          call,
          payload.subarray(C),
          this.kernels,
        );
      case "along":
        return lossesAlong(bound, shifted(beside, payload.subarray(0, C)), call.strides, payload.subarray(C));
      case "turn":
        return this.dealtRows(bound, call).turn(call, beside, payload);
    }
  }

  /** Dealt once: a solve has one number of batches. */
  private dealtRows(bound: Bound, { batches, offsets }: OneBatch): DealtRows {
    this.batches ??= new DealtRows(bound, this.kernels, batches, offsets[this.spec.shard]);
    return this.batches;
  }

  private fromState(bound: Bound, call: Extract<ShardCall, FromState>, payload: Float64Array): Float64Array | null {
    if (call.commit && this.next !== null && this.version === call.version - 1) {
      this.now = this.next;
      this.next = null;
      this.version += 1;
    }
    const { now } = this;
    if (now === null || this.version !== call.version) return null;
    switch (call.op) {
      case "advance":
        return this.advance(bound, now, call.pull, payload);
      case "bias":
        return biasAt(bound, now.Zx, payload);
      case "judge":
        return judgeAt(bound, now.Zx, payload);
      case "conjugates":
        return conjugatesAt(bound, now.Zx, payload);
      case "truth":
        return truthAt(bound, now.Zx, payload);
    }
  }

  /**
   * Tries blocks and biases [P x C x d + C]. Answers with <L'(Z) - R, Z - Zy>, |Z|^2, |Z - Zy|^2 and, in case they are accepted, the
   * gradient at the point that then comes next: sums of its columns [C], and A' of it [P x C x d].
   */
  private advance(bound: Bound, { Zx, Zy, R }: Outputs, pull: number, payload: Float64Array): Float64Array {
    const { loss } = bound;
    const size = payload.length - this.spec.outputs;
    const Z = outputsOf(bound, payload.subarray(0, size), payload.subarray(size));
    const ahead = new Float64Array(Z.length);
    loss.gradient(Z, ahead);
    let bend = 0;
    let long = 0;
    let away = 0;
    for (let k = 0; k < Z.length; k++) {
      const moved = Z[k] - Zy[k];
      bend += (ahead[k] - R[k]) * moved;
      long += Z[k] * Z[k];
      away += moved * moved;
    }
    this.next = this.extrapolated(bound, Z, Zx, pull);
    const out = slopeOf(bound, this.next.R, 3);
    out[0] = bend;
    out[1] = long;
    out[2] = away;
    return out;
  }

  /** Of a network as it is written: its loss, and the pairs of a row and a gate that float32 may decide otherwise. */
  private network({ X, truth }: Bound, call: Call<"network">, payload: Float64Array): Float64Array {
    const { units, biasColumn, gated } = call;
    const weights: NetworkWeights = networkFrom(payload, X.cols, units, this.spec.outputs, biasColumn, gated);
    return Float64Array.of(truth.value(forward(weights, X)), undecidedGates(weights, X));
  }

  private extrapolated({ loss }: Bound, Z: Float64Array, before: Float64Array, pull: number): Outputs {
    const Zy = Z.map((z, k) => z + pull * (z - before[k]));
    const R = new Float64Array(Z.length);
    loss.gradient(Zy, R);
    return { Zx: Z, Zy, R };
  }
}

function lossOf(truth: Loss, held: Held | null): Loss {
  return held === null ? truth : anchoredLoss(truth, held.tau, held.N);
}
