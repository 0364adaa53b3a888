/** The derivatives themselves, each one solve with the Newton matrix. */

import type * as tf from "@tensorflow/tfjs";
import { counted, refuseAs, refuseUnknown, shown } from "../../arguments.js";
import type { Kernels } from "../../convex/kernels/index.js";
import { dot, dotAt } from "../../convex/linear/vectors.js";
import { bindLoss } from "../../convex/losses/index.js";
import { rowsIn } from "../../convex/operators/coordinates.js";
import {
  alongRows,
  byTargets,
  hasTargetSlopes,
  Inverse,
  opensOn,
  outputsAt,
  type Point,
  placesOf,
  slopes,
  sumOfRows,
} from "../../convex/sensitivity/index.js";
import type { Matrix } from "../../convex/types.js";
import { readData } from "../read/data.js";
import { inputRows } from "../read/inputRows.js";
import { trunkOf } from "../read/trunk.js";
import type { FitResult } from "../report/result.js";
import { type LayerWeights, layersAt } from "./layers.js";
import { type LeaveOneOut, leaveOneOut } from "./leaveOneOut.js";
import type { Margins, Settled } from "./point.js";

/** A direction in which to change what the fit was given; what is missing stays. */
export interface Change {
  readonly targets?: ArrayLike<number>; // [n x C], row by row
  readonly sampleWeight?: ArrayLike<number>; // [n]
  readonly beta?: number;
}

/** How a fit moves per unit of a change. */
export interface Movement {
  readonly weights: LayerWeights;
  /** Of the outputs on the rows of training, before the last activation. */
  readonly outputs: Matrix; // [n x C]
}

/** The loss on rows held out, and its derivatives by what the fit was given. */
export interface HeldOutGradient {
  readonly loss: number;
  readonly beta: number;
  readonly targets: Matrix | null; // [n x C]; null for labels, which cannot move
  readonly sampleWeight: Float64Array; // [n]
  /** To first order, how the loss changes when a row of training is left out: -weight times its derivative. */
  readonly influence: Float64Array; // [n]
}

/** A share of what holds a fit in place below which it counts as about to let go. */
const FIRM = 1e-5;
/** An eigenvalue of the Newton matrix below this share of its mean diagonal is zero. */
const SINGULAR = 1e-9;

/** What `sensitivity` answers with. */
export class Sensitivity<M extends tf.LayersModel = tf.Sequential> {
  /** The optimum itself, sharper than float32: where the derivatives are taken. */
  readonly weights: LayerWeights;
  /** Its outputs on the rows of training, before the last activation. */
  readonly outputs: Matrix; // [n x C]
  /** Weights that move: of active neurons, less one for each row that a neuron rests on. */
  readonly parameters: number;
  readonly margins: Margins;
  /** Least eigenvalue of the Newton matrix over the mean of its diagonal; 0: other networks have the same objective. */
  readonly leastEigenvalue: number;
  /** False where a margin is zero, so that derivatives are those of one side, or where the optimum is not unique. */
  readonly smooth: boolean;
  /** Why not, in sentences. */
  readonly notes: readonly string[];
  private readonly point: Point;
  private readonly inverse: Inverse;

  /** @internal */
  constructor(
    private readonly result: FitResult<M>,
    private readonly settled: Settled,
    private readonly kernels: Kernels,
    private readonly order: readonly number[],
    private readonly width: number,
  ) {
    const { point, at } = settled.stationary;
    this.point = point;
    const inverse = Inverse.of(at, kernels);
    if (inverse === null) {
      refuseAs(
        "sensitivity",
        "a minimum",
        "a point from which the objective falls",
        "Fit with a smaller tolerance (1e-8).",
      );
    }
    this.inverse = inverse;
    this.weights = this.layers(null);
    this.outputs = { rows: at.Z.length / point.shape.outputs, cols: point.shape.outputs, data: at.Z.slice() };
    this.parameters = at.size;
    this.margins = settled.margins;
    this.leastEigenvalue = Math.max(0, inverse.leastEigenvalue());
    this.notes = notesOf(this.margins, this.leastEigenvalue);
    this.smooth = this.notes.length === 0;
  }

