/** Curves over time with no more points than a chart can show. */

/** Places along an axis of a chart that the eye tells apart. */
const PLACES = 60;

/** A point of a run. */
export interface Timed {
  readonly seconds: number;
}

/** The first and the last point, and of those between the last in each of some equal steps of log(seconds). */
export function thinned<Point extends Timed>(points: readonly Point[]): Point[] {
  const timed = points.filter(({ seconds }) => seconds > 0);
  if (timed.length <= PLACES) return [...points];
  const from = Math.log(timed[0].seconds);
  const step = (Math.log(timed[timed.length - 1].seconds) - from) / PLACES;
  const placeOf = ({ seconds }: Timed) => (seconds > 0 ? Math.floor((Math.log(seconds) - from) / step) : -1);
  return points.filter((point, k) => k === 0 || k === points.length - 1 || placeOf(point) !== placeOf(points[k + 1]));
}

export function isCurve(value: unknown): value is readonly Timed[] {
  return Array.isArray(value) && value.length > PLACES && value.every((point) => typeof point?.seconds === "number");
}
