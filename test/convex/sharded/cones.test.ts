/** What a shard says of cones, against their definition; and of a row among a million. */

import fc from "fast-check";
import { expect, test } from "vitest";
import { gatesFrom } from "../../../src/convex/arrangements/index.js";
import { referenceKernels } from "../../../src/convex/kernels/cpu.js";
import { isActive } from "../../../src/convex/linear/bits.js";
import { gaussianSource } from "../../../src/convex/linear/random.js";
import { dot, norm } from "../../../src/convex/linear/vectors.js";
import { Cones } from "../../../src/convex/sharded/cones/cones.js";
import { Cuts } from "../../../src/convex/sharded/cones/cuts.js";
import { reachOf, rowsAt } from "../../../src/convex/sharded/cones/rows.js";
import { gatherRows } from "../../../src/convex/sharded/index.js";
import { onShards } from "../../helpers/coneShards.js";

const anyCase = fc.record({
  n: fc.integer({ min: 1, max: 60 }),
  d: fc.integer({ min: 1, max: 5 }),
  seed: fc.integer({ min: 0, max: 1e6 }),
});

/** Rows, a gate, a vector, and the rows with the signs of the cone. */
function made({ n, d, seed }: { readonly n: number; readonly d: number; readonly seed: number }) {
  const draw = gaussianSource(seed);
  const X = { rows: n, cols: d, data: Float64Array.from({ length: n * d }, draw) };
  const generator = Float64Array.from({ length: d }, draw);
  const gates = gatesFrom(X, { rows: 1, cols: d, data: generator });
  const vector = Float64Array.from({ length: d }, draw);
  const signed = Array.from({ length: n }, (_, j) => {
    const sign = isActive(gates, 0, j) ? 1 : -1;
    return X.data.slice(j * d, (j + 1) * d).map((value) => sign * value);
  });
  return { X, gates, generator, vector, signed };
}

test("a vector that is pulled towards its gate as far as a shard says is in the cone of all rows, and not before", () => {
  fc.assert(
    fc.property(anyCase, (one) => {
      const { X, gates, generator, vector, signed } = made(one);
      const at = { gates: Int32Array.of(0), vectors: vector };
      const [t, worst] = reachOf(X, gates, at, referenceKernels);
      const least = (by: number) => Math.min(...signed.map((row) => dot(row, vector) + by * dot(row, generator)));
      expect(least(t * (1 + 1e-9))).toBeGreaterThanOrEqual(-1e-9);
      if (t > 0) expect(least(0.999 * t)).toBeLessThan(0);
      const missed = signed.map((row) => -dot(row, vector) / (norm(row) * norm(vector)));
      expect(worst).toBeCloseTo(Math.max(0, ...missed), 9);
    }),
  );
});

test("projections onto the cone of the rows that are told, again and again, end at that of all rows", () => {
  fc.assert(
    fc.property(anyCase, (one) => {
      const { X, gates, vector } = made(one);
      const all = new Cuts(1, one.d);
      all.add(
        0,
        rowsAt(X, gates, { gates: Int32Array.of(0), vectors: vector }, Int32Array.of(one.n), referenceKernels)[0],
      );
      const expected = vector.slice();
      all.project(0, 0, expected, -1);
      const few = new Cuts(1, one.d);
      let z = vector.slice();
      for (let trip = 0; trip <= one.n; trip++) {
        const at = { gates: Int32Array.of(0), vectors: z };
        if (norm(z) === 0 || reachOf(X, gates, at, referenceKernels)[1] <= 1e-9) break;
        few.add(0, rowsAt(X, gates, at, Int32Array.of(1), referenceKernels)[0]);
        z = vector.slice();
        few.project(0, 0, z, -1);
      }
      z.forEach((value, p) => {
        expect(value).toBeCloseTo(expected[p], 6);
      });
    }),
  );
});

test("the rows that pull a block in are known from then on, however little it misses them", async () => {
  const draw = gaussianSource(5);
  const [n, d] = [40, 2];
  const X = { rows: n, cols: d, data: Float64Array.from({ length: n * d }, () => Math.fround(draw())) };
  const Y = { rows: n, cols: 1, data: Float64Array.from({ length: n }, draw) };
  const generators = { rows: 1, cols: d, data: Float64Array.of(1, 0.2) };
  const learnt: number[] = [];
  const one = { X, Y, generators, loss: "meanSquaredError", beta: 1e-2 } as const;
  const { crew, program } = await onShards(one, (call) => {
    if (call.op === "rows") learnt.push(call.count);
  });
  const cones = await Cones.of(crew, program);
  learnt.length = 0;
  // On the boundary of the row that says first where a turned generator leaves the cone, and then a little beyond.
  const gates = gatesFrom(X, generators);
  const missed = (angle: number) => {
    const vectors = Float64Array.of(Math.cos(angle), Math.sin(angle));
    return { vectors, worst: reachOf(X, gates, { gates: Int32Array.of(0), vectors }, referenceKernels)[1] };
  };
  let [inside, outside] = [Math.atan(0.2), Math.atan(0.2) + Math.PI];
  for (let k = 0; k < 60; k++) {
    const middle = (inside + outside) / 2;
    if (missed(middle).worst > 0) outside = middle;
    else inside = middle;
  }
  const { vectors, worst } = missed(outside + 2e-11);
  expect(worst).toBeLessThan(1e-10);
  expect(worst).toBeGreaterThan(4e-12);
  const { moved } = await cones.inside(crew, Float64Array.of(...vectors, 0, 0));
  expect(moved).toBe(true);
  expect(learnt).toEqual([1]);
});

test("posing hears a pause, and what it then says of prices is never too low", async () => {
  const draw = gaussianSource(6);
  const [n, d, P] = [50, 3, 6];
  const filled = (size: number) => Float64Array.from({ length: size }, () => Math.fround(draw()));
  const one = {
    ...({ loss: "meanSquaredError", beta: 1e-2 } as const),
    X: { rows: n, cols: d, data: filled(n * d) },
    Y: { rows: n, cols: 1, data: filled(n) },
    generators: { rows: P, cols: d, data: filled(P * d) },
  };
  const calls: string[] = [];
  const { crew, program } = await onShards(one, ({ op }) => calls.push(op));
  const pull = filled(P * d);
  const exact = await (await Cones.of(crew, program)).exactPrice(crew, pull);
  calls.length = 0;
  const stopped = async () => true;
  const hasty = await (await Cones.of(crew, program, stopped)).exactPrice(crew, pull, stopped);
  expect(calls).toEqual([]);
  expect(hasty).toBeGreaterThanOrEqual(exact);
});

test("NaN in row 734112 of a million is told by the number of the row and its column", async () => {
  const inputs = 2;
  const block = 50_000;
  function* rows() {
    for (let from = 0; from < 1e6; from += block) {
      const x = new Float32Array(block * inputs).fill(1);
      if (from <= 734_112 && 734_112 < from + block) x[(734_112 - from) * inputs + 1] = Number.NaN;
      yield { x, y: new Float32Array(block) };
    }
  }
  const spec = { shard: 0, shards: 1, load: "", args: null, inputs, outputs: 1, loss: "meanSquaredError" } as const;
  const gathered = gatherRows(rows(), { ...spec, labels: "as the loss has them", threads: 1 });
  await expect(gathered).rejects.toMatchObject({
    code: "data/nonFinite",
    row: 734_112,
    text: expect.stringMatching(/got NaN in column 1/),
  });
});
