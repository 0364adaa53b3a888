/** Which engine a program runs on: the one that is asked for, or the one that is fastest for its sizes. */

import { ConvexError } from "../../errors.js";
import { referenceKernels } from "./cpu.js";
import type { OpenDevice } from "./device/index.js";
import { openGpujs } from "./gpujs/index.js";
import { openTfjs } from "./tfjs/index.js";
import { type MeasuredDevice, measured } from "./thresholds.js";
import type { EngineName, Kernels } from "./types.js";
import { wasmKernels } from "./wasm/index.js";
import { openWebgl } from "./webgl/index.js";
import { openWebgpu } from "./webgpu/index.js";

type DeviceName = Exclude<EngineName, "cpu" | "wasm">;
export type EngineChoice = "auto" | EngineName;

/** Each resolves to the engine, or rejects with an Error that says why it is not there. */
const openers: Readonly<Record<DeviceName, OpenDevice>> = {
  webgl: openWebgl,
  webgpu: openWebgpu,
  gpujs: openGpujs,
  tfjs: openTfjs,
};

export const engineNames: readonly EngineChoice[] = ["auto", "cpu", "wasm", ...(Object.keys(openers) as DeviceName[])];

/**
 * Multiplications of one product, n d P C, from which "auto" looks for a GPU: a fit then takes seconds on the host, of which looking
 * for a device, and a trial on it, are less than a tenth.
 */
const DEVICE_WORK = 1e9;
/** Multiplications of a product in a trial on a device that nobody has measured: an iteration of two takes the host less than 100 ms. */
const TRIAL_WORK = 2e8;
/** Devices the "auto" looks for, the faster first. */
const SEARCHED = ["webgpu", "webgl"] as const;
/** What float32 blocks reach with room to spare; a program that asks for less stays in float64 under "auto". */
const FLOAT32_TOLERANCE = 1e-5;

/** An engine that is ready, and why it was taken. */
export interface ChosenEngine {
  readonly kernels: Kernels;
  readonly reason: string;
}

/** What decides among engines. */
export interface Workload {
  readonly rows: number; // n, or n K
  readonly width: number; // d
  readonly gates: number; // P
  readonly outputs: number; // C
  readonly tolerance: number; // relative gap that is asked for
  /** The host's products over patches are far smaller than a device's: see `keepsPooled`. */
  readonly pooledOnHost?: boolean;
  /** Threads of the engine on the host, where a number was asked for. */
  readonly threads?: number | null;
  /** Whether the program has cones, or its solver is made for devices: not every one of them keeps such blocks. */
  readonly cones: boolean;
  /** The solver that will run; only a first-order one has work for a device. */
  readonly solver: { readonly name: string; readonly firstOrder: boolean };
  /** Seconds of an iteration over so many multiplications of the program, for devices that nobody has measured. */
  readonly trial?: (kernels: Kernels, work: number) => Promise<number>;
}

/**
 * The engine that is asked for by name; for "auto" the fastest on the host, until `engineFor` knows the program. `threads` are
 * those of the WASM engine: by default as many as it finds worth while.
 *
 * @throws ConvexError "engine/unavailable" when the engine cannot run here; the message says why.
 */
export async function chooseEngine(choice: EngineChoice, threads: number | null = null): Promise<ChosenEngine> {
  switch (choice) {
    case "auto":
      return hostEngine(threads);
    case "cpu":
      return { kernels: referenceKernels, reason: "cpu: asked for" };
    case "wasm":
      try {
        return { kernels: await wasmKernels(threads ?? undefined), reason: "wasm: asked for" };
      } catch (error) {
        return unavailable(choice, `WebAssembly with SIMD is not there (${messageOf(error)})`);
      }
    default:
      try {
        const host = (await hostEngine(threads)).kernels;
        const { kernels, device } = await openers[choice](host);
        return {
          kernels,
          reason: `${choice}: asked for; float32 on ${device}, certificate in float64 by ${host.name}`,
        };
      } catch (error) {
        return unavailable(choice, messageOf(error));
      }
  }
}

/** The host's own for work before there is a program, whatever device that will be solved on. */
export async function hostKernels({
  engine,
  threads = null,
}: {
  engine?: EngineChoice;
  threads?: number | null;
}): Promise<Kernels> {
  return engine === "cpu" ? referenceKernels : (await hostEngine(threads)).kernels;
}

/**
 * The engine for one program, given what `chooseEngine` answered: "auto" looks for a GPU where the sizes are worth it, and a
 * solver that has no work for a device says so.
 */
