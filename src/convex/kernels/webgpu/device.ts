/** Where the WebGPU engine finds its device, and how it learns that the device is gone. */

import * as tf from "@tensorflow/tfjs";
import { ConvexError } from "../../../errors.js";

/** A device that answered. */
export interface GpuDevice {
  readonly device: GPUDevice;
  readonly name: string; // for people
  readonly emulated: boolean; // true when the CPU pretends to be a GPU
}

/** What adapters that are none call themselves. */
const EMULATED = /swiftshader|llvmpipe|lavapipe|softpipe|software|basic render/i;
/** Gives Node a navigator.gpu; held in a constant so that bundlers for browsers do not look for it. */
const NODE_PACKAGE = "webgpu";

/** Our own device, one a realm; forgotten when it is lost. */
let own: Promise<GpuDevice> | null = null;
/** What Node's package made; its devices end when nothing holds it any more. */
let held: GPU | null = null;

/** The device of the tfjs backend where that is "webgpu", else one of our own. Rejects with an Error that says what is missing. */
export async function findDevice(): Promise<GpuDevice> {
  if (tf.getBackend() === "webgpu") {
    const { device, adapterInfo } = tf.backend() as unknown as { device: GPUDevice; adapterInfo?: object };
    return { device, ...described((adapterInfo ?? {}) as GPUAdapterInfo, "the device of tfjs") };
  }
  own ??= requestOwn();
  try {
    return await own;
  } catch (error) {
    own = null;
    throw error;
  }
}

async function requestOwn(): Promise<GpuDevice> {
  const gpu = await findGpu();
  const adapter = await gpu.requestAdapter({ powerPreference: "high-performance" });
  if (adapter === null) throw new Error("WebGPU has no adapter here");
  const { limits } = adapter;
  const device = await adapter.requestDevice({
    requiredLimits: {
      maxStorageBufferBindingSize: limits.maxStorageBufferBindingSize,
      maxBufferSize: limits.maxBufferSize,
    },
  });
  device.lost.then(() => {
    own = null;
  });
  return { device, ...described(await infoOf(adapter), "an adapter without a name") };
}

async function findGpu(): Promise<GPU> {
  if (typeof navigator !== "undefined" && "gpu" in navigator && navigator.gpu) return navigator.gpu;
  if (typeof process === "undefined" || !process.versions?.node) throw new Error("this browser has no navigator.gpu");
  let node: { create: (flags: string[]) => GPU };
  try {
    node = await import(/* @vite-ignore */ /* webpackIgnore: true */ NODE_PACKAGE);
  } catch {
    throw new Error(`Node has no navigator.gpu; install the package "${NODE_PACKAGE}"`);
  }
  held ??= node.create([]);
  return held;
}

/** Older browsers ask for the info, newer ones have it. */
async function infoOf(adapter: GPUAdapter): Promise<GPUAdapterInfo> {
  const { info } = adapter as unknown as { info?: GPUAdapterInfo };
  return info ?? (await adapter.requestAdapterInfo());
}

function described(info: Partial<GPUAdapterInfo>, otherwise: string): { name: string; emulated: boolean } {
  const words = [info.description || info.device, info.vendor, info.architecture].filter((word) => word);
  const name = words.join(", ") || otherwise;
  return { name, emulated: EMULATED.test(name) };
}

/** What becomes of the work when the device goes away. */
export function lostError(why: string): ConvexError {
  return new ConvexError(
    "engine/lost",
    `engine: expected the WebGPU device to stay, got a lost one (${why}). The model is as it was: fit again, or use engine: "wasm".`,
  );
}
