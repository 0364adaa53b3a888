/** Objectives over time on logarithmic axes: the convex primal and its dual bound, and every run of model.fit. */

import { element } from "./svg.js";

/** Seconds and values of one curve. */
export interface Curve {
  readonly seconds: number[];
  readonly values: number[];
}

export interface Curves {
  readonly primal: Curve;
  readonly dual: Curve;
  readonly descents: readonly Curve[];
}

/** What stands on the vertical axis: objectives, or by how much they are above the last dual bound. */
export type View = "objective" | "excess";

const HEIGHT = 320;
const MARGIN = { left: 66, right: 14, top: 48, bottom: 40 };
/** Shares above the bound below this are drawn as this. */
const LEAST_EXCESS = 1e-6;
/** Powers of ten that an axis has at most. */
const DECADES = { objective: 4, excess: 7 };
/** The width follows that of the page between these, so that the words can be read on a phone. */
const NARROW = 340;
/** Of a curve that are drawn: more cannot be told apart. */
const MOST_POINTS = 400;
const WIDE = 760;

/** From seconds and objectives to places in the drawing. */
interface Frame {
  readonly view: View;
  readonly width: number;
  readonly low: number; // powers of ten
  readonly high: number;
  readonly first: number;
  readonly last: number;
  x(seconds: number): number;
  y(objective: number): number;
}

const NONE: Curves = { primal: { seconds: [], values: [] }, dual: { seconds: [], values: [] }, descents: [] };

/** Draws into `svg`; null empties it. */
export function drawObjectives(svg: SVGSVGElement, given: Curves | null, view: View = "objective"): void {
  const curves = view === "objective" ? (given ?? NONE) : aboveBound(given ?? NONE);
  const { primal, dual, descents } = curves;
  const width = Math.max(NARROW, Math.min(WIDE, svg.clientWidth || WIDE));
  svg.setAttribute("viewBox", `0 0 ${width} ${HEIGHT}`);
  svg.setAttribute("aria-label", describe(given ?? NONE));
  const frame = frameOf(curves, width, view);
  if (frame === null) {
    const words = "Press Train.";
    svg.replaceChildren(element("text", { x: width / 2, y: HEIGHT / 2, "text-anchor": "middle" }, words));
    return;
  }
  svg.replaceChildren(
    ...axes(frame),
    ...descents.map((curve) => element("path", { class: "descent", d: path(frame, curve) })),
    ...(primal.values.length > 0 ? convexParts(frame, primal, dual) : []),
    ...legend(frame, primal.values.length > 0, descents.length > 0),
  );
}

/** Shares by which objectives are above the last bound; nothing without a bound above 0. */
function aboveBound({ primal, dual, descents }: Curves): Curves {
  const bound = dual.values.at(-1) ?? 0;
  if (!(bound > 0)) return NONE;
  const excess = ({ seconds, values }: Curve): Curve => ({
    seconds,
    values: values.map((value) => Math.max(LEAST_EXCESS, value / bound - 1)),
  });
  return { primal: excess(primal), dual: NONE.dual, descents: descents.map(excess) };
}

/** Null when there is nothing to draw. */
function frameOf({ primal, dual, descents }: Curves, width: number, view: View): Frame | null {
  const seconds = [primal, dual, ...descents].flatMap((curve) => curve.seconds).filter((value) => value > 0);
  const heights = [primal, ...descents].flatMap((curve) => curve.values).filter((value) => value > 0);
  if (heights.length === 0) return null;
  const bound = dual.values.at(-1) ?? 0;
  const low = Math.log10(Math.min(...heights, bound > 0 ? bound : Number.POSITIVE_INFINITY) * 0.9);
  const high = Math.log10(Math.min(Math.max(...heights), 10 ** (low + DECADES[view])) * 1.1);
  const first = Math.log10(Math.min(...seconds, 1e-2));
  const last = Math.log10(Math.max(...seconds, 1e-1));
  const across = (share: number) => MARGIN.left + (width - MARGIN.left - MARGIN.right) * share;
  const up = (share: number) => HEIGHT - MARGIN.bottom - (HEIGHT - MARGIN.top - MARGIN.bottom) * share;
  return {
    ...{ view, width, low, high, first, last },
    x: (value) => across((Math.log10(Math.max(value, 10 ** first)) - first) / (last - first)),
    y: (value) => up(Math.min(1, (Math.log10(Math.max(value, 10 ** low)) - low) / (high - low))),
  };
}

