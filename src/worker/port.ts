/** Messages to and from a worker, alike for Web Workers and Node's worker_threads. */

/** A Worker, a worker's own global scope, or a MessagePort; of the page or of Node. */
export interface WorkerPort {
  postMessage(message: unknown, transfer: ArrayBuffer[]): void;
  addEventListener?(type: string, listener: EventListener): void;
  removeEventListener?(type: string, listener: EventListener): void;
  on?(type: string, listener: (value: unknown) => void): unknown;
  off?(type: string, listener: (value: unknown) => void): unknown;
  /** Of Node's Worker: -1 once it has ended. */
  readonly threadId?: number;
}

/** Calls back with what each event of a type carries ("exit" is Node's only); the answer ends that. */
export function listen(
  port: WorkerPort,
  type: "message" | "error" | "exit",
  hear: (value: unknown) => void,
): () => void {
  // Node's Worker and parentPort have `on`, which hands over the value itself and starts the port.
  if (port.on !== undefined) {
    port.on(type, hear);
    return () => void port.off?.(type, hear);
  }
  const unwrap = (event: Event) => hear(type === "message" ? (event as MessageEvent).data : event);
  port.addEventListener?.(type, unwrap);
  return () => port.removeEventListener?.(type, unwrap);
}

/** Whether a worker still runs: its script may fail before the first fit, so this listens from the first trainer on. */
export class PortHealth {
  /** Whether it has ever heard an order: from then on a long silence is work. */
  heard = false;
  private failure: string | null = null;
  private readonly listeners = new Set<(why: string) => void>();

  constructor(private readonly port: WorkerPort) {
    listen(port, "error", (event) =>
      this.fail((event as { message?: string } | null)?.message ?? "an error without a message"),
    );
    listen(port, "exit", () => this.fail(ENDED));
  }

  /** Calls at once when it has failed already; the answer ends the listening. */
  onFailure(hear: (why: string) => void): () => void {
    if (this.port.threadId === -1) this.fail(ENDED);
    if (this.failure !== null) hear(this.failure);
    this.listeners.add(hear);
    return () => this.listeners.delete(hear);
  }

  private fail(why: string): void {
    this.failure ??= why;
    for (const hear of this.listeners) hear(this.failure);
  }
}

const ENDED = "the end of the worker";

const healths = new WeakMap<WorkerPort, PortHealth>();

/** One for all trainers of a worker. */
export function healthOf(port: WorkerPort): PortHealth {
  const health = healths.get(port) ?? new PortHealth(port);
  healths.set(port, health);
  return health;
}
