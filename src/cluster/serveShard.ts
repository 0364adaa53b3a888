/** A shard behind stdin and stdout: what any engine that can start a process can run. */

import { referenceKernels } from "../convex/kernels/cpu.js";
import { wasmKernels } from "../convex/kernels/wasm/index.js";
import {
  factsOf,
  gatherRows,
  moduleFailed,
  RowRefusal,
  Shard,
  type ShardRefusal,
  type ShardSpec,
} from "../convex/sharded/index.js";
import { type Answer, type Frame, type Request, receive, send } from "./frames.js";

/** What a module of rows exports, under the name `rows` or as its default. */
type RowsOf = (which: { readonly shard: number; readonly shards: number; readonly args: unknown }) => unknown;

/**
 * Serves one shard on stdin and stdout until stdin ends. What else is printed in this process goes to stderr.
 */
export function serveShard(): void {
  const { stdout } = process;
  const write = stdout.write.bind(stdout);
  const answers = Object.assign(Object.create(stdout), { write }) as typeof stdout;
  stdout.write = process.stderr.write.bind(process.stderr) as typeof stdout.write;
  let shard: Shard | null = null;
  let turn: Promise<void> = Promise.resolve();
  const take = async ({ head, payload }: Frame<Request>) => {
    try {
      if ("open" in head) {
        const opened = await open(head.open);
        shard = opened.shard;
        send(answers, opened.answer);
      } else if ("call" in head) {
        const answer = shard?.answer(head.call, payload) ?? null;
        send(answers, { stale: answer === null, pid: process.pid }, answer ?? undefined);
      }
    } catch (error) {
      send(answers, { refusal: refusalOf(error) });
    }
  };
  receive<Request>(process.stdin, (frame) => {
    turn = turn.then(() => take(frame));
  });
  process.stdin.on("end", () => process.exit(0));
}

async function open(spec: ShardSpec): Promise<{ shard: Shard; answer: Answer }> {
  const rows = await gatherRows(await rowsOf(spec), spec);
  const kernels = await wasmKernels(spec.threads).catch(() => referenceKernels);
  return { shard: new Shard(spec, rows, kernels), answer: { facts: factsOf(rows, spec.inputs, process.pid) } };
}

async function rowsOf({ load, shard, shards, args }: ShardSpec): Promise<unknown> {
  const module = (await import(load)) as { readonly rows?: RowsOf; readonly default?: RowsOf };
  const make = module.rows ?? module.default;
  if (typeof make === "function") return make({ shard, shards, args });
  throw new RowRefusal(
    "cluster/module",
    null,
    `expected ${load} to export a function "rows", got ${typeof make}. Export async function* rows({ shard, shards }).`,
  );
}

function refusalOf(error: unknown): ShardRefusal {
  const { code, row, text } = error instanceof RowRefusal ? error : moduleFailed(error, null);
  return { code, row, text };
}
