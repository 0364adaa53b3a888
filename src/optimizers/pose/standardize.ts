/** Whether the objective charges standardised columns or x as it is, and what is said of columns that own it. */

import { packPattern, wordsPerGate } from "../../convex/linear/bits.js";
import { type Standardized, standardizedOf } from "../../convex/operators/standardized.js";
import type { GateSet, Matrix } from "../../convex/types.js";
import { ConvexError } from "../../errors.js";
import type { Settings } from "../options.js";
import type { Dataset } from "../read/data.js";
import type { NetworkSpec } from "../read/model.js";
import { isShare } from "./regularization.js";

/** An entry with more than this share of its column's squares sets the column's spread. */
const OWNED = 0.5;
/** Rows from which one that owns a column is worth a note, and columns that a note names at most. */
const MANY_ROWS = 10;
const NAMED = 5;

/**
 * Whether columns are standardised: as the option says, else where beta is ours to choose too (`free`), so that its charge has no
 * unit of measurement. A number for beta, or regularizers of the model, speak of the weights as the layers hold them.
 *
 * @throws ConvexError "options/value" or "model/regularizer" for `standardize: true` beside what it contradicts.
 */
export function standardizes(
  spec: NetworkSpec,
  settings: Settings,
  free = !namesBeta(settings),
  before: boolean | null = null, // of what the fit starts from
): boolean {
  const wish = settings.standardize;
  const obstacle = obstacleTo(spec, settings);
  if (wish === true && obstacle !== null) {
    throw new ConvexError(
      obstacle.code,
      `fit: expected ${obstacle.expected} beside standardize: true, got ${obstacle.got}. Leave one of the two out.`,
    );
  }
  if (wish !== null || obstacle !== null) return wish === true;
  return before ?? (free && settings.hiddenBiasScale === null);
}

/** False where beta is ours to choose. */
function namesBeta({ regularization }: Settings): boolean {
  return regularization !== null && !isShare(regularization);
}

interface Obstacle {
  readonly code: ConvexError["code"];
  readonly expected: string;
  readonly got: string;
}

function obstacleTo(
  { l2, convolution, formulation, normalization, skip }: NetworkSpec,
  { rank, pca, regularization }: Settings,
): Obstacle | null {
  if (l2.hidden > 0 || l2.output > 0 || l2.hiddenBias > 0 || (skip?.l2 ?? 0) > 0) {
    const expected = "a model without l2 regularizers, which charge the layers' weights as they are,";
    return { code: "model/regularizer", expected, got: "one with them" };
  }
  const refused = (expected: string, got: string): Obstacle => ({ code: "options/value", expected, got });
  if (convolution !== null)
    return refused("dense layers", "a convolution, whose filters see one column at many places");
  if (formulation === "affine") return refused("a hidden layer", "one layer alone, which scales its columns itself");
  if (normalization !== null) return refused("no batch normalisation", "one, whose rows are white already");
  if (rank !== null) return refused("no rank", String(rank));
  if (pca !== null) return refused("no pca", String(pca));
  if (regularization === "interpolate" || regularization === "max-margin")
    return refused("a loss with regularization", `"${regularization}"`);
  return null;
}

/** The standardised columns, or null where gates that were handed over, and nobody's option, speak of x as it is. */
export function standardizedSpace(spec: NetworkSpec, { x, weights }: Dataset): Standardized {
  return standardizedOf(x, weights, spec.hiddenBias);
}

/** Whether a gate set was made from these rows: false where its sizes or its first gate's mask say otherwise. */
export function madeFrom(gates: GateSet, X: Matrix): boolean {
  if (gates.rows !== X.rows || gates.generators?.cols !== X.cols) return false;
  const words = wordsPerGate(X.rows);
  const pattern = new Uint32Array(words);
  for (let i = 0; i < Math.min(4, gates.count); i++) {
    packPattern(X, gates.generators.data.subarray(i * X.cols, (i + 1) * X.cols), pattern);
    if (!pattern.every((word, k) => word === gates.bits[i * words + k])) return false;
  }
  return true;
}

/** Notes on columns that are constant, and on single entries that set the scale of their column. */
export function columnNotes({ x, weights }: Dataset, spec: Pick<NetworkSpec, "hiddenBias" | "convolution">): string[] {
  if (spec.convolution !== null) return [];
  const { columns } = standardizedOf(x, weights, true);
  const varying = new Set(columns);
  const constant = Array.from({ length: x.cols }, (_, p) => p).filter((p) => !varying.has(p) && x.data[p] !== 0);
  const notes: string[] = [];
  if (constant.length > 0 && spec.hiddenBias) {
    notes.push(
      `${named("Column", constant)} of x ${constant.length > 1 ? "are" : "is"} constant, and so one with the hidden bias.`,
    );
  }
  const owned = ownedColumns(x, columns);
  if (owned.length > 0) {
    const places = owned
      .slice(0, NAMED)
      .map(({ row, column, value }) => `${value.toPrecision(4)} in row ${row}, column ${column}`);
    notes.push(
      `Outliers: ${places.join("; ")}${owned.length > NAMED ? "; ..." : ""} of x set${owned.length > 1 ? "" : "s"} the scale of the ` +
        `whole column, so that the other rows differ little in it. If it is a placeholder for a missing value, replace it; else ` +
        `clip it or take the column's logarithm.`,
    );
  }
  return notes;
}

/** Entries that are farther from their column's mean than all others together; none of columns of two values, as dummies are. */
function ownedColumns(
  { rows: n, cols: d, data }: Matrix,
  columns: Int32Array,
): { readonly row: number; readonly column: number; readonly value: number }[] {
  if (n < MANY_ROWS) return [];
  // Row by row, in the order in which they lie.
  const means = new Float64Array(d);
  for (let k = 0, at = 0; k < n; k++) for (let p = 0; p < d; p++, at++) means[p] += data[at] / n;
  const sums = new Float64Array(d);
  const farthest = new Float64Array(d); // squares of distances
  const owners = new Int32Array(d);
  for (let k = 0, at = 0; k < n; k++) {
    for (let p = 0; p < d; p++, at++) {
      const square = (data[at] - means[p]) ** 2;
      sums[p] += square;
      if (square > farthest[p]) [farthest[p], owners[p]] = [square, k];
    }
  }
  return Array.from(columns)
    .filter((column) => farthest[column] > OWNED * sums[column] && hasThreeValues(column))
    .map((column) => ({ row: owners[column], column, value: data[owners[column] * d + column] }));

  function hasThreeValues(column: number): boolean {
    const values = new Set<number>();
    for (let k = 0; k < n && values.size < 3; k++) values.add(data[k * d + column]);
    return values.size > 2;
  }
}

function named(noun: string, places: readonly number[]): string {
  const list = places.slice(0, NAMED).join(", ") + (places.length > NAMED ? ", ..." : "");
  return `${noun}${places.length > 1 ? "s" : ""} ${list}`;
}
