/** Coordinates of the smooth problem -> weights as the model's layers hold them, in the order of its units. */

import type { NetworkWeights } from "../../convex/network.js";
import { weightsForX } from "../../convex/operators/coordinates.js";
import { directionOf, type Point, placesOf } from "../../convex/sensitivity/index.js";
import type { Matrix } from "../../convex/types.js";
import type { Problem } from "../records.js";

/** Weights of the hidden layer and the read-out, or how they move; column j of the kernel and row j of the output are unit j. */
export interface LayerWeights {
  readonly kernel: Matrix; // [d x m]
  readonly hiddenBias: Float64Array | null; // [m]
  readonly output: Matrix; // [m x C]; over patches that are read out apart [m x A C], place a and output c at a C + c
  readonly bias: Float64Array | null; // [C]
}

/** Which unit of the model each neuron is: the nearest one, the largest neurons first; the others take units that are left. */
export function unitsFor({ units }: Point, { kernel, output }: NetworkWeights): readonly number[] {
  const m = kernel.cols;
  const taken = new Set<number>();
  const places = new Array<number>(units.length).fill(-1);
  const size = (j: number) => units[j].w.reduce((sum, value) => sum + value * value, 0);
  const order = [...units.keys()].sort((i, j) => size(j) - size(i));
  for (const j of order) {
    const { w, a } = units[j];
    let [best, least] = [-1, Number.POSITIVE_INFINITY];
    for (let unit = 0; unit < m; unit++) {
      if (taken.has(unit)) continue;
      let far = 0;
      for (let p = 0; p < w.length; p++) far += (w[p] - kernel.data[p * m + unit]) ** 2;
      for (let c = 0; c < a.length; c++) far += (a[c] - output.data[unit * a.length + c]) ** 2;
      if (far < least) [best, least] = [unit, far];
    }
    places[j] = best >= 0 ? best : m + j;
    taken.add(places[j]);
  }
  return places;
}

/** The weights at a point (`move` null), or how they move with its coordinates. */
export function layersAt(
  point: Point,
  move: Float64Array | null,
  order: readonly number[],
  width: number,
  { column, reduction, spec, program }: Problem,
): LayerWeights {
  const d = program.X.cols;
  const wide = point.units[0]?.a.length ?? point.shape.outputs;
  const m = order.reduce((most, unit) => Math.max(most, unit + 1), width);
  const places = placesOf(point);
  const kernel = { rows: d, cols: m, data: new Float64Array(d * m) };
  const output = { rows: m, cols: wide, data: new Float64Array(m * wide) };
  point.units.forEach((unit, j) => {
    const w = move === null ? unit.w : directionOf(unit, move, places[j]);
    for (let p = 0; p < d; p++) kernel.data[p * m + order[j]] = w[p];
    const from = places[j] + unit.basis.length / d;
    if (move === null) output.data.set(unit.a, order[j] * wide);
    else for (let f = 0; f < unit.feeds.length; f++) output.data[order[j] * wide + unit.feeds[f]] = move[from + f];
  });
  const bias = move === null ? point.bias.slice() : move.slice(places[point.units.length]);
  const weights: NetworkWeights = { kernel, gates: null, output, bias };
  const seen = reduction === null ? kernel : weightsForX(weights, reduction.space, column.value).kernel;
  return { ...splitBias(seen, spec.hiddenBias ? column.value : 0), output, bias: spec.outputBias ? bias : null };
}

function splitBias({ rows, cols, data }: Matrix, biasColumn: number): Pick<LayerWeights, "kernel" | "hiddenBias"> {
  if (biasColumn === 0) return { kernel: { rows, cols, data }, hiddenBias: null };
  const last = (rows - 1) * cols;
  return {
    kernel: { rows: rows - 1, cols, data: data.slice(0, last) },
    hiddenBias: data.slice(last).map((value) => value * biasColumn),
  };
}
