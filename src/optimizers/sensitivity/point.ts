/** A fit -> the network of its optimum as a smooth point, to rounding, and how firmly everything that is held there is held. */

import type * as tf from "@tensorflow/tfjs";
import { counted, refuseAs } from "../../arguments.js";
import { formulations } from "../../convex/formulations/index.js";
import type { GatedProducts, Kernels } from "../../convex/kernels/types.js";
import { isActive } from "../../convex/linear/bits.js";
import { dotAt, LEAST, norm } from "../../convex/linear/vectors.js";
import type { NetworkWeights, Neuron } from "../../convex/network.js";
import { blockOutputs, columnsOf } from "../../convex/operators/blocks.js";
import { candidatesOf } from "../../convex/optimalSet/candidates.js";
import {
  distanceToJump,
  type Point,
  placesOf,
  restNear,
  type Shape,
  type Stationary,
  settle,
  type Unit,
} from "../../convex/sensitivity/index.js";
import { Clock } from "../../convex/solvers/clock.js";
import { solve, withProducts } from "../../convex/solvers/solve.js";
import type { ConvexProgram, SparseBlocks } from "../../convex/types.js";
import { weightsInside } from "../pose/reduction.js";
import { decayOf } from "../pose/regularization.js";
import { anatomyOf } from "../read/anatomy.js";
import { readWeights } from "../read/weights.js";
import type { Problem } from "../records.js";
import type { FitResult } from "../report/result.js";

type AnyResult = FitResult<tf.LayersModel>;

/** How far everything is from where a derivative would end; 0: it has a derivative on one side only. */
export interface Margins {
  /** One less the price of the dearest gate that no neuron has, in units of beta; null for one layer. */
  readonly price: number | null;
  /** Of the rows on neurons' boundaries: how far the force that holds each is from letting go, over its range; null without any. */
  readonly boundary: number | null;
  /** The smallest neuron's size, over the largest's. */
  readonly neuron: number | null;
  /** Of losses whose second derivative jumps: the distance of the nearest output from there; null for others. */
  readonly jump: number | null;
}

/** A point where the objective is stationary, and what is known of it. */
export interface Settled {
  readonly stationary: Stationary;
  readonly margins: Margins;
}

const ROUNDS = 400;
/** Rays this close are one: neighbouring cones meet in the same direction. */
const SAME = 1e-5;
/** One less the cosine of an angle that counts as none. */
const SAME_ANGLE = 1e-6;
/** A block counts as active when its price is above (1 - slack) beta. */
const SLACK = 1e-6;
/** Most doubles of the derivatives of all outputs, 640 MB, and coordinates of a Newton matrix. */
const MOST_SLOPES = 8e7;
const MOST_COORDINATES = 6000;

export async function settledPoint(
  result: AnyResult,
  kernels: Kernels,
  tolerance: number,
  seconds: number,
): Promise<Settled> {
  const { problem } = result;
  const { program, loss } = problem;
  const clock = new Clock(seconds, () => false);
  const { blocks } = await solve(program, kernels, { tolerance, maxIterations: ROUNDS, seconds }, result.blocks);
  const point: Point = { shape: shapeOf(problem), units: unitsOf(program, blocks), bias: blocks.bias.slice() };
  refuseSize(point, program);
  restNear(point.units, program.X);
  const stationary = await settle(point, program.X, loss, kernels, () => clock.pause());
  if (!stationary.settled) refuseUnsettled(stationary, clock.over);
  return { stationary, margins: marginsOf(stationary, problem, blocks, kernels) };
}

/** The weights of the model, in the program's columns; it may be of another width than the one that was read. */
export async function inside({ model, problem }: AnyResult): Promise<NetworkWeights> {
  const { spec, column, reduction } = problem;
  const { hidden } = anatomyOf(model, "read", spec.cut).head;
  const units = spec.formulation === "affine" ? spec.units : (hidden.getWeights()[0].shape.at(-1) ?? spec.units);
  const weights = await readWeights(model, { ...spec, units }, column.value);
  return weightsInside(weights, reduction?.space ?? null, column.value);
}

