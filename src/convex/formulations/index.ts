/** The formulations, by name. */

import { affine } from "./affine.js";
import type { Formulation } from "./formulation.js";
import { gated } from "./gated.js";
import { linear } from "./linear.js";
import { relu } from "./relu.js";

export type { Formulation } from "./formulation.js";

export const formulations: Readonly<Record<Formulation["name"], Formulation>> = { relu, gated, linear, affine };
