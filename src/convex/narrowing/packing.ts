/** A network as the numbers that a descent moves: (weights [m x d], outputs [C x m A], bias [C]) in one vector, each neuron in balance. */

import { concatenated, norm } from "../linear/vectors.js";
import type { Network, Neuron } from "../network.js";

/** Of d columns, and neurons that feed `width` = A C entries. */
export function packed({ neurons, bias }: Network, d: number, width: number): Float64Array {
  const [m, C] = [neurons.length, bias.length];
  const columns = (m * width) / C;
  const weights = new Float64Array(m * d);
  const outputs = new Float64Array(m * width);
  neurons.forEach(({ direction, output }, j) => {
    const root = Math.sqrt(norm(output));
    if (!(root > 0)) return;
    for (let p = 0; p < d; p++) weights[j * d + p] = root * direction[p];
    for (let k = 0; k < width; k++) {
      outputs[(k % C) * columns + (j * width) / C + Math.floor(k / C)] = output[k] / root;
    }
  });
  return concatenated(weights, outputs, bias);
}

/** The way back; neurons that are nothing are left out. */
export function unpacked(x: Float64Array, like: Network, d: number, width: number): Network {
  const [m, C] = [like.neurons.length, like.bias.length];
  const columns = (m * width) / C;
  const neurons: Neuron[] = [];
  for (let j = 0; j < m; j++) {
    const w = x.slice(j * d, (j + 1) * d);
    const length = norm(w);
    const output = Float64Array.from({ length: width }, (_, k) => {
      const at = (k % C) * columns + (j * width) / C + Math.floor(k / C);
      return length * x[m * d + at];
    });
    if (!(norm(output) > 0)) continue;
    neurons.push({ direction: w.map((value) => value / length), output, gate: like.neurons[j].gate });
  }
  return { ...like, neurons, bias: x.slice(m * (d + width)) };
}
