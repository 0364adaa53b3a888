/** Batch normalisation between a hidden layer and its activation: what the model says of it, or a refusal. */

import type { Head } from "../anatomy.js";
import { type KernelConfig, readKernel, readL2 } from "../layers/kernel.js";
import { refuseModel as refuse, refuseProgram } from "../layers/layer.js";

/** Batch normalisation as its layers hold it: gamma stands for the kernel, beta for the bias. */
export function readNormalization(
  { hidden, normalization: layer }: Head,
  convolutional: boolean,
  welcome: boolean,
): { kernel: KernelConfig; epsilon: number } | null {
  if (layer === null) return null;
  const where = `layer "${layer.name}"`;
  if (convolutional) {
    refuseProgram(
      "model/layer",
      "no batch normalisation of filters",
      where,
      "Leave it out, or train this model with model.fit().",
    );
  }
  if (!welcome) {
    refuse(
      "model/layer",
      "no batch normalisation here, where statistics are part of the weights",
      where,
      "What trains (fit, path, crossValidate, WorkerTrainer), certify, optimalSet and describeNetwork take it; else fold it into the dense layer.",
    );
  }
  const { scale, center, epsilon, gammaRegularizer, betaRegularizer, gammaConstraint, betaConstraint } =
    layer.getConfig();
  if (scale !== true) refuseProgram("model/layer", "scale: true in batch normalisation", where, "Let it have a gamma.");
  if ((gammaConstraint ?? betaConstraint ?? null) !== null)
    refuseProgram("model/regularizer", "no constraint", `a constraint in ${where}`, "Remove it.");
  const own = readKernel(hidden);
  if (own.kernelL2 > 0 || own.biasL2 > 0) {
    refuseProgram(
      "model/regularizer",
      "no regularizer before batch normalisation, which undoes any scale, so that the least is not attained",
      `a regularizer in layer "${hidden.name}"`,
      `Give ${where} gammaRegularizer and betaRegularizer instead.`,
    );
  }
  const kernel = {
    ...own,
    useBias: center as boolean,
    kernelL2: readL2(gammaRegularizer, layer, "gammaRegularizer"),
    biasL2: readL2(betaRegularizer, layer, "betaRegularizer"),
  };
  return { kernel, epsilon: epsilon as number };
}