function shapeOf({ program, regularization }: Problem): Shape {
  const { penalty, beta, loss, outputBias, pooling } = program;
  const decay = decayOf(regularization);
  return {
    outputs: loss.outputs,
    outputBias: outputBias !== null,
    decay: {
      ...(penalty.name === "ridge" ? { hidden: beta / 2, output: 0 } : decay),
      outputBias: outputBias?.ridge ?? 0,
    },
    pooling: pooling ?? null,
  };
}

/** A neuron for each ray of the solution, balanced as layers hold it. */
function unitsOf(program: ConvexProgram, blocks: SparseBlocks): Unit[] {
  if (program.penalty.name === "ridge") return linearUnits(program, blocks);
  return program.cones ? coneUnits(program, blocks) : gatedUnits(program, blocks);
}

interface Ray {
  readonly v: Float64Array; // [d]
  readonly output: number;
  readonly sign: number;
  readonly gates: number[];
}

/** Blocks of neighbouring cones that meet in one ray are one neuron. */
function coneUnits(program: ConvexProgram, blocks: SparseBlocks): Unit[] {
  const { gates: all, X } = program;
  const d = X.cols;
  const { gate, output, sign } = columnsOf(program, blocks.index);
  const rays: Ray[] = [];
  for (let k = 0; k < blocks.index.length; k++) {
    const ray: Ray = {
      v: blocks.vectors.slice(k * d, (k + 1) * d),
      output: output[k],
      sign: sign[k],
      gates: [gate[k]],
    };
    if (norm(ray.v) === 0) continue;
    const twin = rays.find((other) => isTwin(other, ray));
    if (twin === undefined) rays.push(ray);
    else {
      for (let p = 0; p < d; p++) twin.v[p] += ray.v[p];
      twin.gates.push(gate[k]);
    }
  }
  return rays.map(({ v, output: to, sign: side, gates }) => {
    const o = new Float64Array(blockOutputs(program));
    o[to] = side;
    const open = Uint8Array.from({ length: X.rows }, (_, k) => (dotAt(X.data, k * d, v, 0, d) > 0 ? 1 : 0));
    const sides = all.complete ? null : gates.map((one) => (row: number) => isActive(all, one, row));
    return unitOf(v, o, { open, feeds: Int32Array.of(to), gates: sides, gate: null });
  });
}

function isTwin(a: Ray, b: Ray): boolean {
  if (a.output !== b.output || a.sign !== b.sign) return false;
  const [long, short] = [norm(a.v), norm(b.v)];
  return a.v.every((value, p) => Math.abs(value / long - b.v[p] / short) <= SAME);
}

/** Behind gates; with the nuclear norm a gate has a neuron for each singular vector, which feeds all outputs. */
function gatedUnits(program: ConvexProgram, blocks: SparseBlocks): Unit[] {
  const { gates: all, X, penalty } = program;
  const d = X.cols;
  const used = [...new Set(columnsOf(program, blocks.index).gate)];
  const generator = (gate: number) => all.generators.data.subarray(gate * d, (gate + 1) * d);
  return formulations.gated.recover(program, blocks).neurons.map(({ direction, output, gate }) => {
    const size = norm(output);
    const own = used.find((one) => generator(one).every((value, p) => value === gate?.[p])) ?? 0;
    const open = Uint8Array.from({ length: X.rows }, (_, k) => (isActive(all, own, k) ? 1 : 0));
    const every = Array.from(output.keys());
    const feeds = Int32Array.from(penalty.separable ? every.filter((c) => output[c] !== 0) : every);
    const [v, o] = [direction.map((value) => value * size), output.map((value) => value / size)];
    return unitOf(v, o, { open, feeds, gates: null, gate: generator(own).slice() });
  });
}

