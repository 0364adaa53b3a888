/** Where beta comes from, what each layer is charged, and how the hidden bias is treated: one decision, said in words. */

import { eachBlock } from "../../convex/linear/rowBlock.js";
import type { Decay } from "../../convex/network.js";
import type { Matrix } from "../../convex/types.js";
import { ConvexError } from "../../errors.js";
import type { RegularizationWish, Settings } from "../options.js";
import type { NetworkSpec } from "../read/model.js";
import type { BiasColumn, HeldOutCurve, Objective, Regularization } from "../records.js";

/** A number for beta and the model's own beta agree when they differ by no more than rounding to float32. */
const SAME_BETA = 1e-6;

/** Rows that are read at a time. */
const BLOCK = 1024;

/** Share of the smallest trivial beta that "share" takes, and "held-out" until it has chosen. */
export const AUTO_SHARE = 1e-3;

/**
 * The constant t for the hidden bias b = t v_last. With a biasRegularizer g the charge g1 v_last^2 equals g b^2 at
 * t = sqrt(g1 / g). Without one the program still needs a charge, or gates with every mask could fit the data for nothing;
 * t is then the largest row norm, so that scaling x changes nothing.
 */
export function biasColumnOf(spec: NetworkSpec, settings: Settings, X: Matrix): BiasColumn {
  if (!spec.hiddenBias) return { value: 0, charged: false };
  if (spec.l2.hiddenBias > 0) {
    if (!(spec.l2.hidden > 0)) {
      throw new ConvexError(
        "model/regularizer",
        `fit: expected a kernelRegularizer beside the biasRegularizer of the first layer, got none. Add one, or drop both.`,
      );
    }
    return { value: Math.sqrt(spec.l2.hidden / spec.l2.hiddenBias), charged: false };
  }
  if (settings.hiddenBiasScale !== null) return { value: settings.hiddenBiasScale, charged: true };
  let largest = 0;
  eachBlock(X, BLOCK, (rows) => {
    for (let at = 0; at < rows.length; at += X.cols) {
      let square = 0;
      for (let p = at; p < at + X.cols; p++) square += rows[p] ** 2;
      largest = Math.max(largest, square);
    }
  });
  return { value: Math.sqrt(largest), charged: true };
}

/** Beta and the layers' factors; `trivialBeta` is asked for only where a share of it is wanted. */
export async function regularizationOf(
  spec: NetworkSpec,
  settings: Settings,
  standardized: boolean,
  trivialBeta: () => Promise<number>,
): Promise<Regularization> {
  if (spec.formulation === "affine") return ofOneLayer(spec, settings, trivialBeta);
  const { hidden, output, outputBias } = spec.l2;
  if (hidden > 0 !== output > 0) {
    const [has, lacks] = hidden > 0 ? ["first", "last"] : ["last", "first"];
    throw new ConvexError(
      "model/regularizer",
      `fit: expected l2 kernel regularizers in both layers or in none, got one in the ${has} layer only. With one of them ` +
        `zero, the weights can move to the other layer for nothing. Add tf.regularizers.l2 to the ${lacks} layer.`,
    );
  }
  const own = 2 * Math.sqrt(hidden * output);
  const wish = settings.regularization ?? (own > 0 ? "from-model" : "auto");
  if (wish === "from-model") {
    if (own === 0) {
      throw new ConvexError(
        "model/regularizer",
        `fit: expected l2 kernel regularizers in both layers for regularization "from-model", got none. ` +
          `Add tf.regularizers.l2({ l2: ... }) to both, or set regularization to a number or "auto".`,
      );
    }
    return { beta: own, hidden, output, outputBias, source: "model", standardized, constraint: null };
  }
  if (own > 0 && typeof wish === "number" && Math.abs(wish / own - 1) <= SAME_BETA) {
    return { beta: own, hidden, output, outputBias, source: "model", standardized, constraint: null };
  }
  if (own > 0) {
    throw new ConvexError(
      "model/regularizer",
      `fit: expected a model without l2 regularizers for regularization ${JSON.stringify(wish)}, got beta ${own} from its layers. ` +
        `Remove them from the layers, or set regularization to "from-model".`,
    );
  }
  if (wish === "interpolate" || wish === "max-margin") {
    return { beta: 1, hidden: 0.5, output: 0.5, outputBias, source: "option", standardized, constraint: wish };
  }
  const share = isShare(wish);
  const beta = share ? AUTO_SHARE * (await trivialBeta()) : wish;
  if (!(beta > 0)) {
    throw new ConvexError(
      "data/target",
      `fit: expected targets that a network can improve on, got a gradient of zero at the zero network, so that "${wish}" has no scale. ` +
        `Check y, or set regularization to a number.`,
    );
  }
  const source = share ? "share" : "option";
  return { beta, hidden: beta / 2, output: beta / 2, outputBias, source, standardized, constraint: null };
}

