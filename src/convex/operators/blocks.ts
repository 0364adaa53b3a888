/** Sparse points of a program: which blocks are nonzero, what they predict, what the penalty charges for them. */

import type { GatedProducts } from "../kernels/types.js";
import type { ConvexProgram, SparseBlocks } from "../types.js";

/** Number of blocks: one a gate, two (positive and negative) with cones. */
export function blockCount(program: Pick<ConvexProgram, "gates" | "cones">): number {
  return program.cones ? 2 * program.gates.count : program.gates.count;
}

/** The point zero. */
export function zeroBlocks(program: Pick<ConvexProgram, "loss">): SparseBlocks {
  return { index: new Int32Array(0), vectors: new Float64Array(0), bias: new Float64Array(program.loss.outputs) };
}

/** Gate, output and sign of each nonzero vector: what the kernels want to know. */
export function columnsOf(
  program: Pick<ConvexProgram, "gates" | "loss">,
  index: Int32Array,
): { gate: Int32Array; output: Int32Array; sign: Float64Array } {
  const C = program.loss.outputs;
  const P = program.gates.count;
  const gate = new Int32Array(index.length);
  const output = new Int32Array(index.length);
  const sign = new Float64Array(index.length);
  for (let k = 0; k < index.length; k++) {
    const block = Math.floor(index[k] / C);
    output[k] = index[k] % C;
    gate[k] = block % P;
    sign[k] = block < P ? 1 : -1;
  }
  return { gate, output, sign };
}

/** Z [n x C] = sum_i sign_i D_i X V_i + 1 c'. */
export function predict(program: ConvexProgram, products: GatedProducts, blocks: SparseBlocks, Z: Float64Array): void {
  const C = program.loss.outputs;
  const { gate, output, sign } = columnsOf(program, blocks.index);
  products.forward(gate, output, sign, blocks.vectors, C, Z);
  for (let k = 0; k < Z.length; k++) Z[k] += blocks.bias[k % C];
}

/** beta sum_i penalty(V_i) + ridge |c|^2. */
export function penaltyOf(program: ConvexProgram, blocks: SparseBlocks): number {
  const C = program.loss.outputs;
  const d = program.X.cols;
  const block = new Float64Array(C * d);
  let sum = 0;
  for (let k = 0; k < blocks.index.length; ) {
    const current = Math.floor(blocks.index[k] / C);
    block.fill(0);
    for (; k < blocks.index.length && Math.floor(blocks.index[k] / C) === current; k++) {
      block.set(blocks.vectors.subarray(k * d, (k + 1) * d), (blocks.index[k] % C) * d);
    }
    sum += program.penalty.value(block, C, d);
  }
  let ridge = 0;
  if (program.outputBias !== null) {
    for (let c = 0; c < C; c++) ridge += program.outputBias.ridge * blocks.bias[c] ** 2;
  }
  return program.beta * sum + ridge;
}
