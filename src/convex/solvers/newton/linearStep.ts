/** The linear part beside the network in a proximal step of the dual: its charge, its part of theta and of the Newton systems. */

import { dot } from "../../linear/vectors.js";
import type { LinearPart } from "../../types.js";
import type { CoupledSystem, OutputCurvature } from "../systems/index.js";

/** What a step makes of xi. */
export interface LinearMove {
  readonly c: Float64Array; // [k x C]
  readonly theta: number;
}

/**
 * min over c of sum_p ridge_p |c_p|^2 + <F'xi, c> + |c - c0|^2 / (2 rho): c_p = (c0_p - rho F_p'xi) / (1 + 2 ridge_p rho), and
 * -Hessian = F diag(rho / (1 + 2 ridge_p rho)) F' in every output.
 */
export class LinearStep {
  private weighted: { readonly rho: number; readonly rows: Float64Array } | null = null;

  constructor(
    private readonly part: LinearPart,
    private c0: Float64Array, // [k x C]
  ) {}

  at(xi: Float64Array, rho: number): LinearMove {
    const { part, c0 } = this;
    const C = part.loss.outputs;
    const c = part.pull(xi);
    let theta = 0;
    for (let k = 0; k < c.length; k++) {
      const ridge = part.ridge[Math.floor(k / C)];
      const pull = c[k];
      c[k] = (c0[k] - rho * pull) / (1 + 2 * ridge * rho);
      theta += ridge * c[k] ** 2 + (c[k] - c0[k]) ** 2 / (2 * rho) + pull * c[k];
    }
    return { c, theta };
  }

  moveCenter({ c }: LinearMove): void {
    this.c0 = Float64Array.from(c);
  }

  /** The curvature of one output with that of the part. */
  joined(own: OutputCurvature, rho: number): OutputCurvature {
    const more = this.rows(rho);
    const rows = new Float64Array(own.rows.length + more.length);
    rows.set(own.rows);
    rows.set(more, own.rows.length);
    return { ...own, rows, rowCount: own.rowCount + this.part.F.cols };
  }

  /** The same of a system that is known by its products. */
  joinedTo(system: CoupledSystem, rho: number): CoupledSystem {
    const { n, outputs, rows } = system;
    const more = this.rows(rho);
    const k = this.part.F.cols;
    const column = new Float64Array(n);
    return {
      ...system,
      rows: {
        count: rows.count + k,
        make: () => {
          const all = new Float64Array((rows.count + k) * n);
          all.set(rows.make());
          all.set(more, rows.count * n);
          return all;
        },
      },
      addCurvature(x, out) {
        system.addCurvature(x, out);
        for (let o = 0; o < outputs; o++) {
          for (let j = 0; j < n; j++) column[j] = x[j * outputs + o];
          for (let p = 0; p < k; p++) {
            const row = more.subarray(p * n, (p + 1) * n);
            const along = dot(row, column);
            for (let j = 0; j < n; j++) out[j * outputs + o] += along * row[j];
          }
        }
      },
    };
  }

  /** The columns of F as rows [k x n], times the roots of their weights: the same until rho changes. */
  private rows(rho: number): Float64Array {
    const { weighted } = this;
    if (weighted?.rho === rho) return weighted.rows;
    const { F, ridge } = this.part;
    const { rows: n, cols: k, data } = F;
    const rows = new Float64Array(k * n);
    for (let p = 0; p < k; p++) {
      const root = Math.sqrt(rho / (1 + 2 * ridge[p] * rho));
      for (let j = 0; j < n; j++) rows[p * n + j] = root * data[j * k + p];
    }
    this.weighted = { rho, rows };
    return rows;
  }
}
