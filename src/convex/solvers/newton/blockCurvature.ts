/** The curvature of gated blocks as a map: a pass back over the data, a small derivative a block, a pass forward. */

import type { GatedProducts } from "../../kernels/types.js";
import { norm } from "../../linear/vectors.js";
import { blockOutputs } from "../../operators/blocks.js";
import type { ActiveBlocks, BlockStep } from "../activeBlocks.js";
import type { CoupledSystem } from "../systems/index.js";

/** The blocks' part of a coupled system. */
type BlockCurvature = Pick<CoupledSystem, "gates" | "weights" | "rows" | "vectors" | "addCurvature">;

/** Of shrunk vectors of one output without cones: sigma (s I + (1 - s) u u') for a vector in direction u. */
export function vectorCurvature(
  { program, sigma, working }: BlockStep,
  products: GatedProducts,
  { slots, shares, vectors }: ActiveBlocks,
): BlockCurvature {
  const { rows: n } = program.loss;
  const d = program.X.cols;
  const count = slots.length;
  const gates = Int32Array.from(slots, (slot) => working.gateOf(slot));
  const output = new Int32Array(count);
  const units = vectors.slice();
  for (let k = 0; k < count; k++) {
    const length = norm(units.subarray(k * d, (k + 1) * d));
    for (let p = k * d; p < (k + 1) * d; p++) units[p] /= length;
  }
  const strides = new Float64Array(count).fill(sigma);
  const G = new Float64Array(count * d);
  const Z = new Float64Array(n);
  const makeRows = () => {
    const rows = new Float64Array(count * n);
    for (let k = 0; k < count; k++) {
      const weight = Math.sqrt(sigma * (1 - shares[k]));
      const along = units.slice(k * d, (k + 1) * d).map((value) => weight * value);
      products.rows(gates[k], along, 1, rows.subarray(k * n, (k + 1) * n));
    }
    return rows;
  };
  return {
    gates,
    weights: Float64Array.from(shares, (share) => sigma * share),
    vectors: count,
    rows: { count, make: makeRows },
    addCurvature(x, out) {
      products.adjoint(x, 1, gates, G);
      for (let k = 0; k < count; k++) {
        const share = shares[k];
        let along = 0;
        for (let p = k * d; p < (k + 1) * d; p++) along += units[p] * G[p];
        along *= 1 - share;
        for (let p = k * d; p < (k + 1) * d; p++) G[p] = share * G[p] + along * units[p];
      }
      products.forward(gates, output, strides, G, 1, Z);
      for (let k = 0; k < n; k++) out[k] += Z[k];
    },
  };
}

/** Of shrunk spectra. */
export function spectralCurvature(step: BlockStep, products: GatedProducts, at: ActiveBlocks): BlockCurvature {
  const { program, sigma, working } = step;
  const C = blockOutputs(program);
  const { rows: n, outputs } = program.loss;
  const d = program.X.cols;
  const size = C * d;
  const gates = Int32Array.from(at.shrunk, (_, k) => working.gateOf(at.slots[k * C]));
  const every = Int32Array.from(at.slots, (slot) => working.gateOf(slot));
  const output = Int32Array.from(at.slots, (slot) => working.outputOf(slot));
  const weight = new Float64Array(at.slots.length).fill(sigma);
  const G = new Float64Array(at.slots.length * d);
  const moved = new Float64Array(at.slots.length * d);
  const Z = new Float64Array(n * outputs);
  return {
    gates,
    weights: Float64Array.from(at.shrunk, (block) => sigma * block.share),
    rows: { count: 0, make: () => new Float64Array(0) },
    vectors: every.length,
    addCurvature(x, out) {
      products.adjoint(x, outputs, gates, G);
      at.shrunk.forEach((block, k) => {
        block.derivative(G.subarray(k * size, (k + 1) * size), moved.subarray(k * size, (k + 1) * size));
      });
      products.forward(every, output, weight, moved, outputs, Z);
      for (let k = 0; k < out.length; k++) out[k] += Z[k];
    },
  };
}
