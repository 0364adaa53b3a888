/** The independent judge: a two-layer network as plain neurons, its forward pass and its objective, by the definition. */

import { PlainProducts } from "./linear/plainProducts.js";
import { eachBlock } from "./linear/rowBlock.js";
import { norm } from "./linear/vectors.js";
import type { Loss, Matrix, Pooling } from "./types.js";

/** A neuron (x u)_+ o (with a slope for negative sums, where `Pooling` has one), or (x u) 1[x g >= 0] o when gated; |u| = 1, so that |o| is what the penalty charges. */
export interface Neuron {
  readonly direction: Float64Array; // u [d]
  readonly output: Float64Array; // o [C]; over patches [A C], that of position a and output c at a C + c
  readonly gate: Float64Array | null; // g [d]; null: the neuron gates itself (ReLU)
}

export interface Network {
  readonly gated: boolean; // whether neurons have gates, also when there is none
  readonly neurons: readonly Neuron[];
  /** Gates [d] for units that no neuron takes, so that a gated layer keeps what it could use on other data. */
  readonly spare?: readonly Float64Array[];
  readonly bias: Float64Array; // [C]
  /** How neurons that see patches, filters, come to the outputs of a sample. */
  readonly pooling?: Pooling | null;
}

/** Weights as a layer holds them: neuron j is w_j (column j of the kernel) and a_j (row j of the output kernel). */
export interface NetworkWeights {
  readonly kernel: Matrix; // [d x m]
  readonly gates: Matrix | null; // [d x m]
  readonly output: Matrix; // [m x C]; over patches [m x A C]
  readonly bias: Float64Array; // [C]
  /** A linear layer beside the hidden one [d x C]: of all columns of the rows but that of the hidden bias. */
  readonly skip?: Matrix;
  readonly pooling?: Pooling | null;
  /** The constant t that ends every row, where the last row of kernel and gates is a float32 bias over t. */
  readonly biasColumn?: number;
}

/** Rows that are read at a time. */
const BLOCK = 1024;

/** Without patches every row is a sample. */
export const ONE_PATCH: Pooling = { patches: 1, positions: 1, scale: 1 };

/** What units do to negative sums, in (s)_+ + a (s)_-: 0 for ReLU. */
export function slopeOf(pooling: Pooling | null | undefined): number {
  return pooling?.negativeSlope ?? 0;
}

/** The most that a unit's output changes for a change of its sum by one. */
export function steepest(pooling: Pooling | null | undefined): number {
  return Math.max(1, Math.abs(slopeOf(pooling)));
}

/** Whether a sample has patches, rather than a row that is read by units with a slope. */
export function hasPatches(pooling: Pooling | null | undefined): pooling is Pooling {
  return pooling != null && pooling.patches > 1;
}

/** What weight decay charges: g1 |W1|^2 + g2 |W2|^2 + ridge |c|^2, and the kernel of a skip. */
export interface Decay {
  readonly hidden: number; // g1
  readonly output: number; // g2
  readonly outputBias: number; // ridge
  readonly skip?: number;
}

/**
 * Balances every neuron so that its decay is least: g1 |w|^2 + g2 |a|^2 = 2 sqrt(g1 g2) |o|, reached at
 * w = u (g2 / g1)^(1/4) sqrt|o|, a = o (g1 / g2)^(1/4) / sqrt|o|. Pads with zero neurons up to `units`.
 *
 * Every number is what a float32 layer can hold: with a `biasColumn` t in the data, the last row of kernel and gates is a
 * float32 bias over t.
 */
export function weightsOf(
  network: Network,
  decay: Decay,
  features: number,
  units: number,
  biasColumn = 0,
  written: typeof roundedAsWritten = roundedAsWritten,
): NetworkWeights {
  const C = network.bias.length * (network.pooling ?? ONE_PATCH).positions;
  const kernel = new Float64Array(features * units);
  const output = new Float64Array(units * C);
  const ratio = Math.sqrt(Math.sqrt(decay.output / decay.hidden));
  network.neurons.forEach((neuron, j) => {
    const size = Math.sqrt(norm(neuron.output));
    const w = written(
      neuron.direction.map((value) => value * ratio * size),
      biasColumn,
    );
    for (let p = 0; p < features; p++) kernel[p * units + j] = w[p];
    for (let c = 0; c < C; c++) output[j * C + c] = size > 0 ? Math.fround(neuron.output[c] / (ratio * size)) : 0;
  });
  return {
    kernel: { rows: features, cols: units, data: kernel },
    gates: network.gated ? gatesOf(network, features, units, (gate) => written(gate, biasColumn)) : null,
    output: { rows: units, cols: C, data: output },
    bias: network.bias.map(Math.fround),
    pooling: network.pooling ?? null,
    ...(written === roundedAsWritten ? { biasColumn } : {}),
  };
}

