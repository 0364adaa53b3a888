/** Rows of a shard as a user's module yields them -> what the shard holds, or a refusal that names the row. */

import { counted, shown } from "../../arguments.js";
import type { ErrorCode } from "../../errors.js";
import { rowsMadeBy } from "../linear/rowBlock.js";
import { targetRefusal } from "../losses/index.js";
import type { Matrix } from "../types.js";
import type { ShardFacts, ShardRefusal, ShardSpec } from "./cluster.js";

/** Rows of x in float32, as the model's layers see them, and targets as the loss has them. */
export interface ShardRows {
  readonly count: number;
  readonly x: Float32Array; // [count x inputs]
  readonly y: Float64Array; // [count x C]
}

/** A refusal on its way to the driver. */
export class RowRefusal extends Error implements ShardRefusal {
  override readonly name = "RowRefusal";

  constructor(
    readonly code: ErrorCode,
    readonly row: number | null,
    readonly text: string,
  ) {
    super(text);
  }
}

/** What a tensor, or a row of numbers, has in common. */
type Numbers = ArrayLike<number>;

/** @throws RowRefusal for rows of another width, numbers that are none, targets that the loss does not have, and no rows at all. */
export async function gatherRows(source: unknown, spec: ShardSpec): Promise<ShardRows> {
  const entries = iterableOf(source);
  const { inputs, outputs, labels } = spec;
  const targets = labels === "classes" ? 1 : outputs;
  const xs: Float32Array[] = [];
  const ys: Float64Array[] = [];
  let count = 0;
  try {
    for await (const entry of entries) {
      const { x, y } = pairOf(entry, count);
      const wide = await numbersIn("x", x, inputs, count);
      const told = await numbersIn("y", y, targets, count);
      const rows = wide.length / inputs;
      if (told.length !== rows * targets) {
        throw new RowRefusal(
          "data/shape",
          count,
          `expected as many rows of y as of x, ${rows}, got ${told.length / targets}. Check what the module yields.`,
        );
      }
      xs.push(finiteRows(Float32Array.from(wide), wide, inputs, count));
      ys.push(asTheLossHasThem(told, spec, count));
      count += rows;
    }
  } catch (error) {
    throw error instanceof RowRefusal ? error : moduleFailed(error, count);
  }
  if (count === 0) {
    throw new RowRefusal(
      "data/empty",
      null,
      "expected rows, got none. Use fewer shards, or check how the rows were cut.",
    );
  }
  return { count, x: joined(new Float32Array(count * inputs), xs), y: joined(new Float64Array(count * outputs), ys) };
}

/** What a module threw, and how many rows it had yielded by then. */
export function moduleFailed(error: unknown, row: number | null): RowRefusal {
  const said = error instanceof Error ? error.message : String(error);
  const text = `expected the module to yield rows, got its error "${said}". Run the module by itself to see where it comes from.`;
  return new RowRefusal("cluster/module", row, text);
}

/** What the driver is told of them. */
export function factsOf({ count, x, y }: ShardRows, inputs: number, pid: number): ShardFacts {
  let longest = 0;
  for (let at = 0; at < x.length; at += inputs) {
    let square = 0;
    for (let p = at; p < at + inputs; p++) square += x[p] * x[p];
    longest = Math.max(longest, square);
  }
  return { rows: count, longest: Math.sqrt(longest), checksum: checksumOf([x, y]), pid };
}

/** The same rows [count x inputs] in float64, with a last column of `bias` where that is above 0, made when they are asked for. */
export function rowsMatrix({ count, x }: Pick<ShardRows, "count" | "x">, inputs: number, bias: number): Matrix {
  const cols = bias > 0 ? inputs + 1 : inputs;
  const block = (from: number, rows: number) => {
    const out = new Float64Array(rows * cols);
    if (cols === inputs) out.set(x.subarray(from * inputs, (from + rows) * inputs));
    else {
      for (let k = 0; k < rows; k++) {
        out.set(x.subarray((from + k) * inputs, (from + k + 1) * inputs), k * cols);
        out[k * cols + inputs] = bias;
      }
    }
    return out;
  };
  return rowsMadeBy(count, cols, block);
}

/** What rows can be taken from one after another. @throws RowRefusal for what is no iterable. */
export function iterableOf(source: unknown): AsyncIterable<unknown> | Iterable<unknown> {
  const made = source as Partial<AsyncIterable<unknown> & Iterable<unknown>> | null;
  const iterable = typeof source === "object" && (made?.[Symbol.asyncIterator] ?? made?.[Symbol.iterator]);
  if (iterable) return source as AsyncIterable<unknown>;
  throw new RowRefusal(
    "cluster/module",
    null,
    `expected the module's rows to be an iterable of { x, y }, got ${shown(source)}. Export async function* rows({ shard, shards }).`,
  );
}

/** { x, y }, tf.data's { xs, ys }, or [x, y]. @throws RowRefusal for anything else. */
export function pairOf(entry: unknown, row: number): { x: unknown; y: unknown } {
  const given = (typeof entry === "object" ? entry : null) as Record<string, unknown> | null;
  const x = given?.x ?? given?.xs ?? given?.[0];
  const y = given?.y ?? given?.ys ?? given?.[1];
  if (x !== undefined && y !== undefined) return { x, y };
  throw new RowRefusal(
    "data/shape",
    row,
    `expected { x, y } of a row or of several, got ${shown(entry)}. Check what the module yields.`,
  );
}

