/** One press of Train: the convex fit and the runs of model.fit side by side, drawn as they go. */

import type { FitResult } from "../../src/index.js";
import { drawContours, type Field } from "./contourPlot.js";
import { type DescentEpoch, descend } from "./descent.js";
import { type Network, networkOf, type Weight } from "./network.js";
import { type Curve, drawObjectives } from "./objectivePlot.js";
import {
  accuraciesOf,
  convexFacts,
  convexProgress,
  type GradientState,
  gradientFacts,
  type Outcome,
  outcomeOf,
  summary,
  verdict,
} from "./outcome.js";
import type { PlanePlot } from "./planePlot.js";
import type { Settings } from "./settings.js";
import type { Task } from "./task.js";
import { byId, type Fact, type RunRow, showFacts, showRuns } from "./view.js";
import { type Convex, endWorkers, loadConvex, startWorkers } from "./workers.js";

export interface Plots {
  readonly convex: PlanePlot;
  readonly gradient: PlanePlot;
  readonly excess: SVGSVGElement;
  readonly objective: SVGSVGElement;
  readonly contour: SVGSVGElement;
}

/** A training as it was, as scripts/opening.ts writes it for the page to open with. */
export interface Recorded {
  readonly outcome: Outcome;
  readonly weights: readonly { readonly shape: readonly number[]; readonly values: readonly number[] }[];
  readonly surface: { readonly [part in "steps" | "values"]: readonly number[] } & { readonly objective: number };
  readonly primal: Curve;
  readonly dual: Curve;
  readonly descents: readonly (Curve & { readonly weights: Recorded["weights"] })[];
}

const TICK_SECONDS = 0.5;
/** How long a side may take to hand over what it has when it is stopped; then its worker is ended. */
const GRACE_MS = 700;
/** Curves are drawn at most this often: without a GPU a drawing takes a while. */
const DRAW_MS = 80;