/** The gates [d x m]: those of the neurons, then the spare ones, in turn when there are more units than gates. */
function gatesOf(
  network: Network,
  features: number,
  units: number,
  written: (gate: Float64Array) => Float64Array,
): Matrix {
  const data = new Float64Array(features * units);
  const own = network.neurons.flatMap(({ gate }) => (gate === null ? [] : [gate]));
  const rest = [...(network.spare ?? []), ...own];
  for (let j = 0; j < units; j++) {
    const gate = j < own.length ? own[j] : rest[(j - own.length) % rest.length];
    const column = gate === undefined ? null : written(gate);
    if (column !== null) for (let p = 0; p < features; p++) data[p * units + j] = column[p];
  }
  return { rows: features, cols: units, data };
}

/** b / t from above: t times it is no less than b, so that a row on the boundary of a gate, x g = -b, is on in the program as in the layer. */
export function overColumn(bias: number, biasColumn: number): number {
  const value = bias / biasColumn;
  return value * biasColumn < bias ? value + Math.abs(value) * Number.EPSILON : value;
}

/** A column of a kernel in float32; with a bias column t, the last entry v is rounded so that t v is a float32. */
export function roundedAsWritten(vector: Float64Array, biasColumn: number): Float64Array {
  const last = vector.length - 1;
  return vector.map((value, p) =>
    biasColumn > 0 && p === last ? overColumn(Math.fround(value * biasColumn), biasColumn) : Math.fround(value),
  );
}

/** Rows times the columns of a kernel, and how they come to be. */
export type RowProducts = Pick<PlainProducts, "of">;
type ProductsOf = (kernel: Matrix) => RowProducts;

/** Z [n x C]: the outputs before the last activation. */
export function forward(
  weights: NetworkWeights,
  X: Matrix,
  productsOf: ProductsOf = (kernel) => new PlainProducts(kernel),
): Float64Array {
  const { kernel, gates, output, bias } = withoutIdle(weights);
  const { biasColumn = 0 } = weights;
  const { patches, positions, scale } = weights.pooling ?? ONE_PATCH;
  const slope = gates === null ? slopeOf(weights.pooling) : 0;
  const m = kernel.cols;
  const C = bias.length;
  const Z = new Float64Array((X.rows / patches) * C);
  for (let k = 0; k < Z.length; k++) Z[k] = bias[k % C];
  if (weights.skip !== undefined) addLinear(weights.skip, X, Z);
  const linear = productsOf(kernel);
  const distinct = gates === null ? null : distinctColumns(gates);
  const gating = distinct === null ? null : new GateProducts(distinct.columns, biasColumn);
  const places = distinct?.places ?? Array.from({ length: m }, (_, j) => j);
  const width = gating?.count ?? m;
  const pre = new Float64Array(BLOCK * m);
  const gate = gating === null ? pre : new Float64Array(BLOCK * width);
  // What neurons say of a sample's patches is added up before the outputs that it feeds.
  const said = new Float64Array(positions * m);
  eachBlock(X, BLOCK, (rows, from, count) => {
    linear.of(rows, count, pre);
    gating?.of(rows, count, gate);
    for (let k = 0; k < count; k++) {
      const patch = (from + k) % patches;
      const to = ((from + k - patch) / patches) * C;
      const place = patch % positions;
      const last = patch >= patches - positions; // that is read there
      for (let j = 0, at = place * m; j < m; j++, at++) {
        // A ReLU that is zero adds nothing, so that both kinds open at zero.
        const open = gate[k * width + places[j]] >= 0;
        if (!open && slope === 0 && (!last || said[at] === 0)) continue;
        const value = said[at] + (open ? scale : scale * slope) * pre[k * m + j];
        said[at] = last ? 0 : value;
        if (!last) continue;
        const row = j * output.cols + place * C;
        for (let c = 0; c < C; c++) Z[to + c] += value * output.data[row + c];
      }
    }
  });
  return Z;
}

