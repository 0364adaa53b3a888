/**
 * The optima of one program as points of a polyhedron: sizes of candidate neurons (and a free output bias) that keep the fit.
 *
 * With the fit Z kept, every block on its ray, and <-N, D_i X u> = beta on each ray, the penalty beta sum_j a_j = -<N, Z> is kept
 * too, so that all these points have one objective (Wang, Lacotte and Pilanci 2021; Mishkin and Pilanci 2023, section 3).
 */

import { gaussianSource } from "../linear/random.js";
import { type Decay, forward, type Network, type Neuron, ONE_PATCH, objectiveOf, weightsOf } from "../network.js";
import type { ConvexProgram, Loss, Matrix } from "../types.js";
import type { Candidates } from "./candidates.js";
import { type Point, Polyhedron } from "./polyhedron.js";

/** Rounds of the quadratic models of a validation loss, and the share of descent that ends them. */
const ROUNDS = 60;
const DESCENT = 1e-10;
const BACKTRACKS = 30;

/** One optimal network. */
export interface Optimum {
  /** Neurons that are not zero. */
  readonly neurons: number;
  /** The training objective of the network with float32 weights, by a plain forward pass in float64. */
  readonly objective: number;
  /** Euclidean norm sqrt(sum |v_i|^2) of the program's variables. */
  readonly norm: number;
  readonly network: Network;
  /** Sizes of the set's candidates, then the output bias where it is free. */
  readonly point: Float64Array;
}

/** A network on the way from one optimum to another: every neuron keeps its place, also while it is zero. */
export interface Waypoint {
  readonly at: number; // 0 to 1
  readonly objective: number;
  readonly network: Network;
}

export class Optima {
  readonly polyhedron: Polyhedron;
  private readonly neurons: readonly Neuron[];
  private readonly free: number; // C where the output bias is free, else 0

  constructor(
    private readonly program: ConvexProgram,
    private readonly decay: Decay,
    private readonly biasColumn: number,
    candidates: Candidates,
    private readonly bias: Float64Array, // [C] of the solution
  ) {
    this.neurons = candidates.list.map(({ neuron }) => neuron);
    this.free = program.outputBias?.ridge === 0 ? program.loss.outputs : 0;
    const sizes = candidates.list.map(({ size }) => size);
    const start = Float64Array.of(...sizes, ...(this.free > 0 ? bias : []));
    this.polyhedron = new Polyhedron(this.columnsOn(program.X), sizes.length, start);
  }

  /** How many candidates there are. */
  get size(): number {
    return this.neurons.length;
  }

  optimum(point: Point): Optimum {
    const inside = this.polyhedron.support(point);
    const network = this.networkOf(point, inside);
    let square = 0;
    for (const j of inside) square += point[j] ** 2;
    return { neurons: inside.length, objective: this.judge(network), norm: Math.sqrt(square), network, point };
  }

  /** Vertices reached from the solution and from the middle of the set along random objectives: the one of fewest neurons. */
  fewest(tries: number, seed: number): Optimum {
    const { polyhedron } = this;
    const draw = gaussianSource(seed);
    const middle = polyhedron.nearest(new Float64Array(polyhedron.start.length));
    const small = (point: Point) => point.map((size) => 1 / (Math.abs(size) + 1e-6)); // small sizes vanish first
    let best: Point | null = null;
    for (let k = 0; k < (polyhedron.dimension === 0 ? 1 : tries); k++) {
      const from = k % 2 === 0 ? polyhedron.start : middle;
      const vertex = polyhedron.vertex(from, k < 2 ? small(from) : Float64Array.from(from, draw));
      if (best === null || polyhedron.support(vertex).length < polyhedron.support(best).length) best = vertex;
    }
    return this.optimum(best ?? polyhedron.start);
  }

  /** The optimum of least norm, a single one; a free output bias is no part of the norm. */
  minimumNorm(): Optimum {
    return this.nearestTo(new Float64Array(this.polyhedron.start.length));
  }

  nearestTo(target: Float64Array): Optimum {
    return this.optimum(this.polyhedron.nearest(target));
  }

