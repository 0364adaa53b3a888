/** Data, gates and beta -> the convex program, with everything that it was made from. */

import type * as tf from "@tensorflow/tfjs";
import { these } from "../../arguments.js";
import {
  type Arrangements,
  arrangementBound,
  type Growth,
  gatesFrom,
  gathering,
  type ReadPatterns,
  resolvingGates,
} from "../../convex/arrangements/index.js";
import { trivialBeta } from "../../convex/certificate/index.js";
import { type Formulation, formulations } from "../../convex/formulations/index.js";
import { largestAtZero } from "../../convex/growth/index.js";
import { bindProducts, type ChosenEngine, type Kernels } from "../../convex/kernels/index.js";
import { patternReader } from "../../convex/linear/bits.js";
import { inTurns, type Pieces } from "../../convex/linear/pieces.js";
import { mapRows } from "../../convex/linear/rowBlock.js";
import { bindLoss } from "../../convex/losses/index.js";
import { overColumn, roundedAsWritten } from "../../convex/network.js";
import { type Coordinates, isStandardized } from "../../convex/operators/coordinates.js";
import { standardizedVector, unstandardized } from "../../convex/operators/standardized.js";
import { mayShareOutputs } from "../../convex/sharing/index.js";
import { Clock } from "../../convex/solvers/clock.js";
import type { ConvexProgram, GateSet, Loss, Matrix, Penalty } from "../../convex/types.js";
import { ConvexError } from "../../errors.js";
import type { Settings } from "../options.js";
import type { Dataset } from "../read/data.js";
import { inputRows } from "../read/inputRows.js";
import { type NetworkSpec, poolingOf } from "../read/model.js";
import type { Problem, StartingPoint } from "../records.js";
import { outputConstraint } from "./constraint.js";
import { refuseUnshared } from "./mayShare.js";
import { biasColumnOf, regularizationOf } from "./regularization.js";
import { lossBeside, type RowsOf } from "./skip.js";
import { checkStart } from "./startingPoint.js";
import { clearOfRows, writtenGates } from "./writtenGates.js";

/** Gates of a gated network that are sampled unless `arrangements` says otherwise. */
const DEFAULT_GATES = 256;
/** Arrangements of a ReLU network's data up to which all of them are taken unless `arrangements` says otherwise; else gates grow. */
export const FEW_ARRANGEMENTS = 512;

/** Of the time that there is: what the making of gates may take. */
const GATES_SHARE = 0.5;
/** The same of gates that grow, where neurons that feed several outputs descend first: it may be all that there is time for. */
const FIRST_GATES_SHARE = 0.05;
const GROWTH: Growth = { kind: "grow" };

/** Where gates may come from when no option names them. */
export interface GateSources {
  readonly gatesOf: tf.LayersModel | null; // a model whose first layer has gates of its own
  readonly warmStart: StartingPoint | null;
  /** The columns in which the data are posed, where these are not those of the layer, and the rows as the layer sees them. */
  readonly space?: Coordinates | null;
  readonly rows?: Matrix | null;
  /** Where the rows are those of a fold. */
  readonly part?: RowsOf | null;
}

export async function pose(
  spec: NetworkSpec,
  data: Dataset,
  settings: Settings,
  engine: ChosenEngine,
  sources: GateSources,
  clock: Clock = new Clock(Number.POSITIVE_INFINITY, () => false),
): Promise<Problem> {
  refusePricing(spec, settings);
  refuseConstrainedSkip(spec, settings);
  const formulation = formulations[spec.formulation];
  const column = biasColumnOf(spec, settings, inputRows(spec, data.x, 0));
  const X = inputRows(spec, data.x, column.value);
  const pooling = poolingOf(spec);
  const { warmStart } = sources;
  if (warmStart !== null) {
    checkStart(warmStart, X, spec.formulation === "gated" ? 1 : 2, vectorsOf(spec), spec.outputs);
  }
  const wish = arrangementsFor(spec, X, settings, sources);
  const loss = bindLoss(spec.loss, data.y, data.weights);
  const descends = growthOf(wish) !== null && settings.vectorPenalty !== "perOutput";
  const first = descends && mayShareOutputs({ cones: true, loss, pooling });
  const making = clock.part(first ? FIRST_GATES_SHARE : GATES_SHARE);
  const made = (work: Pieces<GateSet>) => inTurns(work, () => making.pause());
  const gates = await chooseGates(spec, X, column.value, settings, sources, wish, engine.kernels, made);
  const posing = lossBeside(loss, spec, data.x, sources.space ?? null, engine.kernels, sources.part ?? null);
  const beside = await inTurns(posing, () => clock.pause());
  const { outputBias } = beside;
  const penalty = penaltyName(formulation, spec, settings);
  const build = (beta: number, charged: Loss) =>
    formulation.build({ X, gates, loss: charged, beta, outputBias, pooling }, penalty);
  const standardized = sources.space != null && isStandardized(sources.space);
  const asked = growthOf(wish);
  const charged = await regularizationOf(spec, settings, standardized, () =>
    trivialBetaOf(build(0, beside.loss), engine.kernels, asked !== null, clock),
  );
  const regularization = spec.skip === null ? charged : { ...charged, skip: spec.skip.l2 };
  const kind = regularization.constraint;
  const constraint = kind === null ? null : outputConstraint(kind, spec.loss, data);
  const program = build(regularization.beta, constraint?.penalty(1) ?? beside.loss);
  const cut = "kind" in wish && wish.kind === "enumerate" && making.over && !gates.complete;
  const growth = asked ?? (cut && program.cones && constraint === null ? GROWTH : null);
  const gateNotes = cut ? [cutNote(gates.count, growth !== null)] : incompleteNotes(wish, gates);
  const problem = {
    spec,
    program,
    loss,
    constraint,
    formulation,
    column,
    reduction: null,
    regularization,
    growth,
    gateNotes,
  };
  refuseUnshared(problem, settings);
  return problem;
}

