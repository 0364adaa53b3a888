/** A driver's state as bytes, from which another driver goes on as if it were the same. */

import { counted } from "../../arguments.js";
import { ConvexError } from "../../errors.js";
import { concatenated } from "../linear/vectors.js";
import type { ConvexProgram } from "../types.js";
import type { StochasticIterate } from "./batches/stochastic.js";
import type { KeptCuts } from "./cones/cuts.js";
import type { NewtonIterate } from "./cones/newton.js";
import type { Anchor, RowSums } from "./crew.js";
import type { Iterate } from "./fista.js";
import type { Best } from "./judge.js";
import { checksumOf } from "./rows.js";

/** Where a driver keeps its state: a file (`fileCheckpoint` of tfjs-convex/sharded), or whatever else keeps bytes. */
export interface Checkpoint {
  /** What was written last; null where nothing was. */
  read(): Promise<Uint8Array | null>;
  /** Writes all or nothing: a driver may be killed meanwhile. */
  write(bytes: Uint8Array): Promise<void>;
}

/** Where a solver stands. */
export type Standing = Iterate | NewtonIterate | StochasticIterate;

/** What is kept: where the solver stands, the best point, the gaps of all rounds so far, and the rows of cones that are known. */
export interface Kept {
  readonly iterate: Standing;
  readonly best: Best;
  readonly gaps: readonly number[];
  readonly cuts: KeptCuts | null;
  /** What the shards' loss rests on where it has kinks. */
  readonly anchors: readonly Anchor[];
}

const FORMAT = 5;

export type SolverName = "newton" | "fista" | "stochastic";

/** What a state is of: another program, another solver, or other rows, have another key. */
export function checkpointKey(crew: RowSums, program: ConvexProgram, solver: SolverName): string {
  const { gates, loss, penalty, beta, outputBias, X, cones } = program;
  const rows = crew.facts.map(({ rows: count, checksum }) => `${count}:${checksum.toString(16)}`);
  const generators = checksumOf([gates.generators.data]).toString(16);
  const charges = [penalty.name, cones ? "cones" : "no cones", beta, outputBias?.ridge ?? "none"];
  const parts = [solver, loss.name, loss.outputs, ...charges, X.cols, gates.count];
  return [...parts, generators, ...rows].join(" ");
}

export function toBytes(key: string, { iterate, best, gaps, cuts, anchors }: Kept): Uint8Array {
  const { before, blocks, biasBefore, bias, ...rest } = iterate;
  // JSON writes the shortest decimal that reads back as the same number.
  const known = { primal: best.primal, dual: String(best.dual), gaps, cuts: cuts?.counts ?? null };
  const taus = anchors.map(({ tau }) => tau);
  const head = JSON.stringify({ format: FORMAT, key, rest, size: blocks.length, taus, ...known });
  const text = new TextEncoder().encode(head);
  const rows = cuts?.rows ?? new Float64Array(0);
  const points = anchors.map(({ point }) => point);
  const numbers = concatenated(before, blocks, biasBefore, bias, best.blocks, best.bias, ...points, rows);
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
  const { size, taus } = head;
  const [b, c] = [2 * size, 2 * size + 2 * C];
  const first = c + size + C;
  const each = (head.cuts === null ? size : size / 2) + C; // shards multiply v - w
  const anchors = taus.map((tau, k) => ({ tau, point: numbers.slice(first + k * each, first + (k + 1) * each) }));
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
      bias: numbers.slice(c + size, c + size + C),
    },
    gaps: head.gaps,
    cuts: head.cuts === null ? null : { counts: head.cuts, rows: numbers.slice(first + taus.length * each) },
    anchors,
  };
}

type Vectors = "before" | "blocks" | "biasBefore" | "bias";

interface Head {
  readonly format: number;
  readonly key: string;
  /** The numbers of a standing; those of the program's solver, as the key says. */
  readonly rest: Omit<Iterate, Vectors> | Omit<NewtonIterate, Vectors> | Omit<StochasticIterate, Vectors>;
  readonly primal: number;
  readonly dual: string; // JSON knows no infinity
  readonly size: number; // of the blocks
  readonly gaps: readonly number[];
  readonly cuts: readonly number[] | null;
  readonly taus: readonly number[]; // of the anchors
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
      `checkpoint: expected the state that a fit wrote, got ${counted(bytes?.length ?? 0, "byte")} of something else. Remove it to begin anew.`,
    );
  }
}
