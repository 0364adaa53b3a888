/** Plots of a path and of a cross-validation, as Vega-Lite specifications. */

import type { TopLevelSpec } from "vega-lite";
import type { CrossValidation, PathResult } from "../../src/index.js";

const COMMON = {
  $schema: "https://vega.github.io/schema/vega-lite/v6.json",
  background: "white",
  config: { font: "DejaVu Sans", axis: { grid: true, gridColor: "#e5e7eb" }, view: { stroke: null } },
} as const;
const WIDTH = 640;
/** Large betas on the left, as a path is walked. */
const BETA = { field: "beta", type: "quantitative", scale: { type: "log", reverse: true, nice: false } } as const;

/** Objective, its bound and its loss over beta, and below them the neurons that are not zero. */
export function pathPlot({ points }: PathResult): TopLevelSpec {
  const curves = points.flatMap(({ beta, certificate, objective }) => [
    { beta, value: certificate.network, curve: "objective" },
    { beta, value: certificate.dual, curve: "lower bound" },
    { beta, value: objective.loss, curve: "loss" },
  ]);
  const color = {
    field: "curve",
    type: "nominal",
    title: null,
    scale: { domain: ["objective", "lower bound", "loss"], range: ["#0072b2", "#9ca3af", "#d55e00"] },
  } as const;
  return {
    ...COMMON,
    title: { text: "The regularization path", anchor: "start" },
    vconcat: [
      {
        width: WIDTH,
        height: 240,
        data: { values: curves },
        mark: { type: "line", strokeWidth: 2 },
        encoding: {
          x: { ...BETA, title: null },
          y: { field: "value", type: "quantitative", title: "on all rows" },
          color,
          strokeDash: {
            field: "curve",
            type: "nominal",
            title: null,
            scale: {
              domain: ["objective", "lower bound", "loss"],
              range: [
                [1, 0],
                [4, 3],
                [1, 0],
              ],
            },
          },
        },
      },
      {
        width: WIDTH,
        height: 120,
        data: { values: points.map(({ beta, neurons }) => ({ beta, neurons })) },
        mark: { type: "line", interpolate: "step", strokeWidth: 2, color: "#009e73" },
        encoding: { x: { ...BETA, title: "beta" }, y: { field: "neurons", type: "quantitative", title: "neurons" } },
      },
    ],
  };
}

/** The mean over the folds with a standard error either side, each fold, and the two betas that one may choose. */
export function choicePlot({
  betas,
  values,
  mean,
  standardError,
  best,
  oneStandardError,
}: CrossValidation): TopLevelSpec {
  const folds = values.flatMap((fold, f) => fold.map((value, k) => ({ beta: betas[k], value, fold: f + 1 })));
  const means = betas.map((beta, k) => ({
    beta,
    value: mean[k],
    low: mean[k] - standardError[k],
    high: mean[k] + standardError[k],
  }));
  const chosen = [
    { beta: betas[oneStandardError], label: "within one standard error" },
    { beta: betas[best], label: "best" },
  ];
  const value = { field: "value", type: "quantitative", title: "loss on rows held out" } as const;
  return {
    ...COMMON,
    width: WIDTH,
    height: 320,
    title: { text: `Cross-validation along the path, ${values.length} folds`, anchor: "start" },
    layer: [
      {
        data: { values: folds },
        mark: { type: "line", strokeWidth: 1, color: "#cbd5e1" },
        encoding: { x: { ...BETA, title: "beta" }, y: value, detail: { field: "fold", type: "nominal" } },
      },
      {
        data: { values: means },
        mark: { type: "area", opacity: 0.2, color: "#0072b2" },
        encoding: { x: BETA, y: { field: "low", type: "quantitative" }, y2: { field: "high" } },
      },
      {
        data: { values: means },
        mark: { type: "line", strokeWidth: 2, color: "#0072b2" },
        encoding: { x: BETA, y: value },
      },
      {
        data: { values: chosen },
        mark: { type: "rule", strokeDash: [4, 3], color: "#d55e00" },
        encoding: { x: BETA },
      },
      {
        data: { values: chosen },
        mark: { type: "text", angle: 270, align: "right", dx: -6, dy: -8, y: 0, color: "#d55e00" },
        encoding: { x: BETA, text: { field: "label" } },
      },
    ],
  };
}
