/** What came of a convex fit, as plain numbers, and the words for it. */

import type { FitResult } from "../../src/index.js";
import { type Network, outputsOn } from "./network.js";
import type { Curve } from "./objectivePlot.js";
import { classOf, type Rows, type Task } from "./task.js";
import type { Fact, RunRow } from "./view.js";
import { number, percent } from "./view.js";

export interface Outcome {
  readonly status: string;
  readonly advice: string;
  readonly scope: string;
  readonly neurons: string; // of which networks the bound speaks
  readonly network: number; // objective of the written network
  readonly dual: number;
  readonly relativeGap: number;
  readonly perOutput: { readonly primal: number; readonly dual: number } | null;
  readonly gates: number;
  readonly units: number;
  readonly seconds: number;
  readonly engine: string;
}

/** Shares of rows that a network puts into their class, in training and on rows held out; null where there are none. */
export interface Accuracies {
  readonly training: number | null;
  readonly held: number | null;
}

export function outcomeOf({ certificate, status, advice, gates, neurons, seconds, engine }: FitResult): Outcome {
  const { scope, network, dual, relativeGap, perOutput } = certificate;
  return {
    ...{ status, advice: advice ?? "", scope, neurons: certificate.neurons, network, dual, relativeGap, seconds },
    perOutput: perOutput === null ? null : { primal: perOutput.primal, dual: perOutput.dual },
    ...{ gates: gates.count, units: neurons, engine: engine.replace(/:.*,/, ",") },
  };
}

const STATUS_WORDS: Readonly<Record<string, string>> = {
  solved: "done, and proven",
  cancelled: "stopped",
  timeLimit: "out of time",
  iterationLimit: "out of rounds",
  widthLimit: "done, in fewer units than the optimum has",
  stalled: "no closer in these numbers",
};

export function convexFacts(outcome: Outcome, { training, held }: Accuracies): readonly Fact[] {
  const { status, advice, network, dual, relativeGap, units, seconds, engine, perOutput } = outcome;
  const ending = STATUS_WORDS[status] ?? status;
  return [
    { name: "status", value: ending, exact: status === "solved" ? status : `${status}: ${advice}` },
    { name: "objective", value: number(network) },
    { name: "dual bound", value: number(dual) },
    { name: "relative gap", value: percent(relativeGap), exact: relativeGap.toExponential(1) },
    provenFor(outcome),
    ...accuracyFacts({ training, held }),
    { name: "neurons", value: String(units) },
    { name: "seconds", value: seconds.toFixed(2) },
    { name: "engine", value: engine },
    ...(perOutput === null
      ? []
      : [{ name: "one-output program", value: `${number(perOutput.primal)}, bound ${number(perOutput.dual)}` }]),
  ];
}

/** The same facts while the solver works, so that nothing in the page moves when the numbers come. */
export function convexProgress(primal: Curve, dual: Curve, seconds: number, isClasses: boolean): readonly Fact[] {
  const rounds = primal.values.length;
  const [objective, bound] = [primal.values[rounds - 1], dual.values[rounds - 1]];
  const gap = (objective - bound) / Math.abs(objective);
  const known = (value: string) => (rounds === 0 ? "-" : value);
  return [
    { name: "status", value: `in round ${rounds + 1}` },
    { name: "objective", value: known(number(objective)) },
    { name: "dual bound", value: known(number(bound)) },
    { name: "relative gap", value: known(percent(gap)), ...(rounds === 0 ? {} : { exact: gap.toExponential(1) }) },
    { name: "proven for", value: "-" },
    ...(isClasses ? [waiting("training accuracy"), waiting("held-out accuracy")] : []),
    waiting("neurons"),
    { name: "seconds", value: seconds.toFixed(1) },
    waiting("engine"),
  ];
}

const waiting = (name: string): Fact => ({ name, value: "-" });

export function accuracyFacts({ training, held }: Accuracies): readonly Fact[] {
  if (training === null) return [];
  return [
    { name: "training accuracy", value: percent(training) },
    { name: "held-out accuracy", value: held === null ? "-" : percent(held) },
  ];
}

