/** What the driver of a sharded fit wants of whoever runs its shards: the same call to all of them, and the sum of their answers. */

import { ConvexError, type ErrorCode } from "../../errors.js";
import type { LossName } from "../types.js";

/** Which rows a shard holds, and what is to be made of them: all that a worker has to know to begin, or to begin again. */
export interface ShardSpec {
  readonly shard: number; // from 0
  readonly shards: number;
  /** URL of the module that yields the rows. */
  readonly load: string;
  /** What that module is told beside the number of the shard. */
  readonly args: unknown;
  readonly inputs: number; // columns of x
  readonly outputs: number; // C
  readonly loss: LossName;
  /** How the module gives targets: as the loss has them, as the number of a class, or as 0 and 1 for -1 and 1. */
  readonly labels: "as the loss has them" | "classes" | "zero or one";
  readonly threads: number;
}

/** What is known of a shard once its rows are there. */
export interface ShardFacts {
  readonly rows: number;
  readonly longest: number; // the largest Euclidean norm of a row
  readonly checksum: number; // of rows and targets, 32 bits
  readonly pid: number; // of the process that holds them
  readonly engine?: string; // that multiplies there, by its name
}

/** Why a shard could not begin: the row of its own, where it is one, and the half sentence that follows "shard 3, row 17: ". */
export interface ShardRefusal {
  readonly code: ErrorCode;
  readonly row: number | null;
  readonly text: string;
}

/**
 * What shards are asked for. Those that go on from a state carry its `version`, and whether the product before was taken: so a call that is
 * repeated does no harm, and a shard that was started again answers that it is stale.
 */
export type ShardCall =
  | { readonly op: "echo" }
  | { readonly op: "patterns"; readonly biasColumn: number; readonly offsets: readonly number[] }
  | {
      readonly op: "bind";
      readonly biasColumn: number;
      readonly total: number; // rows of all shards
      readonly checksums: readonly number[];
      readonly anchors: number; // that stay, of those that there have to be
    }
  | { readonly op: "anchor"; readonly index: number; readonly tau: number }
  | { readonly op: "totals" }
  | (Dealing & { readonly op: "moments" })
  | (Dealing & { readonly op: "pairs"; readonly from: number; readonly to: number }) // gates
  | { readonly op: "resume"; readonly version: number; readonly pull: number }
  | { readonly op: "power" }
  | (OneBatch & { readonly op: "batchPower" })
  | { readonly op: "network"; readonly units: number; readonly biasColumn: number; readonly gated: boolean }
  | { readonly op: "reach"; readonly count: number } // vectors
  | { readonly op: "rows"; readonly count: number; readonly each: number } // rows of each vector
  | { readonly op: "aside" }
  | { readonly op: "squares" }
  | { readonly op: "layer"; readonly units: number; readonly gated: boolean; readonly tau: number }
  | (FromState & { readonly op: "advance"; readonly pull: number })
  | ((FromState | Aside) & { readonly op: "bias" | "judge" | "conjugates" | "truth" })
  // With an offset of the bias [C] at the beginning of the payload:
  | (Aside & Bend & { readonly op: "weights" })
  | (Aside & Bend & Span & { readonly op: "curvature" })
  | (Aside & { readonly op: "along"; readonly strides: readonly number[] })
  | (Aside & OneBatch & { readonly op: "turn" });

/** How rows are dealt into folds by their numbers among all rows; `offsets`: of the first row of each shard. */
export interface Dealing {
  readonly folds: number;
  readonly seed: number;
  readonly offsets: readonly number[];
}

/** One of so many batches into which rows are dealt by their numbers among all rows; `offsets`: of the first row of each shard. */
export interface OneBatch {
  readonly batch: number;
  readonly batches: number;
  readonly offsets: readonly number[];
}

/** A call about the point of the last "aside", whatever the state is. */
export interface Aside {
  readonly aside: true;
}

/** Which second derivatives: of two outputs, or, where `bound` says so, of one, a diagonal above the Hessian. */
export interface Bend {
  readonly output: number;
  readonly other: number;
  readonly bound: boolean;
  /** Of the loss's curvature: no row bends less, by one output. */
  readonly least: number;
}

/** Of so many gates those of [from, to), each with all before it and itself. */
export interface Span {
  readonly gates: number;
  readonly from: number;
  readonly to: number;
}

/** A call that goes on from a state. */
export interface FromState {
  readonly version: number;
  readonly commit: boolean; // whether the product of the last "advance" is the state's
}

/** A call and the numbers that go with it. */
export interface ShardMessage {
  readonly call: ShardCall;
  readonly payload: Float64Array;
}

/**
 * Shards somewhere: processes of this machine, actors of an engine, or whatever else holds rows and answers calls. Those that there are,
 * `local` and `ray`, come from "tfjs-convex/sharded".
 */
