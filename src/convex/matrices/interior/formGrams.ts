/**
 * Quadratic forms under products of matrices: what a Newton step of the interior method asks of M_k, which have rank two at most.
 *
 * tr(M_k W M_l V) is made of x_k'W x_l, of parts of W x_k and of the same of V, so that a Gram matrix of n forms takes n^2 d steps
 * where forms of full rank would take n^2 d^2. See `signForms.ts` for the M_k.
 */

import type { Kernels } from "../../kernels/types.js";
import { dotAt, transpose } from "../../linear/vectors.js";
import type { SignForms } from "../signForms.js";
import type { Grams } from "./cones.js";
import type { Diagonals } from "./diagonals.js";

/** A symmetric matrix W [D x D] seen from the rows of X. */
export interface Seen {
  /** X W with x in its place of p, [n x D]: one, or of bilinear units two. */
  readonly rows: readonly Float64Array[];
  /** x_k'W x_l [n x n] with x in its places: one, or (u, u), (v, u) and (v, v). */
  readonly grams: readonly Float64Array[];
  /** The last row of W. */
  readonly last: Float64Array;
}

export class FormGrams implements Grams {
  private readonly places: readonly number[]; // where x begins in p
  private readonly turned: Float64Array; // X' [d x n]
  private readonly kept = new Map<string, Float64Array>(); // arrays of n^2 numbers cost more to make than to fill

  constructor(
    private readonly forms: SignForms,
    private readonly kernels: Kernels,
  ) {
    this.places = forms.kind === "bilinear" ? [0, forms.X.cols] : [0];
    this.turned = new Float64Array(forms.X.data.length);
    transpose(forms.X.data, forms.X.rows, forms.X.cols, this.turned);
  }

  /** X W for the rows of W that x meets, and no Gram matrices; what was there for the same slot is overwritten. */
  private rowsOf(W: Float64Array, slot: number): Float64Array[] {
    const { X, size: D } = this.forms;
    const { rows: n, cols: d, data } = X;
    return this.places.map((place) => {
      const out = this.room(`rows ${slot} ${place}`, n * D);
      this.kernels.multiply(data, W.subarray(place * D, (place + d) * D), out, n, d, D);
      return out;
    });
  }

  /** What is seen in the same slot before is overwritten. */
  private see(W: Float64Array, slot: number): Seen {
    const { X, size: D } = this.forms;
    const { rows: n, cols: d, data } = X;
    const rows = this.rowsOf(W, slot);
    const part = this.room("part", n * d);
    const grams = rows.flatMap((own, from) =>
      this.places.slice(0, from + 1).map((place) => {
        for (let k = 0; k < n; k++) for (let i = 0; i < d; i++) part[k * d + i] = own[k * D + place + i];
        const gram = this.room(`${slot} ${from} ${place}`, n * n);
        this.kernels.multiplyTransposed(part, data, gram, n, d, n);
        return gram;
      }),
    );
    return { rows, grams, last: W.subarray(D * D - D) };
  }

  addCone(W: Float64Array, V: Float64Array, diagonals: Diagonals, H: Float64Array): Float64Array {
    const seen = this.see(W, 0);
    const other = V === W ? seen : this.see(V, 1);
    addGram(this.forms, seen, other, H);
    return diagonals.times(
      diagonalTerms(this.forms, seen, other, this.room("terms", this.forms.X.rows * this.forms.size)),
    );
  }

  private room(name: string, size: number): Float64Array {
    const made = this.kept.get(name) ?? new Float64Array(size);
    this.kept.set(name, made);
    return made;
  }

  /** <M_k, W> [n], W [D x D] symmetric. */
  outputs(W: Float64Array): Float64Array {
    const { kind, X, size: D, scale } = this.forms;
    const { rows: n, cols: d, data } = X;
    const [own] = this.rowsOf(W, 2);
    const to = kind === "bilinear" ? d : 0;
    const corner = W[D * D - 1];
    const out = new Float64Array(n);
    for (let k = 0; k < n; k++) {
      const square = dotAt(own, k * D + to, data, k * d, d);
      out[k] = scale * square;
      if (kind !== "bilinear") out[k] = scale * (kind.a * square + kind.b * own[k * D + d] + kind.c * corner);
    }
    return out;
  }