/** The neuron whose outputs are (x v) o, |o| = 1, of least decay where both layers are charged alike; `settle` finds it elsewhere. */
function unitOf(v: Float64Array, o: Float64Array, rest: Pick<Unit, "open" | "feeds" | "gates" | "gate">): Unit {
  const size = Math.sqrt(norm(v));
  return { w: v.map((value) => value / size), a: o.map((value) => value * size), ...NO_FACE, ...rest };
}

const NO_FACE = { face: new Int32Array(0), basis: new Float64Array(0) };

/** One layer: a column of its kernel for each output, the read-out held. */
function linearUnits(program: ConvexProgram, blocks: SparseBlocks): Unit[] {
  const C = program.loss.outputs;
  const d = program.X.cols;
  return Array.from({ length: C }, (_, c) => {
    const at = blocks.index.indexOf(c);
    const w = at < 0 ? new Float64Array(d) : blocks.vectors.slice(at * d, (at + 1) * d);
    const a = new Float64Array(C);
    a[c] = 1;
    const open = new Uint8Array(program.X.rows).fill(1);
    return { w, a, open, ...NO_FACE, feeds: new Int32Array(0), gates: null, gate: new Float64Array(d) };
  });
}

function marginsOf(
  { point, at, held }: Stationary,
  { program, loss }: Problem,
  blocks: SparseBlocks,
  kernels: Kernels,
): Margins {
  const priced = program.penalty.name !== "ridge";
  const sizes = point.units.filter(({ feeds }) => feeds.length > 0).map(({ w, a }) => norm(w) * norm(a));
  const targets = loss.bound?.targets;
  return {
    price: priced ? withProducts(program, kernels, (products) => priceMargin(point, program, products, blocks)) : null,
    boundary: held.length === 0 ? null : Math.min(...held.map(({ margin }) => margin)),
    neuron: sizes.length === 0 ? null : Math.min(...sizes) / Math.max(...sizes),
    jump: targets === undefined ? null : distanceToJump(loss, at.Z, targets),
  };
}

/** 0 where a ray that no neuron has is worth as much as those that some have. */
function priceMargin({ units }: Point, program: ConvexProgram, products: GatedProducts, blocks: SparseBlocks): number {
  const { list, dearestOutside } = candidatesOf(program, products, blocks, SLACK);
  const isNew = list.some(({ neuron, size }) => size === 0 && !units.some((unit) => isAlong(unit, neuron)));
  return isNew ? 0 : 1 - dearestOutside;
}

/** Whether a ray that was found by projection is that of a unit: their angle is zero to the accuracy of the search. */
function isAlong({ w, a, gate }: Unit, { direction, output, gate: other }: Neuron): boolean {
  if (gate !== null && !gate.every((value, p) => value === other?.[p])) return false;
  const along = (u: Float64Array, v: Float64Array) => dotAt(u, 0, v, 0, u.length) / Math.max(norm(u) * norm(v), LEAST);
  return along(w, direction) * along(a, output) >= 1 - SAME_ANGLE;
}

function refuseSize(point: Point, { loss }: ConvexProgram): void {
  const p = placesOf(point)[point.units.length + 1];
  const entries = p * loss.rows * loss.outputs;
  if (p <= MOST_COORDINATES && entries <= MOST_SLOPES) return;
  refuseAs(
    "sensitivity",
    `a network of at most ${MOST_COORDINATES} weights on its neurons, and at most ${MOST_SLOPES} of these times rows and outputs`,
    `${counted(p, "weight")}, ${entries} with ${counted(loss.rows, "row")} and ${counted(loss.outputs, "output")}`,
    "Fit with a larger beta, or fewer rows or columns (pca).",
    "data/size",
  );
}

function refuseUnsettled({ residual }: Stationary, late: boolean): never {
  const todo = late
    ? "Raise timeLimit."
    : "Fit with a smaller tolerance (1e-8) or another beta: rows or neurons may be about to change sides here.";
  return refuseAs(
    "sensitivity",
    "a fit whose weights come to rest",
    `a gradient of ${residual.toExponential(1)}`,
    todo,
  );
}
