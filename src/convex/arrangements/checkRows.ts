/** Holds matrices that come from a user against what gates need: at least one row, entries in number and finite. */

import { counted, isRecord, refuse, shown } from "../../arguments.js";
import { ConvexError } from "../../errors.js";
import { eachBlock } from "../linear/rowBlock.js";
import type { Matrix } from "../types.js";

const BLOCK = 1024; // rows

/** @internal Throws unless X has rows, columns and as many finite entries as they need. */
export function checkRows(where: string, X: Matrix): void {
  checkMatrix(where, "X", X);
  if (!(X.rows > 0 && X.cols > 0)) {
    throw new ConvexError(
      "data/empty",
      `${where}: expected data with at least one row and one column, got ${X.rows} x ${X.cols}. Pass the training rows.`,
    );
  }
  if (X.block === undefined) checkEntries(where, "data/shape", X);
  if (X.gathered !== undefined && allFinite(X.gathered)) return; // patches have a pixel many times
  eachBlock(X, BLOCK, (rows, from) => {
    const bad = firstBad(rows);
    if (bad < 0) return;
    throw new ConvexError(
      "data/nonFinite",
      `${where}: expected finite entries, got ${rows[bad]} at row ${from + Math.floor(bad / X.cols)}, column ${bad % X.cols}. ` +
        `Remove or fill such rows first.`,
    );
  });
}

/** @internal Throws unless generators are finite and as wide as the rows of X. */
export function checkGenerators(where: string, generators: Matrix, X: Matrix): void {
  checkMatrix(where, "generators", generators);
  if (generators.cols !== X.cols) {
    throw new ConvexError(
      "gates/mismatch",
      `${where}: expected generators of ${counted(X.cols, "entry")} (the features, and 1 for a hidden bias), got ${generators.cols}. ` +
        `Make them for the same data.`,
    );
  }
  checkEntries(where, "gates/mismatch", generators);
  const bad = firstBad(generators.data);
  if (bad < 0) return;
  throw new ConvexError(
    "gates/mismatch",
    `${where}: expected finite generators, got ${generators.data[bad]} in generator ${Math.floor(bad / X.cols)}. ` +
      `Leave it out or draw it anew.`,
  );
}

function allFinite({ images, bias }: NonNullable<Matrix["gathered"]>): boolean {
  return Number.isFinite(bias) && firstBad(images.data) < 0;
}

/** The first entry that is not finite, or -1. */
function firstBad(entries: Float64Array): number {
  return entries.findIndex((value) => !Number.isFinite(value));
}

/** Throws unless it is a record of two whole numbers and data. */
function checkMatrix(where: string, name: string, matrix: unknown): void {
  if (!isRecord(matrix)) refuse(`${where}: ${name}`, MATRIX, matrix, "Copy the tensor's data into one.", "data/shape");
  const { rows, cols } = matrix as Partial<Matrix>;
  for (const size of [rows, cols]) {
    if (typeof size === "number" && Number.isInteger(size) && size >= 0) continue;
    refuse(`${where}: ${name}`, `${MATRIX}, rows and cols whole numbers`, size, "Correct them.", "data/shape");
  }
}

const MATRIX = "a matrix { rows, cols, data: Float64Array }";

function checkEntries(where: string, code: "data/shape" | "gates/mismatch", matrix: Matrix): void {
  const { rows, cols, data } = matrix;
  if (data instanceof Float64Array && data.length === rows * cols) return;
  const got = data instanceof Float64Array ? counted(data.length, "entry") : shown(data);
  throw new ConvexError(
    code,
    `${where}: expected a Float64Array of ${rows} x ${cols} entries, row by row, got ${got}. Copy it with Float64Array.from().`,
  );
}
