/** What a parallel network is to be, out of options or of a model that says it by its layers and regularizers. */

import * as tf from "@tensorflow/tfjs";
import { lossTraits } from "../../convex/losses/index.js";
import { hasTails, widthsOf } from "../../convex/parallel/index.js";
import type { LossName } from "../../convex/types.js";
import { branchPower, OnesColumn, onesColumn } from "../../layers/index.js";
import { refuseModel } from "../read/layers/layer.js";
import { readLoss } from "../read/loss.js";
import { OPTIMIZER } from "../write/template.js";
import { ownOptimizer } from "../write/width.js";

/** Layers of a network at least. */
export const LAYERS = 3;

/** Under which regularization: beta/L times the L-th powers of the norms, or neurons below layer L - 1 of length 1 and beta/2 times the squares behind them. */
export type ParallelCharge = "power" | "path";

export interface ParallelWish {
  readonly loss: LossName;
  readonly hidden: readonly number[]; // m_1, .., m_L-2: of a layer gated, of ReLUs those that feed each neuron of the next
  readonly branches: number; // K that the model has, or is to have at least
  readonly regularization: number; // beta
  readonly charge: ParallelCharge;
  readonly hiddenBias: boolean;
  readonly outputBias: boolean;
}

/** What the wish wants of the first kernel of so many branches, and of those behind it. */
export function chargesOf({ regularization: beta, charge, hidden }: ParallelWish, branches: number) {
  const L = hidden.length + 2;
  const power = (along: Along) => branchPower({ factor: beta / L, power: L, branches, along });
  const first =
    charge === "power"
      ? { kernelRegularizer: power("outputs") }
      : { kernelConstraint: tf.constraints.unitNorm({ axis: 0 }) };
  const behind = (along: Along) => (charge === "power" ? power(along) : tf.regularizers.l2({ l2: beta / 2 }));
  return { first, behind };
}

/** [OnesColumn,] branches - a dense read-out, compiled; the caller disposes. */
export function compiled(
  { loss, hiddenBias, outputBias }: ParallelWish,
  features: number,
  outputs: number,
  branches: (inputs: { readonly inputShape?: number[] }) => readonly tf.layers.Layer[],
  kernelRegularizer: ReturnType<ReturnType<typeof chargesOf>["behind"]>,
): tf.Sequential {
  const inputShape = [features];
  const activation = lossTraits[loss].activation;
  const model = tf.sequential({
    layers: [
      ...(hiddenBias ? [onesColumn({ inputShape })] : []),
      ...branches(hiddenBias ? {} : { inputShape }),
      tf.layers.dense({ units: outputs, useBias: outputBias, activation, kernelRegularizer }),
    ],
  });
  model.compile({
    optimizer: OPTIMIZER,
    loss: loss === "huberLoss" ? (tf.losses.huberLoss as unknown as string) : loss,
  });
  return ownOptimizer(model);
}

/** [OnesColumn,] dense - .. - dense, compiled; the caller disposes. */
export function modelOf(wish: ParallelWish, features: number, branches: number): tf.Sequential {
  const { first, behind } = chargesOf(wish, branches);
  const plain = { useBias: false, activation: "relu" } as const;
  const layers = (inputs: object) => [
    ...widthsOf(wish.hidden, branches).map((units, l) =>
      tf.layers.dense({ units, ...plain, ...first, ...(l === 0 ? inputs : {}) }),
    ),
    tf.layers.dense({ units: branches, ...plain, kernelRegularizer: behind("outputs") }),
  ];
  return compiled(wish, features, 1, layers, behind("inputs"));
}

/**
 * What a compiled model of the same layers asks for.
 *
 * @throws ConvexError "model/..." for other layers, and "model/regularizer" where its regularization is not one that has a program.
 */
export function wishOf(model: tf.LayersModel): ParallelWish {
  const { hiddenBias, dense } = layersOf(model);
  const kernels = dense.map(configOf);
  const [below, last] = [kernels.slice(0, -1), kernels[kernels.length - 1]];
  const K = below[below.length - 1].units;
  const hidden = below.slice(0, -1).map(({ units, name }, l) => {
    const next = below[l + 1];
    if (Number.isInteger(units / next.units)) return units / next.units;
    return refuseModel(
      "model/units",
      `as many units in layer "${name}" for each of layer "${next.name}"`,
      `${units} and ${next.units}`,
      `Give it hidden * ${next.units} units.`,
    );
  });
  if (last.units !== 1) {
    refuseModel("model/units", "one output", `${last.units}`, "Train a model for each output.");
  }
  for (const layer of below) {
    if (layer.activation !== "relu") {
      refuseModel(
        "model/activation",
        `the activation "relu" in layer "${layer.name}"`,
        `"${layer.activation}"`,
        "Change it.",
      );
    }
    if (layer.useBias) {
      refuseModel(
        "model/layer",
        `no bias in layer "${layer.name}", whose charge would be apart from its kernel's`,
        "one",
        "Set useBias: false, and put onesColumn() before the first layer for a bias inside its kernel.",
      );
    }
  }
  const { loss } = lossOf(model, last);
  const shape = { loss, hidden, branches: K, hiddenBias, outputBias: last.useBias };
  const along = kernels.map((_, l): Along => (l < below.length ? "outputs" : "inputs"));
  const asked = regularizationOf(kernels, K, along, whatHolds(hidden));
  if (asked.charge === "power" && hasTails(hidden)) {
    refuseModel(
      "model/regularizer",
      ONE_TAIL,
      `${hidden.join(", ")} neurons, each with ${NO_PROGRAM}`,
      whatHolds(hidden),
    );
  }
  return { ...shape, ...asked };
}