  /**
   * How the fit moves along a change: d weights / d t and d outputs / d t where targets, sample weights and beta are those of the fit
   * plus t times the change. To first order a fit with t is this fit plus t times the answer.
   *
   * @throws ConvexError "options/..." for a change that is none, or of other sizes.
   */
  along(change: Change): Movement {
    refuseUnknown("Sensitivity.along", change, ["targets", "sampleWeight", "beta"]);
    const { at } = this.settled.stationary;
    const { rows: n, cols: C } = this.outputs;
    const { targets, sampleWeight, beta } = change;
    if (targets === undefined && sampleWeight === undefined && beta === undefined)
      refuseAs("Sensitivity.along", "targets, sampleWeight or beta", "none of them", "Say what is to change.");
    const pull = new Float64Array(n * C);
    if (targets !== undefined) this.addTargets(numbers("targets", targets, n * C), pull);
    if (sampleWeight !== undefined) {
      const heavier = numbers("sampleWeight", sampleWeight, n);
      const each = this.unweighted();
      for (let k = 0; k < pull.length; k++) pull[k] += heavier[Math.floor(k / C)] * each[k];
    }
    const right = alongRows(at.J, pull).map((value) => -value);
    if (beta !== undefined) {
      if (!Number.isFinite(beta)) refuseAs("Sensitivity.along: beta", "a finite number", shown(beta));
      const charge = this.chargeByBeta();
      for (let i = 0; i < right.length; i++) right[i] -= beta * charge[i];
    }
    const move = this.inverse.solve(right);
    return { weights: this.layers(move), outputs: { rows: n, cols: C, data: sumOfRows(at.J, move, n * C) } };
  }

  /**
   * What the fits without each one row would say of it, to the accuracy of one Newton step (approximate leave-one-out; Beirami et
   * al. 2017): the others count n / (n - 1) each, as in a fit of n - 1 rows with the same beta. Exact for one layer under the
   * squared loss; elsewhere close as long as no single row makes neurons or the rows that they rest on change.
   */
  leaveOneOut(): LeaveOneOut {
    return leaveOneOut(this.settled.stationary, this.point, this.result.problem.loss, this.inverse, this.kernels);
  }

  /**
   * The loss on x [rows x ...], y [rows x C], without sample weights, and its derivatives by what the fit was given. One solve
   * for all of them. The caller keeps the tensors.
   *
   * @throws ConvexError "data/..." as fit does.
   */
  async heldOut(inputs: tf.Tensor, y: tf.Tensor): Promise<HeldOutGradient> {
    const { model, problem } = this.result;
    const { spec, column, reduction } = problem;
    const data = await readData(await trunkOf(model, "read", spec.cut).see("x", inputs), y, spec);
    const X = inputRows(spec, reduction === null ? data.x : rowsIn(data.x, reduction.space), column.value);
    const loss = bindLoss(spec.loss, data.y);
    const opens = opensOn(this.point, X);
    const Z = outputsAt(this.point, X, opens);
    const xi = new Float64Array(Z.length);
    loss.gradient(Z, xi);
    const J = slopes(this.point, X, this.kernels, opens);
    const s = this.inverse.solve(alongRows(J, xi).map((value) => -value));
    return { loss: loss.value(Z), ...this.pulledBack(s) };
  }

  /** For s = -H^-1 dl/dtheta: dl by the targets, the sample weights and beta. */
  private pulledBack(s: Float64Array): Omit<HeldOutGradient, "loss"> {
    const { J, Z } = this.settled.stationary.at;
    const { rows: n, cols: C } = this.outputs;
    const { loss } = this.result.problem;
    const moved = sumOfRows(J, s, Z.length);
    const each = this.unweighted();
    const sampleWeight = new Float64Array(n);
    for (let k = 0; k < moved.length; k++) sampleWeight[Math.floor(k / C)] += each[k] * moved[k];
    const weights = loss.bound?.weights ?? null;
    let targets: Matrix | null = null;
    if (hasTargetSlopes(loss.name)) {
      targets = { rows: n, cols: C, data: new Float64Array(n * C) };
      byTargets(loss, Z, moved, targets.data, { weights, transposed: true });
    }
    const influence = sampleWeight.map((value, k) => -value * (weights?.[k] ?? 1));
    return { beta: dot(s, this.chargeByBeta()), targets, sampleWeight, influence };
  }

