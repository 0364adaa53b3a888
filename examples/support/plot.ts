/** Convergence plots of the examples: how far above the proven bound each method is over time, as SVG and PNG. */

import { writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { Resvg } from "@resvg/resvg-js";
import { parse, View } from "vega";
import { compile, type TopLevelSpec } from "vega-lite";

const require = createRequire(import.meta.url);
const FONT = "DejaVu Sans";

/** Of every method its colour, the convex one first. */
export const plotColors = ["#0072b2", "#d55e00", "#009e73", "#cc79a7"];

/** What all plots have in common. */
export const plotStyle = {
  $schema: "https://vega.github.io/schema/vega-lite/v6.json",
  background: "white",
  config: { font: FONT, axis: { grid: true, gridColor: "#e5e7eb" }, view: { stroke: null } },
} as const;

/** One method's objective over time. */
export interface Curve {
  readonly method: string;
  readonly points: readonly { readonly seconds: number; readonly objective: number }[];
}

/** What the plot marks: the moment at which the convex fit ended, solved or at its limit, and a bound that is proven for all curves. */
export interface Marks {
  readonly solvedAt: number; // seconds
  readonly lowerBound: number | null; // null: none is, and the objectives themselves are drawn
  readonly title: string;
  /** Of the curves; default plotColors, whose first is the convex method's. */
  readonly colors?: readonly string[];
}

/** The bound, unless a curve reaches below it: then it is proven for other networks than those that are drawn. */
export function boundOf(curves: readonly Curve[], lowerBound: number | null): number | null {
  if (lowerBound === null) return null;
  const above = curves.every(({ points }) => points.every(({ objective }) => !(objective <= lowerBound)));
  return above ? lowerBound : null;
}

/** Writes `${path}.svg` and `${path}.png`. */
export async function plotConvergence(path: string, curves: readonly Curve[], marks: Marks): Promise<void> {
  const bound = boundOf(curves, marks.lowerBound);
  const values = curves.flatMap(({ method, points }) =>
    points.map(({ seconds, objective }) => ({ seconds, height: objective - (bound ?? 0), method })),
  );
  const early = marks.solvedAt < 0.5 * Math.max(...values.map(({ seconds }) => seconds));
  const beside = early ? ({ align: "left", dx: 6 } as const) : ({ align: "right", dx: -6 } as const);
  const spec: TopLevelSpec = {
    ...plotStyle,
    width: 640,
    height: 360,
    title: { text: marks.title, anchor: "start" },
    layer: [
      {
        data: { values },
        mark: { type: "line", strokeWidth: 2, clip: true },
        encoding: {
          x: { field: "seconds", type: "quantitative", title: "seconds" },
          y: {
            field: "height",
            type: "quantitative",
            scale: { type: "log", nice: false, padding: 6 },
            title: bound === null ? "objective" : "objective minus the proven lower bound",
          },
          color: {
            field: "method",
            type: "nominal",
            title: null,
            scale: { domain: curves.map((curve) => curve.method), range: [...(marks.colors ?? plotColors)] },
            legend: { labelLimit: 260 },
          },
        },
      },
      {
        data: { values: [{ seconds: marks.solvedAt, label: `convex fit ended, ${marks.solvedAt.toFixed(1)} s` }] },
        mark: { type: "rule", strokeDash: [4, 3], color: plotColors[0] },
        encoding: { x: { field: "seconds", type: "quantitative" } },
      },
      {
        data: { values: [{ seconds: marks.solvedAt, label: `convex fit ended, ${marks.solvedAt.toFixed(1)} s` }] },
        mark: { type: "text", ...beside, y: 12, color: plotColors[0] },
        encoding: { x: { field: "seconds", type: "quantitative" }, text: { field: "label" } },
      },
    ],
  };
  await writePlot(path, spec);
}

/** Draws a Vega-Lite specification into `${path}.svg` and `${path}.png`, with the fonts that come with the examples. */
export async function writePlot(path: string, spec: TopLevelSpec): Promise<void> {
  const view = new View(parse(compile(spec).spec), { renderer: "none" });
  const svg = await view.toSVG();
  view.finalize();
  writeFileSync(`${path}.svg`, svg);
  const fontFiles = ["DejaVuSans.ttf", "DejaVuSans-Bold.ttf"].map((file) =>
    require.resolve(`dejavu-fonts-ttf/ttf/${file}`),
  );
  const png = new Resvg(svg, {
    font: { fontFiles, defaultFontFamily: FONT, loadSystemFonts: false },
    fitTo: { mode: "zoom", value: 2 },
  });
  writeFileSync(`${path}.png`, png.render().asPng());
}

/** Distances over steps or seconds on logarithmic height, one curve a name; zero and what is below are left out. */
export async function plotDistances(
  path: string,
  curves: readonly {
    readonly name: string;
    readonly points: readonly { readonly at: number; readonly distance: number }[];
  }[],
  marks: { readonly title: string; readonly colors: readonly string[]; readonly labels: readonly [string, string] },
): Promise<void> {
  const values = curves.flatMap(({ name, points }) =>
    points.filter(({ distance }) => distance > 0).map((point) => ({ ...point, name })),
  );
  await writePlot(path, {
    ...plotStyle,
    width: 640,
    height: 360,
    title: { text: marks.title, anchor: "start" },
    data: { values },
    mark: { type: "line", strokeWidth: 2 },
    encoding: {
      x: { field: "at", type: "quantitative", title: marks.labels[0] },
      y: { field: "distance", type: "quantitative", scale: { type: "log", nice: false }, title: marks.labels[1] },
      color: {
        field: "name",
        type: "nominal",
        title: null,
        scale: { domain: curves.map(({ name }) => name), range: [...marks.colors] },
        legend: { labelLimit: 260 },
      },
    },
  });
}

/** Accuracies over seconds, one curve a name, and where another method ended. */
export async function plotAccuracies(
  path: string,
  curves: readonly {
    readonly name: string;
    readonly points: readonly { readonly seconds: number; readonly accuracy: number }[];
  }[],
  ended: {
    readonly seconds: number;
    readonly accuracy: number;
    readonly title: string;
    readonly colors?: readonly string[];
  },
): Promise<void> {
  const x = { field: "seconds", type: "quantitative", title: "seconds" } as const;
  const y = { field: "accuracy", type: "quantitative", scale: { zero: false }, title: "test accuracy" } as const;
  const values = curves.flatMap(({ name, points }) => points.map((point) => ({ ...point, name })));
  await writePlot(path, {
    ...plotStyle,
    width: 640,
    height: 360,
    title: { text: ended.title, anchor: "start" },
    layer: [
      {
        data: { values },
        mark: { type: "line", strokeWidth: 2 },
        encoding: {
          ...{ x, y },
          color: {
            ...{ field: "name", type: "nominal", title: null, legend: { labelLimit: 260 } },
            scale: { domain: curves.map(({ name }) => name), range: [...(ended.colors ?? plotColors.slice(1))] },
          },
        },
      },
      {
        data: { values: [ended] },
        mark: { type: "point", filled: true, size: 90, color: plotColors[0] },
        encoding: { x, y },
      },
    ],
  });
}
