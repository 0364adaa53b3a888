/** Arrays from an engine beside those of the reference. */

import { expect } from "vitest";

/** Every entry is within a share of the largest that is wanted; NaN is not. */
export function expectNear(got: ArrayLike<number>, wanted: ArrayLike<number>, share: number): void {
  let scale = 1e-300;
  let worst = 0;
  for (let k = 0; k < wanted.length; k++) scale = Math.max(scale, Math.abs(wanted[k]));
  for (let k = 0; k < wanted.length; k++) {
    worst = Math.max(worst, Number.isNaN(got[k]) ? Number.POSITIVE_INFINITY : Math.abs(got[k] - wanted[k]) / scale);
  }
  expect(worst).toBeLessThanOrEqual(share);
}
