import { expect, test } from "vitest";
import { bindProducts, referenceKernels } from "../../../../src/convex/kernels/index.js";
import { atOnce } from "../../../../src/convex/linear/pieces.js";
import { uniformSource } from "../../../../src/convex/linear/random.js";
import { AdmmRun } from "../../../../src/convex/solvers/admm/run.js";
import { GraphState } from "../../../../src/convex/solvers/admm/state.js";
import type { GraphSystem } from "../../../../src/convex/solvers/admm/system.js";
import { GraphWeights } from "../../../../src/convex/solvers/admm/weights.js";
import { Workbench } from "../../../../src/convex/solvers/workbench.js";
import { WorkingSet } from "../../../../src/convex/solvers/workingSet.js";
import { randomProgram } from "../../../helpers/problems.js";

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
  const weights = new GraphWeights(1, 5, "factored");
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
  atOnce(state.entering());
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
  atOnce(state.entering());
  check();
  for (const rough of [state.B, state.image]) rough.set(rough.map((value) => 1.01 * value));
  atOnce(state.renewing());
  check();
});

/** What is private in a run of `admm`. */
interface Inside {
  state: GraphState;
  working: WorkingSet;
  readonly weights: GraphWeights;
  readonly system: GraphSystem;
  readonly biasScale: number; // g^2
  advance(): Promise<boolean>;
  dispose(): void;
}

test.each([
  { cones: false, ridge: null, outputs: 2 },
  { cones: false, ridge: 0.1, outputs: 1 },
  { cones: true, ridge: null, outputs: 1 },
  { cones: true, ridge: 0, outputs: 2 },
])(
  "after an iteration T = A S + 1 s', B = A' H and image = (A A' + g^2 1 1') H: $cones $ridge $outputs",
  async (how) => {
    const program = randomProgram({ ...how, rows: 25, features: 3, gates: 150, beta: 1e-3 });
    const { rows: n, outputs: C } = program.loss;
    const d = program.X.cols;
    const bench = new Workbench(program, referenceKernels);
    const { products } = bench;
    const memory = bench.part(0, program);
    const setting = { program, kernels: referenceKernels, products, memory, tolerance: 1e-6 };
    const run = (await AdmmRun.opened(
      { ...setting, pause: async () => false, late: () => false },
      null,
    )) as unknown as Inside;
    const { weights, system, biasScale } = run;
    // So small a program would begin with all its gates.
    const prices = new Float64Array((how.cones ? 2 : 1) * program.gates.count * C).fill(1);
    const working = new WorkingSet(program, prices, null);
    const [c, Z, xi] = [C, n * C, n * C].map((length) => new Float64Array(length));
    program.loss.gradient(Z, xi);
    const state = new GraphState(products, working, weights, biasScale, c, Z, xi);
    atOnce(state.entering());
    Object.assign(run, { state, working });
    expect(biasScale > 0).toBe(how.ridge !== null);
    const check = () => {
      const { now, H, B, image } = state;
      const { gate, output, sign } = working.columns(Int32Array.from({ length: working.slots }, (_, k) => k));
      const times = (vectors: Float64Array, bias: Float64Array) => {
        const out = new Float64Array(H.length);
        products.forward(gate, output, sign, vectors, C, out);
        return out.map((value, k) => value + bias[k % C]);
      };
      const whole = new Float64Array(program.gates.count * C * d); // X' D_i H of every gate
      products.adjoint(H, C, null, whole);
      const sums = now.s.map((_, o) => H.reduce((sum, value, k) => (k % C === o ? sum + biasScale * value : sum), 0));
      const adjoint = B.map((_, k) => {
        const slot = Math.floor(k / d);
        return sign[slot] * whole[(gate[slot] * C + output[slot]) * d + (k % d)];
      });
      for (const [ours, theirs] of [
        [now.T, times(now.S, now.s)],
        [B, adjoint],
        [image, times(B, sums)],
      ]) {
        const largest = theirs.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
        const error = ours.reduce((most, value, k) => Math.max(most, Math.abs(value - theirs[k])), 0);
        expect(ours.length).toBe(theirs.length);
        expect(largest).toBeGreaterThan(0);
        expect(error / largest).toBeLessThan(1e-10);
      }
    };
    const iterate = async () => {
      const before = state.H.slice();
      expect(await run.advance()).toBe(true);
      expect(state.H).not.toEqual(before);
      check();
    };
    check();
    for (let k = 0; k < 4; k++) await iterate();
    const { blocks: p, outputs: r } = weights;
    weights.set(2 * p, 0.3 * r);
    state.reweigh(p, r);
    system.drop();
    check();
    await iterate();
    expect(working.grow(prices, 0, 0)).toBe(program.gates.count - 96);
    atOnce(state.entering());
    system.drop();
    check();
    for (let k = 0; k < 2; k++) await iterate();
    run.dispose();
    bench.dispose();
  },
);
