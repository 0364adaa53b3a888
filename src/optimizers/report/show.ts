/** Certificates on the surfaces of tfjs-vis. */

import { isRecord, refuse } from "../../arguments.js";
import type { Certificate } from "../../convex/types.js";
import type { FitSummary } from "./result.js";

/** What is needed of tfjs-vis: the module itself will do. */
export interface Visualizer<Surface> {
  readonly render: {
    table(container: Surface, data: { headers: string[]; values: (string | number)[][] }): unknown;
  };
}

/** A result of fit or train, or what `certify` says of a model. */
export type Certified = { readonly certificate: Certificate } & Partial<
  Pick<FitSummary, "status" | "neurons" | "solver" | "engine" | "seconds">
>;

/** What this library can show, in the manner of tfjs-vis's own `show`. */
export const show = {
  /**
   * Writes what a certificate proves as a table on a surface of tfjs-vis.
   *
   * @param vis the module `@tensorflow/tfjs-vis`, which this library does not load by itself
   * @param surface a container of tfjs-vis: an element, or { name, tab }
   *
   * @example
   * ```ts
   * const surface = { name: "Certificate", tab: "Training" };
   * await show.certificate(tfvis, surface, await trainer.fit(model, x, y));
   * ```
   */
  async certificate<Surface>(vis: Visualizer<Surface>, surface: Surface, result: Certified): Promise<void> {
    if (typeof vis?.render?.table !== "function")
      refuse("show.certificate: vis", "the module tfjs-vis", vis, 'Pass what import("@tensorflow/tfjs-vis") gives.');
    if (surface === null || surface === undefined)
      refuse("show.certificate: surface", "a container of tfjs-vis", surface, "Pass an element, or { name, tab }.");
    if (!isRecord(result) || !isRecord(result.certificate))
      refuse("show.certificate: result", "a result of fit or train, or what certify answers", result, "Pass one.");
    const { certificate, status, neurons, solver, engine, seconds } = result;
    const { network, dual, relativeGap, scope, claim, evidence, neurons: feed, perOutput } = certificate;
    const rows: [string, string | undefined][] = [
      ["objective", network.toPrecision(8)],
      ["lower bound", dual.toPrecision(8)],
      ["relative gap", relativeGap.toExponential(2)],
      ["proven for", feed === "feed all outputs" ? scope : `${scope}, neurons that ${feed}`],
      ["best gate outside, in units of beta", evidence?.bestRatio.toFixed(4)],
      ["program of one-output neurons", perOutput?.primal.toPrecision(8)],
      ["its lower bound", perOutput?.dual.toPrecision(8)],
      ["status", status],
      ["neurons", neurons?.toString()],
      ["solver", solver],
      ["engine", engine],
      ["seconds", seconds?.toFixed(3)],
      ["claim", claim],
    ];
    const values = rows.flatMap(([name, value]) => (value === undefined ? [] : [[name, value]]));
    await vis.render.table(surface, { headers: ["", "value"], values });
  },
};