  /**
   * The optimum with the least loss on other data: Newton steps on the polyhedron, each a quadratic program. Among equals it
   * stays near the solution.
   */
  best(loss: Loss, X: Matrix): Optimum {
    const { polyhedron } = this;
    const columns = this.columnsOn(X);
    const fixed = this.free > 0 ? new Float64Array(loss.outputs) : this.bias;
    const N = columns.cols;
    const Z = new Float64Array(N);
    const predict = (point: Point) => {
      for (let k = 0; k < N; k++) Z[k] = fixed[k % loss.outputs];
      point.forEach((size, j) => {
        if (size !== 0) for (let k = 0; k < N; k++) Z[k] += size * columns.data[j * N + k];
      });
      return loss.value(Z);
    };
    const slope = new Float64Array(N);
    const bend = new Float64Array(N);
    let point = polyhedron.start;
    let value = predict(point);
    for (let round = 0; round < ROUNDS; round++) {
      predict(point);
      loss.gradient(Z, slope);
      loss.hessianDiagonal(Z, bend);
      const gradient = point.map((_, j) => dot(columns.data, j * N, slope));
      const next = polyhedron.minimise(point, gradient, weightedRows(columns, bend));
      const step = next.map((size, j) => size - point[j]);
      const from: Point = point;
      const before = value;
      for (let back = 0, length = 1; back < BACKTRACKS; back++, length /= 2) {
        const trial = from.map((size, j) => size + length * step[j]);
        const there = predict(trial);
        if (there < value) {
          point = trial;
          value = there;
          break;
        }
      }
      if (before - value <= DESCENT * Math.abs(before)) break;
    }
    return this.optimum(point);
  }

  /** Networks at equal steps between two optima, objectives by the independent judge. */
  path(from: Optimum, to: Optimum, steps: number): Waypoint[] {
    const { polyhedron } = this;
    const slots = [...new Set([...polyhedron.support(from.point), ...polyhedron.support(to.point)])].sort(
      (a, b) => a - b,
    );
    return Array.from({ length: steps + 1 }, (_, k) => {
      const at = k / steps;
      const network = this.networkOf(
        from.point.map((size, j) => (1 - at) * size + at * to.point[j]),
        slots,
      );
      return { at, objective: this.judge(network), network };
    });
  }

  /** Of the sizes; the neurons have unit directions, so that this is the distance of the program's variables. */
  distance(a: Point, b: Point): number {
    let square = 0;
    for (let j = 0; j < this.neurons.length; j++) square += (a[j] - b[j]) ** 2;
    return Math.sqrt(square);
  }

  private networkOf(point: Point, slots: readonly number[]): Network {
    return {
      gated: !this.program.cones,
      neurons: slots.map((j) => ({
        ...this.neurons[j],
        output: this.neurons[j].output.map((value) => value * point[j]),
      })),
      bias: this.free > 0 ? point.slice(this.neurons.length) : this.bias.slice(),
      pooling: this.program.pooling ?? null,
    };
  }

  private judge(network: Network): number {
    const { X, loss } = this.program;
    const units = Math.max(1, network.neurons.length);
    const weights = weightsOf(network, this.decay, X.cols, units, this.biasColumn);
    return objectiveOf(weights, X, loss, this.decay).total;
  }

  /** [(m + f) x nC]: what each unit of size, and of free bias, adds to the outputs of n samples. */
  private columnsOn(X: Matrix): Matrix {
    const C = this.bias.length;
    const rows = this.neurons.length + this.free;
    const pooling = this.program.pooling ?? null;
    const cols = (X.rows / (pooling ?? ONE_PATCH).patches) * C;
    const data = new Float64Array(rows * cols);
    const nothing = new Float64Array(C);
    this.neurons.forEach((neuron, j) => {
      data.set(forward({ ...weightsAlone(neuron, X.cols, nothing), pooling }, X), j * cols);
    });
    for (let c = 0; c < this.free; c++) {
      for (let k = c; k < cols; k += C) data[(this.neurons.length + c) * cols + k] = 1;
    }
    return { rows, cols, data };
  }
}

/** A network of one neuron in float64, without the rounding to weights of a layer. */
function weightsAlone({ direction, output, gate }: Neuron, features: number, bias: Float64Array) {
  return {
    kernel: { rows: features, cols: 1, data: direction },
    gates: gate === null ? null : { rows: features, cols: 1, data: gate },
    output: { rows: 1, cols: output.length, data: output },
    bias,
  };
}

/** Rows sqrt(h_k) column_k' of a Gauss-Newton model, [N x (m + f)]. */
function weightedRows({ rows, cols, data }: Matrix, weights: Float64Array): Matrix {
  const out = new Float64Array(cols * rows);
  for (let k = 0; k < cols; k++) {
    const root = Math.sqrt(Math.max(0, weights[k]));
    for (let j = 0; j < rows; j++) out[k * rows + j] = root * data[j * cols + k];
  }
  return { rows: cols, cols: rows, data: out };
}

function dot(data: Float64Array, from: number, vector: Float64Array): number {
  let sum = 0;
  for (let k = 0; k < vector.length; k++) sum += data[from + k] * vector[k];
  return sum;
}