/**
 * Whether a share of the smallest trivial beta is where beta begins: "held-out" replaces it when it has chosen; where there is nothing to
 * choose by, "auto" leaves it at that.
 */
export function isShare(wish: RegularizationWish | null): wish is "auto" | "held-out" | "share" {
  return wish === "auto" || wish === "held-out" || wish === "share";
}

/** Whether beta is asked for, and nothing says how it is to be found: one layer alone is charged nothing unless it is asked for. */
export function isLeftToUs({ formulation, l2 }: NetworkSpec, wish: RegularizationWish | null): boolean {
  if (l2.hidden > 0 || l2.output > 0) return false;
  return wish === "auto" || (wish === null && formulation !== "affine");
}

/** What is wished of one program among several, which are not to choose their betas by rows held out, each another one. */
export function withoutChoice(spec: NetworkSpec, wish: RegularizationWish | null): RegularizationWish | null {
  return isLeftToUs(spec, wish) ? "share" : wish;
}

/** One layer is charged beta / 2 |W|^2, and nothing where neither its regularizer nor an option says so: as in model.fit. */
async function ofOneLayer(
  { l2 }: NetworkSpec,
  { regularization: wish }: Settings,
  trivialBeta: () => Promise<number>,
): Promise<Regularization> {
  const own = 2 * l2.hidden;
  const beside = wish === "held-out" || (typeof wish === "number" && wish !== own);
  if (wish === "interpolate" || wish === "max-margin" || (own > 0 && beside)) {
    throw new ConvexError(
      "model/regularizer",
      `fit: expected no regularization ${JSON.stringify(wish)} for one layer alone${own > 0 ? ` with a regularizer of its own` : ""}. ` +
        `Leave it out, or add a hidden layer.`,
    );
  }
  const share = own === 0 && isShare(wish);
  const beta = share ? AUTO_SHARE * (await trivialBeta()) : typeof wish === "number" ? wish : own;
  const source = own > 0 || beta === 0 ? "model" : share ? "share" : "option";
  return {
    beta,
    hidden: beta / 2,
    output: 0,
    outputBias: l2.outputBias,
    source,
    standardized: false,
    constraint: null,
  };
}

export function decayOf(regularization: Regularization): Decay {
  const { hidden, output, outputBias, skip } = regularization;
  return { hidden, output, outputBias, ...(skip === undefined ? {} : { skip }) };
}

/**
 * The objective as the model's own layers charge it: without the hidden biases, the last row of the kernel, where the program
 * charges them (`charged`) and the layers do not; with the charge of layers that are `frozen`.
 */
export function modelObjective(
  written: Objective,
  kernel: Matrix,
  hidden: number,
  charged: boolean,
  frozen = 0,
): Objective {
  let square = 0;
  if (charged) for (const value of kernel.data.subarray((kernel.rows - 1) * kernel.cols)) square += value * value;
  return withCharge(withCharge(written, -hidden * square), frozen);
}

/** An objective with something added to what is charged. */
export function withCharge({ loss, regularization, total }: Objective, more: number): Objective {
  return { loss, regularization: regularization + more, total: total + more };
}

/** What is said of the charge of frozen layers. */
export function frozenNotes(frozen: number): string[] {
  if (frozen === 0) return [];
  return [
    `Layers that stayed as they are have regularizers of their own: ${frozen.toPrecision(4)}, a constant that objective counts, as ` +
      `calculateLosses does, and the certificate does not.`,
  ];
}

