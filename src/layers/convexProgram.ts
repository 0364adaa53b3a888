/** The solution of a convex quadratic program as a differentiable operation of TensorFlow.js. */

import * as tf from "@tensorflow/tfjs";
import { isRecord, refuse, refuseAs, refuseUnknown } from "../arguments.js";
import {
  type QuadraticProgram,
  type QuadraticSolution,
  quadraticGradient,
  solveQuadraticProgram,
} from "../convex/quadratic/index.js";
import { ConvexError } from "../errors.js";

/** What a program is made of; each for all of a batch, or with the batch as its first dimension. */
export interface QuadraticTerms {
  readonly P: tf.Tensor; // [n, n] or [B, n, n]; positive semidefinite; its symmetric part counts
  readonly q: tf.Tensor; // [n] or [B, n]
  readonly A?: tf.Tensor; // [p, n] or [B, p, n]; with b
  readonly b?: tf.Tensor; // [p] or [B, p]
  readonly G?: tf.Tensor; // [m, n] or [B, m, n]; with h
  readonly h?: tf.Tensor; // [m] or [B, m]
  /**
   * Sizes of second-order cones {(t, u): |u| <= t} in which the last rows of h - G z are, in their order; the rows before are
   * inequalities. Default none.
   */
  readonly cones?: readonly number[];
}

const NAMES = ["P", "q", "A", "b", "G", "h"] as const;
type Name = (typeof NAMES)[number];
const MATRICES: readonly Name[] = ["P", "A", "G"];
/** Pairs of a matrix and the right-hand sides of its rows. */
const SIDES = [
  ["A", "b"],
  ["G", "h"],
] as const;

/**
 * z = argmin 1/2 z'P z + q'z subject to A z = b and G z <= h, a program a sample, or with the last rows of h - G z in second-order
 * `cones`, differentiable in all six: the gradients are
 * those of the solution by the implicit function theorem (OptNet; Amos and Kolter 2017), in least squares where the KKT equations
 * are singular, as where a solution is not unique. A constraint that touches without pushing counts as absent. Solved on the host in
 * float64, to rounding, with cones to nine digits of each KKT equation's terms; for programs of up to some hundred variables.
 *
 * @returns z, [n] where no term has a batch, else [B, n].
 * @throws ConvexError "data/shape" for terms that do not fit together, "data/nonFinite" for NaN or Infinity, "data/infeasible" where
 * no z meets the constraints, "data/unbounded" where the objective has no least value (or P is not positive semidefinite), "solver/none" where rounding
 * stops the interior points, as it may with cones that leave no room; "engine/unavailable" on the backend webgpu, whose tensors cannot be read within an operation.
 *
 * @example
 * ```ts
 * // The nearest point of the simplex: z >= 0, sum z = 1.
 * const nearest = (x) => quadraticProgram({ P: tf.eye(3), q: x.neg(), A: tf.ones([1, 3]), b: tf.ones([1]), G: tf.eye(3).neg(), h: tf.zeros([3]) });
 * const z = nearest(tf.tensor2d([[2, 0, -1]])); // [[1, 0, 0]]
 * const slopes = tf.grad((x) => nearest(x).square().sum())(tf.tensor2d([[0.5, 0.4, 0]]));
 * ```
 */
export function quadraticProgram(terms: QuadraticTerms): tf.Tensor {
  const { given, batch, sizes } = checked(terms);
  if (tf.getBackend() === "webgpu") {
    throw new ConvexError(
      "engine/unavailable",
      `quadraticProgram: expected a backend whose tensors can be read at once, got "webgpu". Use tf.setBackend("webgl"), "wasm" or "cpu".`,
    );
  }
  const B = batch ?? 1;
  const op = tf.customGrad((...inputs) => {
    const tensors = inputs.filter((input): input is tf.Tensor => input instanceof tf.Tensor);
    const values = new Map(given.map((name, k) => [name, valuesOf(name, tensors[k])]));
    const programs = Array.from({ length: B }, (_, sample) => programOf(values, given, terms, sample, sizes));
    const solutions = programs.map((program, sample) => solved(program, sample, B));
    const z = tf.tensor(joined(solutions.map((solution) => solution.z)), batch === null ? [sizes.n] : [B, sizes.n]);
    const gradFunc = (dy: tf.Tensor) => {
      const dz = dy.dataSync();
      const parts = solutions.map((solution, sample) =>
        quadraticGradient(
          programs[sample],
          solution,
          Float64Array.from(dz.subarray(sample * sizes.n, (sample + 1) * sizes.n)),
        ),
      );
      return given.map((name) => {
        const { shape } = terms[name] as tf.Tensor;
        const each = parts.map((part) => part[name]);
        return tf.tensor(isBatched(name, shape) ? joined(each) : summed(each), shape);
      });
    };
    return { value: z, gradFunc };
  });
  return tf.tidy(() => op(...given.map((name) => tf.cast(terms[name] as tf.Tensor, "float32"))));
}

interface Sizes {
  readonly n: number;
  readonly p: number;
  readonly m: number;
}

