import fc from "fast-check";
import { afterEach, beforeAll, describe, expect, test } from "vitest";
import { gatesFrom, sampleGates } from "../../../src/convex/arrangements/index.js";
import { bindProducts, referenceKernels, wasmKernels } from "../../../src/convex/kernels/index.js";
import type { FaceSearch } from "../../../src/convex/kernels/types.js";
import { isActive } from "../../../src/convex/linear/bits.js";
import { gaussianSource } from "../../../src/convex/linear/random.js";
import { ConeProjector } from "../../../src/convex/operators/coneProjection.js";
import { HostFaceSearch } from "../../../src/convex/operators/faceSearch.js";
import { nullspace } from "../../../src/convex/operators/nullspace.js";
import type { GateSet, Matrix } from "../../../src/convex/types.js";
import { projectByDykstra } from "../../helpers/kkt.js";
import { gaussianMatrix, matrixOf } from "../../helpers/problems.js";

const norm = (a: ArrayLike<number>) => Math.sqrt(Array.from(a).reduce((sum, value) => sum + value * value, 0));

const dot = (a: ArrayLike<number>, b: ArrayLike<number>) =>
  Array.from(a).reduce((sum, value, k) => sum + value * b[k], 0);

/** By how much u is outside the cone of the rows. */
const missed = (rows: readonly number[][], u: ArrayLike<number>) => Math.max(0, ...rows.map((row) => -dot(row, u)));

/** The rows (2 D - 1) x_j of a cone. */
function rowsOf(X: Matrix, gates: GateSet, gate: number): number[][] {
  return Array.from({ length: X.rows }, (_, j) =>
    Array.from(X.data.slice(j * X.cols, (j + 1) * X.cols), (value) => (isActive(gates, gate, j) ? value : -value)),
  );
}

type Search = (X: Matrix, gates: GateSet) => { search: FaceSearch; dispose(): void };

const onHost = (gram: boolean): Search => {
  return (X, gates) => {
    const products = bindProducts({ X, gates }, referenceKernels);
    const search = new HostFaceSearch(X, gates, gram ? products.gram() : null, 1, null, gram ? 0 : 1e6);
    return { search, dispose: () => products.dispose() };
  };
};

const inWasm = async (threads: number, pooled = false): Promise<Search> => {
  const kernels = await wasmKernels(threads);
  return (X, gates) => {
    const pooling = pooled ? { patches: X.rows, positions: 1, scale: 1 / X.rows } : null;
    const products = bindProducts({ X, gates, pooling }, kernels);
    const search = products.faceSearch?.() ?? null;
    if (search === null) throw new Error("the engine has no search for faces");
    return { search, dispose: () => products.dispose() };
  };
};

const searches: { name: string; make: () => Search | Promise<Search> }[] = [
  { name: "host", make: () => onHost(false) },
  { name: "host with the Gram matrix, without room for factors", make: () => onHost(true) },
  { name: "wasm", make: () => inWasm(1) },
  { name: "wasm with shared memory", make: () => inWasm(2) },
  { name: "wasm, of patches that are pooled", make: () => inWasm(1, true) },
];

