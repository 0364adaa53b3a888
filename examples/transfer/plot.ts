/** Both heads over the number of pictures: how far above the bound, and how many new pictures they know. */

import type { TopLevelSpec } from "vega-lite";
import { plotColors, plotStyle } from "../support/plot.js";
import { bestRate, type Lesson } from "./experiment.js";

/** A dot for the convex head, and one for each start of Adam at its best rate. */
export function transferPlot(lessons: readonly Lesson[]): TopLevelSpec {
  const values = lessons.flatMap((lesson) => {
    const { shots, objective, testAccuracy, result } = lesson;
    const above = (value: number) => value / result.certificate.dual - 1;
    return [
      { shots, method: "convex", above: above(objective), accuracy: testAccuracy },
      ...bestRate(lesson).ends.map((end) => ({
        ...{ shots, method: "Adam, each start" },
        ...{ above: above(end.objective), accuracy: end.testAccuracy },
      })),
    ];
  });
  const x = {
    field: "shots",
    type: "ordinal",
    title: "pictures of each new digit",
    axis: { labelAngle: 0, grid: false },
  } as const;
  const color = {
    field: "method",
    type: "nominal",
    title: null,
    scale: { domain: ["convex", "Adam, each start"], range: plotColors },
  } as const;
  const panel = { width: 250, height: 240, mark: { type: "point", size: 90, strokeWidth: 2.5, opacity: 1 } } as const;
  const xOffset = { field: "method", type: "nominal", sort: null } as const;
  return {
    ...plotStyle,
    title: { text: "A new head on a frozen network", anchor: "start" },
    data: { values },
    hconcat: [
      {
        ...panel,
        encoding: {
          ...{ x, xOffset, color },
          y: {
            field: "above",
            type: "quantitative",
            scale: { type: "log", nice: false, padding: 12 },
            axis: { format: "~%" },
            title: "objective above the proven bound",
          },
        },
      },
      {
        ...panel,
        encoding: {
          ...{ x, xOffset, color },
          y: {
            field: "accuracy",
            type: "quantitative",
            scale: { zero: false, padding: 12 },
            axis: { format: "%" },
            title: "new pictures known",
          },
        },
      },
    ],
  };
}
