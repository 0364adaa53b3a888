/** What each bench's numbers look like: one chart a bench. */

import type { PeerCase } from "../data/scnnCases.js";
import { momentOf, targetOf } from "../data/scnnCases.js";
import type { ContestResult } from "../rivals/contest.js";
import { drawChart, logarithmic } from "./chart.js";
import type { MemoryUse } from "./peak.js";
import type { Rate } from "./rates.js";
import { thinned } from "./thin.js";

const WIDTH = 300;
const HEIGHT = 200;

/** How far each method is above the bound that the trainer has proven, over time, one panel a set and model class. */
export async function plotFit(results: readonly ContestResult[], file: string): Promise<void> {
  const values = results.flatMap(({ set, modelClass, trainer, rivals }) => {
    const panel = `${set}, ${modelClass}`;
    const curves = [
      { method: "trainer", points: trainer.points },
      ...rivals.map(({ optimizer, points }) => ({ method: optimizer, points })),
    ];
    const lines = curves.flatMap(({ method, points }) =>
      thinned(points).map(({ seconds, objective }) => ({
        panel,
        method,
        seconds,
        gap: (objective - trainer.lowerBound) / objective,
        end: false,
      })),
    );
    const [method, seconds, gap] = ["trainer", trainer.seconds.median, trainer.relativeGap];
    return [...lines, { panel, method, seconds, gap, end: true }];
  });
  const encoding = {
    x: logarithmic("seconds", "seconds"),
    y: logarithmic("gap", "above the proven bound (relative)"),
    color: { field: "method", type: "nominal", title: null, sort: ["trainer", "SGD", "Adam"] },
  };
  await drawChart(file, "The trainer (dot: its whole time, its proven gap) against model.fit", {
    data: { values: values.filter(({ seconds, gap }) => seconds > 0 && gap > 0) },
    facet: { field: "panel", type: "nominal", title: null, sort: [...new Set(values.map(({ panel }) => panel))] },
    columns: 3,
    resolve: { scale: { x: "independent" } },
    spec: {
      width: WIDTH,
      height: HEIGHT,
      layer: [
        { transform: [{ filter: "!datum.end" }], mark: { type: "line", point: { size: 12 } }, encoding },
        { transform: [{ filter: "datum.end" }], mark: { type: "point", filled: true, size: 120 }, encoding },
      ],
    },
  });
}

/** Seconds to the gap against n and against P; a hollow point is a run that ended before. */
export async function plotScnn(cases: readonly PeerCase[]): Promise<void> {
  const values = cases
    .filter(({ kind }) => kind !== "figure")
    .flatMap((one) =>
      one.ours.flatMap((ours) => {
        const place = {
          panel: one.kind === "rows" ? `${one.formulation}, P = ${one.P}` : `${one.formulation}, n = ${one.n}`,
          size: one.kind === "rows" ? one.n : one.P,
        };
        const target = targetOf(one, ours.tolerance);
        const peers = one.scnn.flatMap(({ run }) => {
          if (typeof run === "string") return [];
          const moment = momentOf(run, target);
          return [{ ...place, method: "scnn", seconds: moment ?? run.seconds, reached: moment !== null }];
        });
        const mine = { seconds: ours.seconds.median, reached: ours.status === "solved" };
        return [{ ...place, method: "tfjs-convex", ...mine }, ...peers];
      }),
    );
  if (values.length === 0) return; // nothing grew
  const encoding = {
    x: logarithmic("size", "rows n, or gates P where n is fixed"),
    y: logarithmic("seconds", "seconds to the gap"),
    color: { field: "method", type: "nominal", title: null },
  };
  await drawChart("scnn", "Time to the gap as the problem grows (hollow: ended before it)", {
    data: { values },
    facet: { field: "panel", type: "nominal", title: null, sort: [...new Set(values.map(({ panel }) => panel))] },
    columns: 2,
    resolve: { scale: { x: "independent" } },
    spec: {
      width: WIDTH,
      height: HEIGHT,
      layer: [
        { transform: [{ filter: "datum.reached" }], mark: { type: "line" }, encoding },
        { transform: [{ filter: "datum.reached" }], mark: { type: "point", filled: true, size: 70 }, encoding },
        { transform: [{ filter: "!datum.reached" }], mark: { type: "point", size: 70 }, encoding },
      ],
    },
  });
}

/** Each kernel's share of the best dense product. */
export async function plotLimit(rates: readonly Rate[]): Promise<void> {
  const values = rates.map(({ engine, kernel, size, share }) => ({ engine, kernel, size: firstOf(size), share }));
  await drawChart("limit", "Rate of each kernel, as a share of the engine's best dense product", {
    data: { values },
    facet: { field: "engine", type: "nominal", title: null },
    spec: {
      width: WIDTH,
      height: HEIGHT,
      mark: "bar",
      encoding: {
        y: { field: "kernel", type: "nominal", title: null, sort: null },
        yOffset: { field: "size", type: "nominal", sort: null },
        x: { field: "share", type: "quantitative", title: "share", axis: { format: "%" } },
        color: { field: "size", type: "nominal", title: null, sort: null },
      },
    },
  });
}

