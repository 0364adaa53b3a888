import { expect, test } from "vitest";
import { sampleGates } from "../../../src/convex/arrangements/index.js";
import { chooseEngine } from "../../../src/convex/kernels/index.js";
import { penalties } from "../../../src/convex/penalties/index.js";
import { gaussianMatrix } from "../../helpers/problems.js";

/** The WebGL contexts that are made while something runs. */
async function contextsOf(run: () => Promise<void>): Promise<WebGL2RenderingContext[]> {
  const found: WebGL2RenderingContext[] = [];
  const kinds = [HTMLCanvasElement.prototype, OffscreenCanvas.prototype] as {
    getContext: (...args: unknown[]) => unknown;
  }[];
  const before = kinds.map((kind) => kind.getContext);
  kinds.forEach((kind, k) => {
    kind.getContext = function (...args: unknown[]) {
      const context = before[k].apply(this, args);
      if (context instanceof WebGL2RenderingContext) found.push(context);
      return context;
    };
  });
  await run();
  kinds.forEach((kind, k) => {
    kind.getContext = before[k];
  });
  return found;
}

test("a lost context of gpu.js ends the work with engine/lost, and the next fit gets a new one", async () => {
  const X = gaussianMatrix(20, 6, 1);
  const gates = sampleGates(X, { count: 10, seed: 1 });
  const R = gaussianMatrix(20, 1, 2).data;
  const open = async () => (await chooseEngine("gpujs")).kernels.iterate?.(X, gates, 1, penalties.perOutput);
  let blocks: Awaited<ReturnType<typeof open>>;
  const contexts = await contextsOf(async () => {
    blocks = await open();
    await blocks?.gradient(R);
  });
  expect(contexts.length).toBeGreaterThan(0);
  for (const context of contexts) context.getExtension("WEBGL_lose_context")?.loseContext();
  await expect(blocks?.gradient(R)).rejects.toMatchObject({ name: "ConvexError", code: "engine/lost" });

  const again = await open();
  await again?.gradient(R);
  const { moved } = (await again?.step(0.1, 0)) ?? { moved: Number.NaN };
  expect(moved).toBeGreaterThan(0);
  again?.dispose();
});