  private layers(move: Float64Array | null): LayerWeights {
    return layersAt(this.point, move, this.order, this.width, this.result.problem);
  }

  private addTargets(direction: Float64Array, pull: Float64Array): void {
    const { loss } = this.result.problem;
    if (!hasTargetSlopes(loss.name)) {
      refuseAs(
        "Sensitivity.along: targets",
        "a loss of numbers, which can move",
        `${loss.name}, whose targets are labels`,
        "Change sampleWeight, or ask for influence.",
      );
    }
    const weights = loss.bound?.weights ?? null;
    byTargets(loss, this.settled.stationary.at.Z, direction, pull, { weights, transposed: false });
  }

  /** The gradient of the loss with every sample weight one [n x C]. */
  private unweighted(): Float64Array {
    const { loss } = this.result.problem;
    const { Z } = this.settled.stationary.at;
    const out = new Float64Array(Z.length);
    const targets = loss.bound?.targets;
    if (targets !== undefined) bindLoss(loss.name, targets).gradient(Z, out);
    return out;
  }

  /** d / d beta of the gradient [p]: the decay of both layers grows with beta. */
  private chargeByBeta(): Float64Array {
    const { units, shape } = this.point;
    const { beta, penalty } = this.result.problem.program;
    const places = placesOf(this.point);
    const charge = new Float64Array(places[units.length + 1]);
    const squared = penalty.name === "ridge";
    const hidden = squared ? 1 : (2 * shape.decay.hidden) / beta;
    const output = squared ? 0 : (2 * shape.decay.output) / beta;
    units.forEach(({ basis, w, a, feeds }, j) => {
      const d = w.length;
      const r = basis.length / d;
      for (let i = 0; i < r; i++) charge[places[j] + i] = hidden * dotAt(basis, i * d, w, 0, d);
      feeds.forEach((feed, f) => {
        charge[places[j] + r + f] = output * a[feed];
      });
    });
    return charge;
  }
}

function numbers(name: string, given: ArrayLike<number>, length: number): Float64Array {
  const where = `Sensitivity.along: ${name}`;
  const list = typeof given === "object" && given !== null && typeof given.length === "number" ? given : null;
  if (list === null || list.length !== length)
    refuseAs(where, counted(length, "number"), list === null ? shown(given) : String(list.length));
  const values = Float64Array.from(list as ArrayLike<number>, (value) =>
    typeof value === "number" ? value : Number.NaN,
  );
  const at = values.findIndex((value) => !Number.isFinite(value));
  if (at >= 0) refuseAs(where, "finite numbers", `${shown(list[at])} (entry ${at})`);
  return values;
}

function notesOf({ price, boundary, neuron, jump }: Margins, leastEigenvalue: number): string[] {
  const notes: string[] = [];
  const side = "Derivatives are those of the side on which nothing changes.";
  if (price !== null && price < FIRM) notes.push(`A gate that no neuron has is about to get one. ${side}`);
  if (boundary !== null && boundary < FIRM) notes.push(`A row on a neuron's boundary is about to leave it. ${side}`);
  if (neuron !== null && neuron < FIRM) notes.push(`A neuron is about to vanish. ${side}`);
  if (jump !== null && jump < FIRM) notes.push(`An output lies where the second derivative of the loss jumps. ${side}`);
  if (leastEigenvalue < SINGULAR) {
    notes.push(
      "The optimum is not unique: the derivatives of weights are the least ones, those of outputs hold where the loss is strictly convex.",
    );
  }
  return notes;
}
