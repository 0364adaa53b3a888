import fc from "fast-check";
import { expect, test } from "vitest";
import { PlainProducts } from "../../../src/convex/linear/plainProducts.js";
import { gaussianSource } from "../../../src/convex/linear/random.js";

test("rows times columns are the sums in the order of the features, to the last bit, whatever the sizes and the share of zeros", () => {
  const sizes = fc.integer({ min: 1, max: 11 });
  fc.assert(
    fc.property(sizes, sizes, sizes, fc.constantFrom(0, 0.5, 0.9), fc.nat(1000), (n, d, m, zeros, seed) => {
      const draw = gaussianSource(seed);
      const W = Float64Array.from({ length: d * m }, draw);
      const rows = Float64Array.from({ length: n * d }, () => (Math.abs(draw()) < 2 * zeros ? 0 : draw()));
      const out = new Float64Array(n * m + 1).fill(7);
      new PlainProducts({ rows: d, cols: m, data: W }).of(rows, n, out);
      const expected = Array.from({ length: n * m }, (_, k) => {
        let sum = 0;
        for (let p = 0; p < d; p++) sum += rows[Math.floor(k / m) * d + p] * W[p * m + (k % m)];
        return sum;
      });
      expect([...out]).toEqual([...expected, 7]);
    }),
  );
});
