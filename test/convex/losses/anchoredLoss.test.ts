import { expect, test } from "vitest";
import { bindLoss } from "../../../src/convex/losses/index.js";
import { smoothed } from "../../../src/convex/losses/smoothed.js";
import { anchoredLoss } from "../../../src/convex/sharded/kinks/index.js";
import { gaussianMatrix } from "../../helpers/problems.js";

test("an anchored loss has its own value and gradient, apart and at once, also of a loss that has both at once", () => {
  const truth = bindLoss("hinge", { rows: 6, cols: 1, data: Float64Array.of(1, -1, 1, 1, -1, -1) });
  const [Z, N] = [1, 2].map((seed) => gaussianMatrix(6, 1, seed).data);
  for (const loss of [truth, smoothed(truth, 0.3)]) {
    const anchored = anchoredLoss(loss, 0.5, N);
    const [apart, atOnce] = [new Float64Array(6), new Float64Array(6)];
    anchored.gradient(Z, apart);
    expect(anchored.valueAndGradient?.(Z, atOnce)).toBe(anchored.value(Z));
    expect(atOnce).toEqual(apart);
  }
});
