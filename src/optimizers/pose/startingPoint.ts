/** A point from outside -> a point of the program that is solved: what it says of other data or other networks is made to fit. */

import { counted, shown } from "../../arguments.js";
import { GateCollector } from "../../convex/arrangements/gateCollector.js";
import type { GatedProducts, Kernels } from "../../convex/kernels/types.js";
import { isActive } from "../../convex/linear/bits.js";
import { concatenated } from "../../convex/linear/vectors.js";
import { slopeOf } from "../../convex/network.js";
import { blockOutputs, columnsOf, penaltyOf, predict } from "../../convex/operators/blocks.js";
import { coneProjector } from "../../convex/operators/coneProjection.js";
import { biasAlone } from "../../convex/operators/dualPoint.js";
import { sparse } from "../../convex/recovery/lift.js";
import { withProducts } from "../../convex/solvers/solve.js";
import type { ConvexProgram, GateSet, Matrix, SparseBlocks } from "../../convex/types.js";
import { ConvexError } from "../../errors.js";
import type { StartingPoint } from "../records.js";

/**
 * The blocks of `start` as a point of `program`, whose gates are those of the start, or the same as float32 generators: vectors
 * lie in the cones of these rows after a projection, those of one block add up. Null where the program's objective there is no
 * number, or above that of the network without neurons: then there is nothing to begin with.
 */
export function pointOn(program: ConvexProgram, start: StartingPoint, kernels: Kernels): SparseBlocks | null {
  return withProducts(program, kernels, (products) => {
    const blocks = inCones(program, kernels, products, placed(program, start));
    const value = objectiveAt(program, products, blocks);
    const none = { index: new Int32Array(0), vectors: new Float64Array(0), bias: biasAlone(program) };
    return value <= objectiveAt(program, products, none) ? blocks : null;
  });
}

/** @throws ConvexError "options/value" for what is no point at all, "gates/mismatch" for one of a model of another shape. */
export function checkStart(start: StartingPoint, X: Matrix, halves: number, vectors: number, outputs: number): void {
  const blocks = start?.blocks as Partial<SparseBlocks> | null | undefined;
  const { index, vectors: values, bias } = blocks ?? {};
  const arrays = index instanceof Int32Array && values instanceof Float64Array && bias instanceof Float64Array;
  if (!(start?.gates?.bits instanceof Uint32Array && arrays)) {
    throw new ConvexError(
      "options/value",
      `warmStart: expected the result of an earlier fit, got ${shown(start)}. Pass what fit or train returned, or leave it out.`,
    );
  }
  const end = halves * start.gates.count * vectors;
  const foreign = index.some((entry) => entry < 0 || entry >= end);
  if (foreign || values.length !== index.length * X.cols || bias.length !== outputs) {
    throw new ConvexError(
      "gates/mismatch",
      `warmStart: expected a result of the same formulation with ${counted(outputs, "output")}, got one with ${bias.length}` +
        `${bias.length === outputs ? " and other blocks" : ""}. Start from a result of a model of the same shape.`,
    );
  }
  const wrong = (value: number) => !Number.isFinite(value);
  const bad = values.find(wrong) ?? bias.find(wrong);
  if (bad === undefined) return;
  throw new ConvexError(
    "options/value",
    `warmStart: expected finite numbers in its blocks, got ${bad}. Start from another result, or leave it out.`,
  );
}

/** The blocks in the order of the program's gates. */
function placed(program: ConvexProgram, { gates, blocks }: StartingPoint): SparseBlocks {
  const { cols: d } = program.X;
  const C = blockOutputs(program);
  const places = placesOf(program, gates);
  const vectors = new Map<number, Float64Array>();
  blocks.index.forEach((entry, k) => {
    const block = Math.floor(entry / C);
    const place = places(block % gates.count);
    if (place < 0) return;
    const half = block < gates.count ? 0 : program.gates.count;
    const key = (half + place) * C + (entry % C);
    const vector = vectors.get(key) ?? new Float64Array(d);
    for (let p = 0; p < d; p++) vector[p] += blocks.vectors[k * d + p];
    vectors.set(key, vector);
  });
  const bias = program.outputBias === null ? new Float64Array(program.loss.outputs) : blocks.bias.slice();
  return { ...sparse(vectors, d), bias };
}

/** Where the gates of a start are among the program's, by their patterns; -1 for one that rounding to float32 has changed. */
function placesOf({ X, gates, pooling }: ConvexProgram, own: GateSet): (gate: number) => number {
  const same = own.count === gates.count && own.bits.every((word, k) => word === gates.bits[k]);
  if (same) return (gate) => gate;
  const row = ({ generators }: GateSet, i: number) => generators.data.subarray(i * X.cols, (i + 1) * X.cols);
  const collector = new GateCollector(X, gates.count);
  for (let i = 0; i < gates.count; i++) collector.add(row(gates, i));
  return (gate) => {
    const place = collector.placeOf(row(own, gate), slopeOf(pooling) !== 0);
    return place < gates.count ? place : -1;
  };
}

/** Every vector moved to the nearest point of its cone; without cones there is nothing to move. */
function inCones(
  program: ConvexProgram,
  kernels: Kernels,
  products: GatedProducts,
  blocks: SparseBlocks,
): SparseBlocks {
  if (!program.cones) return blocks;
  const d = program.X.cols;
  const { gate } = columnsOf(program, blocks.index);
  const outside = outsideCones(program, kernels, gate, blocks.vectors);
  if (outside.length === 0) return blocks;
  const Z = concatenated(...outside.map((k) => blocks.vectors.subarray(k * d, (k + 1) * d)));
  const [gates, slots] = [gate, blocks.index].map((of) => outside.map((k) => of[k]));
  coneProjector(program, products).projectAll({ gates, slots, Z }, -1);
  const vectors = blocks.vectors.slice();
  outside.forEach((k, at) => {
    vectors.set(Z.subarray(at * d, (at + 1) * d), k * d);
  });
  return { ...blocks, vectors };
}

/** Which vectors are not known to lie in the cones of their gates: neurons lie in their own. Of windows that are read out apart, all. */
function outsideCones(
  { X, gates, pooling }: ConvexProgram,
  kernels: Kernels,
  gate: Int32Array,
  vectors: Float64Array,
): number[] {
  const all = Array.from(gate.keys());
  if (pooling != null && pooling.positions > 1) return all;
  const [n, d] = [X.rows, X.cols];
  const sums = new Float64Array(n);
  return all.filter((k) => {
    kernels.multiplyTransposed(vectors.subarray(k * d, (k + 1) * d), X.data, sums, 1, d, n);
    return !sums.every((sum, row) => sum === 0 || sum > 0 === isActive(gates, gate[k], row));
  });
}

function objectiveAt(program: ConvexProgram, products: GatedProducts, blocks: SparseBlocks): number {
  const Z = new Float64Array(program.loss.rows * program.loss.outputs);
  predict(program, products, blocks, Z);
  return program.loss.value(Z) + penaltyOf(program, blocks);
}
