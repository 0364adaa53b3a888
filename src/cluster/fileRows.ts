/** Rows that come one after another, put into files, so that shards can read each its part: no process ever holds them all. */

import { mkdtemp, open, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { count, counted, optional, refuse, refuseAs, refuseUnknown } from "../arguments.js";
import { isTensor, iterableOf, numbersIn, pairOf, RowRefusal } from "../convex/sharded/index.js";
import { ConvexError } from "../errors.js";
import { filesIn, type RowFile } from "./rowFile.js";

export interface FileRowsOptions {
  /** Numbers of a row of x, and of y; default what the first entry has: needed where it is several rows one after another. */
  readonly inputs?: number;
  readonly targets?: number;
  /** Where the folder of the files is made; default that for temporary files. With `ray` one that all machines see. */
  readonly folder?: string;
}

/** Rows in files. Spread it into the arguments of `fitSharded`, `pathSharded` or `crossValidateSharded`: `{ ...rows.source }`. */
export interface FileRows {
  readonly source: { readonly load: URL; readonly args: RowFile };
  readonly rows: number;
  readonly bytes: number; // of the files
  /** Removes the files. */
  remove(): Promise<void>;
}

/** A tf.data.Dataset, without its type, so that nothing of it is loaded here. */
interface Batches {
  iterator(): Promise<{ next(): Promise<{ readonly value: unknown; readonly done?: boolean }> }>;
}

/**
 * Writes rows into files, as they come: of a tf.data.Dataset of batches { xs, ys }, of an iterable of { x, y } of a row or of several, or
 * of { x, y } that are tensors or arrays of rows. What is wrong with a number is told when shards read it.
 *
 * @example
 * ```js
 * const rows = await fileRows(tf.data.csv(url, { columnConfigs }).map(toPair).batch(1000));
 * await trainer.fitSharded(model, { cluster: local(), shards: 2, ...rows.source });
 * await rows.remove();
 * ```
 *
 * @throws ConvexError "data/..." with the number of the row, and then leaves no file.
 */
export async function fileRows(source: unknown, options: FileRowsOptions = {}): Promise<FileRows> {
  refuseUnknown("fileRows", options, ["inputs", "targets", "folder"]);
  const asked = {
    inputs: optional(options.inputs, (value) => count("fileRows: inputs", value)),
    targets: optional(options.targets, (value) => count("fileRows: targets", value)),
  };
  if (options.folder !== undefined && typeof options.folder !== "string")
    refuse("fileRows: folder", "the path of a folder", options.folder);
  refuseSource(source);
  const folder = await folderIn(resolve(options.folder ?? tmpdir()));
  const remove = () => rm(folder, { recursive: true, force: true });
  try {
    const file = await written(folder, source, asked);
    const { rows, inputs, targets } = file;
    const load = new URL("./shard.js", import.meta.url);
    return { source: { load, args: file }, rows, bytes: rows * (4 * inputs + 8 * targets), remove };
  } catch (error) {
    await remove();
    if (!(error instanceof RowRefusal)) throw error;
    throw new ConvexError(error.code, `fileRows${error.row === null ? "" : `, row ${error.row}`}: ${error.text}`);
  }
}

async function written(
  folder: string,
  source: unknown,
  asked: { readonly inputs: number | null; readonly targets: number | null },
): Promise<RowFile> {
  const files = filesIn(folder);
  const [xs, ys] = [await open(files.x, "w"), await open(files.y, "w")];
  let { inputs, targets } = asked;
  let rows = 0;
  try {
    for await (const entry of told(entriesOf(source), () => rows)) {
      const { x, y } = pairOf(entry, rows);
      inputs ??= widthOf("x", x, rows);
      targets ??= widthOf("y", y, rows);
      const wide = Float32Array.from(await numbersIn("x", x, inputs, rows));
      const aims = Float64Array.from(await numbersIn("y", y, targets, rows));
      const each = wide.length / inputs;
      if (aims.length !== each * targets)
        throw new RowRefusal(
          "data/shape",
          rows,
          `expected as many rows of y as of x, ${each}, got ${aims.length / targets}.`,
        );
      await xs.appendFile(new Uint8Array(wide.buffer));
      await ys.appendFile(new Uint8Array(aims.buffer));
      rows += each;
    }
  } finally {
    await Promise.all([xs.close(), ys.close()]);
  }
  if (inputs === null || targets === null || rows === 0)
    return refuseAs("fileRows", "rows", "none", "Check how the data were loaded.", "data/empty");
  return { folder, rows, inputs, targets };
}

async function* entriesOf(source: unknown): AsyncGenerator<unknown> {
  const batches = source as Partial<Batches> | null;
  if (typeof batches?.iterator === "function") {
    const iterator = await batches.iterator();
    for (let next = await iterator.next(); !next.done; next = await iterator.next()) yield next.value;
    return;
  }
  const pair = source as { readonly x?: unknown; readonly y?: unknown } | null;
  if (typeof pair === "object" && pair?.x !== undefined && pair.y !== undefined) {
    refuseFlat(pair);
    // Tensors are the caller's, and are not disposed as those of a batch are.
    yield { x: await kept(pair.x), y: await kept(pair.y) };
    return;
  }
  yield* iterableOf(source);
}

async function kept(values: unknown): Promise<unknown> {
  if (!isTensor(values)) return values;
  return { shape: values.shape, data: () => values.data() };
}

/** Numbers of a row, by the first that came. */
function widthOf(name: string, values: unknown, row: number): number {
  const width = firstWidth(values);
  if (width > 0) return width;
  throw new RowRefusal(
    "data/shape",
    row,
    `expected at least one number in ${name}, got none. Check how the data were made.`,
  );
}

function firstWidth(values: unknown): number {
  if (isTensor(values)) return values.shape.slice(1).reduce((size, extent) => size * extent, 1);
  if (typeof values === "number" || typeof values === "boolean") return 1;
  const first = Array.isArray(values) && typeof values[0] === "object" ? values[0] : values;
  return (first as ArrayLike<number> | null)?.length ?? 1;
}

/** { x: [1, 2, 3], y: [1, 2, 3] }: one row of three numbers with three targets, or three rows of one? */
function refuseFlat({ x, y }: { readonly x?: unknown; readonly y?: unknown }): void {
  if (!Array.isArray(x) || x.length < 2 || !x.every((value) => typeof value === "number")) return;
  if (!Array.isArray(y) || y.length !== x.length) return;
  throw new RowRefusal(
    "data/shape",
    null,
    `expected x and y to be arrays of rows, got ${counted(x.length, "number")} in each, which may be one row or ${x.length}. Give ` +
      `{ x: [[1], [2]], y: [[1], [2]] }, or an iterable of { x, y } of a row.`,
  );
}

function refuseSource(source: unknown): void {
  if (typeof source === "object" && source !== null) return;
  refuse(
    "fileRows",
    "a tf.data.Dataset, an iterable of { x, y }, or { x, y } of all rows",
    source,
    "Give the rows themselves.",
  );
}

async function folderIn(parent: string): Promise<string> {
  try {
    return await mkdtemp(join(parent, "rows-"));
  } catch (error) {
    const said = error instanceof Error ? error.message : String(error);
    return refuseAs("fileRows: folder", "a folder in which files can be made", said, "Make it, or name another.");
  }
}

/** What the source yields; what it throws is told with the row that was to come. */
async function* told(entries: AsyncIterable<unknown>, row: () => number): AsyncGenerator<unknown> {
  try {
    yield* entries;
  } catch (error) {
    if (error instanceof RowRefusal) throw error;
    const said = error instanceof Error ? error.message : String(error);
    throw new RowRefusal(
      "cluster/module",
      row(),
      `expected the source to yield rows, got its error "${said}". Run it by itself to see where it comes from.`,
    );
  }
}
