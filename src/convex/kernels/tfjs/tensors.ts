/** What blocks in tensors have in common: how large a tensor may be, and reads that hear of a lost context. */

import * as tf from "@tensorflow/tfjs";
import { ContextWatch } from "../webgl/context.js";

/** Entries of the largest tensor between two ops: 64 MB of float32. */
export const CHUNK_ENTRIES = 2 ** 24;

/** Watches the context of the tfjs backend "webgl" where that is current; the caller disposes. */
export function currentContext(): ContextWatch | null {
  const { gpgpu } = tf.backend() as unknown as { gpgpu?: { gl: WebGL2RenderingContext } };
  return gpgpu === undefined ? null : new ContextWatch(gpgpu.gl);
}

/** Reads and disposes. */
export async function readAndDispose(tensor: tf.Tensor, context: ContextWatch | null): Promise<Float32Array> {
  try {
    const values = tensor.data() as Promise<Float32Array>;
    return await (context === null ? values : context.whileThere(values));
  } finally {
    tensor.dispose();
  }
}
