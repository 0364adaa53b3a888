import { norm } from "../linear/vectors.js";
import type { Neuron } from "../network.js";
import { blockOutputs } from "../operators/blocks.js";
import { penalties } from "../penalties/index.js";
import { singular } from "../penalties/nuclear.js";
import type { Formulation } from "./formulation.js";

/** Singular values below this share of the largest are rounding of the solve, not neurons. */
const RANK = 1e-9;

/**
 * Gated ReLU networks (Mishkin, Sahiner and Pilanci 2022): unconstrained blocks, gates held fixed.
 *
 * A gate's block [C x d] is a sum of rank-one terms s o u': one neuron each. With the nuclear norm over outputs the program
 * is the weight decay problem itself (Sahiner et al. 2021); with the per-output norms each neuron feeds one output. Filters that
 * are read out patch by patch have as many outputs as patches and outputs, and are exact in the same way (Sahiner et al. 2022,
 * theorem 3.6).
 */
export const gated: Formulation = {
  name: "gated",
  penaltiesFor: (outputs) => (outputs === 1 ? ["perOutput"] : ["nuclear", "perOutput"]),
  build: (parts, penalty) => ({ ...parts, penalty: penalties[penalty], cones: false }),
  recover(program, blocks) {
    const { gates, X, pooling } = program;
    const C = blockOutputs(program);
    const d = X.cols;
    const neurons: Neuron[] = [];
    const generator = (gate: number) => gates.generators.data.slice(gate * d, (gate + 1) * d);
    const taken = new Set<number>();
    for (let k = 0; k < blocks.index.length; ) {
      const gate = Math.floor(blocks.index[k] / C);
      const block = new Float64Array(C * d);
      for (; k < blocks.index.length && Math.floor(blocks.index[k] / C) === gate; k++) {
        block.set(blocks.vectors.subarray(k * d, (k + 1) * d), (blocks.index[k] % C) * d);
      }
      const g = generator(gate);
      taken.add(gate);
      const terms = program.penalty.separable ? rowsOf(block, C, d) : rankOneTerms(block, C, d);
      for (const term of terms) neurons.push({ ...term, gate: g });
    }
    const spare = Array.from({ length: gates.count }, (_, i) => i).flatMap((i) => (taken.has(i) ? [] : [generator(i)]));
    return { gated: true, neurons, spare, bias: blocks.bias.slice(), pooling: pooling ?? null };
  },
};

/** One term an output: o = |row| e_c. */
function rowsOf(block: Float64Array, C: number, d: number): Omit<Neuron, "gate">[] {
  const terms: Omit<Neuron, "gate">[] = [];
  for (let c = 0; c < C; c++) {
    const row = block.slice(c * d, (c + 1) * d);
    const size = norm(row);
    if (size === 0) continue;
    const output = new Float64Array(C);
    output[c] = size;
    terms.push({ direction: row.map((value) => value / size), output });
  }
  return terms;
}

/** The singular value decomposition: block = sum_k s_k o_k u_k'. */
export function rankOneTerms(block: Float64Array, C: number, d: number): Omit<Neuron, "gate">[] {
  const { U, rows, values, tall } = singular(block, C, d);
  const r = values.length;
  const w = rows.length / r;
  const largest = values.reduce((a, b) => Math.max(a, b), 0);
  const terms: Omit<Neuron, "gate">[] = [];
  for (let k = 0; k < r; k++) {
    if (values[k] <= RANK * largest) continue;
    const long = rows.slice(k * w, (k + 1) * w).map((value) => value / values[k]);
    const short = Float64Array.from({ length: r }, (_, i) => U[i * r + k]);
    const [direction, out] = tall ? [short, long] : [long, short];
    terms.push({ direction, output: out.map((value) => value * values[k]) });
  }
  return terms;
}
