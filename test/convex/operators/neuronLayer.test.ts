import { expect, test } from "vitest";
import { layerObjective } from "../../../src/convex/operators/neuronLayer.js";
import { randomProgram } from "../../helpers/problems.js";

test("a layer is let go of where there is no memory for the outputs beside it", () => {
  const { loss, ...program } = randomProgram({ rows: 4, features: 2, gates: 1, seed: 1 });
  let gone = 0;
  const dispose = () => {
    gone += 1;
  };
  const layer = { forward: () => undefined, backward: () => undefined, dispose };
  const endless = { ...loss, rows: Number.MAX_SAFE_INTEGER };
  expect(() => layerObjective({ ...program, loss: endless }, layer, 2, 1)).toThrow(RangeError);
  expect(gone).toBe(1);
  layerObjective({ ...program, loss }, layer, 2, 1).dispose?.();
  expect(gone).toBe(2);
});
