/** Products with gates that are multiplied in float32, whatever the unit of what is multiplied: float32 has no room for every one. */

import type { GatedProducts } from "../../kernels/types.js";
import { multipleInto, norm } from "../../linear/vectors.js";
import { meanSquaredNorm } from "../../operators/blocks.js";
import type { Setting } from "../solver.js";

/** Those of a step. */
export type StepProducts = Pick<GatedProducts, "forward" | "adjoint">;

/** Mean squares of rows, and the inverse, up to which products are rough: float32 ends at 3e38. */
const MOST_SQUARE = 1e20;

/** Null where an engine has nothing faster than float64, or float32 does not hold products of rows of that length with themselves. */
export function roughProducts({ program, products }: Setting): StepProducts | null {
  const square = meanSquaredNorm(program);
  const rough = square > 1 / MOST_SQUARE && square < MOST_SQUARE ? products.roughly?.() : undefined;
  if (rough === undefined) return null;
  return {
    forward(gate, output, sign, vectors, outputs, out) {
      const size = norm(vectors) || 1;
      rough.forward(gate, output, sign, multiple(1 / size, vectors), outputs, out);
      multipleInto(size, out, out);
    },
    adjoint(R, outputs, list, out) {
      const size = norm(R) || 1;
      rough.adjoint(multiple(1 / size, R), outputs, list, out);
      multipleInto(size, out, out);
    },
  };
}

function multiple(factor: number, a: Float64Array): Float64Array {
  const out = new Float64Array(a.length);
  multipleInto(factor, a, out);
  return out;
}
