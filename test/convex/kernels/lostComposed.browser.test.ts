/** A file of its own, since a context that is lost stays lost. */

import * as tf from "@tensorflow/tfjs";
import { expect, test } from "vitest";
import { ConvexReLUTrainer } from "../../../src/index.js";
import { makeData, makeModel, weightsIn } from "../../helpers/models.js";

test("ops of tfjs on a WebGL context that goes away end as engine/lost too, and do not wait for ever", async () => {
  await tf.setBackend("webgl");
  const { x, y } = makeData("meanSquaredError", 20, 3);
  const model = makeModel({ formulation: "gated", units: 20 });
  const twin = weightsIn(makeModel({ formulation: "gated", units: 20 })); // what is read is kept on the host: not the model's own
  const { gl } = (tf.backend() as unknown as { gpgpu: { gl: WebGL2RenderingContext } }).gpgpu;
  const lose = () => gl.getExtension("WEBGL_lose_context")?.loseContext();
  const trainer = new ConvexReLUTrainer({ engine: "tfjs", tolerance: 1e-9 });
  const fit = trainer.fit(model, x, y, { callbacks: { onEpochEnd: async () => lose() } });
  await expect(fit).rejects.toMatchObject({ name: "ConvexError", code: "engine/lost" });
  expect(weightsIn(model)).toEqual(twin);
});
