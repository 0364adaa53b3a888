/**
 * A linear part beside the network, minimised away: the loss of the network's own outputs Z [n x C] is then
 *
 *   M(Z) = min over c [k x C] of L(Z + F c) + sum_p ridge_p |c_p|^2,   F [n x k], ridge_p = 0: free,
 *
 * which is convex and as smooth as L. With c at its best M'(Z) = L'(Z + F c), so that F'N + 2 ridge c = 0 at the gradient N: dual
 * points that are gradients are feasible for the linear part too. By Fenchel M*(N) = L*(N) + sum_p |F_p'N|^2 / (4 ridge_p), with
 * F_p'N = 0 for what is free. Descents, certificates and prices see no more than a loss; a solver that needs the prox of L takes the
 * part in hand (`Loss.beside`).
 */

import { ConvexError } from "../../../errors.js";
import type { LinearColumns, Loss } from "../../types.js";
import { Part } from "./part.js";

/** The loss of the network beside F c; L must be smooth. Free columns of F come orthogonal. */
export function withLinearPart(loss: Loss, columns: LinearColumns): Loss {
  const part = new Part(loss, columns);
  const { name, rows, outputs, separable, curvature } = loss;
  return {
    ...{ name, rows, outputs, separable, curvature },
    beside: part,
    value: (Z) => part.at(Z).value,
    gradient: (Z, out) => out.set(part.at(Z).N),
    hessianDiagonal: (Z, out) => loss.hessianDiagonal(part.at(Z).W, out),
    conjugate: (N) => loss.conjugate(N) + part.charge(N),
    prox() {
      throw new ConvexError(
        "solver/none",
        `${name}: expected a solver that takes the linear part in hand, got another.`,
      );
    },
    balance() {
      throw new ConvexError(
        "solver/none",
        `${name}: expected a program without an output bias beside the linear part, which has the constant among its columns, got one.`,
      );
    },
    output: (c) => withLinearPart(loss.output(c), columns),
  };
}

/** Whether the constant is among the columns. */
export function hasConstant({ maps: { layers } }: LinearColumns): boolean {
  return layers.data.subarray((layers.rows - 1) * layers.cols).some((value) => value !== 0);
}