/** Peak memory against the size that is varied. */
export async function plotMemory(rows: readonly (MemoryUse & { varied: string })[], base: MemoryUse): Promise<void> {
  const values = rows.map((row) => ({
    panel: row.varied,
    size: { n: row.n, P: row.P, d: row.d }[row.varied],
    formulation: row.formulation,
    megabytes: Math.max(1e5, row.peakBytes - base.peakBytes) / 1e6,
  }));
  await drawChart("memory", "Peak memory of a fit above an empty one", {
    data: { values },
    facet: { field: "panel", type: "nominal", title: null, sort: null },
    resolve: { scale: { x: "independent" } },
    spec: {
      width: WIDTH,
      height: HEIGHT,
      mark: { type: "line", point: true },
      encoding: {
        x: logarithmic("size", "size"),
        y: logarithmic("megabytes", "MB"),
        color: { field: "formulation", type: "nominal", title: null },
      },
    },
  });
}

/** "n 250" of "n 250, d 50, P 500". */
function firstOf(size: string): string {
  return size.split(",")[0];
}

/** What a method ended with on an example. */
export interface AdoptionEnd {
  readonly objective: number;
  readonly test: number;
  readonly seconds: number; // of processor time
}

/** An example, trained by both methods. */
export interface AdoptionRow {
  readonly name: string;
  readonly samples: number;
  readonly metric: string;
  readonly bound: number;
  readonly scope: string;
  readonly status: string;
  readonly ours: AdoptionEnd;
  readonly theirs: readonly AdoptionEnd[]; // the lowest objective first
}

/** How far both methods are above fit's objective and what they took, an example a row. */
export async function plotAdoption(rows: readonly AdoptionRow[]): Promise<void> {
  const values = rows.flatMap(({ name, ours, theirs }) => [
    { name, method: "fit", objective: 1, seconds: ours.seconds },
    ...theirs.map(({ objective, seconds }) => ({
      ...{ name, method: "model.fit, each start", objective: objective / ours.objective, seconds },
    })),
  ]);
  const panel = (field: string, title: string, axis: boolean) => ({
    width: WIDTH,
    mark: { type: "point", filled: true, size: 70 },
    encoding: {
      x: logarithmic(field, title),
      y: { field: "name", type: "nominal", title: null, sort: null, axis: axis ? { labelLimit: 240 } : null },
      color: { field: "method", type: "nominal", title: null },
    },
  });
  await drawChart("adoption", "Models of the official examples: fit, and model.fit with their own arguments", {
    data: { values },
    hconcat: [
      panel("objective", "objective, in times of fit's", true),
      panel("seconds", "seconds of processor time", false),
    ],
  });
}

/** Objectives of a problem at some processor seconds, of everybody. */
export interface PeersRow {
  readonly problem: string;
  readonly ours: readonly { readonly spent: number; readonly objective: number }[];
  readonly rivals: readonly {
    readonly width: number;
    readonly dtype: string;
    readonly objectives: readonly number[];
  }[];
}

/** How far everybody is above the lowest network that anybody found, over processor time, one panel a problem. */
export async function plotPeers(rows: readonly PeersRow[]): Promise<void> {
  const values = rows.flatMap(({ problem, ours, rivals }) => {
    const curves = [
      { method: "fit", dtype: "", objectives: ours.map(({ objective }) => objective) },
      ...rivals.map(({ width, dtype, objectives }) => ({ method: `L-BFGS, width ${width}`, dtype, objectives })),
    ];
    const least = Math.min(...curves.flatMap(({ objectives }) => objectives));
    return curves.flatMap(({ method, dtype, objectives }) =>
      objectives.map((value, k) => ({
        ...{ problem, method, dtype, seconds: ours[k].spent },
        excess: value / least - 1 + LEAST_EXCESS,
      })),
    );
  });
  await drawChart("peers", "fit and plain L-BFGS of several widths (dashed: float32): above the lowest of all", {
    data: { values },
    facet: { field: "problem", type: "nominal", title: null, sort: rows.map(({ problem }) => problem) },
    columns: 3,
    resolve: { scale: { x: "independent", y: "independent" } },
    spec: {
      width: WIDTH,
      height: HEIGHT,
      mark: { type: "line", point: true },
      encoding: {
        x: logarithmic("seconds", "seconds of processor time"),
        y: logarithmic("excess", "above the lowest of all (relative)"),
        color: { field: "method", type: "nominal", title: null, sort: null },
        strokeDash: {
          field: "dtype",
          type: "nominal",
          legend: null,
          scale: {
            domain: ["", "float64", "float32"],
            range: [
              [1, 0],
              [1, 0],
              [4, 3],
            ],
          },
        },
      },
    },
  });
}

/** What stands for the lowest on a logarithmic axis. */
const LEAST_EXCESS = 1e-4;