/** The terms that are there, their batch (null for none), and their sizes. */
function checked(terms: QuadraticTerms): { given: readonly Name[]; batch: number | null; sizes: Sizes } {
  if (!isRecord(terms)) refuse("quadraticProgram", "terms { P, q, A, b, G, h }", terms);
  refuseUnknown("quadraticProgram", terms, [...NAMES, "cones"]);
  const given = NAMES.filter((name) => terms[name] !== undefined);
  for (const name of given)
    if (!(terms[name] instanceof tf.Tensor)) refuse(`quadraticProgram: ${name}`, "a tensor", terms[name]);
  for (const name of ["P", "q"] as const)
    if (terms[name] === undefined) refuse(`quadraticProgram: ${name}`, "a tensor", undefined);
  for (const [matrix, side] of SIDES) {
    if ((terms[matrix] === undefined) === (terms[side] === undefined)) continue;
    const missing = terms[matrix] === undefined ? matrix : side;
    refuseAs("quadraticProgram", `${matrix} and ${side} together`, `no ${missing}`, `Add ${missing}.`);
  }
  const shapes = new Map(given.map((name) => [name, (terms[name] as tf.Tensor).shape]));
  const n = terms.q.shape[terms.q.shape.length - 1] ?? 0;
  const count = (side: "b" | "h") => {
    const shape = shapes.get(side);
    return shape === undefined ? 0 : (shape[shape.length - 1] ?? 0);
  };
  const sizes = { n, p: count("b"), m: count("h") };
  checkCones(terms.cones, sizes.m);
  const core: Record<Name, readonly number[]> = {
    ...{ P: [n, n], q: [n], A: [sizes.p, n], b: [sizes.p], G: [sizes.m, n], h: [sizes.m] },
  };
  let batch: number | null = null;
  for (const name of given) {
    const shape = shapes.get(name) as number[];
    const own = isBatched(name, shape) ? shape[0] : null;
    const inner = own === null ? shape : shape.slice(1);
    if (n === 0 || inner.join() !== core[name].join()) {
      const wanted = `[${core[name].join(", ")}], or that for each of a batch`;
      refuseAs(
        `quadraticProgram: ${name}`,
        `a shape of ${wanted}`,
        `[${shape.join(", ")}]`,
        "q, b and h say n, p and m.",
        "data/shape",
      );
    }
    if (own !== null && batch !== null && own !== batch) {
      refuseAs(
        `quadraticProgram: ${name}`,
        `a batch of ${batch}, as other terms have`,
        String(own),
        "Give all the same.",
        "data/shape",
      );
    }
    batch = own ?? batch;
  }
  return { given, batch, sizes };
}

function checkCones(cones: unknown, m: number): void {
  if (cones === undefined) return;
  if (!Array.isArray(cones) || !cones.every((size) => Number.isInteger(size) && size >= 1))
    refuse("quadraticProgram: cones", "an array of sizes, each an integer of at least 1", cones);
  const rows = cones.reduce((sum: number, size: number) => sum + size, 0);
  if (rows <= m) return;
  refuseAs(
    "quadraticProgram: cones",
    `sizes of at most ${m} rows in all, those of G and h`,
    String(rows),
    "Add rows to G and h, or take a cone away.",
    "data/shape",
  );
}

function isBatched(name: Name, shape: readonly number[]): boolean {
  return shape.length > (MATRICES.includes(name) ? 2 : 1);
}

function valuesOf(name: Name, tensor: tf.Tensor): Float64Array {
  const values = Float64Array.from(tensor.dataSync());
  const at = values.findIndex((value) => !Number.isFinite(value));
  if (at < 0) return values;
  return refuseAs(
    `quadraticProgram: ${name}`,
    "finite numbers",
    `${values[at]} at place ${at}`,
    "Check what made it.",
    "data/nonFinite",
  );
}

function programOf(
  values: ReadonlyMap<Name, Float64Array>,
  given: readonly Name[],
  terms: QuadraticTerms,
  sample: number,
  { n, p, m }: Sizes,
): QuadraticProgram {
  const length: Record<Name, number> = { P: n * n, q: n, A: p * n, b: p, G: m * n, h: m };
  const part = (name: Name) => {
    const all = values.get(name);
    if (all === undefined || !given.includes(name)) return new Float64Array(0);
    const from = isBatched(name, (terms[name] as tf.Tensor).shape) ? sample * length[name] : 0;
    return all.slice(from, from + length[name]);
  };
  const P = part("P");
  const symmetric = P.map((value, e) => (value + P[(e % n) * n + Math.floor(e / n)]) / 2);
  const { cones = [] } = terms;
  return { P: symmetric, q: part("q"), A: part("A"), b: part("b"), G: part("G"), h: part("h"), cones };
}

function solved(program: QuadraticProgram, sample: number, B: number): QuadraticSolution {
  const solution = solveQuadraticProgram(program);
  if (typeof solution !== "string") return solution;
  const where = B === 1 ? "quadraticProgram" : `quadraticProgram: sample ${sample} of ${B}`;
  if (solution === "infeasible") {
    throw new ConvexError(
      "data/infeasible",
      `${where}: expected constraints A z = b and G z <= h that some z meets, got ones that contradict each other. Loosen h, or ` +
        `take away rows of A.`,
    );
  }
  if (solution === "stalled") {
    throw new ConvexError(
      "solver/none",
      `${where}: expected a program whose KKT equations the interior points bring to nine digits, got one that rounding stopped before. Bring rows of G ` +
        `and h, and the entries of P, to a like size, and leave room within the cones.`,
    );
  }
  throw new ConvexError(
    "data/unbounded",
    `${where}: expected a positive semidefinite P and an objective with a least value, got one that falls without end. Add a small ` +
      `multiple of the identity to P, or constraints.`,
  );
}

function joined(parts: readonly Float64Array[]): Float32Array {
  const all = new Float32Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

function summed(parts: readonly Float64Array[]): Float32Array {
  return Float32Array.from(parts[0], (_, e) => parts.reduce((sum, part) => sum + part[e], 0));
}