describe.each(searches)("ConeProjector, $name", ({ make }) => {
  let open: Search;
  const opened: { dispose(): void }[] = [];
  beforeAll(async () => {
    open = await make();
  });
  afterEach(() => {
    for (const one of opened.splice(0)) one.dispose();
  });
  const projectorOf = (X: Matrix, gates: GateSet) => {
    const one = open(X, gates);
    opened.push(one);
    return new ConeProjector(one.search);
  };

  test("agrees with Dykstra's alternating projections, cold and from a remembered face", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 9999 }),
        fc.integer({ min: 3, max: 15 }),
        fc.integer({ min: 1, max: 5 }),
        (seed, n, d) => {
          const X = gaussianMatrix(n, d, seed);
          const gates = sampleGates(X, { count: 2, seed });
          const projector = projectorOf(X, gates);
          for (const turn of [1, 2, 3]) {
            const z = gaussianMatrix(1, d, seed + turn).data;
            const u = z.slice();
            const { norm: length } = projector.project(0, 0, u, -1);
            const rows = rowsOf(X, gates, 0);
            expect(missed(rows, u)).toBeLessThan(1e-12);
            expect(dot(u, z) - dot(u, u)).toBeCloseTo(0, 11);
            expect(length).toBeCloseTo(norm(u), 12);
            const wanted = projectByDykstra(Array.from(z), rows);
            // In narrow cones Dykstra's projections crawl, and may rest early: a point of the cone, and farther from z.
            if (missed(rows, wanted) >= 1e-11) continue;
            const [ours, theirs] = [u, wanted].map((point) => norm(z.map((value, p) => value - point[p])));
            expect(ours).toBeLessThanOrEqual(theirs + 1e-11);
            if (theirs < ours + 1e-11) u.forEach((value, p) => void expect(value).toBeCloseTo(wanted[p], 4));
          }
        },
      ),
      { numRuns: 40 },
    );
  });

  test("repeated, opposite and zero rows do no harm", () => {
    const X = matrixOf(6, 3, [1, 0, 0, 1, 0, 0, 0, 0, 0, -2, 0, 0, 0, 1, 1, 0, 1, 1]);
    const gates = sampleGates(X, { count: 3, seed: 1 });
    const projector = projectorOf(X, gates);
    for (let gate = 0; gate < gates.count; gate++) {
      const z = gaussianMatrix(1, 3, gate + 5).data;
      const u = z.slice();
      projector.project(gate, gate, u, -1);
      projectByDykstra(Array.from(z), rowsOf(X, gates, gate)).forEach(
        (value, p) => void expect(u[p]).toBeCloseTo(value, 8),
      );
    }
  });

  test("is what the search on the host finds, face by face, whatever was kept of the last one", () => {
    let facesBetween = 0;
    for (const [n, d] of [
      [30, 6],
      [40, 45],
      [120, 33],
    ]) {
      const X = gaussianMatrix(n, d, 1);
      const gates = sampleGates(X, { count: 5, seed: 1 });
      const one = open(X, gates);
      opened.push(one);
      const { search } = one;
      const truth = new HostFaceSearch(X, gates, null, 1, null, 0);
      const pointsOf = (Z: Float64Array) => ({
        count: 5,
        gates: Int32Array.from([0, 1, 2, 3, 4]),
        slots: Int32Array.from([10, 11, 12, 13, 14]),
        positions: new Int32Array(5),
        Z,
        norms: new Float64Array(5),
      });
      let noise = gaussianMatrix(1, d, 100).data;
      for (let turn = 0; turn < 12; turn++) {
        noise = noise.map((value, p) => value + (turn % 4 === 0 ? 1 : 0.1) * gaussianMatrix(1, d, turn).data[p]);
        // Most points far from the cone have the projection zero, which many faces hold.
        const Z = gates.generators.data.map((value, k) => noise[k % d] + 3 * value);
        const [mine, wanted] = [pointsOf(Z.slice()), pointsOf(Z.slice())];
        search.project(mine, -1);
        truth.forget();
        truth.project(wanted, -1);
        for (let gate = 0; gate < 5; gate++) {
          if (wanted.norms[gate] > 1e-6) {
            facesBetween += 1;
            expect(Array.from(search.face(10 + gate)).sort()).toEqual(Array.from(truth.face(10 + gate)).sort());
          }
          expect(mine.norms[gate]).toBeCloseTo(wanted.norms[gate], 10);
        }
        mine.Z.forEach((value, p) => void expect(value).toBeCloseTo(wanted.Z[p], 10));
      }
    }
    expect(facesBetween).toBeGreaterThan(90);
  });

  test("a factor that has followed hundreds of moves still gives points inside the cone", () => {
    const X = gaussianMatrix(100, 20, 3);
    const gates = sampleGates(X, { count: 1, seed: 3 });
    const projector = projectorOf(X, gates);
    const rows = rowsOf(X, gates, 0);
    for (let turn = 0; turn < 400; turn++) {
      const z = gaussianMatrix(1, 20, turn).data.map((value, p) => value + 3 * gates.generators.data[p]);
      const u = z.slice();
      projector.project(0, 0, u, -1);
      expect(norm(u)).toBeGreaterThan(0.1);
      expect(missed(rows, u)).toBeLessThan(1e-10);
      expect(Math.abs(dot(u, z) - dot(u, u))).toBeLessThan(1e-10);
    }
  });

  test("many rows are met on small steps, long ones and changes of scale, as from the start", () => {
    const [n, d] = [400, 12];
    const X = gaussianMatrix(n, d, 4);
    X.data.fill(0, 0, d);
    const gates = sampleGates(X, { count: 1, seed: 4 });
    const projector = projectorOf(X, gates);
    const rows = rowsOf(X, gates, 0);
    const z = gaussianMatrix(1, d, 50).data.map((value, p) => value + 3 * gates.generators.data[p]);
    let between = 0;
    for (let turn = 0; turn < 300; turn++) {
      const step = gaussianMatrix(1, d, 70 + turn).data;
      for (let p = 0; p < d; p++) z[p] += 2 ** -(turn % 8) * step[p];
      const u = z.map((value) => (turn % 10 === 9 ? 1e3 : 1) * value);
      const from = u.slice();
      const { norm: length } = projector.project(0, 0, u, -1);
      const truth = from.slice();
      new ConeProjector(new HostFaceSearch(X, gates, null, 1, null, 0)).project(0, 0, truth, -1);
      if (length > 1e-6) between += 1;
      expect(missed(rows, u)).toBeLessThan(1e-11 * norm(from));
      u.forEach((value, p) => void expect(Math.abs(value - truth[p])).toBeLessThan(1e-10 * norm(from)));
    }
    expect(between).toBeGreaterThan(150);
  });

  test("what is kept of a point does not hide rows from its opposite, from points that are just too far, or from larger ones", () => {
    for (const [n, d] of [
      [24, 12],
      [80, 6],
    ]) {
      const X = gaussianMatrix(n, d, 4);
      const gates = sampleGates(X, { count: 6, seed: 4 });
      for (let gate = 0; gate < gates.count; gate++) {
        const rows = rowsOf(X, gates, gate);
        const inside = gates.generators.data.slice(gate * d, (gate + 1) * d);
        // One just beyond each row; most rows are not near.
        const beyond = rows.map((row) => {
          const slack = dot(row, inside) / norm(row);
          return inside.map((value, p) => value - (1.001 * slack * row[p]) / norm(row));
        });
        const larger = beyond.map((z) => z.map((value) => 3 * value));
        [inside.map((value) => -value), ...beyond, ...larger].forEach((z, k) => {
          const projector = projectorOf(X, gates);
          projector.project(gate, 0, k % 4 === 3 ? inside.map((value) => 1e-160 * value) : inside.slice(), -1);
          const [ours, truth] = [z.slice(), z.slice()];
          projector.project(gate, 0, ours, -1);
          new ConeProjector(new HostFaceSearch(X, gates, null, 1, null, 0)).project(gate, 0, truth, -1);
          expect(missed(rows, ours)).toBeLessThan(1e-11 * norm(z));
          ours.forEach((value, p) => void expect(Math.abs(value - truth[p])).toBeLessThan(1e-10 * norm(z)));
        });
      }
    }
  });

  test("an early end is an upper bound of the norm that is below the threshold", () => {
    const X = gaussianMatrix(40, 5, 2);
    const gates = sampleGates(X, { count: 10, seed: 2 });
    const [projector, exact] = [projectorOf(X, gates), projectorOf(X, gates)];
    for (let gate = 0; gate < 10; gate++) {
      const z = gaussianMatrix(1, 5, 100 + gate).data;
      const { norm: truth } = exact.project(gate, gate, z.slice(), -1);
      const threshold = 0.5 * norm(z);
      const { norm: bound, below } = projector.project(gate, gate, z.slice(), threshold);
      expect(bound).toBeGreaterThanOrEqual(truth - 1e-10);
      expect(below).toBe(bound <= threshold);
      if (truth > threshold) expect(bound).toBeCloseTo(truth, 9);
    }
  });
});

