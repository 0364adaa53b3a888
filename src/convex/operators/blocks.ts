/**
 * What a program does to its points and its data: of it here the points themselves, which blocks are nonzero, what they predict,
 * what the penalty charges for them.
 */

import type { GatedProducts } from "../kernels/types.js";
import { rowBlock } from "../linear/rowBlock.js";
import { ONE_PATCH, steepest } from "../network.js";
import type { ConvexProgram, SparseBlocks } from "../types.js";

/** Number of blocks: one a gate, two (positive and negative) with cones. */
export function blockCount(program: Pick<ConvexProgram, "gates" | "cones">): number {
  return program.cones ? 2 * program.gates.count : program.gates.count;
}

/** Vectors of a block: one an output, with pooling one a position and output. */
export function blockOutputs({ loss, pooling }: Pick<ConvexProgram, "loss" | "pooling">): number {
  return (pooling?.positions ?? 1) * loss.outputs;
}

/** The point zero. */
export function zeroBlocks(program: Pick<ConvexProgram, "loss">): SparseBlocks {
  return { index: new Int32Array(0), vectors: new Float64Array(0), bias: new Float64Array(program.loss.outputs) };
}

/** Gate, output and sign of each nonzero vector: what the kernels want to know. */
export function columnsOf(
  program: Pick<ConvexProgram, "gates" | "loss" | "pooling">,
  index: Int32Array,
): { gate: Int32Array; output: Int32Array; sign: Float64Array } {
  const C = blockOutputs(program);
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

/** The same for every vector of some gates, of blocks without cones. */
export function everyVector(gates: Int32Array, vectors: number): ReturnType<typeof columnsOf> {
  const count = gates.length * vectors;
  return {
    gate: Int32Array.from({ length: count }, (_, k) => gates[Math.floor(k / vectors)]),
    output: Int32Array.from({ length: count }, (_, k) => k % vectors),
    sign: new Float64Array(count).fill(1),
  };
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
  const C = blockOutputs(program);
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
    for (let c = 0; c < program.loss.outputs; c++) ridge += program.outputBias.ridge * blocks.bias[c] ** 2;
  }
  return program.beta * sum + ridge;
}

/** Mean over the samples of |x_j|^2; of pooled patches of sum_a (scale sum_k |x_jk|)^2, above which no gate brings them. */
export function meanSquaredNorm({ X, loss, pooling }: Pick<ConvexProgram, "X" | "loss" | "pooling">): number {
  const { patches: K, positions, scale } = pooling ?? ONE_PATCH;
  const most = scale * steepest(pooling);
  let total = 0;
  for (let j = 0; j < loss.rows; j++) {
    const rows = rowBlock(X, j * K, K);
    for (let position = 0; position < positions; position++) {
      let sum = 0;
      for (let k = position; k < K; k += positions) {
        let square = 0;
        for (let p = k * X.cols; p < (k + 1) * X.cols; p++) square += rows[p] * rows[p];
        sum += Math.sqrt(square);
      }
      total += (most * sum) ** 2;
    }
  }
  return total / loss.rows;
}
