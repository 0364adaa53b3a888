/** Patches that stay with the engine while units move over them: a descent multiplies with the same rows in every step. */

import { engineLike } from "../../kernels/engineLike.js";
import type { HeldMatrix, Kernels } from "../../kernels/types.js";
import { whereRoom } from "../../linear/whereRoom.js";
import type { Places } from "../places.js";

/** Numbers that are held at most, 256 MB: an engine's memory does not shrink. */
const MOST = 2 ** 25;

/** Kernels whose products with the rows, or moments, of places find them there; the caller disposes what is held. */
export function holdingPlaces(kernels: Kernels, { list }: Places): { readonly kernels: Kernels; dispose(): void } {
  const held = new Map<Float64Array, HeldMatrix>();
  let left = MOST;
  for (const place of list) {
    const X = place.kind === "rows" ? place.X : place.Phi;
    if (X.data.length > left) break;
    const one = whereRoom(() => kernels.hold?.(X));
    if (one == null) break;
    held.set(X.data, one);
    left -= X.data.length;
  }
  if (held.size === 0) return { kernels, dispose: () => undefined };
  return {
    kernels: engineLike(kernels, {
      multiply: (A, B, out, m, k, n) => {
        const X = held.get(B);
        if (X === undefined) kernels.multiply(A, B, out, m, k, n);
        else X.times(A, out, m);
      },
      multiplyTransposed: (A, B, out, m, k, n) => {
        const X = held.get(B);
        if (X === undefined) kernels.multiplyTransposed(A, B, out, m, k, n);
        else X.timesTransposed(A, out, m);
      },
    }),
    dispose: () => {
      for (const one of held.values()) one.dispose();
    },
  };
}
