/** A program on some of its samples, for descents that could not make enough steps on all of them. */

import { uniformSource } from "../linear/random.js";
import { rowBlock } from "../linear/rowBlock.js";
import { shuffled } from "../solvers/stochastic/batches.js";
import type { ConvexProgram } from "../types.js";

/**
 * So many samples of a program that are drawn at random; what it charges is their share of what the whole one does. Its gates are still those
 * of all samples. The program itself where these are all, or its loss is no sum over samples.
 */
export function onSomeSamples(program: ConvexProgram, count: number, seed: number): ConvexProgram {
  const { X, loss, beta, outputBias } = program;
  const n = loss.rows;
  if (count >= n || loss.part === undefined) return program;
  const samples = shuffled(n, uniformSource(seed)).slice(0, count).sort();
  const patches = X.rows / n;
  const data = new Float64Array(count * patches * X.cols);
  samples.forEach((sample, k) => {
    data.set(rowBlock(X, sample * patches, patches), k * patches * X.cols);
  });
  const share = count / n;
  return {
    ...program,
    X: { rows: count * patches, cols: X.cols, data },
    loss: loss.part(samples),
    beta: share * beta,
    outputBias: outputBias && { ...outputBias, ridge: share * outputBias.ridge },
  };
}