/** What a user should know about how the objective was read, in sentences; `ours`: the layers carry what it charges. */
export function notesOf(
  spec: NetworkSpec,
  regularization: Regularization,
  column: BiasColumn,
  ours: boolean,
): string[] {
  const notes: string[] = [...spec.ignored];
  if (spec.normalization !== null) {
    notes.push(
      "Batch normalisation is trained with the statistics of all rows, which are what was written as the moving ones; what is " +
        "charged as |W1|^2 is |gamma|^2.",
    );
  }
  const { beta, source, curve, standardized, constraint } = regularization;
  if (constraint !== null) {
    const goal = constraint === "interpolate" ? "fit every target exactly" : "have y z >= 1 on every row";
    notes.push(
      `No regularization: of the networks that ${goal}, the one of least (|W1|^2 + |W2|^2) / 2, which is objective.regularization.`,
    );
  }
  if (curve !== undefined) notes.push(heldOutNote(beta, curve));
  if (source === "share") {
    notes.push(
      `The layers have no regularization: beta = ${beta.toPrecision(4)} is 1e-3 of the smallest beta at which no neuron that was found pays.`,
    );
  }
  if (standardized) notes.push(...standardizedNotes(spec, regularization, column));
  else if (ours && constraint === null) {
    notes.push(
      `The layers of the model carry the objective's charges as l2 regularizers${column.charged ? ", also of the hidden bias" : ""}.`,
    );
  } else if (source !== "model" && constraint === null) {
    notes.push(
      `The objective charges ${(beta / 2).toPrecision(4)} (|W1|^2 + |W2|^2), which the model's own layers do not: ` +
        `model.evaluate plus objective.regularization is objective.total.`,
    );
  }
  if (column.charged && !standardized && !(ours && constraint === null)) {
    notes.push(
      `The hidden bias has no regularizer; the program charges it as (b / ${column.value.toPrecision(4)})^2 beside the kernel. ` +
        `The certificate is for that objective; objective.total leaves the charge out.`,
    );
  }
  if (spec.skip !== null) notes.push(skipNote(spec.skip.l2));
  if (spec.outputBias && spec.l2.outputBias === 0) notes.push("The output bias is free and solved exactly.");
  return notes;
}

function skipNote(l2: number): string {
  return l2 > 0
    ? `The linear layer beside the hidden one is charged ${l2.toPrecision(4)} |U|^2, as its regularizer says, and solved exactly.`
    : "The linear layer beside the hidden one has no regularizer: it is free, as in model.fit, and solved exactly.";
}

/** What a beta was chosen by. */
function heldOutNote(beta: number, { betas, by, whole }: HeldOutCurve): string {
  if (betas.length === 0) {
    return (
      `The time did not suffice to judge any beta by the loss of rows held out: beta = ${beta.toPrecision(4)} is about the one that "share" ` +
      `takes. Raise timeLimit, or give beta.`
    );
  }
  const [largest, smallest] = [betas[0], betas[betas.length - 1]].map((value) => value.toPrecision(2));
  return (
    `beta = ${beta.toPrecision(4)} is the largest whose mean loss on ${by === "folds" ? "rows held out in folds" : "the validation data"} ` +
    `is within 2 % of the least, of ${betas.length} from ${largest} to ${smallest}, each judged by short descents of small networks.` +
    (whole ? "" : " The time was up before others were tried.")
  );
}

/** What standardised columns are, and what their weights are charged. */
function standardizedNotes(spec: NetworkSpec, { beta }: Regularization, column: BiasColumn): string[] {
  const columns = spec.hiddenBias
    ? "each column of x less its mean, brought to the spread of the widest"
    : "each column of x, brought to the root mean square of the largest";
  const bias = spec.hiddenBias ? `, their hidden bias b as (b / ${column.value.toPrecision(4)})^2 in |W1|^2` : "";
  return [
    `The objective charges ${(beta / 2).toPrecision(4)} (|W1|^2 + |W2|^2) of the weights for standardised columns (${columns})${bias}, so ` +
      `that units of measurement do not matter. The model's own layers, written for x as it is, charge nothing: model.evaluate ` +
      `plus objective.regularization is objective.total. (standardize: false charges the layers' own weights.)`,
  ];
}
