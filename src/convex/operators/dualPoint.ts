/** The dual point that predictions give: the gradient of the loss there, as the output bias wants it. */

import type { ConvexProgram } from "../types.js";
import { minimiseOverBias } from "./outputBias.js";

type Outputs = Pick<ConvexProgram, "loss" | "outputBias">;

/** The gradient N [n x C] at predictions Z [n x C], balanced where the output bias is free. */
export function dualPointAt({ loss, outputBias }: Outputs, Z: Float64Array): Float64Array {
  const N = new Float64Array(Z.length);
  loss.gradient(Z, N);
  if (outputBias !== null && outputBias.ridge === 0) loss.balance(N);
  return N;
}

/** The same at the best network without neurons. */
export function dualPointAtZero(program: Outputs): Float64Array {
  const { loss } = program;
  const bias = biasAlone(program);
  return dualPointAt(
    program,
    Float64Array.from({ length: loss.rows * loss.outputs }, (_, k) => bias[k % loss.outputs]),
  );
}

/** The output bias [C] of the best network without neurons; zeros where there is none. */
export function biasAlone({ loss, outputBias }: Outputs): Float64Array {
  if (outputBias === null) return new Float64Array(loss.outputs);
  return minimiseOverBias(loss, new Float64Array(loss.rows * loss.outputs), outputBias);
}
