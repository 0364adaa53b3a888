/** The system of n rows that a step of the interior method solves. */

import { choleskyInPlace, choleskySolve } from "../linear/cholesky.js";
import { dotAt } from "../linear/vectors.js";
import type { OutputBias } from "../types.js";
import { addGram, diagonalTerms, type FormGrams } from "./formGrams.js";
import type { Cone, InteriorProblem } from "./interiorCones.js";

/** (I + R H R) y = R r with R the roots of L'' and H the forms' Gram matrix less what the multipliers take up. */
export class NewtonSystem {
  private constructor(
    private readonly factor: Float64Array, // [n x n]
    private readonly H: Float64Array, // [n x n], whole
    private readonly roots: Float64Array,
    private readonly parts: readonly Part[],
    private readonly outputBias: OutputBias | null,
  ) {}

  static of(
    { forms, diagonals, outputBias }: InteriorProblem,
    grams: FormGrams,
    cones: readonly Cone[],
    roots: Float64Array,
    [H, factor]: readonly [Float64Array, Float64Array], // room [n x n]
  ): NewtonSystem | null {
    const n = forms.X.rows;
    const D = forms.size;
    const q = diagonals.length / D;
    H.fill(0);
    const parts: Part[] = [];
    for (const { sign, W, inverse } of cones) {
      const [seen, other] = [grams.see(W, 0), grams.see(inverse, 1)];
      addGram(forms, seen, other, H);
      const B = q > 0 ? diagonalTerms(forms, seen, other, diagonals) : new Float64Array(0);
      const G = weighted(W, inverse, diagonals, D);
      if (!choleskyInPlace(G, q)) return null;
      for (let k = 0; k < B.length; k++) B[k] *= sign;
      const half = B.slice(); // B G^-T/2
      for (let k = 0; k < n; k++) forwardSolve(G, q, half, k * q);
      if (q > 0) {
        for (let k = 0; k < n; k++) {
          for (let l = 0; l <= k; l++) {
            let sum = 0;
            for (let j = 0; j < q; j++) sum += half[k * q + j] * half[l * q + j];
            H[k * n + l] -= sum;
          }
        }
      }
      parts.push({ B, G, q });
    }
    for (let k = 0; k < n; k++) {
      for (let l = 0; l <= k; l++) {
        factor[k * n + l] = roots[k] * roots[l] * H[k * n + l];
        H[l * n + k] = H[k * n + l];
      }
      factor[k * n + k] += 1;
    }
    return choleskyInPlace(factor, n) ? new NewtonSystem(factor, H, roots, parts, outputBias) : null;
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
    const dZ = r.map((value, k) => value - dotAt(this.H, k * n, dN, 0, n));
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
function weighted(W: Float64Array, V: Float64Array, G: Float64Array, D: number): Float64Array {
  const q = G.length / D;
  const out = new Float64Array(q * q);
  const along = new Float64Array(D);
  for (let j = 0; j < q; j++) {
    for (let a = 0; a < D; a++) {
      let sum = 0;
      for (let b = 0; b < D; b++) sum += W[a * D + b] * V[a * D + b] * G[j * D + b];
      along[a] = sum;
    }
    for (let i = 0; i < q; i++) {
      let sum = 0;
      for (let a = 0; a < D; a++) sum += G[i * D + a] * along[a];
      out[i * q + j] = sum;
    }
  }
  return out;
}

/** In place at `from`: L t = t. */
function forwardSolve(L: Float64Array, q: number, t: Float64Array, from: number): void {
  for (let i = 0; i < q; i++) {
    let sum = t[from + i];
    for (let j = 0; j < i; j++) sum -= L[i * q + j] * t[from + j];
    t[from + i] = sum / L[i * q + i];
  }
}
