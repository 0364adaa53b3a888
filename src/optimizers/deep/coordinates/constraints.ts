/**
 * Weights with constraints as images of free ones, so that a descent over these keeps them: v^2 for weights of at least 0, and for
 * norms that are held v D(|v|) / |v|, D(n) being the norm that TensorFlow.js makes of n.
 */

import type * as tf from "@tensorflow/tfjs";
import { ConvexError } from "../../../errors.js";
import type { Weight } from "../../read/graph.js";

/** A weight with a constraint, and where its numbers stand among all. */
export interface Constrained {
  readonly at: number;
  readonly size: number;
  /** Entries of one group are so far apart, as many as `length`; null: each entry is for itself, and at least 0. */
  readonly group: { readonly length: number; readonly apart: number; readonly norm: Norm } | null;
}

/** As tfjs has it, whose types do not name it. */
type Constraint = tf.serialization.Serializable;

/** The norm that is made of a norm, and its slope. */
type Norm = (n: number) => { readonly made: number; readonly slope: number };

/** What a norm of 0 is taken for. */
const TINY = 1e-7;

type Config = Readonly<Record<"maxValue" | "minValue" | "rate" | "axis", number>>;

/** Of the classes of tfjs that hold norms. */
const NORMS: Readonly<Record<string, (config: Config) => Norm>> = {
  MaxNorm: ({ maxValue }) => towards(0, maxValue, 1),
  UnitNorm: () => towards(1, 1, 1),
  MinMaxNorm: ({ minValue, maxValue, rate }) => towards(minValue, maxValue, rate),
};

/** What is not between both comes to the nearer one, or a share of the way. */
function towards(least: number, most: number, rate: number): Norm {
  return (n) => {
    const inside = n >= least && n <= most;
    return { made: rate * Math.min(Math.max(n, least), most) + (1 - rate) * n, slope: inside ? 1 : 1 - rate };
  };
}

/**
 * The constraints of weights that are trained, by their places.
 *
 * @throws ConvexError "model/regularizer" for one that is none of TensorFlow.js.
 */
export function constraintsAmong(model: tf.LayersModel, placed: ReadonlyMap<Weight, number>): Constrained[] {
  const found: Constrained[] = [];
  for (const [weight, at] of placed) {
    const { constraint, shape, name } = weight as Weight & { readonly constraint?: Constraint | null };
    if (constraint === undefined || constraint === null) continue;
    const { size } = weight.read();
    const kind = constraint.getClassName();
    if (kind === "NonNeg") found.push({ at, size, group: null });
    else if (Object.hasOwn(NORMS, kind)) {
      const config = constraint.getConfig() as unknown as Config;
      const sizes = shape as number[];
      const axis = config.axis < 0 ? config.axis + sizes.length : config.axis;
      const apart = sizes.slice(axis + 1).reduce((all, length) => all * length, 1);
      found.push({ at, size, group: { length: sizes[axis], apart, norm: NORMS[kind](config) } });
    } else {
      throw new ConvexError(
        "model/regularizer",
        `fit: expected constraints of TensorFlow.js, nonNeg, maxNorm, unitNorm or minMaxNorm, got ${kind} for weight "${name}" of model ` +
          `"${model.name}". Remove it, or set trainable: false in its layer.`,
      );
    }
  }
  return found;
}

/** In place: weights become free numbers, those below 0 as if they were above. */
export function intoFree(packed: Float64Array, all: readonly Constrained[]): Float64Array {
  for (const { at, size, group } of all) {
    if (group === null) for (let p = at; p < at + size; p++) packed[p] = Math.sqrt(Math.abs(packed[p]));
  }
  return packed;
}

/** In place: free numbers become weights. */
export function constrain(packed: Float64Array, all: readonly Constrained[]): Float64Array {
  for (const each of all) {
    const { at, size, group } = each;
    if (group === null) for (let p = at; p < at + size; p++) packed[p] *= packed[p];
    else {
      eachGroup(each, group, (entries) => {
        const n = lengthOf(packed, entries);
        const factor = group.norm(n).made / n;
        for (const p of entries) packed[p] *= factor;
      });
    }
  }
  return packed;
}

/** In place: the slopes along the weights become those along the free numbers, `packed`. */
export function slopesOfFree(packed: Float64Array, gradient: Float64Array, all: readonly Constrained[]): void {
  for (const each of all) {
    const { at, size, group } = each;
    if (group === null) {
      for (let p = at; p < at + size; p++) gradient[p] *= 2 * packed[p];
    } else {
      eachGroup(each, group, (entries) => {
        const n = lengthOf(packed, entries);
        const { made, slope } = group.norm(n);
        let along = 0;
        for (const p of entries) along += packed[p] * gradient[p];
        const turn = ((slope - made / n) * along) / (n * n);
        for (const p of entries) gradient[p] = (made / n) * gradient[p] + turn * packed[p];
      });
    }
  }
}

function lengthOf(packed: Float64Array, entries: Int32Array): number {
  let square = 0;
  for (const p of entries) square += packed[p] * packed[p];
  return Math.max(TINY, Math.sqrt(square));
}

function eachGroup(
  { at, size }: Constrained,
  { length, apart }: NonNullable<Constrained["group"]>,
  use: (entries: Int32Array) => void,
): void {
  const entries = new Int32Array(length);
  for (let outer = at; outer < at + size; outer += length * apart) {
    for (let inner = outer; inner < outer + apart; inner++) {
      for (let k = 0; k < length; k++) entries[k] = inner + k * apart;
      use(entries);
    }
  }
}
