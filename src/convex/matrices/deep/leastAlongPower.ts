/** Minima over t >= 0 of a convex function plus c t^p, 0 < p <= 1: what weight decay of several layers makes of one number. */

import { realPower } from "../../linear/elementary.js";

/** A point of the least value that was found, and what no point is below. */
export interface LeastAlong {
  readonly at: number;
  readonly value: number;
  readonly bound: number;
}

/** A function of one number and its slope there. */
export type WithSlope = (t: number) => { readonly value: number; readonly slope: number };

/** Cuts of an interval, far above what any needs: they close in quadratically. */
const MOST_CUTS = 20_000;
/** Newton steps of a root; they settle in ten. */
const STEPS = 100;

/** argmin over t >= 0 of a (t - s)^2 + c t^p, a > 0, c > 0: zero, or the larger of two stationary points. */
export function shrinkByPower(a: number, s: number, c: number, p: number): number {
  if (!(s > 0)) return 0;
  if (p === 1) return Math.max(0, s - c / (2 * a));
  // 2 a (t - s) + c p t^(p - 1) is convex in t: from the right, where it is positive, Newton comes down to the larger root.
  const slope = (t: number) => 2 * a * (t - s) + c * p * realPower(t, p - 1);
  const lowest = realPower((c * p * (1 - p)) / (2 * a), 1 / (2 - p));
  if (lowest >= s || slope(lowest) >= 0) return 0;
  let t = s;
  for (let step = 0; step < STEPS; step++) {
    const next = t - slope(t) / (2 * a + c * p * (p - 1) * realPower(t, p - 2));
    if (!(next < t) || next <= lowest) break;
    t = next;
  }
  return a * (t - s) ** 2 + c * realPower(t, p) < a * s * s ? t : 0;
}

interface Piece {
  readonly from: number;
  readonly to: number;
  readonly cut: number; // where the bound is attained, or near it
  readonly bound: number;
}

/**
 * min over 0 <= t <= top of g(t) + c t^p, g convex, by branch and bound: on an interval g is above its tangents at both ends and t^p,
 * which is concave, above its chord, so that the bound is the lowest corner of a polygon. It ends at a relative gap of `tolerance`.
 */
export function leastAlongPower(g: WithSlope, top: number, c: number, p: number, tolerance: number): LeastAlong {
  const charge = (t: number) => (t > 0 ? c * realPower(t, p) : 0);
  let best = { at: 0, value: Number.POSITIVE_INFINITY };
  const seen = (t: number) => {
    const here = { t, ...g(t) };
    if (here.value + charge(t) < best.value) best = { at: t, value: here.value + charge(t) };
    return here;
  };
  type End = ReturnType<typeof seen>;
  const ends = new Map<number, End>([0, top].map((t) => [t, seen(t)]));
  const pieceOf = (from: End, to: End): Piece => {
    const [a, b] = [from.t, to.t];
    const turn =
      from.slope === to.slope ? a : (to.value - from.value + from.slope * a - to.slope * b) / (from.slope - to.slope);
    const cut = Math.min(b, Math.max(a, turn));
    const chord = charge(a) + ((charge(b) - charge(a)) * (cut - a)) / (b - a);
    const corner = from.value + from.slope * (cut - a) + chord;
    const bound = Math.min(corner, from.value + charge(a), to.value + charge(b));
    const margin = 0.1 * (b - a);
    return { from: a, to: b, cut: Math.min(b - margin, Math.max(a + margin, cut)), bound };
  };
  const endAt = (t: number) => ends.get(t) as End;
  let open = top > 0 ? [pieceOf(endAt(0), endAt(top))] : [];
  let closed = best.value;
  for (let cuts = 0; open.length > 0 && cuts < MOST_CUTS; cuts++) {
    const room = tolerance * Math.abs(best.value);
    for (const { bound } of open) if (bound >= best.value - room) closed = Math.min(closed, bound);
    open = open.filter(({ bound }) => bound < best.value - room).sort((x, y) => y.bound - x.bound);
    const worst = open.pop();
    if (worst === undefined) break;
    if (!(worst.cut > worst.from && worst.cut < worst.to)) {
      closed = Math.min(closed, worst.bound); // no number lies between
      continue;
    }
    const middle = seen(worst.cut);
    ends.set(worst.cut, middle);
    open.push(pieceOf(endAt(worst.from), middle), pieceOf(middle, endAt(worst.to)));
  }
  const bound = open.reduce((least, piece) => Math.min(least, piece.bound), Math.min(closed, best.value));
  return { ...best, bound };
}
