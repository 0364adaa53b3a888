/**
 * Alternating directions of which every step is wide: products with gates, shrinkage, and with cones clamps.
 *
 * The cones are slack rows s = S X v >= 0, S = 2 D - I, so that their projection is max(0, .). With x = p, A x = z and S X x_j = s_j
 * for every vector j, and scaled multipliers t - p, c and min(0, q) (Boyd et al. 2011, section 3.4.3, with their relaxation a):
 *
 *   x = argmin |x - (2 p - t)|^2 + w sum_j |S X x_j - |q_j||^2 + r |A x - (z - c)|^2,
 *   t += a (x - p),                                      p = t shortened by beta / k,
 *   q := a S X x + (1 - a) max(0, q) + min(0, q),         s = max(0, q),
 *   y := a A x + (1 - a) z + c,                          z = prox of L / (k r) at y,   c = y - z.
 *
 * Without cones there are neither s nor q. All vectors share one d x d matrix and one n x n matrix (system.ts); the weight k scales what
 * the multipliers are and moves nothing else.
 * N = k r c, a gradient of the loss at z, is the dual point. On the host, where a projection onto a cone costs as much as a few
 * of its iterations, Newton steps win (bench/README.md); on a device its steps are products like any other.
 *
 * What stalls there, since float32 ends or the last digits come slowly, goes on by Newton steps in float64 on the host.
 */

import { proximalNewton } from "../newton/index.js";
import type { Solver } from "../solver.js";
import { SplittingRun } from "./run.js";

export const splitting: Solver = {
  name: "splitting",
  firstOrder: true,
  forDevices: true,
  refuses({ loss, penalty, pooling }) {
    if (pooling != null) return 'has no steps for patches or slopes; use "proximal-newton".';
    if (!penalty.separable) return `needs the penalty "perOutput", got "${penalty.name}".`;
    if (loss.beside !== undefined)
      return 'has no step for a linear part beside the hidden layer; use "proximal-newton".';
    return null;
  },
  start: (setting, from) => new SplittingRun(setting, from, proximalNewton),
};
