/** One press of Train: the convex fit and the runs of model.fit side by side, drawn as they go. */

import type { Certificate, FitResult } from "../../src/index.js";
import { drawContours, type Field } from "./contourPlot.js";
import { type DescentEpoch, descend, tensorsIn } from "./descent.js";
import { type Network, networkOf, outputsOn } from "./network.js";
import { type Curve, drawObjectives, type View } from "./objectivePlot.js";
import type { PlanePlot } from "./planePlot.js";
import type { Settings } from "./settings.js";
import { classOf, type Task } from "./task.js";
import { byId, number, percent, type RunRow, showFacts, showRuns } from "./view.js";

type Convex = typeof import("./convex.js");

export interface Plots {
  readonly convex: PlanePlot;
  readonly gradient: PlanePlot;
  readonly objective: SVGSVGElement;
  readonly contour: SVGSVGElement;
}

const TICK_SECONDS = 0.5;

let workers: { convex: Worker; gradient: Worker } | null = null;

/** TensorFlow.js, and the code that needs it, comes with the first training. */
export function loadConvex(): Promise<Convex> {
  return import("./convex.js");
}

/** A worker with the trainer in it. */
export function makeWorker(): Worker {
  return new Worker(new URL("./gallery.worker.ts", import.meta.url), { type: "module" });
}

function startWorkers(): { convex: Worker; gradient: Worker } {
  workers ??= { convex: makeWorker(), gradient: makeWorker() };
  return workers;
}

/** Tensors that the page and its workers hold. */
export async function countTensors(): Promise<number> {
  const library = await loadConvex();
  const theirs = workers === null ? [] : await Promise.all([workers.convex, workers.gradient].map(tensorsIn));
  return theirs.reduce((sum, count) => sum + count, library.tensors());
}

export class Training {
  result: FitResult | null = null;
  private readonly controller = new AbortController();
  private readonly primal: Curve = { seconds: [], values: [] };
  private readonly dual: Curve = { seconds: [], values: [] };
  private readonly descents: Curve[] = [];
  private readonly runs = new Map<number, RunRow>();
  private convexRun: RunRow | null = null;
  private drawing = false;
  private surface: Field | null = null;

  constructor(
    readonly task: Task,
    readonly settings: Settings,
    private readonly plots: Plots,
  ) {}

  /** Ends both sides soon; what they have reached stays. */
  stop(): void {
    this.controller.abort();
  }

  async run(): Promise<void> {
    this.plots.convex.setNetwork(null);
    this.plots.gradient.setNetwork(null);
    showFacts(byId("gradientFacts"), []);
    showFacts(byId("convexFacts"), [["status", "loading TensorFlow.js"]]);
    const library = await loadConvex();
    const sides = await Promise.allSettled([this.fit(library), this.descend()]);
    this.draw();
    for (const side of sides) if (side.status === "rejected") throw side.reason;
  }

  /** Draws the objective around the convex solution. */
  async drawContours(): Promise<void> {
    const { result, task, settings, plots } = this;
    if (result === null) return;
    this.surface = await (await loadConvex()).surfaceOf(result.model, task, settings);
    drawContours(plots.contour, this.surface);
  }

  /** Frees the model. */
  async dispose(): Promise<void> {
    if (this.result !== null) (await loadConvex()).discard(this.result.model);
    this.result = null;
  }

  summary(): string {
    if (this.result === null) return "Training ended without a convex result.";
    const { certificate, status, seconds } = this.result;
    const rivals = [...this.runs.values()].map((run) => run.objective);
    return (
      `Training ended: convex ${status}, objective ${number(certificate.network)}, relative gap ` +
      `${certificate.relativeGap.toExponential(1)} in ${seconds.toFixed(1)} seconds.` +
      (rivals.length > 0 ? ` Best of model.fit: ${number(Math.min(...rivals))}.` : "")
    );
  }

  /** What came of it in a sentence or two, its numbers as they are to be stressed. */
  verdict(): readonly (string | { readonly strong: string })[] {
    if (this.result === null) return ["Training ended without a convex result."];
    const { certificate, seconds, status } = this.result;
    const kind = certificate.scope === "all gates" ? "network of any width" : "network with these gates";
    const which = certificate.neurons === "feed all outputs" ? kind : `${kind} whose neurons each feed one output`;
    const proven = [
      "The convex solution is proven to be within ",
      { strong: percent(certificate.relativeGap) },
      ` of the best ${which}, after ${seconds.toFixed(1)} seconds.`,
    ];
    const lowest = Math.min(...[...this.runs.values()].map((run) => run.objective));
    const above = lowest / certificate.network - 1;
    if (!Number.isFinite(above)) return proven;
    const open = status === "solved" ? "" : ", which had not come to its end";
    const beyond = status === "solved" && certificate.scope !== "all gates" ? ": other gates can do more" : open;
    const side = above >= 0 ? "above it" : `below it${beyond}`;
    return [...proven, " The best run of model.fit ended ", { strong: percent(Math.abs(above)) }, ` ${side}.`];
  }

  /** Draws the objectives again, and what is in the colours of the moment. */
  draw(): void {
    const { primal, dual } = this;
    const bound = dual.values.at(-1) ?? null; // gates may grow, and then an earlier bound was for fewer gates
    drawObjectives(this.plots.objective, { primal, dual, descents: this.descents }, viewOf());
    if (this.surface !== null) drawContours(this.plots.contour, this.surface);
    const rows = [...(this.convexRun === null ? [] : [this.convexRun]), ...this.runs.values()];
    showRuns(byId<HTMLTableElement>("runs"), rows, bound);
  }

