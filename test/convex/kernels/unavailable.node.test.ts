import { expect, test } from "vitest";
import { chooseEngine } from "../../../src/convex/kernels/index.js";

test("an engine that can't run here is refused by name, with the reason and what to do", async () => {
  await expect(chooseEngine("webgl")).rejects.toMatchObject({
    name: "ConvexError",
    code: "engine/unavailable",
    message:
      'engine: expected "webgl" to run here, got: tfjs has no backend "webgl" here; it needs a browser with WebGL. ' +
      'Use engine: "auto", "wasm" or "cpu".',
  });
});