export interface Cluster {
  readonly name: string;
  /**
   * Starts a worker for every spec and has it read its rows. Rejects, with nothing left running, when one can't.
   */
  open(specs: readonly ShardSpec[]): Promise<readonly ShardFacts[]>;
  /**
   * The sum of all shards' answers, added in the order of the shards, so that it is the same to the last bit every time. A shard that
   * answers that it is stale is asked what `restore` says first, and then again.
   */
  sum(message: ShardMessage, restore: () => readonly ShardMessage[]): Promise<Float64Array>;
  /**
   * Runs the fits of a sweep, so many at a time, each by a worker that may have done others before; that of a worker that is lost is done
   * again. Ends its workers, however it ends. A cluster without it has no sweeps.
   */
  run?(order: SweepOrder): Promise<void>;
  /** Workers that were lost and started again. */
  readonly restarts: number;
  /** Processes that hold rows now, in the order of the shards. */
  readonly pids: readonly number[];
  /** Ends all workers; safe to call twice. */
  close(): Promise<void>;
}

/** The fits of a sweep. */
export interface SweepOrder {
  /** URL of the module whose `fit` does one. */
  readonly load: string;
  /** What that function gets. */
  readonly fits: readonly unknown[];
  readonly workers: number; // at a time
  /** Ends it; fits that are not done are not told of. */
  readonly signal: AbortSignal;
  readonly onAnswer: (answer: FitAnswer) => void;
}

/** How a fit of a sweep ended: one of `done`, what structured cloning wrote, in base 64, and `failed`. */
export interface FitAnswer {
  readonly index: number;
  readonly tries: number; // workers that had it
  readonly done?: string;
  readonly failed?: { readonly code: ErrorCode; readonly text: string };
}

/** Workers that a fit of a sweep may lose. */
export const MOST_WORKERS_LOST = 3;

/** What is told of a fit that took its workers with it. */
export function fitLost(index: number, tries: number, why: string): FitAnswer {
  const text =
    `expected a worker that lives, got ${tries} that were lost one after another: ${why}. Look at what they printed; one that needs ` +
    `too much memory is killed: use fewer workers.`;
  return { index, tries, failed: { code: "cluster/lost", text } };
}

/** And of one of which nothing is heard. */
export function fitSilent(index: number, tries: number, seconds: number): FitAnswer {
  const text = `expected an answer within ${seconds} s, got none. Raise patience where a fit takes longer, or give it a timeLimit.`;
  return { index, tries, failed: { code: "cluster/silent", text } };
}

/** What a shard answers; `payload` is empty for one that is stale. */
export interface ShardAnswer {
  readonly stale: boolean;
  readonly payload: Float64Array;
}

/** Asks some shards (null: all of them) one thing, and answers in their order. */
export type AskShards = (message: ShardMessage, only: number | null) => Promise<readonly ShardAnswer[]>;

/** `Cluster.sum` for an adapter that can ask. */
export async function summed(
  ask: AskShards,
  message: ShardMessage,
  restore: () => readonly ShardMessage[],
): Promise<Float64Array> {
  const answers = await ask(message, null);
  const whole = await Promise.all(answers.map((answer, shard) => fresh(ask, message, restore, answer, shard)));
  const sum = whole[0].slice();
  for (const part of whole.slice(1)) for (let k = 0; k < sum.length; k++) sum[k] += part[k];
  return sum;
}

/** Losses of the same shard in the course of one call after which it is given up. */
const MOST_TRIES = 10;

async function fresh(
  ask: AskShards,
  message: ShardMessage,
  restore: () => readonly ShardMessage[],
  first: ShardAnswer,
  shard: number,
): Promise<Float64Array> {
  let answer = first;
  for (let tries = 0; answer.stale; tries++) {
    if (tries === MOST_TRIES) throw lostTooOften(shard, tries);
    for (const step of restore()) await ask(step, shard);
    [answer] = await ask(message, shard);
  }
  return answer.payload;
}

/** The error of a shard whose workers do not live. */
export function lostTooOften(shard: number, times: number): ConvexError {
  return new ConvexError(
    "cluster/lost",
    `shard ${shard}: expected a worker that lives, got ${times} that were lost one after another. Look at what they printed; a shard ` +
      `that is too large for its machine is killed: cut the rows into more shards.`,
  );
}

/** The error of a shard of which nothing is heard. */
export function silentShard(shard: number, seconds: number, why = ""): ConvexError {
  return new ConvexError(
    "cluster/silent",
    `shard ${shard}: expected an answer of its worker within ${seconds} s, got none.${why} Raise patience where its rows take ` +
      `longer to read, or see why it does not come.`,
  );
}

/** The facts of all shards, or the error of the first that has none, with the number of its row among all rows. */
export function allFacts(answers: readonly (ShardFacts | ShardRefusal)[]): readonly ShardFacts[] {
  let before = 0;
  return answers.map((answer, shard) => {
    if (!("rows" in answer)) throw refusedBy(shard, answer, before);
    before += answer.rows;
    return answer;
  });
}

/** What a shard refuses; `before`: the rows of the shards before it, where these are known. */
export function refusedBy(shard: number, { code, row, text }: ShardRefusal, before = 0): ConvexError {
  return new ConvexError(code, `${placeOf(shard, row, before)}: ${text}`);
}

function placeOf(shard: number, row: number | null, before: number): string {
  if (row === null) return `shard ${shard}`;
  return `shard ${shard}, row ${row}${before === 0 ? "" : ` (row ${before + row} of all)`}`;
}
