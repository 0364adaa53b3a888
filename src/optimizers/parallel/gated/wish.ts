/** What a network of gated branches is to be, out of a model that says it by its layers, and the model of a wish. */

import type * as tf from "@tensorflow/tfjs";
import { GatedBranches, gatedBranches, OnesColumn } from "../../../layers/index.js";
import { refuseModel } from "../../read/layers/layer.js";
import type { Labels } from "../../read/loss.js";
import {
  type Along,
  chargesOf,
  compiled,
  configOf,
  type KernelParts,
  LAYERS,
  lossOf,
  PARTS,
  type ParallelWish,
  type Part,
  regularizationOf,
} from "../wish.js";

export interface GatedWish extends ParallelWish {
  readonly outputs: number; // C
  readonly labels?: Labels;
}

/** The two layers with weights, behind a column of ones or not. */
export interface GatedParts {
  readonly hiddenBias: boolean;
  readonly branches: GatedBranches;
  readonly dense: tf.layers.Layer;
}

/** The layers, where the model has gated branches at all; null for others. */
export function gatedPartsOf(model: tf.LayersModel): GatedParts | null {
  const layers = model.layers.filter((layer) => layer.getClassName() !== "InputLayer");
  const branches = layers.find((layer) => layer instanceof GatedBranches);
  if (branches === undefined) return null;
  const hiddenBias = layers[0] instanceof OnesColumn;
  const [first, dense, ...more] = hiddenBias ? layers.slice(1) : layers;
  if (first !== branches || dense?.getClassName() !== "Dense" || more.length > 0) {
    refuseModel(
      "model/kind",
      "a model gatedBranches - dense, or onesColumn before them",
      layers.map((layer) => layer.getClassName()).join(" - "),
      "Leave other layers out, or train it by model.fit().",
    );
  }
  return { hiddenBias, branches, dense };
}

/** [OnesColumn,] GatedBranches - dense, compiled; the caller disposes. */
export function gatedModelOf(wish: GatedWish, features: number, branches: number): tf.Sequential {
  const { hidden, outputs } = wish;
  const { first, behind } = chargesOf(wish, branches);
  const layers = (inputs: object) => [
    gatedBranches({ branches, hidden, ...first, secondRegularizer: behind("inputs"), ...inputs }),
  ];
  return compiled(wish, features, outputs, layers, behind("inputs"));
}

function whatHolds(L: number): string {
  const power = L === LAYERS ? "{ factor: beta / 3, branches }" : `{ factor: beta / ${L}, power: ${L}, branches }`;
  const path =
    ", or kernelConstraint: tf.constraints.unitNorm({ axis: 0 }) and l2({ l2: beta / 2 }) on the two behind it";
  return (
    `Give the layer kernelRegularizer: branchPower(${power}) and secondRegularizer and the dense kernel the same ` +
    `with along: "inputs"${L === LAYERS ? path : ""}.`
  );
}

/** @throws ConvexError "model/..." for a read-out or a regularization that has no program. */
export function gatedWishOf(model: tf.LayersModel, { hiddenBias, branches: layer, dense }: GatedParts): GatedWish {
  const { branches, hidden } = layer;
  const last = configOf(dense);
  const { loss, labels } = lossOf(model, last);
  if (!layer.trainable || !dense.trainable) {
    const frozen = layer.trainable ? dense : layer;
    refuseModel(
      "model/frozen",
      "layers that are trained",
      `layer "${frozen.name}", which is frozen`,
      "Set trainable: true, or train what is left by ConvexReLUTrainer.",
    );
  }
  const shape = { loss, labels, hidden, branches, hiddenBias, outputBias: last.useBias, outputs: last.units };
  const config = layer.getConfig();
  const at = (kernelRegularizer: unknown, kernelConstraint: unknown = null): KernelParts => {
    const own = { kernelRegularizer, kernelConstraint } as Readonly<Record<string, Part>>;
    return { parts: Object.fromEntries(PARTS.map((name) => [name, own[name] ?? null])) };
  };
  const behind = hidden.map(() => at(config.secondRegularizer));
  const kernels = [at(config.kernelRegularizer, config.kernelConstraint), ...behind, last];
  const along = kernels.map((_, l): Along => (l === 0 ? "outputs" : "inputs"));
  return { ...shape, ...regularizationOf(kernels, branches, along, whatHolds(kernels.length)) };
}
