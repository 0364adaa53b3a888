/**
 * Alternating directions for programs of many rows: an n x n matrix is factored a few times in all, not once a step.
 *
 * Graph form (Parikh and Boyd 2014, section 2, with the relaxation of Boyd et al. 2011, section 3.4.3). Blocks W carry the
 * penalty, outputs Y the loss, e the ridge of the bias, and (V, c, Z) lie on the graph Z = A V + 1 c'. With weights p of the
 * blocks, r of the outputs and p / g^2 of the bias, and multipliers xi, it is Douglas and Rachford's iteration (Eckstein and
 * Bertsekas 1992) for S = V - A' xi / p, s = c - g^2 1'xi / p and Q = Z + xi / r:
 *
 *   W = shrink(S, beta / p),   Y = prox of L / r at Q,   e = prox of the ridge at s,   T = A S + 1 s',
 *   M H = 2 (A W + 1 e' - Y) - T + Q,   M = A A' + g^2 1 1' + (p / r) I,
 *   S += a (W - S - A' H),   s += a (e - s - g^2 1'H),   Q += a (Y - Q + (p / r) H),
 *
 * a the relaxation; p H tends to xi. M depends on the ratio of the weights only, and has n rows whatever d and the number of
 * gates are. N = r (Q - Y), a gradient of the loss at Y, is the dual point. The map is nonexpansive, and Anderson's method
 * takes it further.
 *
 * With cones shrink is after a projection, A has columns of both signs, so that A A' is twice that of the gates, and the prices of N
 * are lowered at each judgement (loweredPrices.ts).
 *
 * The last digits may come slowly. Where Newton steps are reckoned to cost less, they go on from here.
 */

import { proximalNewton } from "../newton/index.js";
import type { Solver } from "../solver.js";
import { admmRun } from "./run.js";
import { suits } from "./suits.js";

export const admm: Solver = {
  name: "admm",
  firstOrder: false,
  joint: true,
  refuses(program) {
    if (program.loss.beside !== undefined) {
      return 'has no step for a linear part beside the hidden layer; use "proximal-newton", or "fista" with gates.';
    }
    // With cones Newton steps must be able to go on.
    return program.cones ? proximalNewton.refuses(program) : null;
  },
  suits,
  start: admmRun,
};