/** Why ReLU networks of many paths above the first layer are not charged by powers: docs/models.md, more layers of ReLUs. */
export const ONE_TAIL = "path regularization where branches of ReLUs have several neurons above the first layer";
export const NO_PROGRAM = "powers of norms, which have no such program (docs/models.md, more layers of ReLUs)";

/** The loss of a model whose read-out has the activation that goes with it. */
export function lossOf(model: tf.LayersModel, { name, activation }: DenseConfig) {
  const { loss, labels, fromLogits } = readLoss(model);
  const expected = fromLogits ? "linear" : lossTraits[loss].activation;
  if (activation !== expected) {
    refuseModel(
      "model/activation",
      `the activation "${expected}" in layer "${name}" for ${loss}`,
      `"${activation}"`,
      "Change it.",
    );
  }
  return { loss, labels };
}

/** The dense layers, with or without a column of ones before them. */
export function layersOf(model: tf.LayersModel): { hiddenBias: boolean; dense: tf.layers.Layer[] } {
  const layers = model.layers.filter((layer) => layer.getClassName() !== "InputLayer");
  const hiddenBias = layers[0] instanceof OnesColumn;
  const dense = hiddenBias ? layers.slice(1) : layers;
  if (dense.length < LAYERS || dense.some((layer) => layer.getClassName() !== "Dense")) {
    refuseModel(
      "model/kind",
      "a model dense - dense - dense, more dense layers, or onesColumn before them",
      layers.map((layer) => layer.getClassName()).join(" - ") || "no layers",
      "Train other models by ConvexReLUTrainer, or by model.fit().",
    );
  }
  return { hiddenBias, dense };
}

export type Part = { readonly className: string; readonly config: Readonly<Record<string, unknown>> } | null;

/** The regularizers and constraints that stand at one of the kernels. */
export interface KernelParts {
  readonly parts: Readonly<Record<string, Part>>;
}

interface DenseConfig extends KernelParts {
  readonly name: string;
  readonly units: number;
  readonly activation: string;
  readonly useBias: boolean;
}

export const PARTS = [
  "kernelRegularizer",
  "kernelConstraint",
  "biasRegularizer",
  "biasConstraint",
  "activityRegularizer",
];

export function configOf(layer: tf.layers.Layer): DenseConfig {
  const config = layer.getConfig();
  return {
    name: layer.name,
    units: config.units as number,
    activation: (config.activation as string | undefined) ?? "linear",
    useBias: config.useBias as boolean,
    parts: Object.fromEntries(PARTS.map((name) => [name, (config[name] ?? null) as Part])),
  };
}

function whatHolds(hidden: readonly number[]): string {
  const L = hidden.length + 2;
  const power = `all ${L === LAYERS ? "three" : L} kernels branchPower({ factor: beta / ${L}, ${L === LAYERS ? "" : `power: ${L}, `}branches }) (along: "inputs" on the last)`;
  const below = L === LAYERS ? "the first one" : `each of the first ${L - 2}`;
  const path = `${below} tf.constraints.unitNorm({ axis: 0 }) and the two behind ${L === LAYERS ? "it" : "them"} l2({ l2: beta / 2 })`;
  return hasTails(hidden) ? `Give ${path}.` : `Give ${power}, or ${path}.`;
}

export type Along = "outputs" | "inputs";

/** `along`: how each of the L kernels is divided into its K branches. */
export function regularizationOf(
  layers: readonly KernelParts[],
  K: number,
  along: readonly Along[],
  todo: string,
): Pick<ParallelWish, "charge" | "regularization"> {
  const L = layers.length;
  const others = PARTS.slice(2).some((name) => layers.some(({ parts }) => parts[name] !== null));
  const constraints = layers.map(({ parts }) => parts.kernelConstraint);
  const factors = layers.map(({ parts }, k) => powerOf(parts.kernelRegularizer, L, K, along[k]));
  if (!others && constraints.every((part) => part === null) && isOne(factors)) {
    return { charge: "power", regularization: L * (factors[0] as number) };
  }
  const squares = layers.slice(-2).map(({ parts }) => l2Of(parts.kernelRegularizer));
  const isUnit = constraints
    .slice(0, -2)
    .every((part) => part?.className === "UnitNorm" && (part.config.axis ?? 0) === 0);
  const free =
    layers.slice(0, -2).every(({ parts }) => parts.kernelRegularizer === null) &&
    constraints.slice(-2).every((part) => part === null);
  if (!others && isUnit && free && isOne(squares)) {
    return { charge: "path", regularization: 2 * (squares[0] as number) };
  }
  const layersInWords = L === LAYERS ? "three" : `${L}`;
  const decayed = layers.every(({ parts }) => l2Of(parts.kernelRegularizer) !== null);
  return refuseModel(
    "model/regularizer",
    `a regularization under which ${layersInWords} layers have a convex program`,
    decayed
      ? `weight decay of all ${layersInWords} layers, which has none: its least objective is not even convex in the targets (docs/claims.md, 1)`
      : layers
          .map(({ parts }) => PARTS.flatMap((name) => parts[name]?.className ?? []).join(" and ") || "none")
          .join(", "),
    todo,
  );
}

/** One number above 0, the same for all. */
function isOne(factors: readonly (number | null)[]): boolean {
  return factors.every((factor) => factor !== null && factor > 0 && factor === factors[0]);
}

/** The factor of a BranchPower of the L-th power for K branches. */
function powerOf(part: Part, L: number, K: number, along: Along): number | null {
  if (part?.className !== "BranchPower") return null;
  const { factor, power, branches, along: given } = part.config;
  return power === L && branches === K && given === along ? (factor as number) : null;
}

/** The factor of an l2 regularizer. */
function l2Of(part: Part): number | null {
  if (part?.className !== "L1L2" || part.config.l1 !== 0) return null;
  return part.config.l2 as number;
}