export class Training {
  result: FitResult | null = null;
  private outcome: Outcome | null = null;
  private readonly controller = new AbortController();
  private kill: (reason: Error) => void = () => undefined;
  private readonly killed = new Promise<never>((_, reject) => {
    this.kill = reject;
  });
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
  ) {
    this.killed.catch(() => undefined);
  }

  /** Ends both sides now; what they have reached stays. */
  stop(): void {
    if (this.controller.signal.aborted) return;
    this.controller.abort();
    setTimeout(() => this.kill(new Stopped()), GRACE_MS);
  }

  async run(): Promise<void> {
    this.plots.convex.setNetwork(null);
    this.plots.gradient.setNetwork(null);
    showFacts(byId("gradientFacts"), this.gradientFacts({ status: "waiting" }));
    const progress = convexProgress(this.primal, this.dual, 0, this.isClasses());
    showFacts(byId("convexFacts"), [{ name: "status", value: "loading TensorFlow.js" }, ...progress.slice(1)]);
    const library = await loadConvex();
    const sides = await Promise.allSettled([this.fit(library), this.descend()]);
    this.draw();
    const reasons = sides.flatMap((side) => (side.status === "rejected" ? [side.reason] : []));
    if (reasons.some((reason) => reason instanceof Stopped)) endWorkers();
    for (const reason of reasons) if (!(reason instanceof Stopped)) throw reason;
  }

  /**
   * Shows a run that was made before, without TensorFlow.js: its numbers at once, each picture in a turn of its own, so that the
   * page answers in between; no more of them when it is not `wanted` any longer.
   */
  async replay(recorded: Recorded, wanted: () => boolean): Promise<void> {
    const { outcome, surface, primal, dual, descents } = recorded;
    const { plots } = this;
    append(this.primal, primal);
    append(this.dual, dual);
    const networks = descents.map(({ seconds, values, weights }, start) => {
      this.descents[start] = { seconds: [...seconds], values: [...values] };
      const network = networkOf(restored(weights));
      this.keepRun(start, network, values[values.length - 1], seconds[seconds.length - 1]);
      return network;
    });
    const network = networkOf(restored(recorded.weights));
    this.keepConvex(outcome, network);
    const [steps, values] = [Float64Array.from(surface.steps), Float64Array.from(surface.values)];
    this.surface = { steps, values, objective: surface.objective };
    showFacts(byId("gradientFacts"), this.gradientFacts({ status: "done", engine: "tfjs cpu, beforehand" }));
    this.showTable();
    const planes = [
      () => plots.convex.setNetwork(network),
      () => plots.gradient.setNetwork(networks[networks.length - 1]),
    ];
    for (const draw of [...planes, ...this.charts()]) {
      await turn();
      if (!wanted()) return;
      draw();
    }
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
    return summary(this.outcome, [...this.runs.values()]);
  }

  verdict(): ReturnType<typeof verdict> {
    return verdict(this.outcome, [...this.runs.values()]);
  }

  /** Draws the objectives again, and what is in the colours of the moment. */
  draw(): void {
    for (const draw of this.charts()) draw();
    this.showTable();
  }

  private charts(): (() => void)[] {
    const { primal, dual, descents, surface, plots } = this;
    return [
      () => drawObjectives(plots.excess, { primal, dual, descents }, "excess"),
      () => drawObjectives(plots.objective, { primal, dual, descents }, "objective"),
      ...(surface === null ? [] : [() => drawContours(plots.contour, surface)]),
    ];
  }

  private showTable(): void {
    const bound = this.dual.values.at(-1) ?? null; // gates may grow, and then an earlier bound was for fewer gates
    const rows = [...(this.convexRun === null ? [] : [this.convexRun]), ...this.runs.values()];
    showRuns(byId<HTMLTableElement>("runs"), rows, bound);
  }

  private async fit(library: Convex): Promise<void> {
    const { task, settings, controller, killed, primal, dual } = this;
    const begun = performance.now();
    const show = () => {
      const seconds = (performance.now() - begun) / 1000;
      showFacts(byId("convexFacts"), convexProgress(primal, dual, seconds, this.isClasses()));
    };
    const ticking = setInterval(show, 1000 * TICK_SECONDS); // a round may take long
    show();
    try {
      const result = await library.fitConvex(
        startWorkers().convex,
        task,
        settings,
        controller.signal,
        killed,
        (round) => {
          push(primal, round.seconds, round.primal);
          push(dual, round.seconds, round.dual);
          show();
          this.drawSoon();
        },
      );
      this.result = result;
      const network = networkOf(library.weightsOf(result.model));
      this.plots.convex.setNetwork(network);
      this.keepConvex(outcomeOf(result), network);
    } catch (error) {
      if (error instanceof Stopped) this.showStopped();
      throw error;
    } finally {
      clearInterval(ticking);
    }
    this.drawSoon();
  }

  private keepConvex(outcome: Outcome, network: Network): void {
    this.outcome = outcome;
    const accuracies = accuraciesOf(this.task, network);
    const { network: objective, seconds } = outcome;
    this.convexRun = { method: "convex", kind: "convex", objective, accuracies, seconds };
    showFacts(byId("convexFacts"), convexFacts(outcome, accuracies));
  }

  /** The worker was ended in the middle of a round: its last numbers stay, a network there is none. */
  private showStopped(): void {
    const { primal, dual } = this;
    const [, ...known] = convexProgress(primal, dual, primal.seconds.at(-1) ?? 0, this.isClasses());
    showFacts(byId("convexFacts"), [
      {
        name: "status",
        value: "stopped in a round",
        exact: "cancelled: its worker was ended in the middle of a round",
      },
      ...known,
    ]);
  }

  private async descend(): Promise<void> {
    const { task, settings, controller, killed } = this;
    const { backend } = await descend(startWorkers().gradient, task, settings, controller.signal, killed, (epoch) =>
      this.showEpoch(epoch),
    );
    const status = controller.signal.aborted ? "stopped" : "done";
    showFacts(byId("gradientFacts"), this.gradientFacts({ status, engine: `tfjs ${backend}, in a worker` }));
  }

  private gradientFacts(at: GradientState): readonly Fact[] {
    return gradientFacts([...this.runs.values()], this.settings.epochs, this.isClasses(), at);
  }

  private showEpoch({ start, epoch, seconds, objective, weights }: DescentEpoch): void {
    const { settings, descents } = this;
    descents[start] ??= { seconds: [], values: [] };
    push(descents[start], seconds, objective);
    this.drawSoon();
    if (weights === undefined) return;
    const network = networkOf(weights);
    this.plots.gradient.setNetwork(network);
    this.keepRun(start, network, objective, seconds);
    const status = `start ${start + 1} of ${settings.starts}, epoch ${epoch} of ${settings.epochs}`;
    showFacts(byId("gradientFacts"), this.gradientFacts({ status }));
  }

  private keepRun(start: number, network: Network, objective: number, seconds: number): void {
    const method = `${this.settings.optimizer === "adam" ? "Adam" : "SGD"}, start ${start + 1}`;
    this.runs.set(start, {
      method,
      kind: "gradient",
      objective,
      accuracies: accuraciesOf(this.task, network),
      seconds,
    });
  }

  private isClasses(): boolean {
    return this.task.classes.length > 0;
  }

  /** One drawing in a while, however many numbers come. */
  private drawSoon(): void {
    if (this.drawing) return;
    this.drawing = true;
    setTimeout(() => {
      this.drawing = false;
      this.draw();
    }, DRAW_MS);
  }
}

/** Why a side gives nothing: it was stopped and did not answer. */
class Stopped extends Error {}

/** The page's next turn, in which it has drawn and listened. */
function turn(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve));
}

function push(curve: Curve, seconds: number, value: number): void {
  curve.seconds.push(seconds);
  curve.values.push(value);
}

function append(curve: Curve, { seconds, values }: Curve): void {
  seconds.forEach((second, k) => void push(curve, second, values[k]));
}

function restored(weights: Recorded["weights"]): Weight[] {
  return weights.map(({ shape, values }) => ({ shape, values: Float32Array.from(values) }));
}
