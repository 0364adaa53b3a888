/** A fit whose WebGL context goes away in the middle. A context that is lost stays lost: one such fit a test file. */

import * as tf from "@tensorflow/tfjs";
import { type ConvexError, ConvexReLUTrainer } from "../../src/index.js";
import { makeData, makeModel, weightsIn } from "./models.js";

/** How the fit ended, and the model's weights before and after. */
export interface LostFit {
  readonly error: ConvexError | null;
  readonly before: number[][];
  readonly after: number[][];
  readonly left: number; // tensors of the fit that still live
}

export async function fitAndLoseContext(
  engine: "webgl" | "tfjs",
  formulation: "gated" | "relu" = "gated",
): Promise<LostFit> {
  await tf.setBackend("webgl");
  const { x, y } = makeData("meanSquaredError", 20, 3);
  const shape = { formulation, units: 20 } as const;
  const model = makeModel(shape);
  const before = weightsIn(makeModel(shape)); // of a twin: what is read is kept on the host, and the model's must not be
  const { gl } = (tf.backend() as unknown as { gpgpu: { gl: WebGL2RenderingContext } }).gpgpu;
  const onEpochEnd = async () => gl.getExtension("WEBGL_lose_context")?.loseContext();
  const living = tf.memory().numTensors;
  const error = await new ConvexReLUTrainer({ engine, tolerance: 1e-9 })
    .fit(model, x, y, { callbacks: { onEpochEnd } })
    .then(
      () => null,
      (reason) => reason as ConvexError,
    );
  return { error, before, left: tf.memory().numTensors - living, after: weightsIn(model) };
}
