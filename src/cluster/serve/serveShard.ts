/** A shard, or the fits of a sweep, behind stdin and stdout: what any engine that can start a process can run. */

import { referenceKernels } from "../../convex/kernels/cpu.js";
import { wasmKernels } from "../../convex/kernels/wasm/index.js";
import {
  factsOf,
  gatherRows,
  moduleFailed,
  RowRefusal,
  Shard,
  type ShardRefusal,
  type ShardSpec,
} from "../../convex/sharded/index.js";
import { type Answer, type Frame, type Request, receive, send } from "../frames.js";
import { fitted } from "./fitted.js";
import { exported } from "./userModule.js";

/** What a module of rows exports, under the name `rows` or as its default. */
type RowsOf = (which: { readonly shard: number; readonly shards: number; readonly args: unknown }) => unknown;

/**
 * Serves one shard, or fits, on stdin and stdout until stdin ends. What else is printed in this process goes to stderr.
 */
export function serveShard(): void {
  const { stdout } = process;
  const write = stdout.write.bind(stdout);
  const answers = Object.assign(Object.create(stdout), { write }) as typeof stdout;
  stdout.write = process.stderr.write.bind(process.stderr) as typeof stdout.write;
  let shard: Shard | null = null;
  let refused: ShardRefusal | null = null; // why there is none
  let turn: Promise<void> = Promise.resolve();
  const take = async ({ head, payload }: Frame<Request>) => {
    try {
      if ("open" in head) {
        const opened = await open(head.open).catch((error) => {
          refused = refusalOf(error);
          throw error;
        });
        shard = opened.shard;
        send(answers, opened.answer);
      } else if ("fit" in head) {
        send(answers, { fit: await fitted(head.fit) });
      } else if ("call" in head) {
        // Who started this worker again asks it the next thing, and did not hear why it can't.
        if (refused !== null) throw new RowRefusal(refused.code, refused.row, refused.text);
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
  return {
    shard: new Shard(spec, rows, kernels),
    answer: { facts: { ...factsOf(rows, spec.inputs, process.pid), engine: kernels.name } },
  };
}

async function rowsOf({ load, shard, shards, args }: ShardSpec): Promise<unknown> {
  const make = await exported<RowsOf>(load, "rows", "async function* rows({ shard, shards })");
  return make({ shard, shards, args });
}

function refusalOf(error: unknown): ShardRefusal {
  const { code, row, text } = error instanceof RowRefusal ? error : moduleFailed(error, null);
  return { code, row, text };
}
