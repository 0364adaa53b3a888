/**
 * The neurons that an optimal network may have.
 *
 * Where the loss is differentiable the optimal dual point N is unique, and in every optimum a block is either zero or a multiple
 * of one direction: the projection of -+X' D_i N onto its cone (gated: -X' D_i N itself), whose length is then beta. Blocks that
 * are cheaper than beta are zero in every optimum (Mishkin and Pilanci 2023, section 3).
 */

import { GapJudge } from "../certificate/index.js";
import { formulations } from "../formulations/index.js";
import type { GatedProducts } from "../kernels/types.js";
import { norm } from "../linear/vectors.js";
import type { Neuron } from "../network.js";
import { blockOutputs, columnsOf } from "../operators/blocks.js";
import { type ConeProjector, coneProjector } from "../operators/coneProjection.js";
import { singular } from "../penalties/nuclear.js";
import type { ConvexProgram, SparseBlocks } from "../types.js";

/** Directions this close are one: far above the error of a tight solve, far below what the data could tell apart. */
const SAME = 1e-5;

/** A neuron of unit output, and the size that it has in the solution at hand (0: only other optima use it). */
export interface Candidate {
  readonly neuron: Neuron; // |direction| = |output| = 1
  readonly size: number;
}

export interface Candidates {
  readonly list: readonly Candidate[]; // those of the solution first
  /** False where the loss has kinks, so that its gradient is not the dual point: then they are the solution's own only. */
  readonly all: boolean;
  /** Prices in units of beta: the cheapest block that counts as active, and the dearest that does not (0: none). */
  readonly cheapestInside: number;
  readonly dearestOutside: number;
}

/** Candidates from a solution: its own neurons, and those of every block that is priced above (1 - slack) beta. */
export function candidatesOf(
  program: ConvexProgram,
  products: GatedProducts,
  blocks: SparseBlocks,
  slack: number,
): Candidates {
  const own = formulations[program.cones ? "relu" : "gated"].recover(program, blocks).neurons.map(unit);
  if (!Number.isFinite(program.loss.curvature)) {
    return { list: distinct(own), all: false, cheapestInside: 1, dearestOutside: 0 };
  }
  const { loss, outputBias, beta } = program;
  const judge = new GapJudge(program, products);
  const Z = new Float64Array(loss.rows * loss.outputs);
  const N = new Float64Array(Z.length);
  judge.predict(blocks, Z);
  loss.gradient(Z, N);
  if (outputBias !== null && outputBias.ridge === 0) loss.balance(N);
  const { prices } = judge.price(N, (1 - 2 * slack) * beta);
  const taken = new Set(program.penalty.separable ? blocks.index : []); // a spectrum may have room beside its own terms
  const projector = program.cones ? coneProjector(program, products) : null;
  let cheapestInside = Number.POSITIVE_INFINITY;
  let dearestOutside = 0;
  const others: Candidate[] = [];
  for (let slot = 0; slot < prices.length; slot++) {
    const price = prices[slot] / beta;
    if (price >= 1 - slack) cheapestInside = Math.min(cheapestInside, price);
    else dearestOutside = Math.max(dearestOutside, price);
    if (price >= 1 - slack && !taken.has(slot)) {
      for (const neuron of neuronsAt(program, products, projector, N, slot, slack)) others.push({ neuron, size: 0 });
    }
  }
  return { list: distinct([...own, ...others]), all: true, cheapestInside, dearestOutside };
}

function unit(neuron: Neuron): Candidate {
  const size = norm(neuron.output);
  return { neuron: { ...neuron, output: neuron.output.map((value) => value / size) }, size };
}

/** The neurons along which the block of a slot (block * C + output, C vectors a block; nuclear: block * C) may grow. */
function neuronsAt(
  program: ConvexProgram,
  products: GatedProducts,
  projector: ConeProjector | null,
  N: Float64Array,
  slot: number,
  slack: number,
): Neuron[] {
  const { X, loss, gates, penalty } = program;
  const C = blockOutputs(program);
  const d = X.cols;
  const columns = columnsOf(program, Int32Array.of(slot));
  const gate = columns.gate[0];
  const G = new Float64Array(C * d); // X' D N, row c for output c (of position a: a C + c)
  products.adjoint(N, loss.outputs, Int32Array.of(gate), G);
  if (!penalty.separable) return spectralNeurons(program, G, gate, slack);
  const output = new Float64Array(C);
  output[columns.output[0]] = columns.sign[0];
  const direction = G.slice(columns.output[0] * d, (columns.output[0] + 1) * d).map(
    (value) => -columns.sign[0] * value,
  );
  projector?.project(gate, slot, direction, -1);
  const length = norm(direction);
  for (let p = 0; p < d; p++) direction[p] /= length;
  return [{ direction, output, gate: program.cones ? null : gates.generators.data.slice(gate * d, (gate + 1) * d) }];
}

/** Nuclear norm: every pair of singular vectors whose value is beta. */
function spectralNeurons(program: ConvexProgram, G: Float64Array, gate: number, slack: number): Neuron[] {
  const { X, gates, beta } = program;
  const d = X.cols;
  const { U, rows, values, tall } = singular(G, blockOutputs(program), d);
  const r = values.length;
  const w = rows.length / r;
  const neurons: Neuron[] = [];
  for (let k = 0; k < r; k++) {
    if (values[k] < (1 - slack) * beta) continue;
    const long = rows.slice(k * w, (k + 1) * w).map((value) => value / values[k]);
    const short = Float64Array.from({ length: r }, (_, i) => U[i * r + k]);
    const [direction, output] = tall ? [short, long] : [long, short];
    neurons.push({
      direction,
      output: output.map((value) => -value),
      gate: gates.generators.data.slice(gate * d, (gate + 1) * d),
    });
  }
  return neurons;
}

/** Equal neurons become one: neighbouring cones meet in the same direction. */
export function distinct(candidates: readonly Candidate[]): Candidate[] {
  const kept: { neuron: Neuron; size: number }[] = [];
  for (const { neuron, size } of candidates) {
    const twin = kept.find((other) => same(other.neuron, neuron));
    if (twin === undefined) kept.push({ neuron, size });
    else twin.size += size;
  }
  return kept;
}

function same(a: Neuron, b: Neuron): boolean {
  const near = (sign: number) =>
    distance(a.direction, b.direction, sign) <= SAME && distance(a.output, b.output, sign) <= SAME;
  if (a.gate === null || b.gate === null) return a.gate === b.gate && near(1);
  return distance(a.gate, b.gate, 1) === 0 && (near(1) || near(-1)); // behind a gate (x u) o = (-x u) (-o)
}

function distance(a: Float64Array, b: Float64Array, sign: number): number {
  let square = 0;
  for (let p = 0; p < a.length; p++) square += (a[p] - sign * b[p]) ** 2;
  return Math.sqrt(square);
}
