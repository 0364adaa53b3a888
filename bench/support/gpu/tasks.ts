/** What a part of bench/gpu.ts does, in Node or in a page, and the findings that it tells of as soon as it has them. */

import { chooseEngine, type EngineChoice } from "../../../src/convex/kernels/index.js";
import {
  type DeviceCase,
  type DeviceRate,
  type DeviceSize,
  densePeak,
  iterationRate,
  useBackend,
} from "../deviceRates.js";
import { type GapCase, type GapTimes, gapTimes } from "./gapTimes.js";
import type { GapProblem } from "./problems.js";

/** Which devices answer; steps and the share of a peak; seconds to gaps. */
export type Task =
  | { readonly kind: "look"; readonly cases: readonly DeviceCase[] }
  | {
      readonly kind: "steps";
      readonly cases: readonly DeviceCase[];
      readonly sizes: readonly DeviceSize[];
      /** Sizes of square products that say what a tfjs backend can do; none where tfjs does not know the device. */
      readonly peaks: readonly number[];
      readonly repeats: number;
    }
  | {
      readonly kind: "gaps";
      readonly cases: readonly GapCase[];
      readonly problem: GapProblem;
      readonly gaps: readonly number[];
    };

export interface DeviceLook {
  readonly engine: EngineChoice;
  readonly device: string | null; // as the engine names it; null where there is none
  readonly emulated: boolean;
  readonly why: string; // there is none
}

export type Finding =
  | { readonly look: DeviceLook }
  | { readonly rate: DeviceRate & { readonly share: number | null } }
  | { readonly times: GapTimes }
  | { readonly failure: string };

/** What fails of a task fails alone. */
export async function runTask(task: Task, seconds: number, tell: (finding: Finding) => void): Promise<void> {
  const began = performance.now();
  const left = () => seconds - (performance.now() - began) / 1000;
  const attempt = async (what: string, run: () => Promise<void>) => {
    try {
      if (left() < 1) throw new Error("no time was left");
      await run();
    } catch (error) {
      tell({ failure: `${what}: ${(error instanceof Error ? error.message : String(error)).split("\n")[0]}` });
    }
  };
  if (task.kind === "look") {
    for (const how of task.cases) tell({ look: await lookAt(how) });
    return;
  }
  if (task.kind === "gaps") {
    for (const [k, how] of task.cases.entries()) {
      const share = left() / (task.cases.length - k);
      await attempt(how.engine, async () => {
        const last = await gapTimes(how, task.problem, task.gaps, share, (times) => tell({ times }));
        tell({ times: last });
      });
    }
    return;
  }
  const best = new Map<string, number>();
  for (const how of task.cases) {
    const { engine, backend } = how;
    if (task.peaks.length > 0 && !best.has(backend)) {
      await attempt(`the peak of ${backend}`, async () => {
        best.set(backend, await densePeak(backend, task.peaks, task.repeats));
      });
    }
    for (const size of task.sizes) {
      await attempt(`${engine} on ${backend}, ${size.cones === true ? "ReLU" : "gated"}`, async () => {
        const rate = await iterationRate(how, size, task.repeats);
        const peak = best.get(backend);
        tell({ rate: { ...rate, share: peak === undefined ? null : rate.flops / rate.seconds / peak } });
      });
    }
  }
}

async function lookAt({ engine, backend }: DeviceCase): Promise<DeviceLook> {
  try {
    await useBackend(backend);
    const { reason } = await chooseEngine(engine);
    const device = /float32 on (.*), certificate in float64/.exec(reason)?.[1] ?? reason;
    return { engine, device, emulated: /swiftshader|llvmpipe|lavapipe|basic render/i.test(device), why: "" };
  } catch (error) {
    return { engine, device: null, emulated: false, why: error instanceof Error ? error.message : String(error) };
  }
}
