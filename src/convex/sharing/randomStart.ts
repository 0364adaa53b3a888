/** Random neurons that feed all outputs, for a descent to begin from. */

import { evenly, firstScale } from "../growth/index.js";
import type { Kernels } from "../kernels/types.js";
import { norm } from "../linear/vectors.js";
import { biasAlone } from "../operators/dualPoint.js";
import type { ConvexProgram } from "../types.js";
import type { SharedNeurons, SharedObjective } from "./neurons.js";

/**
 * Of |w| to |a|, squared: with one output 64 is best, where neurons feed several it is 4. 200 neurons after 100, 200 and 400 evaluations, 64 / 4:
 * 2,000 images of 14 x 14 pixels 0.2509, 0.2483, 0.2477 / 0.2500, 0.2480, 0.2472, digits of 65 columns 0.1866, 0.1839, 0.1833 / 0.1851, 0.1836, 0.1832.
 */
const RATIO = 4;

/** m neurons in random directions, half of them turned to cut the rows evenly, with random outputs of many sizes, beside the best bias. */
export function randomNeurons(
  objective: SharedObjective,
  program: ConvexProgram,
  kernels: Kernels,
  m: number,
  draw: () => number,
): SharedNeurons {
  const { X, loss } = program;
  const [d, C] = [X.cols, loss.outputs];
  const weights = new Float64Array(m * d);
  const outputs = new Float64Array(C * m);
  for (let j = 0; j < m; j++) {
    const drawn = Float64Array.from({ length: d }, draw);
    const direction = j % 2 === 0 ? drawn : evenly(X, drawn, kernels);
    const along = norm(direction) || 1;
    for (let p = 0; p < d; p++) weights[j * d + p] = direction[p] / along;
    const across = Float64Array.from({ length: C }, draw);
    const size = Math.abs(draw()) / (norm(across) || 1);
    for (let c = 0; c < C; c++) outputs[c * m + j] = size * across[c];
  }
  const silent = { weights: new Float64Array(0), outputs: new Float64Array(0), bias: biasAlone(program) };
  const N = new Float64Array(loss.rows * C);
  loss.gradient(objective.predict(silent), N);
  const said = objective.predict({ weights, outputs, bias: new Float64Array(C) });
  const root = Math.sqrt(firstScale(N, loss.curvature, said));
  const ratio = Math.sqrt(RATIO);
  return {
    weights: weights.map((w) => root * ratio * w),
    outputs: outputs.map((a) => (root * a) / ratio),
    bias: silent.bias,
  };
}
