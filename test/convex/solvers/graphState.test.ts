import { expect, test } from "vitest";
import { uniformSource } from "../../../src/convex/arrangements/random.js";
import { bindProducts, referenceKernels } from "../../../src/convex/kernels/index.js";
import { GraphState } from "../../../src/convex/solvers/graphState.js";
import { GraphWeights } from "../../../src/convex/solvers/graphWeights.js";
import { WorkingSet } from "../../../src/convex/solvers/workingSet.js";
import { randomProgram } from "../../helpers/problems.js";

const g2 = 0.7;

test("V, Z = A V + 1 c', c and xi stay what they are when gates enter and weights become others", () => {
  const program = randomProgram({ cones: false, rows: 20, features: 3, gates: 120, outputs: 2, ridge: 0 });
  const { rows: n, outputs: C } = program.loss;
  const d = program.X.cols;
  const products = bindProducts(program, referenceKernels);
  const uniform = uniformSource(3);
  const random = (length: number) => Float64Array.from({ length }, () => uniform() - 0.5);
  const prices = random(program.gates.count * C).map(Math.abs);
  const working = new WorkingSet(program, prices, null);
  const weights = new GraphWeights(1, 5, "exact");
  const V = random(working.slots * d);
  working.centers.set(V);
  const c = random(C);
  const xi = random(n * C);
  const times = (vectors: Float64Array, bias: Float64Array) => {
    const { gate, output, sign } = working.columns(Int32Array.from({ length: working.slots }, (_, k) => k));
    const out = new Float64Array(n * C);
    products.forward(gate, output, sign, vectors, C, out);
    return out.map((value, k) => value + bias[k % C]);
  };
  const Z = times(V, c);
  const state = new GraphState(products, working, weights, g2, c, Z, xi);
  const check = () => {
    const { now, H, B, image } = state;
    const sums = [0, 1].map((o) => H.reduce((sum, value, k) => (k % C === o ? sum + value : sum), 0));
    const { blocks: p, outputs: r } = weights;
    const adjoint = new Float64Array(working.slots * d);
    products.adjoint(H, C, working.gates, adjoint);
    const pairs: [Float64Array, Float64Array][] = [
      [H.map((value) => p * value), xi],
      [adjoint, B],
      [
        times(
          B,
          Float64Array.from(sums, (sum) => g2 * sum),
        ),
        image,
      ],
      [now.S.map((value, k) => value + B[k]), Float64Array.from(B, (_, k) => V[k] ?? 0)],
      [now.s.map((value, o) => value + g2 * sums[o]), c],
      [now.Q.map((value, k) => value - xi[k] / r), Z],
      [times(now.S, now.s), now.T],
    ];
    for (const [ours, theirs] of pairs) {
      expect(ours.length).toBe(theirs.length);
      ours.forEach((value, k) => {
        expect(value).toBeCloseTo(theirs[k], 10);
      });
    }
  };
  check();
  const { blocks: p, outputs: r } = weights;
  weights.set(3 * p, 0.2 * r);
  state.reweigh(p, r);
  check();
  expect(working.grow(prices, 0, 0)).toBe(24);
  state.enter();
  check();
});
