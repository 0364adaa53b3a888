/** Shards as actors of Ray, which places them, starts them again, and moves them to other machines. */

import { type ChildProcessByStdio, spawn } from "node:child_process";
import type { Readable, Writable } from "node:stream";
import { count, optional, positive, refuse, refuseUnknown } from "../arguments.js";
import {
  allFacts,
  type Cluster,
  type FitAnswer,
  fitLost,
  fitSilent,
  MOST_WORKERS_LOST,
  refusedBy,
  type ShardAnswer,
  type ShardFacts,
  type ShardMessage,
  type ShardSpec,
  type SweepOrder,
  silentShard,
  summed,
} from "../convex/sharded/index.js";
import { ConvexError } from "../errors.js";
import { type Answer, type Frame, type Request, receive, send } from "./frames.js";
import { MOST_SECONDS, PATIENCE } from "./patience.js";
import { commandOf, type ShardProgram } from "./program.js";
import { RAY_GLUE } from "./rayGlue.js";
import { secondUse } from "./secondUse.js";

export interface RayOptions {
  /** Of a Ray that runs, such as "10.0.0.1:6379"; default the environment's RAY_ADDRESS, and without one a Ray of this machine alone. */
  readonly address?: string;
  /** A Python in which `import ray` works; default "python3". */
  readonly python?: string;
  /** CPUs that Ray reserves for a shard; default 1. */
  readonly cpusPerShard?: number;
  /** How often Ray may start the actor of a shard again; default 20. */
  readonly restarts?: number;
  /** Seconds to wait for actors to be placed and read their rows, and for an answer; default 600. A fit of a sweep has as long as it takes, unless this is given. */
  readonly patience?: number;
  /** How workers are started on the machines of Ray. */
  readonly program?: ShardProgram;
}

const NAMES = ["address", "python", "cpusPerShard", "restarts", "patience", "program"];
const RESTARTS = 20;
/** Seconds that Ray itself may take to start, or to say that an actor is silent. */
const RAY_SECONDS = 120;
/** Of what the glue prints to stderr, the last characters are kept, for the error of a Ray that does not start. */
const KEPT = 4000;

/**
 * Actors of Ray, one a shard, each with a Node process: `pip install "ray[default]"` on every machine, and this package at the same place.
 *
 * @throws ConvexError "options/unknown" or "options/value".
 */
export function ray(options: RayOptions = {}): Cluster {
  refuseUnknown("ray", options, NAMES);
  const text = (name: "address" | "python") =>
    optional(options[name], (value) => (typeof value === "string" ? value : refuse(`ray: ${name}`, "a string", value)));
  const patience = optional(options.patience, (value) => positive("ray: patience", value));
  return new RayCluster({
    command: commandOf(options.program ?? {}),
    address: text("address"),
    python: text("python") ?? "python3",
    cpus: optional(options.cpusPerShard, (value) => positive("ray: cpusPerShard", value)) ?? 1,
    restarts: optional(options.restarts, (value) => count("ray: restarts", value)) ?? RESTARTS,
    patience: patience ?? PATIENCE,
    patienceOfFits: patience ?? MOST_SECONDS,
  });
}

interface Settings {
  readonly command: readonly string[];
  readonly address: string | null;
  readonly python: string;
  readonly cpus: number;
  readonly restarts: number;
  readonly patience: number;
  readonly patienceOfFits: number;
}

interface Waiting {
  readonly frames: Frame<Answer>[];
  readonly wanted: number;
  readonly resolve: (frames: Frame<Answer>[]) => void;
  readonly reject: (error: ConvexError) => void;
}

class RayCluster implements Cluster {
  readonly name = "ray";
  restarts = 0;
  private glue: ChildProcessByStdio<Writable, Readable, Readable> | null = null;
  private ended: Promise<void> = Promise.resolve();
  private readonly waiting: Waiting[] = [];
  private each: ((frame: Frame<Answer>) => void) | null = null; // of a sweep
  private shards = 0;
  private holders: number[] = [];

  constructor(private readonly settings: Settings) {}

  get pids(): readonly number[] {
    return this.holders;
  }

  async open(specs: readonly ShardSpec[]): Promise<readonly ShardFacts[]> {
    if (this.glue !== null) throw secondUse("ray", "fit");
    const { command, address, patience, restarts, cpus } = this.settings;
    this.shards = specs.length;
    this.startGlue();
    try {
      const frames = await this.ask({ start: { command, specs, address, patience, restarts, cpus } }, specs.length);
      const facts = allFacts(
        frames.map(({ head }) => {
          if ("facts" in head) return head.facts;
          if ("refusal" in head) return head.refusal;
          throw this.failure(head);
        }),
      );
      this.holders = facts.map(({ pid }) => pid);
      return facts;
    } catch (error) {
      await this.close();
      throw error;
    }
  }

  sum(message: ShardMessage, restore: () => readonly ShardMessage[]): Promise<Float64Array> {
    return summed((asked, only) => this.askShards(asked, only), message, restore);
  }

