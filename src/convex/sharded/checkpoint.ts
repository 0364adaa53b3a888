/** A driver's state as bytes, from which another driver goes on as if it were the same. */

import { ConvexError } from "../../errors.js";
import { concatenated } from "../linear/vectors.js";
import type { ConvexProgram } from "../types.js";
import type { RowSums } from "./crew.js";
import type { Iterate } from "./fista.js";
import { checksumOf } from "./rows.js";

/** Where a driver keeps its state: a file (`fileCheckpoint` of tfjs-convex/sharded), or whatever else keeps bytes. */
export interface Checkpoint {
  /** What was written last; null where nothing was. */
  read(): Promise<Uint8Array | null>;
  /** Writes all or nothing: a driver may be killed meanwhile. */
  write(bytes: Uint8Array): Promise<void>;
}

/** The best that was seen. */
export interface Best {
  readonly primal: number;
  readonly dual: number;
  readonly blocks: Float64Array; // [P x C x d]
  readonly bias: Float64Array; // [C]
}

/** What is kept: the iterate, the best point, and the gaps of all rounds so far. */
export interface Kept {
  readonly iterate: Iterate;
  readonly best: Best;
  readonly gaps: readonly number[];
}

const FORMAT = 1;

/** What a state is of: another program, or other rows, have another key. */
export function checkpointKey(crew: RowSums, program: ConvexProgram): string {
  const { gates, loss, penalty, beta, outputBias, X } = program;
  const rows = crew.facts.map(({ rows: count, checksum }) => `${count}:${checksum.toString(16)}`);
  const generators = checksumOf([gates.generators.data]).toString(16);
  const parts = [loss.name, loss.outputs, penalty.name, beta, outputBias?.ridge ?? "none", X.cols, gates.count];
  return [...parts, generators, ...rows].join(" ");
}

export function toBytes(key: string, { iterate, best, gaps }: Kept): Uint8Array {
  const { before, blocks, biasBefore, bias, ...rest } = iterate;
  // JSON writes the shortest decimal that reads back as the same number.
  const head = JSON.stringify({ format: FORMAT, key, rest, primal: best.primal, dual: String(best.dual), gaps });
  const text = new TextEncoder().encode(head);
  const numbers = concatenated(before, blocks, biasBefore, bias, best.blocks, best.bias);
  const bytes = new Uint8Array(4 + text.length + numbers.byteLength);
  new DataView(bytes.buffer).setUint32(0, text.length, true);
  bytes.set(text, 4);
  bytes.set(new Uint8Array(numbers.buffer), 4 + text.length);
  return bytes;
}

/** @throws ConvexError "options/value" for bytes that are no state, or one of another fit. */
export function fromBytes(key: string, bytes: Uint8Array, C: number): Kept {
  const { head, numbers } = parsed(bytes);
  if (head.key !== key) {
    throw new ConvexError(
      "options/value",
      `checkpoint: expected the state of this fit, got one of other rows, gates or options. Remove it to begin anew.`,
    );
  }
  const size = (numbers.length - 3 * C) / 3;
  const [b, c] = [2 * size, 2 * size + 2 * C];
  return {
    iterate: {
      ...head.rest,
      before: numbers.slice(0, size),
      blocks: numbers.slice(size, b),
      biasBefore: numbers.slice(b, b + C),
      bias: numbers.slice(b + C, c),
    },
    best: {
      primal: head.primal,
      dual: Number(head.dual),
      blocks: numbers.slice(c, c + size),
      bias: numbers.slice(c + size),
    },
    gaps: head.gaps,
  };
}

interface Head {
  readonly format: number;
  readonly key: string;
  readonly rest: Pick<Iterate, "version" | "pull" | "momentum" | "step" | "biasScale">;
  readonly primal: number;
  readonly dual: string; // JSON knows no infinity
  readonly gaps: readonly number[];
}

function parsed(bytes: Uint8Array): { head: Head; numbers: Float64Array } {
  try {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const end = 4 + view.getUint32(0, true);
    const head = JSON.parse(new TextDecoder().decode(bytes.subarray(4, end))) as Head;
    if (head.format !== FORMAT) throw new Error("another format");
    // A copy of its own: the slice of a Buffer is a view.
    return { head, numbers: new Float64Array(Uint8Array.from(bytes.subarray(end)).buffer) };
  } catch {
    throw new ConvexError(
      "options/value",
      `checkpoint: expected the state that a fit wrote, got ${bytes?.length} bytes that are none. Remove it to begin anew.`,
    );
  }
}
