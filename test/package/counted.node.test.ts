/** What sentences say of counts. */

import fc from "fast-check";
import { expect, test } from "vitest";
import { counted, these } from "../../src/arguments.js";

test("one of a thing is said in the singular, any other number of them in the plural", () => {
  const words = fc.constantFrom(
    ["row", "rows"],
    ["entry", "entries"],
    ["branch", "branches"],
    ["class", "classes"],
    ["epoch", "epochs"],
  );
  fc.assert(
    fc.property(words, fc.integer({ min: 0, max: 1e9 }), ([one, many], count) => {
      expect(counted(count, one)).toBe(count === 1 ? `1 ${one}` : `${count} ${many}`);
      expect(these(count, one)).toBe(count === 1 ? `this ${one}` : `these ${count} ${many}`);
    }),
  );
  expect([counted(1, "entry"), these(1, "gate"), counted(2, "array")]).toEqual(["1 entry", "this gate", "2 arrays"]);
});
