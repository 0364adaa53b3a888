/** Passes of neurons over the data, there and back: the engine's own where it has them, else products in blocks of samples. */

import type { Kernels, NeuronLayer } from "../kernels/types.js";
import { layerFor } from "../operators/neuronLayer.js";
import type { ConvexProgram, Matrix } from "../types.js";
import { addActivations, eachSampleBlock, type Reading, readingOf, replaceByPull } from "./sampleBlocks.js";

/** Outputs per column of X up to which products with zeros are cheap. */
const ZEROS = 0.5;

/** A layer of neurons that feed one output each: [m] in the place of outputs [C x m]. The caller disposes it. */
export function passesOf(program: ConvexProgram, kernels: Kernels, outputs: Int32Array): NeuronLayer {
  return engineLayer(program, kernels, outputs) ?? blockPasses(program, kernels, outputs);
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
