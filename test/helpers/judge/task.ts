/** What a fit claims to have minimised, read from the recipe and the words of its result; and the network that it wrote. */

import type * as tf from "@tensorflow/tfjs";
import type { FitResult } from "../../../src/index.js";
import type { Net, Task } from "./forward.js";
import { BESIDE } from "./models.js";
import type { Recipe } from "./recipe.js";
import { principal, type Span } from "./span.js";
import { onStandard, standardTask } from "./standard.js";

/** The task without charges: patches and how they are read out, cut by hand. */
export function bareTask(recipe: Recipe): Task {
  const { rows, outputs, loss, y, formulation, hiddenBias, outputBias, skip } = recipe;
  const cut = patchesOf(recipe);
  return {
    loss,
    rows,
    outputs,
    Y: Float64Array.from(y),
    weights: weightsOf(recipe),
    ...cut,
    hiddenBias,
    outputBias: outputBias || skip?.bias === true,
    skip: skip === null ? null : { X: cut.X, inputs: cut.inputs },
    gated: formulation === "gated",
    slope: recipe.slope,
    charge: { hidden: 0, hiddenBias: 0, output: 0, outputBias: 0, skip: 0 },
  };
}

/** Sample weights times class weights, as model.fit takes them. */
function weightsOf({ sampleWeight, classWeight, y, outputs, rows }: Recipe): Float64Array | null {
  if (sampleWeight === null && classWeight === null) return null;
  return Float64Array.from({ length: rows }, (_, k) => {
    const row = y.slice(k * outputs, (k + 1) * outputs);
    const label = outputs === 1 ? row[0] : row.indexOf(Math.max(...row));
    return (sampleWeight?.[k] ?? 1) * (classWeight?.[label] ?? 1);
  });
}

type Cut = Pick<Task, "patches" | "inputs" | "X" | "positions" | "readOut">;

function patchesOf({ convolution, inputShape, rows, x }: Recipe): Cut {
  if (convolution === null) {
    return { patches: 1, inputs: inputShape[0], X: Float64Array.from(x), positions: 1, readOut: Float64Array.of(1) };
  }
  const [height, width, channels] = inputShape.length === 2 ? [1, ...inputShape] : inputShape;
  const { kernelSize, strides, padding, readOut, window } = convolution;
  const axis = (size: number, filter: number, stride: number) => {
    if (padding === "valid") return { out: Math.floor((size - filter) / stride) + 1, before: 0 };
    const out = Math.ceil(size / stride);
    return { out, before: Math.floor(Math.max(0, (out - 1) * stride + filter - size) / 2) };
  };
  const down = axis(height, kernelSize[0], strides[0]);
  const across = axis(width, kernelSize[1], strides[1]);
  const K = down.out * across.out;
  const inputs = kernelSize[0] * kernelSize[1] * channels;
  const X = new Float64Array(rows * K * inputs);
  let to = 0;
  for (let row = 0; row < rows; row++) {
    for (let u = 0; u < down.out; u++) {
      for (let v = 0; v < across.out; v++) {
        for (let f = 0; f < kernelSize[0]; f++) {
          for (let g = 0; g < kernelSize[1]; g++) {
            const [h, w] = [u * strides[0] + f - down.before, v * strides[1] + g - across.before];
            for (let c = 0; c < channels; c++) {
              const inside = h >= 0 && h < height && w >= 0 && w < width;
              X[to++] = inside ? x[((row * height + h) * width + w) * channels + c] : 0;
            }
          }
        }
      }
    }
  }
  const windows = {
    average: [down.out, across.out],
    flatten: [1, 1],
    windows: [Math.min(window, down.out), Math.min(window, across.out)],
  }[readOut];
  const [rowsOut, colsOut] = [Math.floor(down.out / windows[0]), Math.floor(across.out / windows[1])];
  const weights = new Float64Array(rowsOut * colsOut * K);
  for (let u = 0; u < rowsOut * windows[0]; u++) {
    for (let v = 0; v < colsOut * windows[1]; v++) {
      const position = Math.floor(u / windows[0]) * colsOut + Math.floor(v / windows[1]);
      weights[position * K + u * across.out + v] = 1 / (windows[0] * windows[1]);
    }
  }
  return { patches: K, inputs, X, positions: rowsOut * colsOut, readOut: weights };
}

/** The largest norm of a patch that is read out, of rows that count. */
export function largestNorm({ X, inputs, patches, readOut, weights }: Task, counting: boolean): number {
  let largest = 0;
  for (let i = 0; i * inputs < X.length; i++) {
    if (counting && weights?.[Math.floor(i / patches)] === 0) continue;
    if (!readOut.some((share, at) => share !== 0 && at % patches === i % patches)) continue;
    let square = 0;
    for (let p = 0; p < inputs; p++) square += X[i * inputs + p] ** 2;
    largest = Math.max(largest, square);
  }
  return Math.sqrt(largest);
}

/**
 * The task with the charges that the result declares: factors of the weights, and the scale of a hidden bias that no layer
 * charges. With `pca` it is on the principal components, and on standardised columns, as the claim says.
 */