/** The smallest beta at which the zero network is optimal: of the gates at hand, or, where they grow, of all that a search meets. */
async function trivialBetaOf(program: ConvexProgram, kernels: Kernels, grows: boolean, clock: Clock): Promise<number> {
  const pause = () => clock.pause();
  if (grows) return largestAtZero(program, kernels, pause);
  const products = bindProducts(program, kernels);
  return inTurns(trivialBeta(program, products), pause).finally(() => products.dispose());
}

function refusePricing(spec: NetworkSpec, { pricing, regularization }: Settings): void {
  if (pricing?.kind !== "branch-and-bound") return;
  const constrained = regularization === "interpolate" || regularization === "max-margin";
  if (spec.formulation === "relu" && !constrained) return;
  throw new ConvexError(
    "options/value",
    `pricing: expected { kind: "search" } for ${constrained ? `regularization "${regularization}"` : `a ${spec.formulation} network`}, ` +
      `got { kind: "branch-and-bound" }, which prices the gates of ReLU networks with a loss. Leave it out.`,
  );
}

function refuseConstrainedSkip({ skip }: NetworkSpec, { regularization }: Settings): void {
  if (skip === null || (regularization !== "interpolate" && regularization !== "max-margin")) return;
  throw new ConvexError(
    "options/value",
    `regularization: expected a loss for a model with a linear layer beside the hidden one, got "${regularization}", which takes the ` +
      `place of the loss. Leave that layer out, or set regularization to a number or "share".`,
  );
}

/** What `arrangements` says, or the default: all where they are few, growing ones, for gated networks a sample. */
function arrangementsFor(spec: NetworkSpec, X: Matrix, settings: Settings, sources: GateSources): Arrangements {
  const constrained = settings.regularization === "interpolate" || settings.regularization === "max-margin";
  if (settings.arrangements !== null) {
    if (!constrained || growthOf(settings.arrangements) === null) return settings.arrangements;
    throw new ConvexError(
      "options/value",
      `arrangements: expected { kind: "sample" }, { kind: "enumerate" } or a gate set for regularization ` +
        `"${settings.regularization}", got { kind: "grow" }. The search for gates needs a loss.`,
    );
  }
  if (spec.formulation !== "relu") return { kind: "sample", count: DEFAULT_GATES };
  if (sources.warmStart !== null) {
    const { gates, problem } = sources.warmStart;
    const goesOn = !constrained && gates?.complete === false && problem?.growth != null;
    return goesOn ? problem.growth : gates;
  }
  if (arrangementBound(X.rows, Math.min(X.rows, X.cols)) <= FEW_ARRANGEMENTS) return { kind: "enumerate" };
  return constrained ? { kind: "sample", count: FEW_ARRANGEMENTS } : { kind: "grow" };
}

async function chooseGates(
  spec: NetworkSpec,
  X: Matrix,
  biasColumn: number,
  settings: Settings,
  sources: GateSources,
  wish: Arrangements,
  kernels: Kernels,
  made: (work: Pieces<GateSet>) => Promise<GateSet>,
): Promise<GateSet> {
  if (spec.formulation === "linear" || spec.formulation === "affine") return openGate(X, settings);
  const read = patternReader(kernels);
  const space = sources.space ?? null;
  const turned = space !== null && !isStandardized(space);
  const rounded = (g: Float64Array) => gateAsWritten(g, biasColumn, space);
  const written = (g: Float64Array) => clearOfRows(X, g, biasColumn, turned, rounded);
  if (spec.formulation === "gated" && growthOf(wish) !== null) {
    throw new ConvexError(
      "options/value",
      `arrangements: expected { kind: "sample" }, { kind: "enumerate" } or a gate set for a gated network, got { kind: "grow" }. ` +
        `Only the gates of ReLU networks can grow: a gated network keeps those that it has.`,
    );
  }
  if (sources.warmStart !== null) return made(gatesOfStart(sources.warmStart, spec, X, settings, written, read));
  // The layer's own are float32 already.
  if (settings.arrangements === null && sources.gatesOf !== null) {
    const own = await layerGenerators(sources.gatesOf, spec, X.cols, biasColumn);
    return made(gatesOfLayer(own, sources.rows ?? X, biasColumn, space, read));
  }
  if (spec.formulation !== "gated") return made(resolvingGates(X, wish, settings.seed, undefined, read));
  // What is drawn or found is rounded before masks are made, so that there is only one set of masks.
  const gates = await made(resolvingGates(X, wish, settings.seed, written, read, true));
  return "kind" in wish ? gates : made(writtenGates(X, gates, written, read));
}

