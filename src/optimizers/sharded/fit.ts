/** A fit of rows that are with shards: the steps of `fit`, each by what the shards add up. */

import type * as tf from "@tensorflow/tfjs";
import { counted, these } from "../../arguments.js";
import { certify } from "../../convex/certificate/index.js";
import { formulations } from "../../convex/formulations/index.js";
import type { Network, NetworkWeights } from "../../convex/network.js";
import { Crew, type ShardedBudget, type ShardedSolution, solveSharded } from "../../convex/sharded/index.js";
import type { Clock } from "../../convex/solvers/clock.js";
import { advice } from "../../convex/solvers/solution.js";
import { ConvexError } from "../../errors.js";
import type { Settings } from "../options.js";
import { hiddenWeights } from "../pose/programWeights.js";
import { modelObjective, notesOf } from "../pose/regularization.js";
import type { NetworkSpec } from "../read/model.js";
import type { Problem } from "../records.js";
import { CONTRADICTED, contradicts } from "../report/ended.js";
import { Progress } from "../report/progress.js";
import { clockOf } from "../solve/withinWidth.js";
import { writeFit } from "../write/fit.js";
import { readPlan, type ShardedArgs, type ShardedPlan, shardedSpec, specsOf } from "./arguments.js";
import { endOf, judged } from "./judge.js";
import { cutRows, type Posed, posedOn } from "./pose.js";
import { ShardedResult, type ShardedSummary } from "./result.js";
import { widthEnd, withinUnits } from "./within.js";

const METRICS = ["loss", "relativeGap", "seconds"];

/** Nothing is written unless every step succeeds, and no worker is left when it ends. */
export async function fitSharded<M extends tf.LayersModel>(
  model: M,
  args: ShardedArgs,
  settings: Settings,
): Promise<ShardedResult<M>> {
  const plan = readPlan(args);
  const spec = shardedSpec(model, settings);
  const clock = clockOf(settings);
  const progress = new Progress(model, args.callbacks, args.verbose ?? 0, settings.tolerance, settings.timeLimit);
  try {
    const crew = new Crew(plan.cluster, await plan.cluster.open(specsOf(plan, spec, settings)));
    refuseFew("fitSharded", crew.rows);
    await progress.begin(crew.rows, settings.maxIterations, METRICS);
    const pause = () => clock.pause();
    const posed = await posedOn(crew, await cutRows(model, spec, crew, settings, pause), spec, settings, pause);
    const solution = await solveWith(crew, posed, plan, settings, clock, progress);
    const ending = { last: () => progress.end(), pause: () => clock.pause() };
    const summary = await finish(model, spec, crew, posed, solution, settings, ending);
    const { restarts, name } = plan.cluster;
    const { rows, facts, traffic } = crew;
    const shards = { cluster: name, rows: facts.map((fact) => fact.rows), restarts, ...traffic };
    return new ShardedResult<M>(progress.epoch, progress.history, { ...summary, rows, shards });
  } finally {
    progress.close();
    await plan.cluster.close();
  }
}

export function refuseFew(where: string, rows: number): void {
  if (rows >= 2) return;
  throw new ConvexError(
    "data/empty",
    `${where}: expected at least 2 rows in all shards together, got ${rows}. One sample has nothing to compare with: give more data.`,
  );
}

function solveWith(
  crew: Crew,
  { program, zero, coned }: Posed,
  plan: ShardedPlan,
  settings: Settings,
  clock: Clock,
  progress: Progress,
): Promise<ShardedSolution> {
  const budget: ShardedBudget = {
    tolerance: settings.tolerance,
    maxIterations: settings.maxIterations,
    clock,
    checkpoint: plan.checkpoint,
    everyRounds: plan.checkpointRounds,
    batches: settings.solver === "stochastic",
    onRound: ({ index, gap, seconds }) =>
      progress.round(index, { loss: gap.primal, relativeGap: gap.relative, seconds }),
  };
  return solveSharded(crew, program, zero.bias, budget, coned);
}

