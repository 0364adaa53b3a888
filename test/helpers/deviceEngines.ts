/** The engines that keep blocks on a device, as this machine has them: Node's list and the browser's differ. */

import * as tf from "@tensorflow/tfjs";
import { chooseEngine, type EngineChoice, type Kernels } from "../../src/convex/kernels/index.js";

export interface DeviceEngine {
  readonly name: string;
  readonly engine: EngineChoice;
  /** Makes what the engine runs on current. */
  readonly prepare: () => Promise<void>;
  readonly make: () => Promise<Kernels>;
}

function deviceEngine(engine: EngineChoice, backend: string): DeviceEngine {
  const prepare = async () => {
    if (!(await tf.setBackend(backend))) throw new Error(`tfjs has no backend "${backend}" here`);
  };
  const make = async () => {
    await prepare();
    return (await chooseEngine(engine)).kernels;
  };
  return { name: `${engine}, tfjs backend ${backend}`, engine, prepare, make };
}

/** Whether an engine answers. In Node, WebGPU is where a Vulkan driver is; the browser under test must have every engine. */
async function answers(engine: EngineChoice): Promise<boolean> {
  try {
    await chooseEngine(engine);
    return true;
  } catch {
    return false;
  }
}

const inBrowser = typeof document !== "undefined";
if (!inBrowser) await import("@tensorflow/tfjs-backend-wasm");

export const deviceEngines: readonly DeviceEngine[] = inBrowser
  ? (["tfjs", "webgl", "webgpu", "gpujs"] as const).map((engine) => deviceEngine(engine, "webgl"))
  : [
      deviceEngine("tfjs", "cpu"),
      deviceEngine("tfjs", "wasm"),
      deviceEngine("gpujs", "cpu"),
      ...((await answers("webgpu")) ? [deviceEngine("webgpu", "cpu")] : []),
    ];

/** Those of them that keep blocks with cones. */
export const coneEngines: readonly DeviceEngine[] = deviceEngines.filter(
  ({ engine }) => engine === "tfjs" || engine === "webgpu" || engine === "webgl",
);