/** A gate with the numbers that a layer can hold. */
function gateAsWritten(gate: Float64Array, biasColumn: number, space: Coordinates | null): Float64Array {
  if (space === null || !isStandardized(space)) return roundedAsWritten(gate, biasColumn);
  return standardizedVector(unstandardized(gate, space, biasColumn), space, biasColumn);
}

/** The gates of an earlier result, whose blocks are numbered by them; a gated layer has them in float32. */
function* gatesOfStart(
  start: StartingPoint,
  spec: NetworkSpec,
  X: Matrix,
  settings: Settings,
  written: (gate: Float64Array) => Float64Array,
  read: ReadPatterns,
): Pieces<GateSet> {
  const gated = spec.formulation === "gated";
  if (settings.arrangements !== null && growthOf(settings.arrangements) === null) {
    throw new ConvexError(
      "gates/mismatch",
      `warmStart: expected no arrangements beside it, since it brings its gates, got both. Leave arrangements out (or let them grow).`,
    );
  }
  const gates = yield* resolvingGates(X, start.gates, settings.seed, undefined, read, gated);
  return gated ? yield* writtenGates(X, gates, written, read) : gates;
}

/** Why gates that were to be all are not, in words. */
function incompleteNotes(wish: Arrangements, gates: GateSet): string[] {
  if (gates.complete) return [];
  if ("kind" in wish) {
    if (wish.kind !== "enumerate") return [];
    return [
      `Some activation patterns belong to directions between rows so close, or on rows so exactly, that no direction in floating ` +
        `point has them. They are left out, and the certificate is about ${these(gates.count, "gate")}.`,
    ];
  }
  if (!wish.complete) return [];
  return [
    `The gates that were passed were all that there are for other rows or another kind of network, and are not for these: the ` +
      `certificate is about ${these(gates.count, "gate")}. arrangements: { kind: "enumerate" } finds all.`,
  ];
}

function cutNote(gates: number, grows: boolean): string {
  return (
    `The time did not suffice to enumerate all arrangements: ${gates} of them were taken${grows ? ", and others were searched for" : ""}. ` +
    `Raise timeLimit to have them all.`
  );
}

/** The one gate of a linear network, which is open on every row: all that there are. */
function openGate(X: Matrix, { arrangements }: Settings): GateSet {
  if (arrangements !== null) {
    throw new ConvexError(
      "options/value",
      "arrangements: expected none for a linear network, whose units are open on every row, got some. Leave them out.",
    );
  }
  return { ...gatesFrom(X, { rows: 1, cols: X.cols, data: new Float64Array(X.cols) }), complete: true };
}

function growthOf(wish: Arrangements): Growth | null {
  return "kind" in wish && wish.kind === "grow" ? wish : null;
}

/** Vectors of a block: outputs, for each patch where patches are read out apart. */
function vectorsOf({ outputs, convolution }: NetworkSpec): number {
  return outputs * (convolution?.pooling.positions ?? 1);
}

/** The gates of all units [m x d] of a GatedDense or GatedConv2D layer; the bias of a gate stands over the constant column. */
export async function layerGenerators(
  model: tf.LayersModel,
  { hiddenBias, units }: Pick<NetworkSpec, "hiddenBias" | "units">,
  columns: number, // d
  biasColumn: number,
): Promise<Matrix> {
  const layer = model.layers.find((candidate) => candidate.getClassName().startsWith("Gated"));
  const weights = layer?.getWeights() ?? [];
  const gate = await weights[hiddenBias ? 2 : 1].data();
  const bias = hiddenBias ? await weights[3].data() : null;
  const inputs = gate.length / units;
  const data = new Float64Array(units * columns);
  for (let j = 0; j < units; j++) {
    for (let p = 0; p < inputs; p++) data[j * columns + p] = gate[p * units + j];
    if (bias !== null) data[j * columns + inputs] = overColumn(bias[j], biasColumn);
  }
  return { rows: units, cols: columns, data };
}

/** The distinct gates of a GatedDense or GatedConv2D layer, as they cut the rows that the layer sees. */
function* gatesOfLayer(
  generators: Matrix, // [m x d]
  X: Matrix, // of the layer
  biasColumn: number,
  space: Coordinates | null,
  read: ReadPatterns,
): Pieces<GateSet> {
  const own = yield* gathering(X, generators, read);
  if (space === null || !isStandardized(space)) return own;
  return { ...own, generators: mapRows(own.generators, (g) => standardizedVector(g, space, biasColumn)) };
}

/** The penalty of the program. ReLU's charges output by output; neurons come to share outputs afterwards. */
function penaltyName(formulation: Formulation, spec: NetworkSpec, { vectorPenalty }: Settings): Penalty["name"] {
  const known = formulation.penaltiesFor(vectorsOf(spec));
  return vectorPenalty !== null && known.includes(vectorPenalty) ? vectorPenalty : known[0];
}
