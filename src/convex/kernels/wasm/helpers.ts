/**
 * Helper threads of the WASM engine: workers made from a source in this file, so that bundlers need not know of them.
 *
 * A helper sleeps in the module's `serve` until there is a job, and ends by itself after ten seconds without one. Starting one
 * does not wait for it: the first jobs run without. They never keep a process of Node alive.
 */

import type { WasmHeap } from "./heap.js";

/** Starts a helper; `gone` hears of its end, with a reason when it is not its own. */
type StartHelper = (data: HelperData, gone: (why: string | null) => void) => { terminate(): unknown };

interface HelperData {
  readonly module: WebAssembly.Module;
  readonly memory: WebAssembly.Memory;
  readonly thread: number;
  readonly workspace: number; // address
}

/** The words of assembly/threads.ts, in 32-bit integers. */
const SHARED = 1024 >> 2;
const SEQUENCE = SHARED;
const JOINED = SHARED + 6;
const LIVE = SHARED + 7;
const STOP = SHARED + 8;

export class HelperPool {
  private readonly running = new Map<number, { terminate(): unknown }>();
  private readonly work = new Map<number, number>(); // work space of each thread that there ever was
  /** Why a helper could not start or broke; there are no new ones then. */
  failure: string | null = null;

  constructor(
    private readonly start: StartHelper,
    private readonly module: WebAssembly.Module,
    private readonly heap: WasmHeap,
    private readonly room: number, // doubles of a work space
  ) {}

  /** Starts helpers until there are `count`, without waiting for them. */
  ask(count: number): void {
    for (let thread = 1; thread <= count && this.failure === null; thread++) {
      if (!this.running.has(thread)) this.begin(thread);
    }
  }

  /** Threads that have worked since the last call, the caller's included, as bits. */
  joined(): number {
    return Atomics.exchange(this.words(), JOINED, 1);
  }

  /** Helpers that listen. */
  live(): number {
    return Atomics.load(this.words(), LIVE);
  }

  /** Ends all helpers; the next `ask` starts new ones. */
  async close(): Promise<void> {
    const words = this.words();
    Atomics.store(words, STOP, 1);
    Atomics.add(words, SEQUENCE, 1);
    Atomics.notify(words, SEQUENCE);
    while (Atomics.load(words, LIVE) > 0) await new Promise((resolve) => setTimeout(resolve));
    // One that was still starting could otherwise be ended in the middle of a job.
    await Promise.all([...this.running.values()].map((helper) => helper.terminate()));
    this.running.clear();
    Atomics.store(words, STOP, 0);
  }

  private begin(thread: number): void {
    const { module } = this;
    const { memory } = this.heap;
    try {
      const workspace = this.work.get(thread) ?? this.heap.take(this.room, true);
      this.work.set(thread, workspace);
      const helper = this.start({ module, memory, thread, workspace }, (why) => {
        if (this.running.get(thread) !== helper) return;
        this.running.delete(thread);
        this.failure ??= why;
      });
      this.running.set(thread, helper);
    } catch (error) {
      this.failure = messageOf(error);
    }
  }

  private words(): Int32Array {
    return this.heap.integers(0, STOP + 1);
  }
}

/** How helpers are started here, or the reason why they cannot be. */
export async function openThreads(): Promise<StartHelper | string> {
  if (typeof SharedArrayBuffer === "undefined" || globalThis.crossOriginIsolated === false) {
    return "threads want a page that is cross-origin isolated";
  }
  try {
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 1);
  } catch {
    return "a page's own thread may not wait for others; in a worker there are more";
  }
  if (isNode()) return startThread(await nodeModule<NodeThreads>("worker_threads"));
  return typeof Worker === "undefined" ? "there are no workers here" : startWorker;
}

/** Threads that the host runs side by side. */
export async function hostThreads(): Promise<number> {
  const browser = globalThis.navigator?.hardwareConcurrency;
  if (browser !== undefined) return browser;
  if (!isNode()) return 1;
  const { availableParallelism, cpus } = await nodeModule<NodeSystem>("os");
  return availableParallelism?.() ?? cpus().length;
}

const SERVE = `
const serve = ({ module, memory, thread, workspace }) =>
  new WebAssembly.Instance(module, { env: { memory, abort() {} } }).exports.serve(thread, workspace);
`;
const IN_NODE = `${SERVE} serve(require("node:worker_threads").workerData);`;
const IN_PAGE = `${SERVE} onmessage = ({ data }) => { postMessage("begin"); serve(data); postMessage("end"); close(); };`;

function startThread({ Worker }: NodeThreads): StartHelper {
  return (data, gone) => {
    // Without the flags of this process, which may load a compiler in every thread.
    const helper = new Worker(IN_NODE, { eval: true, workerData: data, execArgv: [] });
    helper.unref();
    helper.on("error", (error) => gone(messageOf(error)));
    helper.on("exit", () => gone(null));
    return helper;
  };
}

const startWorker: StartHelper = (data, gone) => {
  const url = URL.createObjectURL(new Blob([IN_PAGE], { type: "text/javascript" }));
  const helper = new Worker(url);
  helper.onerror = (event) => {
    event.preventDefault();
    URL.revokeObjectURL(url);
    gone(event.message || "workers from blobs are forbidden here");
  };
  helper.onmessage = ({ data: stage }) => {
    if (stage === "begin") URL.revokeObjectURL(url);
    else gone(null);
  };
  helper.postMessage(data);
  return helper;
};

function isNode(): boolean {
  return typeof process !== "undefined" && process.versions?.node !== undefined;
}

/** What is used of Node's modules. */
interface NodeSystem {
  availableParallelism?(): number;
  cpus(): readonly unknown[];
}
interface NodeThreads {
  readonly Worker: new (code: string, settings: object) => NodeWorker;
}
interface NodeWorker {
  unref(): void;
  on(event: "error", hear: (error: unknown) => void): unknown;
  on(event: "exit", hear: () => void): unknown;
  terminate(): unknown;
}

/** By a computed name, which no bundler follows. */
function nodeModule<T>(name: string): Promise<T> {
  const full = `node:${name}`;
  return import(/* @vite-ignore */ /* webpackIgnore: true */ full);
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