function path({ x, y }: Frame, { seconds, values }: Curve): string {
  const step = Math.ceil(seconds.length / MOST_POINTS);
  const kept = seconds.flatMap((second, k) =>
    k % step === 0 || k === seconds.length - 1 ? [`${x(second).toFixed(1)} ${y(values[k]).toFixed(1)}`] : [],
  );
  return kept.length === 0 ? "" : `M${kept.join("L")}`;
}

function convexParts(frame: Frame, primal: Curve, dual: Curve): SVGElement[] {
  const { x, y, width } = frame;
  const back = { seconds: [...dual.seconds].reverse(), values: [...dual.values].reverse() };
  const area = `${path(frame, primal)}${path(frame, back).replace("M", "L")}Z`;
  const lowest = dual.values.at(-1);
  const bound = lowest === undefined ? null : `${path(frame, dual)}L${width - MARGIN.right} ${y(lowest).toFixed(1)}`;
  const solvedAt = primal.seconds[primal.seconds.length - 1];
  const last = primal.values[primal.values.length - 1];
  return [
    ...(bound === null
      ? []
      : [element("path", { class: "gap", d: area }), element("path", { class: "dual", d: bound })]),
    element("path", { class: "primal", d: path(frame, primal) }),
    element("circle", { class: "solved", cx: x(solvedAt).toFixed(1), cy: y(last).toFixed(1), r: 4 }),
  ];
}

function axes({ view, width, low, high, first, last, x, y }: Frame): SVGElement[] {
  const [left, right, bottom] = [MARGIN.left, width - MARGIN.right, HEIGHT - MARGIN.bottom];
  return [
    ...ticks(low, high).flatMap((value) => [
      element("line", { class: "axis", x1: left, x2: right, y1: y(value), y2: y(value) }),
      element(
        "text",
        { x: left - 8, y: y(value) + 4, "text-anchor": "end" },
        view === "excess" ? `${word(100 * value)} %` : word(value),
      ),
    ]),
    ...ticks(first, last).flatMap((value) => [
      element("line", { class: "axis", x1: x(value), x2: x(value), y1: bottom, y2: bottom + 5 }),
      element("text", { x: x(value), y: bottom + 17, "text-anchor": "middle" }, word(value)),
    ]),
    element("text", { x: right, y: HEIGHT - 6, "text-anchor": "end" }, "seconds"),
    element("text", { x: 10, y: 20 }, view === "excess" ? "above the bound" : "objective"),
  ];
}

/** Round numbers between two powers of ten: 1, 2, 5 a decade, or finer when the range is small. */
function ticks(low: number, high: number): number[] {
  const steps = high - low > 2.5 ? [1] : high - low > 0.6 ? [1, 2, 5] : [1, 1.5, 2, 3, 4, 5, 6, 7, 8, 9];
  const found: number[] = [];
  for (let power = Math.floor(low); power <= Math.ceil(high); power++) {
    for (const step of steps) {
      const value = step * 10 ** power;
      if (Math.log10(value) >= low && Math.log10(value) <= high) found.push(value);
    }
  }
  return found.length >= 2 ? found : [10 ** low, 10 ** ((low + high) / 2), 10 ** high];
}

function legend({ view, width }: Frame, convex: boolean, gradient: boolean): SVGElement[] {
  const x = width - MARGIN.right;
  const bound = width < (NARROW + WIDE) / 2 ? " (dashed: dual bound)" : ": objective, and its dual bound (dashed)";
  const words = (text: string, row: number, kind: string) =>
    element("text", { class: kind, x, y: 20 + 16 * row, "text-anchor": "end" }, text);
  return [
    ...(convex ? [words(`convex${view === "excess" ? "" : bound}`, 0, "convexText")] : []),
    ...(gradient ? [words("model.fit, one line a start", 1, "gradientText")] : []),
  ];
}

function describe({ primal, dual, descents }: Curves): string {
  if (primal.values.length === 0) return "Objective over time: nothing trained yet.";
  const end = (curve: Curve) => word(curve.values[curve.values.length - 1] ?? Number.NaN);
  const rivals = descents.filter((curve) => curve.values.length > 0).map(end);
  return (
    `Objective over time. Convex: ${end(primal)}, dual bound ${end(dual)}.` +
    (rivals.length > 0 ? ` Runs of model.fit: ${rivals.join(", ")}.` : "")
  );
}

function word(value: number): string {
  return Number.isFinite(value) ? String(Number(value.toPrecision(3))) : "none";
}