test("nullspace gives orthonormal vectors that the rows do not see", () => {
  const X = gaussianMatrix(8, 5, 3);
  for (const rows of [[], [2], [0, 3, 7], [1, 2, 4, 5, 6]]) {
    const out = new Float64Array(25);
    const count = nullspace(X, Int32Array.from(rows), out);
    expect(count).toBe(5 - rows.length);
    for (let i = 0; i < count; i++) {
      const u = out.slice(i * 5, (i + 1) * 5);
      for (let j = 0; j < count; j++) {
        const product = u.reduce((sum, value, p) => sum + value * out[j * 5 + p], 0);
        expect(product).toBeCloseTo(i === j ? 1 : 0, 12);
      }
      for (const row of rows)
        expect(u.reduce((sum, value, p) => sum + value * X.data[row * 5 + p], 0)).toBeCloseTo(0, 12);
    }
  }
});

test.each(searches)(
  "$name: many rows whose cone is zero alone project to nothing but rounding, by no more of them than columns",
  async ({ make }) => {
    const open = await make();
    const d = 3;
    // Every direction and its opposite, many times, in sizes that rounding takes for violations.
    const rows = 3000;
    const draw = gaussianSource(5);
    const data = Float64Array.from({ length: rows * d }, (_, k) => draw() * (k % 7 === 0 ? 1e-9 : 1));
    const X = { rows, cols: d, data };
    const gates = gatesFrom(X, { rows: 1, cols: d, data: Float64Array.of(1, 0, 0) });
    const all = { ...gates, bits: gates.bits.map(() => 0xffffffff) }; // an arrangement that no direction has
    const { search, dispose } = open(X, all);
    const projector = new ConeProjector(search);
    expect(projector.project(0, 0, Float64Array.of(1, 2, 3), -1).norm).toBeLessThan(1e-8);
    expect(search.face(0).length).toBeLessThanOrEqual(d);
    dispose();
  },
);
