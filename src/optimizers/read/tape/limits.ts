/** Where a tape is worth it, and how many rows go through it together. */

import * as tf from "@tensorflow/tfjs";
import type { Tape } from "../../../convex/tape/index.js";

/** Numbers that a block of rows may hold on its way: 64 MB. */
const HELD = 2 ** 23;
/** Rows that go together at most, and multiplications of theirs: about 50 ms. */
const MOST_ROWS = 1024;
const MOST_WORK = 2 ** 26;
/** Backends of TensorFlow.js that are faster than the host on models of so many multiplications a pass. */
const DEVICES = ["webgl", "webgpu", "tensorflow"];
const DEVICE_WORK = 1e8;

/** Rows for which there is room, and which hold the host for no longer than a turn. */
export function rowsOfBlock({ room, work }: Tape): number {
  return Math.max(1, Math.min(MOST_ROWS, Math.floor(Math.min(HELD / room, MOST_WORK / work))));
}

/** Whether a device of TensorFlow.js goes through so many rows faster. */
export function isForDevice({ work }: Tape, rows: number): boolean {
  return DEVICES.includes(tf.getBackend()) && work * rows > DEVICE_WORK;
}