  /** sum_k N_k M_k [D x D]. */
  matrix(N: Float64Array): Float64Array {
    const { kind, X, size: D, scale } = this.forms;
    const { rows: n, cols: d, data } = X;
    const weighted = this.room("weighted", d * n); // X' diag(N)
    const linear = new Float64Array(d);
    const total = scale * N.reduce((sum, value) => sum + value, 0);
    for (let i = 0; i < d; i++) {
      let sum = 0;
      for (let k = 0; k < n; k++) {
        const value = scale * N[k] * this.turned[i * n + k];
        weighted[i * n + k] = value;
        sum += value;
      }
      linear[i] = sum;
    }
    const square = this.room("square", d * d);
    this.kernels.multiply(weighted, data, square, d, n, d);
    const S = new Float64Array(D * D);
    const bilinear = kind === "bilinear";
    const shift = bilinear ? d : 0;
    const factor = bilinear ? 0.5 : kind.a;
    for (let i = 0; i < d; i++) {
      for (let j = 0; j <= i; j++) {
        const value = factor * square[i * d + j];
        S[i * D + shift + j] = value;
        S[j * D + shift + i] = value;
        S[(shift + i) * D + j] = value;
        S[(shift + j) * D + i] = value;
      }
      if (!bilinear) S[i * D + d] = S[d * D + i] = (kind.b / 2) * linear[i];
    }
    if (!bilinear) S[D * D - 1] = kind.c * total;
    return S;
  }
}

/** H += tr(M_k W M_l V), made symmetric in W and V; its lower half [n x n]. */
function addGram({ kind, X, size: D, scale }: SignForms, W: Seen, V: Seen, H: Float64Array): void {
  const n = X.rows;
  const whole = scale * scale;
  if (kind === "bilinear") {
    const [Wuu, Wvu, Wvv] = W.grams;
    const [Vuu, Vvu, Vvv] = V.grams;
    const quarter = whole / 4;
    for (let k = 0; k < n; k++) {
      for (let l = 0; l <= k; l++) {
        const kl = k * n + l;
        const lk = l * n + k;
        H[kl] += quarter * (Wvu[kl] * Vvu[lk] + Wvu[lk] * Vvu[kl] + Wvv[kl] * Vuu[kl] + Wuu[kl] * Vvv[kl]);
      }
    }
    return;
  }
  const { a, b, c } = kind;
  const [P] = W.grams;
  const [Q] = V.grams;
  const aa = whole * a * a;
  if (b === 0 && c === 0) {
    for (let k = 0; k < n; k++) for (let kl = k * n; kl <= k * n + k; kl++) H[kl] += aa * P[kl] * Q[kl];
    return;
  }
  const [p, q] = [W, V].map(({ rows: [rows] }) => {
    const out = new Float64Array(n);
    for (let k = 0; k < n; k++) out[k] = rows[k * D + D - 1];
    return out;
  });
  const [ab, ac, bb, bc] = [(whole * a * b) / 2, whole * a * c, (whole * b * b) / 4, (whole * b * c) / 2];
  const [g, h] = [W.last[D - 1], V.last[D - 1]];
  const rest = whole * c * c * g * h;
  for (let k = 0; k < n; k++) {
    const [pk, qk] = [p[k], q[k]];
    for (let l = 0; l <= k; l++) {
      const kl = k * n + l;
      const [pl, ql] = [p[l], q[l]];
      const [Pkl, Qkl] = [P[kl], Q[kl]];
      const [ps, qs] = [pk + pl, qk + ql];
      H[kl] +=
        Pkl * (aa * Qkl + ab * qs + bb * h) +
        Qkl * (ab * ps + bb * g) +
        ac * (pk * qk + pl * ql) +
        bb * (pl * qk + pk * ql) +
        bc * (g * qs + h * ps) +
        rest;
    }
  }
}

/** (V M_k W)_ii [n x D], made symmetric in W and V. */
function diagonalTerms({ kind, X, size: D, scale }: SignForms, W: Seen, V: Seen, terms: Float64Array): Float64Array {
  const n = X.rows;
  const [w, v] = [W.last, V.last];
  const [w0, w1] = W.rows;
  const [v0, v1] = V.rows;
  for (let k = 0; k < n; k++) {
    for (let i = 0; i < D; i++) {
      const at = k * D + i;
      if (kind === "bilinear") terms[at] = (scale * (w0[at] * v1[at] + w1[at] * v0[at])) / 2;
      else {
        const linear = w0[at] * v[i] + w[i] * v0[at];
        terms[at] = scale * (kind.a * w0[at] * v0[at] + (kind.b / 2) * linear + kind.c * w[i] * v[i]);
      }
    }
  }
  return terms;
}
