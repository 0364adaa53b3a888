/** A fit of rows that are with shards: the steps of `fit`, each by what the shards add up. */

import type * as tf from "@tensorflow/tfjs";
import { certify } from "../../convex/certificate/index.js";
import { formulations } from "../../convex/formulations/index.js";
import { type Network, type NetworkWeights, objectiveOf, roundedAsWritten } from "../../convex/network.js";
import {
  type AtZero,
  Crew,
  chosenGates,
  distinctGates,
  lookAtZero,
  lossElsewhere,
  numbersOf,
  type ShardedSolution,
  solveSharded,
} from "../../convex/sharded/index.js";
import type { Clock } from "../../convex/solvers/clock.js";
import { advice } from "../../convex/solvers/solution.js";
import type { ConvexProgram, Matrix } from "../../convex/types.js";
import { ConvexError } from "../../errors.js";
import type { Settings } from "../options.js";
import { layerGenerators } from "../pose/pose.js";
import { hiddenWeights } from "../pose/programWeights.js";
import { biasColumnOf, decayOf, modelObjective, notesOf, regularizationOf } from "../pose/regularization.js";
import type { NetworkSpec } from "../read/model.js";
import type { BiasColumn, Problem, Regularization } from "../records.js";
import { CONTRADICTED, contradicts } from "../report/ended.js";
import { Progress } from "../report/progress.js";
import { clockOf } from "../solve/withinWidth.js";
import { writeFit } from "../write/fit.js";
import { readPlan, type ShardedArgs, type ShardedPlan, shardedSpec, specsOf } from "./arguments.js";
import { ShardedResult, type ShardedSummary } from "./result.js";

const { gated } = formulations;
const METRICS = ["loss", "relativeGap", "seconds"];
/** Differences below this share of the zero network's loss are none in float32. */
const RESOLUTION = 2 ** -23;

/** A program whose rows are elsewhere, and what it was made from. */
interface Posed {
  readonly program: ConvexProgram;
  readonly column: BiasColumn;
  readonly regularization: Regularization;
  readonly zero: AtZero;
}

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
    refuseFew(crew.rows);
    await progress.begin(crew.rows, settings.maxIterations, METRICS);
    const posed = await poseSharded(model, spec, crew, settings);
    const solution = await solveWith(crew, posed, plan, settings, clock, progress);
    const summary = await finish(model, spec, crew, posed, solution, settings, () => progress.end());
    const { restarts, name } = plan.cluster;
    const { rows, facts, traffic } = crew;
    const shards = { cluster: name, rows: facts.map((fact) => fact.rows), restarts, ...traffic };
    return new ShardedResult<M>(progress.epoch, progress.history, { ...summary, rows, shards });
  } finally {
    progress.close();
    await plan.cluster.close();
  }
}

function refuseFew(rows: number): void {
  if (rows >= 2) return;
  throw new ConvexError(
    "data/empty",
    `fitSharded: expected at least 2 rows in all shards together, got ${rows}. One sample has nothing to compare with: give more data.`,
  );
}

/** Gates, then beta, which may be a share of the one at which no neuron pays. */
async function poseSharded(model: tf.LayersModel, spec: NetworkSpec, crew: Crew, settings: Settings): Promise<Posed> {
  // Of all rows the longest is what a bias column goes by.
  const column = biasColumnOf(spec, settings, { rows: 1, cols: 1, data: Float64Array.of(crew.longest) });
  const generators = await generatorsFor(model, spec, crew, column.value, settings);
  await crew.bind(generators.data, column.value);
  const outputBias = spec.outputBias ? { ridge: spec.l2.outputBias } : null;
  const loss = lossElsewhere(spec.loss, crew.rows, spec.outputs);
  const X = { rows: crew.rows, cols: generators.cols, data: new Float64Array(0) };
  const gates = { count: generators.rows, rows: crew.rows, bits: new Uint32Array(0), generators, complete: false };
  const known = gated.penaltiesFor(spec.outputs);
  const penalty = known.find((name) => name === settings.vectorPenalty) ?? known[0];
  const build = (beta: number) => gated.build({ X, gates, loss, beta, outputBias, pooling: null }, penalty);
  const zero = await lookAtZero(crew, build(0));
  const regularization = await regularizationOf(spec, settings, false, async () => zero.trivialBeta);
  return { program: build(regularization.beta), column, regularization, zero };
}

/** Distinct gates [P x d] in numbers that a layer can hold: drawn, or the layer's own. */
async function generatorsFor(
  model: tf.LayersModel,
  spec: NetworkSpec,
  crew: Crew,
  biasColumn: number,
  { arrangements, seed }: Settings,
): Promise<Matrix> {
  const d = biasColumn > 0 ? spec.inputs + 1 : spec.inputs;
  const drawn = arrangements !== null && "kind" in arrangements && arrangements.kind === "sample" ? arrangements : null;
  const list =
    drawn === null
      ? await chosenGates(crew, rowsOf(await layerGenerators(model, spec, d, biasColumn)), biasColumn)
      : await distinctGates(crew, d, biasColumn, { count: drawn.count, seed: drawn.seed ?? seed }, (generator) =>
          roundedAsWritten(generator, biasColumn),
        );
  if (list.length === 0) {
    throw new ConvexError(
      "gates/empty",
      `arrangements: expected at least one gate that is active on a row, got none among ${crew.rows} rows. ` +
        `Ask for more gates, or check that x is not all zero.`,
    );
  }
  const data = new Float64Array(list.length * d);
  list.forEach((generator, i) => {
    data.set(generator, i * d);
  });
  return { rows: list.length, cols: d, data };
}