/** A number, a row of numbers, rows of numbers, several rows one after another, or a tensor of rows: all one after another. @throws RowRefusal. */
export async function numbersIn(name: string, given: unknown, width: number, row: number): Promise<Numbers> {
  const refuse = (came: string) =>
    new RowRefusal(
      "data/shape",
      row,
      `expected rows of ${counted(width, "number")} in ${name}, as the model has them, got ${came}. Check what the module yields.`,
    );
  refuseOthers(name, given, row);
  if (typeof given === "number" || typeof given === "boolean") {
    if (width !== 1) throw refuse("one number");
    return [Number(given)];
  }
  if (isTensor(given)) {
    const { shape } = given;
    const each = shape.length < 2 ? width : shape.slice(1).reduce((size, extent) => size * extent, 1);
    const values = (await given.data()).slice();
    given.dispose?.();
    if (each !== width || values.length % width !== 0) throw refuse(`a tensor of shape [${shape.join(", ")}]`);
    return values;
  }
  if (Array.isArray(given) && given.length > 0 && typeof given[0] === "object") {
    const rows = given as Numbers[];
    const out = new Float64Array(rows.length * width);
    rows.forEach((values, k) => {
      if (values?.length !== width) throw refuseRow(name, width, values, row + k);
      out.set(values, k * width);
    });
    return out;
  }
  const values = given as Numbers | null;
  if (!(Array.isArray(given) || (ArrayBuffer.isView(given) && "length" in given))) throw refuse(shown(given));
  if (values === null || values.length === 0 || values.length % width !== 0)
    throw refuse(counted(values?.length ?? 0, "number"));
  return values;
}

/** What is neither a number nor true or false would be made one, or NaN. */
function refuseOthers(name: string, values: unknown, row: number): void {
  if (!Array.isArray(values)) return;
  for (let k = 0; k < values.length; k++) {
    const value: unknown = values[k];
    if (typeof value === "number" || typeof value === "boolean" || ArrayBuffer.isView(value)) continue;
    if (!Array.isArray(value)) {
      throw new RowRefusal(
        "data/shape",
        row,
        `expected numbers in ${name}, got ${shown(value)}. Turn what stands for numbers into numbers first.`,
      );
    }
    refuseOthers(name, value, row + k);
  }
}

function refuseRow(name: string, width: number, values: Numbers | undefined, row: number): RowRefusal {
  const came = values?.length === undefined ? shown(values) : `${values.length}`;
  return new RowRefusal(
    "data/shape",
    row,
    `expected ${counted(width, "number")} in ${name}, as the model has them, got ${came}. Check what the module yields.`,
  );
}

interface TensorLike {
  readonly shape: readonly number[];
  data(): Promise<Float32Array>;
  dispose?(): void;
}

export function isTensor(given: unknown): given is TensorLike {
  const tensor = given as Partial<TensorLike> | null;
  return typeof tensor?.data === "function" && Array.isArray(tensor.shape);
}

function finiteRows(x: Float32Array, given: Numbers, inputs: number, from: number): Float32Array {
  for (let k = 0; k < x.length; k++) {
    if (Number.isFinite(x[k])) continue;
    throw new RowRefusal(
      "data/nonFinite",
      from + Math.floor(k / inputs),
      `expected finite numbers in x, got ${given[k]} in column ${k % inputs}. Impute or drop such rows first.`,
    );
  }
  return x;
}

/** Targets [rows x C] of what was told, or a refusal that names the row. */
function asTheLossHasThem(told: Numbers, { outputs: C, labels, loss }: ShardSpec, from: number): Float64Array {
  if (labels === "classes") return oneHot(told, C, from);
  const y = Float64Array.from(told);
  if (labels === "zero or one") {
    y.forEach((label, k) => {
      if (label !== 0 && label !== 1)
        throw refuseTarget(from + Math.floor(k / C), `expected labels 0 or 1, got ${label}`);
      y[k] = 2 * label - 1;
    });
  }
  for (let k = 0; k < y.length; k += C) {
    const refusal = targetRefusal(loss, { rows: 1, cols: C, data: y.subarray(k, k + C) });
    // That row is the first of one.
    if (refusal !== null) throw refuseTarget(from + k / C, refusal.replace(/ in row 0\b/, " in y"));
  }
  return y;
}

function oneHot(told: Numbers, C: number, from: number): Float64Array {
  const y = new Float64Array(told.length * C);
  for (let k = 0; k < told.length; k++) {
    const label = told[k];
    if (!Number.isInteger(label) || label < 0 || label >= C)
      throw refuseTarget(from + k, `expected class numbers from 0 to ${C - 1} in y, got ${label}`);
    y[k * C + label] = 1;
  }
  return y;
}

function refuseTarget(row: number, what: string): RowRefusal {
  return new RowRefusal("data/target", row, `${what}. Change y, or the loss of the model.`);
}

function joined<T extends Float32Array | Float64Array>(out: T, parts: T[]): T {
  let at = 0;
  parts.forEach((part, k) => {
    out.set(part, at);
    at += part.length;
    delete parts[k]; // so that rows are not held twice for longer than it takes
  });
  return out;
}

/** FNV-1a over 32-bit words (Fowler, Noll and Vo): whether a shard that comes back has the rows that it had. */
export function checksumOf(parts: readonly (Float32Array | Float64Array)[]): number {
  let hash = 0x811c9dc5;
  for (const { buffer, byteOffset, byteLength } of parts) {
    for (const word of new Uint32Array(buffer, byteOffset, byteLength / 4)) hash = Math.imul(hash ^ word, 0x01000193);
  }
  return hash >>> 0;
}
