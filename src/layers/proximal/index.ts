/** An optimizer for `model.fit` with proximal steps for gated layers. */

export { ProximalAdam, type ProximalAdamArgs, proximalAdam } from "./proximalAdam.js";
