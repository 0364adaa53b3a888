/** Passes of neurons over the data, there and back: the engine's own where it has them, else products in blocks of samples. */

import type { Kernels, NeuronLayer } from "../kernels/types.js";
import { transpose } from "../linear/vectors.js";
import { ONE_PATCH, slopeOf } from "../network.js";
import { layerFor, pooledLayer } from "../operators/neuronLayer.js";
import type { ConvexProgram, Matrix, Pooling } from "../types.js";
import { addActivations, eachSampleBlock, type Reading, readingOf, replaceByPull } from "./sampleBlocks.js";

/** Outputs per column of X up to which products with zeros are cheap. */
const ZEROS = 0.5;

/** A layer of neurons that feed one output each: [m] in the place of outputs [C x m]. The caller disposes it. */
export function passesOf(program: ConvexProgram, kernels: Kernels, outputs: Int32Array): NeuronLayer {
  return engineLayer(program, kernels, outputs) ?? blockPasses(program, kernels, outputs);
}

/** The same in float32, where the engine has that and patches are not read out apart; null where it has not, or no memory for it. */
export function roughPassesOf(program: ConvexProgram, kernels: Kernels, outputs: Int32Array): NeuronLayer | null {
  const { X, loss, pooling } = program;
  return pooledLayer(program, outputs.length, () => kernels.neurons?.(X, outputs, loss.outputs, slopeOf(pooling)));
}

/** The engine's layer, with zeros for all other outputs; null where it has none, or these would cost more than the rows. */
function engineLayer(program: ConvexProgram, kernels: Kernels, outputs: Int32Array): NeuronLayer | null {
  const C = program.loss.outputs;
  const m = outputs.length;
  if (C > 1 && C > ZEROS * program.X.cols) return null;
  const layer = layerFor(program, kernels, m);
  if (layer === null || C === 1) return layer;
  const A = new Float64Array(C * m);
  const inA = new Float64Array(C * m);
  const spread = (scales: Float64Array) => {
    for (let j = 0; j < m; j++) A[outputs[j] * m + j] = scales[j];
    return A;
  };
  return {
    forward: (weights, scales, Z) => layer.forward(weights, spread(scales), Z),
    backward: (weights, scales, N, inWeights, inScales) => {
      layer.backward(weights, spread(scales), N, inWeights, inA.fill(0));
      for (let j = 0; j < m; j++) inScales[j] += inA[outputs[j] * m + j];
    },
    dispose: () => layer.dispose(),
  };
}

/** In blocks of samples, with or without patches. */
function blockPasses({ X, loss, pooling }: ConvexProgram, kernels: Kernels, outputs: Int32Array): NeuronLayer {
  const d = X.cols;
  const m = outputs.length;
  const reading = readingOf(pooling, loss.outputs, outputs);
  const pass = new BlockPass(X, kernels, reading);
  const part = new Float64Array(m * d);
  return {
    forward: (weights, scales, Z) => pass.forward(weights, scales, Z),
    backward: (weights, scales, N, inWeights, inScales) => {
      pass.backward(weights, (H, rows, first, count) => {
        for (let j = 0; j < m; j++) inScales[j] += replaceByPull(reading, j, N, H, first, count);
        kernels.multiply(H, rows, part, m, rows.length / d, d);
        for (let j = 0, k = 0; j < m; j++) for (const end = k + d; k < end; k++) inWeights[k] += scales[j] * part[k];
      });
    },
    dispose: () => undefined,
  };
}

/** Passes over the data, in blocks of samples; one block is kept from the way forward to the way back. */
export class BlockPass {
  private H = new Float64Array(0); // W X' of a block, [m x rows]

  constructor(
    private readonly X: Matrix,
    private readonly kernels: Kernels,
    private readonly reading: Reading,
  ) {}

  /** Z += the outputs of neurons with weights W [m x d]. */
  forward(weights: Float64Array, scales: Float64Array, Z: Float64Array): void {
    const { X, reading } = this;
    eachSampleBlock(X, reading.pooling, scales.length, (rows, first, count) => {
      this.multiply(weights, rows);
      addActivations(reading, scales, this.H, first, count, Z);
    });
  }

  /** Hands the products of each block, and its rows, to `use`; after `forward` with the same weights. */
  backward(
    weights: Float64Array,
    use: (H: Float64Array, rows: Float64Array, first: number, count: number) => void,
  ): void {
    const { X, reading } = this;
    eachSampleBlock(X, reading.pooling, reading.columns.length, (rows, first, count) => {
      if (rows.length < X.rows * X.cols) this.multiply(weights, rows);
      use(this.H, rows, first, count);
    });
  }

  private multiply(weights: Float64Array, rows: Float64Array): void {
    const d = this.X.cols;
    const m = this.reading.columns.length;
    const size = (m * rows.length) / d;
    if (this.H.length < size) this.H = new Float64Array(size);
    this.kernels.multiplyTransposed(weights, rows, this.H, m, d, rows.length / d);
  }
}

/**
 * Neurons that feed all outputs, in blocks of samples: of every position where patches are read out apart, A outputs of a neuron for each
 * of C columns. ReLU, or with gates that are held.
 */