  async run({ load, fits, workers, signal, onAnswer }: SweepOrder): Promise<void> {
    if (this.glue !== null) throw secondUse("ray", "sweep");
    const { command, address, patienceOfFits: patience, cpus } = this.settings;
    let left = fits.length;
    this.restarts = 0;
    this.startGlue();
    const stop = () => void this.close();
    signal.addEventListener("abort", stop);
    try {
      await new Promise<void>((resolve, reject) => {
        this.waiting.push({ frames: [], wanted: Number.POSITIVE_INFINITY, resolve: () => {}, reject });
        this.each = ({ head }) => {
          try {
            const answer = this.fitOf(head);
            this.restarts += answer.tries - 1;
            onAnswer(answer);
          } catch (error) {
            reject(error); // here nobody else would catch it
          }
          left -= 1;
          if (left === 0) resolve();
        };
        const order = { command, address, patience, cpus, load, fits, workers, tries: MOST_WORKERS_LOST };
        if (this.glue !== null) send(this.glue.stdin, { sweep: order });
      });
    } finally {
      this.each = null;
      this.waiting.splice(0);
      signal.removeEventListener("abort", stop);
      await this.close();
    }
  }

  private fitOf(head: Answer): FitAnswer {
    if ("fit" in head) return head.fit;
    if ("lost" in head) return fitLost(head.lost.index, head.lost.tries, head.lost.why);
    if ("silent" in head) return fitSilent(head.silent.index, head.silent.tries, this.settings.patienceOfFits);
    throw new Error("A worker answered to a fit as to a call.");
  }

  async close(): Promise<void> {
    const { glue } = this;
    if (glue === null) return;
    this.glue = null;
    glue.stdin.end();
    const timer = setTimeout(() => glue.kill("SIGKILL"), 1000 * RAY_SECONDS);
    await this.ended;
    clearTimeout(timer);
  }

  private startGlue(): void {
    const { python } = this.settings;
    const glue = spawn(python, ["-c", RAY_GLUE], { stdio: ["pipe", "pipe", "pipe"] });
    this.glue = glue;
    let said = "";
    glue.stderr.on("data", (chunk) => {
      said = (said + chunk).slice(-KEPT);
    });
    receive<Answer>(glue.stdout, (frame) => this.take(frame));
    glue.stdin.on("error", () => {}); // its end is told by "close"
    this.ended = new Promise((resolve) => {
      const end = (why: string) => {
        const error = new ConvexError(
          "cluster/unavailable",
          `ray: expected a Python in which "import ray" works and a Ray that answers, got "${python}", which ended: ${why}. ` +
            `Install it by pip install "ray[default]", or name another by python.`,
        );
        for (const { reject } of this.waiting.splice(0)) reject(error);
        resolve();
      };
      glue.on("error", ({ message }) => end(message));
      glue.on("close", () => end(lastWords(said)));
    });
  }

  private take(frame: Frame<Answer>): void {
    if (this.each !== null) {
      this.each(frame);
      return;
    }
    const [first] = this.waiting;
    if (first === undefined) return;
    first.frames.push(frame);
    if (first.frames.length < first.wanted) return;
    this.waiting.shift();
    first.resolve(first.frames);
  }

  private ask(head: Request, wanted: number, payload?: Float64Array): Promise<Frame<Answer>[]> {
    const { glue } = this;
    if (glue === null) throw new Error("This cluster was closed.");
    let timer: NodeJS.Timeout | undefined;
    const seconds = Math.min(this.settings.patience + RAY_SECONDS, MOST_SECONDS);
    const answer = new Promise<Frame<Answer>[]>((resolve, reject) => {
      this.waiting.push({ frames: [], wanted, resolve, reject });
      timer = setTimeout(() => {
        glue.kill("SIGKILL");
        reject(silentRay(seconds));
      }, 1000 * seconds);
      send(glue.stdin, head, payload);
    });
    return answer.finally(() => clearTimeout(timer));
  }

  private async askShards({ call, payload }: ShardMessage, only: number | null): Promise<ShardAnswer[]> {
    const frames = await this.ask({ call, only }, only === null ? this.shards : 1, payload);
    return frames.map(({ head, payload: answer }, k) => {
      const shard = only ?? k;
      if ("stale" in head) {
        this.noteHolder(shard, head.pid);
        return { stale: head.stale, payload: answer };
      }
      if ("refusal" in head) throw refusedBy(shard, head.refusal);
      throw this.failure(head);
    });
  }

  /** Another process answers: the actor was started again. */
  private noteHolder(shard: number, pid: number): void {
    if (this.holders[shard] === pid) return;
    this.holders[shard] = pid;
    this.restarts += 1;
  }

  private failure(head: Answer): ConvexError {
    if (!("gone" in head)) throw new Error("A worker answered to an opening as to a call.");
    const { code, shard, why } = head.gone;
    if (code === "cluster/silent") return silentShard(shard, this.settings.patience, ` ${why}.`);
    return new ConvexError(
      code,
      `shard ${shard}: expected an actor of Ray that lives, got none: ${why}. Look at what its worker printed, in the logs of Ray.`,
    );
  }
}

/** Ray says which shard is silent; here it is Ray. */
function silentRay(seconds: number): ConvexError {
  return new ConvexError(
    "cluster/silent",
    `ray: expected answers of the shards, or Ray's word on which of them is silent, within ${seconds} s, got neither. See whether ` +
      `"ray status" answers, and raise patience where rows take longer to read.`,
  );
}

/** Of what a Python printed the line that names the error, else the last that has words. */
function lastWords(said: string): string {
  const lines = said.split("\n").reverse();
  return (
    lines.find((line) => /^\w*(Error|Exception)\b/.test(line)) ??
    lines.find((line) => /\w/.test(line)) ??
    "without a word"
  ).trim();
}