export async function engineFor(choice: EngineChoice, chosen: ChosenEngine, work: Workload): Promise<ChosenEngine> {
  if (choice !== "auto") {
    const { iterate, iterateCones } = chosen.kernels;
    if (iterate === undefined || (work.solver.firstOrder && (!work.cones || iterateCones !== undefined))) return chosen;
    const { kernels } = await hostEngine(work.threads ?? null);
    const why = `"${choice}" was asked for, but the solver ${work.solver.name} works in float64 on the host`;
    return { kernels, reason: `${kernels.name}: ${why}` };
  }
  const stays = staysOnHost(work);
  if (stays !== null) return { kernels: chosen.kernels, reason: `${chosen.reason}; ${stays}` };
  const notes: string[] = [];
  for (const name of SEARCHED) {
    try {
      const { kernels, device, emulated } = await openers[name](chosen.kernels);
      const slower = emulated ? "which is this CPU" : await slowerThanHost(name, device, kernels, chosen.kernels, work);
      if (slower === null) return { kernels, reason: `${name}: ${device}, the fastest for a program of this size` };
      notes.push(`${name} only on ${device}, ${slower}`);
    } catch (error) {
      notes.push(`no ${name}: ${messageOf(error)}`);
    }
  }
  return { kernels: chosen.kernels, reason: `${chosen.reason} (${notes.join("; ")})` };
}

/** Why "auto" looks for no device; null where it does. */
function staysOnHost(work: Workload): string | null {
  const { solver, pooledOnHost, tolerance } = work;
  if (!solver.firstOrder) return `${solver.name} works in float64 on the host`;
  if (pooledOnHost === true) return "no device, since patches pooled on the host make products far smaller";
  if (tolerance < FLOAT32_TOLERANCE) return "no device, since a gap of this tolerance needs float64";
  if (multiplications(work) < DEVICE_WORK) return "no device, since the program is small";
  return null;
}

/** Why a device is not taken: what was measured of it (thresholds.ts), or else a trial; null where it is the faster. */
async function slowerThanHost(
  name: DeviceName,
  device: string,
  kernels: Kernels,
  host: Kernels,
  work: Workload,
): Promise<string | null> {
  const known = thresholdOf(measured, name, device, work.cones);
  if (known !== undefined) return multiplications(work) >= known ? null : "slower than the host in measurements";
  if (work.cones || work.trial === undefined) return "not measured against the host";
  const [there, here] = [await work.trial(kernels, TRIAL_WORK), await work.trial(host, TRIAL_WORK)];
  if (there <= here) return null;
  return `slower than the host in a trial (${milliseconds(there)} against ${milliseconds(here)} an iteration)`;
}

/** The multiplications from which on a device was the faster one, Infinity for none that were tried; undefined where it is not in the table. */
export function thresholdOf(
  table: readonly MeasuredDevice[],
  engine: EngineName,
  device: string,
  cones: boolean,
): number | undefined {
  const row = table.find(
    (entry) => entry.engine === engine && device.toLowerCase().includes(entry.device.toLowerCase()),
  );
  return row === undefined ? undefined : ((cones ? row.cones : row.gated) ?? Number.POSITIVE_INFINITY);
}

function multiplications({ rows, width, gates, outputs }: Workload): number {
  return rows * width * gates * outputs;
}

function milliseconds(seconds: number): string {
  return `${(1000 * seconds).toFixed(1)} ms`;
}

/** How many threads an engine has used so far, as the end of a reason; empty for an engine that has no say in it. */
export function threadsOf(kernels: Kernels): string {
  if (kernels.threads === undefined) return "";
  const { ran, note } = kernels.threads();
  return `; ${ran} thread${ran === 1 ? "" : "s"}${note === null ? "" : ` (${note})`}`;
}

async function hostEngine(threads: number | null): Promise<ChosenEngine> {
  try {
    return { kernels: await wasmKernels(threads ?? undefined), reason: "wasm: SIMD float64, the fastest engine here" };
  } catch (error) {
    const reason = `cpu: WebAssembly with SIMD is not there (${messageOf(error)})`;
    return { kernels: referenceKernels, reason };
  }
}

function unavailable(choice: EngineChoice, why: string): never {
  throw new ConvexError(
    "engine/unavailable",
    `engine: expected "${choice}" to run here, got: ${why}. Use engine: "auto", "wasm" or "cpu".`,
  );
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
