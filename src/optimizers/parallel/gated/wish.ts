/** What a network of gated branches is to be, out of a model that says it by its layers, and the model of a wish. */

import * as tf from "@tensorflow/tfjs";
import { lossTraits } from "../../../convex/losses/index.js";
import { branchPower, GatedBranches, gatedBranches, OnesColumn, onesColumn } from "../../../layers/index.js";
import { refuseModel } from "../../read/layers/layer.js";
import { type Labels, readLoss } from "../../read/loss.js";
import { OPTIMIZER } from "../../write/template.js";
import { ownOptimizer } from "../../write/width.js";
import { configOf, type KernelParts, LAYERS, PARTS, type ParallelWish, type Part, regularizationOf } from "../wish.js";

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
  const { loss, hidden, regularization: beta, charge, hiddenBias, outputBias, outputs } = wish;
  const inputShape = [features];
  const power = (along: "outputs" | "inputs") => branchPower({ factor: beta / LAYERS, power: LAYERS, branches, along });
  const square = () => tf.regularizers.l2({ l2: beta / 2 });
  const behind = () => (charge === "power" ? power("inputs") : square());
  const first =
    charge === "power"
      ? { kernelRegularizer: power("outputs") }
      : { kernelConstraint: tf.constraints.unitNorm({ axis: 0 }) };
  const model = tf.sequential({
    layers: [
      ...(hiddenBias ? [onesColumn({ inputShape })] : []),
      gatedBranches({ branches, hidden, ...first, secondRegularizer: behind(), ...(hiddenBias ? {} : { inputShape }) }),
      tf.layers.dense({
        units: outputs,
        useBias: outputBias,
        activation: lossTraits[loss].activation,
        kernelRegularizer: behind(),
      }),
    ],
  });
  model.compile({
    optimizer: OPTIMIZER,
    loss: loss === "huberLoss" ? (tf.losses.huberLoss as unknown as string) : loss,
  });
  return ownOptimizer(model);
}

const WHAT_HOLDS =
  'Give the layer kernelRegularizer: branchPower({ factor: beta / 3, branches }) and secondRegularizer and the dense kernel the same with along: "inputs", ' +
  "or kernelConstraint: tf.constraints.unitNorm({ axis: 0 }) and l2({ l2: beta / 2 }) on the two behind it.";

/** @throws ConvexError "model/..." for a read-out or a regularization that has no program. */
export function gatedWishOf(model: tf.LayersModel, { hiddenBias, branches: layer, dense }: GatedParts): GatedWish {
  const { branches, hidden } = layer;
  const { loss, labels, fromLogits } = readLoss(model);
  const last = configOf(dense);
  const expected = fromLogits ? "linear" : lossTraits[loss].activation;
  if (last.activation !== expected) {
    refuseModel(
      "model/activation",
      `the activation "${expected}" in layer "${last.name}" for ${loss}`,
      `"${last.activation}"`,
      "Change it.",
    );
  }
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
  const kernels = [at(config.kernelRegularizer, config.kernelConstraint), at(config.secondRegularizer), last];
  return { ...shape, ...regularizationOf(kernels, branches, ["outputs", "inputs", "inputs"], WHAT_HOLDS) };
}
