/** Messages on a stream: a head in JSON and float64 numbers, with their lengths before them. */

import type { Readable, Writable } from "node:stream";
import type { FitAnswer, ShardCall, ShardFacts, ShardRefusal, ShardSpec } from "../convex/sharded/index.js";
import type { ErrorCode } from "../errors.js";

/** To a worker. `only` is for who stands between: which of its shards is meant, null for all. */
export type Request =
  | { readonly open: ShardSpec }
  | { readonly call: ShardCall; readonly only?: number | null }
  | { readonly fit: FitCall }
  | { readonly start: RayStart }
  | { readonly sweep: RaySweep };

/** One fit of a sweep. */
export interface FitCall {
  readonly load: string;
  readonly index: number;
  readonly args: unknown;
}

/** To the glue of Ray: how its actors start workers. */
interface RayOrder {
  readonly command: readonly string[];
  readonly address: string | null;
  readonly patience: number;
  readonly cpus: number;
}

/** And the first request of each. */
export interface RayStart extends RayOrder {
  readonly specs: readonly ShardSpec[];
  readonly restarts: number;
}

/** Or the fits of a sweep, each of which so many workers may have. */
export interface RaySweep extends RayOrder {
  readonly load: string;
  readonly fits: readonly unknown[];
  readonly workers: number;
  readonly tries: number;
}

/** From a worker. */
export type Answer =
  | { readonly facts: ShardFacts }
  | { readonly refusal: ShardRefusal }
  | { readonly fit: FitAnswer }
  /** From the glue of Ray, of a fit that a worker did not answer. */
  | { readonly lost: { readonly index: number; readonly tries: number; readonly why: string } }
  | { readonly silent: { readonly index: number; readonly tries: number } }
  | { readonly stale: boolean; readonly pid: number }
  /** From who stands between, of a worker that gives no answer. */
  | { readonly gone: { readonly code: ErrorCode; readonly shard: number; readonly why: string } };

export interface Frame<Head> {
  readonly head: Head;
  readonly payload: Float64Array;
}

/** [4 bytes: length of the head][4 bytes: nothing][8 bytes: length of the numbers], little-endian as the numbers are. */
const LEAD = 16;
const WORD = 8;

export function send(stream: Writable, head: Request | Answer, payload: Float64Array = new Float64Array(0)): void {
  const json = Buffer.from(JSON.stringify(head));
  // So that the numbers begin at a multiple of their size.
  const padded = Buffer.alloc(Math.ceil(json.length / WORD) * WORD, " ");
  json.copy(padded);
  const lead = Buffer.alloc(LEAD);
  lead.writeUInt32LE(padded.length, 0);
  lead.writeBigUInt64LE(BigInt(payload.byteLength), WORD);
  stream.write(Buffer.concat([lead, padded]));
  if (payload.length > 0) stream.write(Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength));
}

/** Calls back with each whole frame. */
export function receive<Head>(stream: Readable, each: (frame: Frame<Head>) => void): void {
  const lead = Buffer.alloc(LEAD);
  let body: Buffer | null = null;
  let have = 0;
  stream.on("data", (chunk: Buffer) => {
    for (let at = 0; at < chunk.length; ) {
      const into: Buffer = body ?? lead;
      const taken = Math.min(into.length - have, chunk.length - at);
      chunk.copy(into, have, at, at + taken);
      have += taken;
      at += taken;
      if (have < into.length) return;
      have = 0;
      if (body === null) {
        body = Buffer.allocUnsafeSlow(lead.readUInt32LE(0) + Number(lead.readBigUInt64LE(WORD)));
        continue;
      }
      const whole: Buffer = body;
      body = null;
      const start = lead.readUInt32LE(0);
      const payload = new Float64Array(whole.buffer, whole.byteOffset + start, (whole.length - start) / WORD);
      each({ head: JSON.parse(whole.toString("utf8", 0, start)) as Head, payload });
    }
  });
}