/** Z [n x C] += the first columns of X times a kernel [d x C]. */
export function addLinear(kernel: Matrix, X: Matrix, Z: Float64Array): void {
  const { rows: d, cols: C } = kernel;
  const linear = new PlainProducts(kernel);
  const part = new Float64Array(BLOCK * C);
  const own = new Float64Array(BLOCK * d);
  eachBlock(X, BLOCK, (rows, from, count) => {
    for (let k = 0; k < count; k++) own.set(rows.subarray(k * X.cols, k * X.cols + d), k * d);
    linear.of(own, count, part);
    for (let k = 0; k < count * C; k++) Z[from * C + k] += part[k];
  });
}

/**
 * Rows times gates as a layer has them, the bias itself added in the end: t (b / t) may be off by a rounding, which decides a row that
 * lies on the boundary.
 */
class GateProducts {
  readonly count: number;
  private readonly products: PlainProducts;
  private readonly biases: Float64Array | null;

  constructor(columns: Matrix, biasColumn: number) {
    const { rows, cols } = columns;
    this.count = cols;
    const last = (rows - 1) * cols;
    this.biases = biasColumn > 0 ? columns.data.slice(last).map((value) => Math.fround(value * biasColumn)) : null;
    const data = biasColumn > 0 ? columns.data.slice().fill(0, last) : columns.data;
    this.products = new PlainProducts({ rows, cols, data });
  }

  /** out [count x m] := rows [count x d] W + b. */
  of(rows: Float64Array, count: number, out: Float64Array): void {
    const { products, biases, count: m } = this;
    products.of(rows, count, out);
    if (biases !== null) for (let k = 0; k < count * m; k++) out[k] += biases[k % m];
  }
}

/** The network without units whose outputs are all zero: most of a layer that is wider than the optimum. */
export function withoutIdle(weights: NetworkWeights): NetworkWeights {
  const { kernel, gates, output } = weights;
  const used: number[] = [];
  for (let j = 0; j < output.rows; j++) {
    const mine = output.data.subarray(j * output.cols, (j + 1) * output.cols);
    if (mine.some((value) => value !== 0)) used.push(j);
  }
  const columns = ({ rows, cols, data }: Matrix): Matrix => {
    const kept = new Float64Array(rows * used.length);
    used.forEach((j, k) => {
      for (let p = 0; p < rows; p++) kept[p * used.length + k] = data[p * cols + j];
    });
    return { rows, cols: used.length, data: kept };
  };
  const rows = new Float64Array(used.length * output.cols);
  used.forEach((j, k) => {
    rows.set(output.data.subarray(j * output.cols, (j + 1) * output.cols), k * output.cols);
  });
  return {
    ...weights,
    kernel: columns(kernel),
    gates: gates === null ? null : columns(gates),
    output: { rows: used.length, cols: output.cols, data: rows },
  };
}

/** The different columns of a matrix, and the place of each column among them: neurons of several outputs share gates. */
export function distinctColumns({ rows, cols, data }: Matrix): { columns: Matrix; places: readonly number[] } {
  const kept: number[] = [];
  const same = (i: number, j: number) => {
    for (let p = 0; p < rows; p++) if (data[p * cols + i] !== data[p * cols + j]) return false;
    return true;
  };
  const places = Array.from({ length: cols }, (_, j) => {
    const place = kept.findIndex((i) => same(i, j));
    return place < 0 ? kept.push(j) - 1 : place;
  });
  const values = new Float64Array(rows * kept.length);
  kept.forEach((j, k) => {
    for (let p = 0; p < rows; p++) values[p * kept.length + k] = data[p * cols + j];
  });
  return { columns: { rows, cols: kept.length, data: values }, places };
}

/** Data loss and decay of a network on data; the sum is what a convex program promises to bound. Z where it is known. */
export function objectiveOf(
  weights: NetworkWeights,
  X: Matrix,
  loss: Loss,
  decay: Decay,
  Z = forward(weights, X), // [n x C]
): { loss: number; regularization: number; total: number } {
  const value = loss.value(Z);
  const regularization =
    decay.hidden * square(weights.kernel.data) +
    decay.output * square(weights.output.data) +
    decay.outputBias * square(weights.bias) +
    (weights.skip === undefined ? 0 : (decay.skip ?? 0) * square(weights.skip.data));
  return { loss: value, regularization, total: value + regularization };
}

function square(values: Float64Array): number {
  let sum = 0;
  for (const value of values) sum += value * value;
  return sum;
}