function rowsOf({ rows, cols, data }: Matrix): Float64Array[] {
  return Array.from({ length: rows }, (_, i) => data.slice(i * cols, (i + 1) * cols));
}

function solveWith(
  crew: Crew,
  { program, zero }: Posed,
  plan: ShardedPlan,
  settings: Settings,
  clock: Clock,
  progress: Progress,
): Promise<ShardedSolution> {
  return solveSharded(crew, program, zero.bias, {
    tolerance: settings.tolerance,
    maxIterations: settings.maxIterations,
    clock,
    checkpoint: plan.checkpoint,
    everyRounds: plan.checkpointRounds,
    onRound: ({ index, gap, seconds }) =>
      progress.round(index, { loss: gap.primal, relativeGap: gap.relative, seconds }),
  });
}

type Finished<M extends tf.LayersModel> = Omit<ShardedSummary<M>, "rows" | "shards">;

/** The network of the solution, judged by the shards as it is written; `last` is the end of the callbacks. */
async function finish<M extends tf.LayersModel>(
  model: M,
  spec: NetworkSpec,
  crew: Crew,
  posed: Posed,
  solution: ShardedSolution,
  settings: Settings,
  last: () => Promise<void>,
): Promise<Finished<M>> {
  const { program, column, regularization } = posed;
  const { blocks, gap, iterations, seconds } = solution;
  const network = gated.recover(program, blocks);
  const neurons = network.neurons.length;
  const units = settings.width === "resize" ? Math.max(1, neurons) : spec.units;
  const facts = { regularization, iterations, seconds, blocks, generators: program.gates.generators };
  const common = { ...facts, model, solver: "fista", engine: "wasm", neurons };
  const nothing = async (ended: Pick<ShardedSolution, "status" | "advice">, why: string): Promise<Finished<M>> => {
    await last();
    const none = Number.NaN;
    const objective = { loss: none, regularization: none, total: none };
    return { ...common, ...ended, objective, certificate: certify(gap, none, program), neurons: 0, notes: [why] };
  };
  if (!Number.isFinite(gap.primal))
    return nothing(solution, "No finite point was found: the weights are as they were.");
  if (neurons > units) {
    const todo = `Build the layer with ${neurons} units, or set width: "resize".`;
    const said = `The solution has ${neurons} neurons, the layer ${units}: the weights are as they were.`;
    return nothing({ status: "widthLimit", advice: `${said} ${todo}` }, said);
  }
  const weights = hiddenWeights({ program, column, regularization }, network, units);
  if (!isFinite32(weights)) {
    const ended = { status: "nonFinite", advice: advice.nonFinite } as const;
    return nothing(ended, "No point with finite float32 weights was found: the weights are as they were.");
  }
  const call = { op: "network", units, biasColumn: column.value } as const;
  const [loss, undecided] = await crew.ask(call, numbersOf(weights));
  const written = objectiveOf(
    weights,
    program.X,
    { ...program.loss, value: () => loss },
    decayOf(regularization),
    NONE,
  );
  const certificate = certify(gap, written.total, program);
  if (contradicts(certificate))
    return nothing(CONTRADICTED, "The bound and the objective contradict each other: the weights are as they were.");
  const target = await writeFit(model, problemOf(spec, posed), weights, units, false, last);
  return {
    ...common,
    ...endOf(solution, written.total, certificate.dual, settings.tolerance, posed.zero),
    model: target,
    certificate,
    objective: modelObjective(written, weights.kernel, regularization.hidden, column.charged),
    notes: [...notesOf(spec, regularization, column, false), ...undecidedNotes(undecided), ...gateNotes(network)],
  };
}

const NONE = new Float64Array(0);

/** Solved is the network as it stands in the layers. */
function endOf(
  { status, advice: said }: ShardedSolution,
  network: number,
  dual: number,
  tolerance: number,
  { loss }: AtZero,
): Pick<ShardedSolution, "status" | "advice"> {
  if (status !== "solved" || network - dual <= 2 * tolerance * Math.abs(network) + RESOLUTION * Math.abs(loss))
    return { status, advice: said };
  return {
    status: "stalled",
    advice:
      "The program is solved, but its network loses more than the tolerance when its weights are rounded to float32: bring the columns " +
      "of x, and the targets, to sizes near one.",
  };
}

/** What writing asks of a problem. */
function problemOf(spec: NetworkSpec, { program, column, regularization }: Posed): Problem {
  const whole = { constraint: null, reduction: null, growth: null, gateNotes: [], formulation: gated };
  return { spec, program, loss: program.loss, column, regularization, ...whole };
}

function isFinite32({ kernel, output, bias }: NetworkWeights): boolean {
  return [kernel.data, output.data, bias].every((values) => values.every(Number.isFinite));
}

function undecidedNotes(undecided: number): string[] {
  if (undecided === 0) return [];
  return [
    `${undecided} pairs of a row and a neuron lie so close to the boundary of the gate that float32 may decide them otherwise: ` +
      `model.evaluate may differ from objective.loss by them.`,
  ];
}

function gateNotes({ neurons, spare = [] }: Network): string[] {
  return neurons.length > 0 ? [] : [`No neuron pays at this beta: all ${spare.length} gates have blocks of zero.`];
}