export function chargedTask(recipe: Recipe, result: FitResult): Task {
  const bare = bareTask(recipe);
  const { hidden, output, outputBias } = result.regularization;
  const scale = result.problem.column.value;
  const hiddenBias = recipe.l2.hiddenBias > 0 ? recipe.l2.hiddenBias : scale > 0 ? hidden / scale ** 2 : 0;
  const skip = recipe.skip?.l2 ?? 0;
  const charge = { hidden, hiddenBias: recipe.hiddenBias ? hiddenBias : 0, output, outputBias, skip };
  const pca = recipe.options.pca;
  if (result.regularization.standardized) return { ...standardTask(bare), charge };
  if (pca === undefined) return { ...bare, charge };
  const { basis, mean } = componentsOf(bare, pca);
  const [d, r] = [bare.inputs, basis.length / bare.inputs];
  const X = new Float64Array(recipe.rows * r);
  for (let i = 0; i < recipe.rows; i++) {
    for (let k = 0; k < r; k++)
      for (let p = 0; p < d; p++) X[i * r + k] += (bare.X[i * d + p] - mean[p]) * basis[k * d + p];
  }
  return { ...bare, charge, inputs: r, X };
}

/** The weights as the layers hold them. Gates are read on the task's rows in float64. */
export function netOf(model: tf.Sequential, bare: Task): Net {
  const beside = bare.skip
    ? model
        .getLayer(BESIDE)
        .getWeights()
        .map((weight) => weight.dataSync())
    : null;
  const layers = model.layers.filter((layer) => layer.name !== BESIDE && layer.getWeights().length > 0);
  const first = layers[0].getWeights().map((weight) => Float64Array.from(weight.dataSync()));
  const last = layers[layers.length - 1].getWeights().map((weight) => Float64Array.from(weight.dataSync()));
  const { inputs: d, hiddenBias, positions, outputs: C, gated, X } = bare;
  const m = first[0].length / d;
  const column = (kernel: Float64Array, j: number) => Float64Array.from({ length: d }, (_, p) => kernel[p * m + j]);
  const W = new Float64Array(m * d);
  for (let j = 0; j < m; j++) W.set(column(first[0], j), j * d);
  const A = new Float64Array(m * positions * C);
  for (let j = 0; j < m; j++) {
    for (let a = 0; a < positions; a++) {
      for (let o = 0; o < C; o++) A[(j * positions + a) * C + o] = last[0][(a * m + j) * C + o];
    }
  }
  const [gate, gateBias] = hiddenBias ? [first[2], first[3]] : [first[1], null];
  const masks = Array.from({ length: m }, (_, j) =>
    gated ? maskOf(X, d, column(gate, j), gateBias === null ? 0 : gateBias[j]) : null,
  );
  return {
    W,
    b: hiddenBias ? first[1] : new Float64Array(m),
    A,
    c: Float64Array.from({ length: C }, (_, o) => (last[1]?.[o] ?? 0) + (beside?.[1]?.[o] ?? 0)),
    U: beside === null ? new Float64Array(0) : Float64Array.from(beside[0]),
    masks,
  };
}

/** The layers' network in the columns whose weights the result charges. */
export function chargedNet(recipe: Recipe, result: FitResult, layers: Net, bare: Task): Net {
  if (result.regularization.standardized) return onStandard(layers, bare);
  const { pca } = recipe.options;
  return pca === undefined ? layers : onComponents(layers, bare, pca);
}

/** The principal components of the rows that count. */
function componentsOf({ X, inputs: d, weights }: Task, components: number): Span {
  const counting = X.filter((_, at) => weights?.[Math.floor(at / d)] !== 0);
  return principal(counting, counting.length / d, d, components, true);
}

/** The network on principal components: weights turned, the mean taken into the bias. */
function onComponents(net: Net, bare: Task, components: number): Net {
  const { basis, mean } = componentsOf(bare, components);
  const d = bare.inputs;
  const r = basis.length / d;
  const m = net.masks.length;
  const W = new Float64Array(m * r);
  const b = net.b.slice();
  for (let j = 0; j < m; j++) {
    for (let p = 0; p < d; p++) {
      b[j] += mean[p] * net.W[j * d + p];
      for (let k = 0; k < r; k++) W[j * r + k] += basis[k * d + p] * net.W[j * d + p];
    }
  }
  return { ...net, W, b };
}

/** On which rows x g + shift is at least 0. */
export function maskOf(X: Float64Array, d: number, g: Float64Array, shift: number): Uint8Array {
  return Uint8Array.from({ length: X.length / d }, (_, i) => {
    let sum = shift;
    for (let p = 0; p < d; p++) sum += X[i * d + p] * g[p];
    return sum >= 0 ? 1 : 0;
  });
}

/** The masks of a set of gates, from their bits. */
export function masksOf({ count, rows, bits }: FitResult["gates"]): Uint8Array[] {
  const words = Math.ceil(rows / 32);
  return Array.from({ length: count }, (_, i) =>
    Uint8Array.from({ length: rows }, (_, k) => (bits[i * words + (k >> 5)] >>> (k & 31)) & 1),
  );
}