type Finished<M extends tf.LayersModel> = Omit<ShardedSummary<M>, "rows" | "shards">;

/** What goes on until a result is there. */
interface Ending {
  readonly last: () => Promise<void>; // of the callbacks
  readonly pause: () => Promise<boolean>; // whether time is up
}

/** The network of the solution, or the best that fits the layer, judged by the shards as it is written. */
async function finish<M extends tf.LayersModel>(
  model: M,
  spec: NetworkSpec,
  crew: Crew,
  posed: Posed,
  solution: ShardedSolution,
  settings: Settings,
  { last, pause }: Ending,
): Promise<Finished<M>> {
  const { program, column, regularization, coned } = posed;
  const { blocks, iterations, seconds } = solution;
  const wide = formulations[spec.formulation].recover(program, blocks);
  const units = settings.width === "resize" ? Math.max(1, wide.neurons.length) : spec.units;
  const facts = { regularization, iterations, seconds, blocks, generators: program.gates.generators };
  const solver = coned !== null ? "proximal-newton" : (settings.solver ?? "fista");
  const common = { ...facts, model, solver, engine: "wasm" };
  const nothing = async (ended: Pick<ShardedSolution, "status" | "advice">, why: string): Promise<Finished<M>> => {
    await last();
    const none = Number.NaN;
    const objective = { loss: none, regularization: none, total: none };
    const certificate = certify(solution.gap, none, program);
    return { ...common, ...ended, objective, certificate, neurons: 0, notes: [why] };
  };
  if (!Number.isFinite(solution.gap.primal))
    return nothing(solution, "No finite point was found: the weights are as they were.");
  const fitting = await withinUnits(crew, posed, solution, wide, units, settings, pause);
  const { network, gap } = fitting;
  const weights = hiddenWeights({ program, column, regularization }, network, units);
  if (!isFinite32(weights)) {
    const ended = { status: "nonFinite", advice: advice.nonFinite } as const;
    return nothing(ended, "No point with finite float32 weights was found: the weights are as they were.");
  }
  const { written, undecided } = await judged(crew, posed, weights);
  const certificate = certify(gap, written.total, fitting.program);
  if (contradicts(certificate))
    return nothing(CONTRADICTED, "The bound and the objective contradict each other: the weights are as they were.");
  const target = await writeFit(model, problemOf(spec, posed), weights, units, false, last);
  return {
    ...common,
    ...(fitting.needed > units
      ? widthEnd(solution, fitting, units, settings.tolerance)
      : endOf(solution, written.total, certificate.dual, settings.tolerance, posed.zero)),
    model: target,
    neurons: network.neurons.length,
    certificate,
    objective: modelObjective(written, weights.kernel, regularization.hidden, column.charged),
    notes: [...notesOf(spec, regularization, column, false), ...undecidedNotes(undecided), ...gateNotes(network)],
  };
}

/** What writing asks of a problem. */
function problemOf(spec: NetworkSpec, { program, column, regularization }: Posed): Problem {
  const whole = {
    constraint: null,
    reduction: null,
    growth: null,
    gateNotes: [],
    formulation: formulations[spec.formulation],
  };
  return { spec, program, loss: program.loss, column, regularization, ...whole };
}

function isFinite32({ kernel, output, bias }: NetworkWeights): boolean {
  return [kernel.data, output.data, bias].every((values) => values.every(Number.isFinite));
}

function undecidedNotes(undecided: number): string[] {
  if (undecided === 0) return [];
  return [
    `${counted(undecided, "pair")} of a row and a neuron so close to the boundary of the gate that float32 may decide otherwise: ` +
      `model.evaluate may differ from objective.loss by that.`,
  ];
}

function gateNotes({ neurons, spare = [] }: Network): string[] {
  return neurons.length > 0 || spare.length === 0
    ? []
    : [`No neuron pays at this beta: the blocks of ${these(spare.length, "gate")} are zero.`];
}