export class TogetherPasses implements NeuronLayer {
  private H = new Float64Array(0); // W X' of a block, [m x rows]
  /** The activations of the last block, [m A x samples]. */
  pooled = new Float64Array(0);
  private blocks = 0; // of samples, in the last pass forward
  private readonly pooling: Pooling;

  constructor(
    private readonly program: Pick<ConvexProgram, "X" | "loss" | "pooling">,
    private readonly kernels: Kernels,
    private readonly m: number,
    private readonly masks: Uint8Array | null = null, // [m x n K]: whether a gate is open
  ) {
    this.pooling = program.pooling ?? ONE_PATCH;
  }

  forward(weights: Float64Array, outputs: Float64Array, Z: Float64Array): void {
    const { kernels, m, pooling } = this;
    const C = this.program.loss.outputs;
    this.blocks = 0;
    this.eachBlock(weights, (_, first, count) => {
      this.blocks += 1;
      const part = new Float64Array(C * count);
      kernels.multiply(outputs, this.pooled, part, C, m * pooling.positions, count);
      for (let c = 0; c < C; c++) for (let s = 0; s < count; s++) Z[(first + s) * C + c] += part[c * count + s];
    });
  }

  backward(
    weights: Float64Array,
    outputs: Float64Array,
    N: Float64Array,
    inWeights: Float64Array,
    inOutputs: Float64Array,
  ): void {
    const { program, kernels, m, pooling } = this;
    const { X, loss } = program;
    const [d, C, wide] = [X.cols, loss.outputs, m * pooling.positions];
    const partW = new Float64Array(m * d);
    const partA = new Float64Array(C * wide);
    const turned = new Float64Array(wide * C);
    transpose(outputs, C, wide, turned);
    this.eachBlock(
      weights,
      (rows, first, count) => {
        const pull = columnsOf(N, C, first, count);
        kernels.multiplyTransposed(pull, this.pooled, partA, C, count, wide);
        for (let k = 0; k < partA.length; k++) inOutputs[k] += partA[k];
        kernels.multiply(turned, pull, this.pooled, wide, C, count);
        this.spread(first, count);
        kernels.multiply(this.H, rows, partW, m, count * pooling.patches, d);
        for (let k = 0; k < partW.length; k++) inWeights[k] += partW[k];
      },
      this.blocks === 1,
    );
  }

  /** Calls `use` with the rows of each block, whose activations are at hand; `kept` where those of the only one still are. */
  eachBlock(
    weights: Float64Array,
    use: (rows: Float64Array, first: number, count: number) => void,
    kept = false,
  ): void {
    eachSampleBlock(this.program.X, this.pooling, this.m, (rows, first, count) => {
      if (!kept) this.activate(weights, rows, first, count);
      use(rows, first, count);
    });
  }

  dispose(): void {}

  /** H = W rows', and its activations pooled over the patches of each position. */
  private activate(weights: Float64Array, rows: Float64Array, first: number, count: number): void {
    const { kernels, program, masks, m } = this;
    const { patches: K, positions: A, scale } = this.pooling;
    const closed = masks === null ? slopeOf(this.pooling) : 0;
    if (this.H.length < m * count * K) this.H = new Float64Array(m * count * K);
    if (this.pooled.length < m * A * count) this.pooled = new Float64Array(m * A * count);
    const { H, pooled } = this;
    kernels.multiplyTransposed(weights, rows, H, m, program.X.cols, count * K);
    for (let j = 0, at = 0; j < m; j++) {
      let seen = (j * program.loss.rows + first) * K;
      for (let s = 0; s < count; s++, at += K, seen += K) {
        for (let a = 0; a < A; a++) {
          let sum = 0;
          for (let k = a; k < K; k += A) {
            const open = masks === null ? H[at + k] > 0 : masks[seen + k] === 1;
            sum += open ? H[at + k] : closed * H[at + k];
          }
          pooled[(j * A + a) * count + s] = scale * sum;
        }
      }
    }
  }

  /** H := the pull on each sample and position where a patch is active, the slope times it elsewhere. */
  private spread(first: number, count: number): void {
    const { H, pooled, masks, m } = this;
    const { patches: K, positions: A, scale } = this.pooling;
    const closed = masks === null ? slopeOf(this.pooling) : 0;
    for (let j = 0, at = 0; j < m; j++) {
      let seen = (j * this.program.loss.rows + first) * K;
      for (let s = 0; s < count; s++, at += K, seen += K) {
        for (let a = 0; a < A; a++) {
          const pull = scale * pooled[(j * A + a) * count + s];
          for (let k = a; k < K; k += A) {
            const open = masks === null ? H[at + k] > 0 : masks[seen + k] === 1;
            H[at + k] = open ? pull : closed * pull;
          }
        }
      }
    }
  }
}

/** Columns [C x count] of rows [first, first + count) of N [n x C]. */
export function columnsOf(N: Float64Array, C: number, first: number, count: number): Float64Array {
  const out = new Float64Array(C * count);
  transpose(N.subarray(first * C, (first + count) * C), count, C, out);
  return out;
}
