/** Engines that are another's in all but what they have of their own. */

import type { Kernels } from "./types.js";

type Own = { readonly [key in keyof Kernels]?: Kernels[key] | undefined };

export function engineLike(kernels: Kernels, own: Own): Kernels {
  return Object.assign(Object.create(kernels), own);
}