export interface GradientState {
  readonly status: string;
  readonly engine?: string;
}

/** All starts of model.fit together. */
export function gradientFacts(
  runs: readonly RunRow[],
  epochs: number,
  isClasses: boolean,
  { status, engine = "-" }: GradientState,
): readonly Fact[] {
  const objectives = runs.map((run) => run.objective);
  const best = runs.find((run) => run.objective === Math.min(...objectives));
  const some = (value: string) => (best === undefined ? "-" : value);
  const accuracies =
    best === undefined ? [waiting("training accuracy"), waiting("held-out accuracy")] : accuracyFacts(best.accuracies);
  return [
    { name: "status", value: status },
    { name: "best objective", value: some(number(Math.min(...objectives))) },
    { name: "worst objective", value: some(number(Math.max(...objectives))) },
    { name: "starts", value: some(String(runs.length)) },
    { name: "epochs each", value: String(epochs) },
    ...(isClasses ? accuracies : []),
    { name: "seconds in all", value: runs.reduce((sum, run) => sum + run.seconds, 0).toFixed(2) },
    { name: "engine", value: engine },
  ];
}

/** Over which gates, and of which networks where layers of several outputs can be others too. */
function provenFor({ scope, neurons, gates }: Outcome): Fact {
  const apart = neurons === "feed all outputs" ? "" : ", neurons that feed one output each";
  const value = scope === "all gates" ? "any width" : `${gates} on-off patterns`;
  return { name: "proven for", value: value + apart, exact: `${scope} (${gates})${apart}` };
}

/** What came of it in a sentence or two, its numbers as they are to be stressed. */
export function verdict(
  outcome: Outcome | null,
  runs: readonly RunRow[],
): readonly (string | { readonly strong: string })[] {
  if (outcome === null) return ["Stopped before the convex program had a network to show."];
  const { scope, neurons, network, relativeGap, seconds, status } = outcome;
  const kind = scope === "all gates" ? "network of any width" : "network with these on-off patterns";
  const which = neurons === "feed all outputs" ? kind : `${kind} whose neurons each feed one output`;
  const proven = [
    "The convex solution is proven to be within ",
    { strong: percent(relativeGap) },
    ` of the best ${which}, after ${seconds.toFixed(1)} seconds.`,
  ];
  const lowest = Math.min(...runs.map((run) => run.objective));
  const above = lowest / network - 1;
  if (!Number.isFinite(above)) return proven;
  const open = status === "solved" ? "" : ", which had not come to its end";
  const beyond = status === "solved" && scope !== "all gates" ? ": other patterns can do more" : open;
  const side = above >= 0 ? "above it" : `below it${beyond}`;
  return [...proven, " The best run of model.fit ended ", { strong: percent(Math.abs(above)) }, ` ${side}.`];
}

/** The same for those who hear the page. */
export function summary(outcome: Outcome | null, runs: readonly RunRow[]): string {
  if (outcome === null) return "Training ended without a convex result.";
  const { network, status, relativeGap, seconds } = outcome;
  return (
    `Training ended: convex ${status}, objective ${number(network)}, relative gap ` +
    `${relativeGap.toExponential(1)} in ${seconds.toFixed(1)} seconds.` +
    (runs.length > 0 ? ` Best of model.fit: ${number(Math.min(...runs.map((run) => run.objective)))}.` : "")
  );
}

/** The shares of rows that a network puts into their class, in training and held out. */
export function accuraciesOf(task: Task, network: Network): Accuracies {
  const share = (rows: Rows) => {
    const Z = outputsOn(network, { ...rows, cols: task.cols });
    const C = network.outputs;
    let right = 0;
    for (let k = 0; k < rows.rows; k++) {
      right += Number(classOf(task, Z.subarray(k * C, (k + 1) * C)) === rows.y[k]);
    }
    return right / rows.rows;
  };
  if (task.classes.length === 0) return { training: null, held: null };
  return { training: share(task), held: task.held === null ? null : share(task.held) };
}