  private async fit(library: Convex): Promise<void> {
    const { task, settings, controller, primal, dual } = this;
    const begun = performance.now();
    const ticking = setInterval(() => this.showProgress(begun), 1000 * TICK_SECONDS); // a round may take long
    this.showProgress(begun);
    const result = await library
      .fitConvex(startWorkers().convex, task, settings, controller.signal, (round) => {
        push(primal, round.seconds, round.primal);
        push(dual, round.seconds, round.dual);
        this.showProgress(begun);
        this.drawSoon();
      })
      .finally(() => clearInterval(ticking));
    this.result = result;
    const network = networkOf(library.weightsOf(result.model));
    this.plots.convex.setNetwork(network);
    const { certificate, seconds } = result;
    const accuracy = accuracyOf(task, network);
    this.convexRun = { method: "convex", kind: "convex", objective: certificate.network, accuracy, seconds };
    showFacts(byId("convexFacts"), [
      ["objective", number(certificate.network)],
      ["dual bound", number(certificate.dual)],
      ["relative gap", certificate.relativeGap.toExponential(1)],
      ["proven for", provenFor(certificate, result.gates.count)],
      ...perOutputFacts(certificate),
      ...(accuracy === null ? [] : ([["training accuracy", percent(accuracy)]] as const)),
      ["neurons", String(result.neurons)],
      ["seconds", seconds.toFixed(2)],
      ["engine", result.engine.replace(/:.*,/, ",")],
      ["status", result.status === "solved" ? "solved" : `${result.status}: ${result.advice}`],
    ]);
    this.drawSoon();
  }

  /** What is known after the last round, and how long the next one has been going on. */
  private showProgress(begun: number): void {
    const { primal, dual } = this;
    const rounds = primal.values.length;
    const [objective, bound] = [primal.values[rounds - 1], dual.values[rounds - 1]];
    showFacts(byId("convexFacts"), [
      ...(rounds === 0
        ? []
        : ([
            ["objective", number(objective)],
            ["dual bound", number(bound)],
            ["relative gap", ((objective - bound) / Math.abs(objective)).toExponential(1)],
          ] as const)),
      ["seconds", ((performance.now() - begun) / 1000).toFixed(1)],
      ["status", `in round ${rounds + 1}`],
    ]);
  }

  private async descend(): Promise<void> {
    const { task, settings, controller, runs } = this;
    const { backend } = await descend(startWorkers().gradient, task, settings, controller.signal, (epoch) =>
      this.showEpoch(epoch),
    );
    const all = [...runs.values()];
    const objectives = all.map((run) => run.objective);
    showFacts(byId("gradientFacts"), [
      ["best objective", number(Math.min(...objectives))],
      ["worst objective", number(Math.max(...objectives))],
      ["starts", String(all.length)],
      ["epochs each", String(settings.epochs)],
      ["seconds in all", all.reduce((sum, run) => sum + run.seconds, 0).toFixed(2)],
      ["engine", `tfjs ${backend}, in a worker`],
    ]);
  }

  private showEpoch({ start, epoch, seconds, objective, weights }: DescentEpoch): void {
    const { task, settings, descents, runs } = this;
    descents[start] ??= { seconds: [], values: [] };
    push(descents[start], seconds, objective);
    this.drawSoon();
    if (weights === undefined) return;
    const network = networkOf(weights);
    this.plots.gradient.setNetwork(network);
    const accuracy = accuracyOf(task, network);
    const method = `${settings.optimizer === "adam" ? "Adam" : "SGD"}, start ${start + 1}`;
    runs.set(start, { method, kind: "gradient", objective, accuracy, seconds });
    showFacts(byId("gradientFacts"), [
      ["objective", number(objective)],
      ["start", `${start + 1} of ${settings.starts}`],
      ["epoch", `${epoch} of ${settings.epochs}`],
      ...(accuracy === null ? [] : ([["training accuracy", percent(accuracy)]] as const)),
      ["seconds", seconds.toFixed(2)],
    ]);
  }

  /** One drawing a frame, however many numbers come. */
  private drawSoon(): void {
    if (this.drawing) return;
    this.drawing = true;
    requestAnimationFrame(() => {
      this.drawing = false;
      this.draw();
    });
  }
}

function viewOf(): View {
  return byId<HTMLSelectElement>("objectiveView").value as View;
}

function push(curve: Curve, seconds: number, value: number): void {
  curve.seconds.push(seconds);
  curve.values.push(value);
}

/** The share of rows that a network puts into their class; null for a regression. */
function accuracyOf(task: Task, network: Network): number | null {
  if (task.classes.length === 0) return null;
  const Z = outputsOn(network, task);
  const C = network.outputs;
  let right = 0;
  for (let k = 0; k < task.rows; k++) {
    right += Number(classOf(task, Z.subarray(k * C, (k + 1) * C)) === task.y[k]);
  }
  return right / task.rows;
}

/** Over which gates, and of which networks where layers of several outputs can be others too. */
function provenFor({ scope, neurons }: Certificate, gates: number): string {
  return `${scope} (${gates})${neurons === "feed all outputs" ? "" : ", neurons that feed one output each"}`;
}

/** The convex program of neurons that feed one output each, where the network's feed several. */
function perOutputFacts({ perOutput }: Certificate): readonly (readonly [string, string])[] {
  if (perOutput === null) return [];
  return [["one-output program", `${number(perOutput.primal)}, bound ${number(perOutput.dual)}`]];
}
