/** One worker process of this machine, asked one thing after another. */

import { type ChildProcessByStdio, spawn } from "node:child_process";
import type { Readable, Writable } from "node:stream";
import { type Answer, type Frame, type Request, receive, send } from "./frames.js";
import { MOST_SECONDS } from "./patience.js";

/** A worker that ended, or was ended, before it answered. */
export class Gone extends Error {
  override readonly name = "Gone";
}

interface Waiting {
  readonly resolve: (frame: Frame<Answer>) => void;
  readonly reject: (error: Gone) => void;
}

/** What a child gets after its stdin has ended, before it is killed. */
const GRACE_MS = 1000;

export class WorkerProcess {
  private readonly child: ChildProcessByStdio<Writable, Readable, null>;
  private readonly waiting: Waiting[] = [];
  private readonly ended: Promise<void>;
  private gone: Gone | null = null;

  constructor([node, ...words]: readonly string[]) {
    this.child = spawn(node, words, { stdio: ["pipe", "pipe", "inherit"] });
    receive<Answer>(this.child.stdout, (frame) => this.waiting.shift()?.resolve(frame));
    this.child.stdin.on("error", () => {}); // its end is told by "exit"
    this.ended = new Promise((resolve) => {
      const end = (why: string) => {
        this.gone ??= new Gone(why);
        for (const { reject } of this.waiting.splice(0)) reject(this.gone);
        resolve();
      };
      this.child.on("error", ({ message }) => end(message));
      this.child.on("exit", (code, signal) =>
        end(signal === null ? `it ended with code ${code}` : `it was ended by ${signal}`),
      );
    });
  }

  get pid(): number {
    return this.child.pid ?? -1;
  }

  /** Rejects with Gone; null where `seconds` went by without an answer. */
  async ask(head: Request, payload: Float64Array | undefined, seconds: number): Promise<Frame<Answer> | null> {
    if (this.gone !== null) throw this.gone;
    let timer: NodeJS.Timeout | undefined;
    const answer = new Promise<Frame<Answer>>((resolve, reject) => {
      this.waiting.push({ resolve, reject });
      send(this.child.stdin, head, payload);
    });
    const silence = new Promise<null>((resolve) => {
      timer = setTimeout(() => resolve(null), 1000 * Math.min(seconds, MOST_SECONDS));
    });
    return Promise.race([answer, silence]).finally(() => clearTimeout(timer));
  }

  /** Lets it end by itself, then ends it; resolves once it has ended. */
  async end(graceMs = GRACE_MS): Promise<void> {
    this.child.stdin.end();
    const timer = setTimeout(() => this.child.kill("SIGKILL"), graceMs);
    await this.ended;
    clearTimeout(timer);
  }
}
