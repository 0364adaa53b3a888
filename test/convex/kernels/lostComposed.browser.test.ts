/** A file of its own, since a context that is lost stays lost. */

import { expect, test } from "vitest";
import { fitAndLoseContext } from "../../helpers/lostContext.js";

test("ops of tfjs on a WebGL context that goes away end as engine/lost too, and do not wait for ever", async () => {
  const { error, before, after, left } = await fitAndLoseContext("tfjs");
  expect(error).toMatchObject({ name: "ConvexError", code: "engine/lost" });
  expect(after).toEqual(before);
  expect(left).toBe(0);
});
