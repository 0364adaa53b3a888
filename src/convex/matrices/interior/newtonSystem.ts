/** The system of n rows that a step of the interior method solves. */

import type { Kernels } from "../../kernels/types.js";
import { choleskySolve } from "../../linear/cholesky.js";
import { dotAt } from "../../linear/vectors.js";
import type { OutputBias } from "../../types.js";
import { type Cone, type Grams, type InteriorProblem, inverseOf } from "./cones.js";

/** (I + R H R) y = R r, or (1 / L'' + H) y = r, with R the roots of L'' and H the forms' Gram matrix less what the multipliers take up. */
export class NewtonSystem {
  private constructor(
    private readonly factor: Float64Array, // [n x n]
    private readonly H: Float64Array, // [n x n], whole
    private readonly roots: Float64Array,
    private readonly inverseHessian: Float64Array | undefined,
    private readonly parts: readonly Part[],
    private readonly outputBias: OutputBias | null,
  ) {}

  static of(
    { forms, diagonals, outputBias }: Pick<InteriorProblem, "forms" | "diagonals" | "outputBias">,
    grams: Grams,
    kernels: Kernels,
    cones: readonly Cone[],
    roots: Float64Array,
    inverseHessian: Float64Array | undefined, // ... and where it is no diagonal, roots of ones beside its inverse
    [H, factor]: readonly [Float64Array, Float64Array], // room [n x n]
  ): NewtonSystem | null {
    const n = roots.length;
    const D = forms.size;
    const q = diagonals.length / D;
    H.fill(0);
    const parts: Part[] = [];
    for (const { sign, W, inverse } of cones) {
      const B = grams.addCone(W, inverse, diagonals, H);
      for (let k = 0; k < B.length; k++) B[k] *= sign;
      const G = weighted(W, inverse, diagonals, D, kernels);
      const turned = inverseOf(G, q, kernels);
      if (turned === null || !kernels.factor(G, q)) return null;
      const BG = new Float64Array(n * q);
      kernels.multiply(B, turned, BG, n, q, q);
      kernels.multiplyTransposed(BG, B, factor, n, q, n);
      for (let k = 0; k < n; k++) for (let kl = k * n; kl <= k * n + k; kl++) H[kl] -= factor[kl];
      parts.push({ B, G, q });
    }
    for (let k = 0; k < n; k++) {
      for (let l = 0; l <= k; l++) {
        factor[k * n + l] = roots[k] * roots[l] * H[k * n + l];
        H[l * n + k] = H[k * n + l];
      }
      if (inverseHessian === undefined) factor[k * n + k] += 1;
      else for (let kl = k * n; kl <= k * n + k; kl++) factor[kl] += inverseHessian[kl];
    }
    return kernels.factor(factor, n) ? new NewtonSystem(factor, H, roots, inverseHessian, parts, outputBias) : null;
  }

  /** `rows` [n], `ends` [q] a cone, and what the bias' own equation lacks. */
  solve(rows: Float64Array, ends: readonly Float64Array[], rest: number) {
    const r = rows.slice();
    this.parts.forEach(({ B, G, q }, s) => {
      const t = ends[s].slice();
      choleskySolve(G, q, t);
      for (let k = 0; k < r.length; k++) for (let j = 0; j < q; j++) r[k] -= B[k * q + j] * t[j];
    });
    let bias = 0;
    let dN = this.gradientChange(r);
    if (this.outputBias !== null) {
      const ones = this.gradientChange(new Float64Array(r.length).fill(1));
      const sum = (v: Float64Array) => v.reduce((total, value) => total + value, 0);
      bias = (rest - sum(dN)) / (sum(ones) + 2 * this.outputBias.ridge);
      dN = dN.map((value, k) => value + bias * ones[k]);
      for (let k = 0; k < r.length; k++) r[k] += bias;
    }
    const n = r.length;
    // The same as r - H dN, of which little is left where outputs are far larger than the charge.
    const inverse = this.inverseHessian;
    const dZ = r.map((value, k) =>
      inverse === undefined ? value - dotAt(this.H, k * n, dN, 0, n) : dotAt(inverse, k * n, dN, 0, n),
    );
    const multipliers = this.parts.map(({ B, G, q }, s) => {
      const t = ends[s].slice();
      for (let k = 0; k < n; k++) for (let j = 0; j < q; j++) t[j] -= B[k * q + j] * dN[k];
      choleskySolve(G, q, t);
      return t;
    });
    return { dZ, dN, bias, multipliers };
  }

  /** dN of dZ + H dN = r, dN = R^2 dZ. */
  private gradientChange(r: Float64Array): Float64Array {
    const y = r.map((value, k) => this.roots[k] * value);
    choleskySolve(this.factor, r.length, y);
    return y.map((value, k) => this.roots[k] * value);
  }
}

/** What the multipliers of one cone do: <M_k, W diag(g_j) K^-1>, and the factor of their own matrix. */
interface Part {
  readonly B: Float64Array; // [n x q]
  readonly G: Float64Array; // [q x q]
  readonly q: number;
}

/** g_i' (W o V) g_j [q x q], o entry by entry. */
function weighted(W: Float64Array, V: Float64Array, G: Float64Array, D: number, kernels: Kernels): Float64Array {
  const q = G.length / D;
  const both = new Float64Array(D * D);
  for (let i = 0; i < both.length; i++) both[i] = W[i] * V[i];
  const along = new Float64Array(q * D);
  kernels.multiply(G, both, along, q, D, D);
  const out = new Float64Array(q * q);
  kernels.multiplyTransposed(along, G, out, q, D, q);
  return out;
}
