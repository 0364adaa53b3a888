/** A two-layer network on the host, and its cut with the plane of a plot. */

import type { Plane } from "./plane.js";
import type { Task } from "./task.js";

/** Weights as they stand in the layers. */
export interface Weight {
  readonly shape: readonly number[];
  readonly values: Float32Array;
}

export interface Network {
  readonly inputs: number; // d
  readonly units: number; // m
  readonly outputs: number; // C
  readonly kernel: Float32Array; // [d x m]
  readonly bias: Float32Array; // [m]
  readonly gate: Float32Array; // [d x m]; the kernel itself for relu
  readonly gateBias: Float32Array; // [m]
  readonly output: Float32Array; // [m x C]
  readonly outputBias: Float32Array; // [C]
}

/** The weights of [dense, dense], or of [GatedDense, dense], as model.getWeights has them: gates, never trained, come last. */
export function networkOf(weights: readonly Weight[]): Network {
  const [kernel, bias, output, outputBias, gate = kernel, gateBias = bias] = weights;
  const [inputs, units] = kernel.shape;
  return {
    inputs,
    units,
    outputs: output.shape[1],
    kernel: kernel.values,
    bias: bias.values,
    gate: gate.values,
    gateBias: gateBias.values,
    output: output.values,
    outputBias: outputBias.values,
  };
}

/** A neuron along the plane: its pre-activation and gate as functions a + b u + c v. */
export interface Neuron {
  readonly value: readonly [number, number, number];
  readonly gate: readonly [number, number, number];
  readonly output: Float32Array; // [C]
  /** How much it can say: |w| |output|. */
  readonly size: number;
}

/** The neurons of a network on a plane, without those that are zero. */
export function neuronsOn(network: Network, plane: Plane): Neuron[] {
  const { units, outputs, kernel, bias, gate, gateBias, output } = network;
  const neurons: Neuron[] = [];
  for (let j = 0; j < units; j++) {
    const row = output.subarray(j * outputs, (j + 1) * outputs);
    let norm = bias[j] ** 2;
    for (let p = 0; p < network.inputs; p++) norm += kernel[p * units + j] ** 2;
    const size = Math.sqrt(norm) * Math.hypot(...row);
    if (size === 0) continue;
    const value = along(kernel, bias, units, j, plane);
    neurons.push({ value, gate: along(gate, gateBias, units, j, plane), output: row, size });
  }
  return neurons;
}

function along(
  kernel: Float32Array,
  bias: Float32Array,
  units: number,
  j: number,
  plane: Plane,
): [number, number, number] {
  const line: [number, number, number] = [bias[j], 0, 0];
  for (let p = 0; p < plane.origin.length; p++) {
    const w = kernel[p * units + j];
    line[0] += w * plane.origin[p];
    line[1] += w * plane.axes[0][p];
    line[2] += w * plane.axes[1][p];
  }
  return line;
}

/** True when a neuron is on at a point of the plane. */
export function isOn({ gate: [a, b, c] }: Neuron, u: number, v: number): boolean {
  return a + b * u + c * v >= 0;
}

/** Adds up Z [C], the outputs before the last activation, at a point of the plane. */
export function outputsAt(network: Network, neurons: readonly Neuron[], u: number, v: number, Z: Float64Array): void {
  Z.set(network.outputBias);
  for (const neuron of neurons) {
    if (!isOn(neuron, u, v)) continue;
    const [a, b, c] = neuron.value;
    const value = a + b * u + c * v;
    for (let k = 0; k < Z.length; k++) Z[k] += value * neuron.output[k];
  }
}

/** Z [n x C] at the rows of a task. */
export function outputsOn(network: Network, { rows: n, cols: d, x }: Pick<Task, "rows" | "cols" | "x">): Float64Array {
  const { units: m, outputs: C, kernel, bias, gate, gateBias, output, outputBias } = network;
  const Z = new Float64Array(n * C);
  for (let k = 0; k < n; k++) {
    for (let c = 0; c < C; c++) Z[k * C + c] = outputBias[c];
    for (let j = 0; j < m; j++) {
      let value = bias[j];
      let open = gateBias[j];
      for (let p = 0; p < d; p++) {
        value += x[k * d + p] * kernel[p * m + j];
        open += x[k * d + p] * gate[p * m + j];
      }
      if (open >= 0) for (let c = 0; c < C; c++) Z[k * C + c] += value * output[j * C + c];
    }
  }
  return Z;
}
