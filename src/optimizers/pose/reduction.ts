/** Training in other columns than those of x: the data that the program sees, and the network as the model holds it. */

import type * as tf from "@tensorflow/tfjs";
import { counted, refuseAs } from "../../arguments.js";
import { certify, GapJudge, relativeGap } from "../../convex/certificate/index.js";
import { type Kernels, rowProductsFor } from "../../convex/kernels/index.js";
import { inTurns, type Pieces } from "../../convex/linear/pieces.js";
import { norm } from "../../convex/linear/vectors.js";
import { forward, type Network, type NetworkWeights, objectiveOf, steepest } from "../../convex/network.js";
import {
  distanceTo,
  findingRowSpace,
  findingSpan,
  leadingAxes,
  ROUNDING,
  type RowSpace,
  reducedRows,
  rowsInAxes,
} from "../../convex/operators/axes/index.js";
import { type Coordinates, isStandardized, weightsForX } from "../../convex/operators/coordinates.js";
import { standardizedRows, standardizedWeights } from "../../convex/operators/standardized.js";
import { withProducts } from "../../convex/solvers/solve.js";
import type { AllGatesBound, Certificate, ConvexProgram, Matrix } from "../../convex/types.js";
import type { Settings } from "../options.js";
import type { Dataset } from "../read/data.js";
import { inputRows } from "../read/inputRows.js";
import type { NetworkSpec } from "../read/model.js";
import type { Problem, Reduction } from "../records.js";
import { hiddenWeights } from "./programWeights.js";
import { biasColumnOf, decayOf } from "./regularization.js";
import { withBestSkip } from "./skip.js";
import { madeFrom, standardizedSpace, standardizes } from "./standardize.js";

type Parts = ReturnType<typeof objectiveOf>;

/** What is posed in place of the spec and the data. */
export interface Reduced {
  readonly spec: NetworkSpec;
  readonly settings: Settings;
  readonly reduction: Reduction | null;
  data(data: Dataset): Dataset;
}

/** What `reduce` is told beside the settings. */
export interface ReduceWish {
  /** As `standardizes` has them. */
  readonly free?: boolean | undefined;
  readonly before?: boolean | null | undefined;
  /** Asked with the columns of x that the program would have: whether it takes the span of the rows where these are far fewer. */
  readonly byItself?: ((columns: number) => boolean) | undefined;
}

/**
 * Reads the options `rank`, `pca` and `standardize`. Told to end by `pause`, it takes the axes that it has: all of x, or for `pca` and a
 * number as `rank` others than the leading ones, which `share` of the row space says.
 *
 * @throws ConvexError "options/value" where they do not go with the model or with other options.
 */
export function reduce(
  spec: NetworkSpec,
  train: Dataset,
  settings: Settings,
  kernels: Kernels,
  pause: () => Promise<boolean>,
  wish: ReduceWish = {},
): Promise<Reduced> {
  return inTurns(reducing(spec, train, settings, kernels, wish), pause);
}

function* reducing(
  spec: NetworkSpec,
  train: Dataset,
  settings: Settings,
  kernels: Kernels,
  wish: ReduceWish,
): Pieces<Reduced> {
  const { pca } = settings;
  if (standardizes(spec, settings, wish.free, wish.before)) {
    return yield* standardized(spec, train, settings, kernels, wish);
  }
  const byItself = pca === null && isWide(spec, train.x, settings, wish) && feedsApart(spec, settings);
  const rank = settings.rank ?? (byItself ? "numerical" : null);
  if (rank === null && pca === null) return unchanged(spec, settings);
  refuseUnfit(spec, settings);
  refuseBeyond(spec, settings);
  const space = yield* axesOf(train.x, rank, pca, byItself, kernels);
  // Rows of full rank would only be turned.
  if (space === null || (pca === null && space.basis.cols === spec.inputs)) {
    return unchanged(spec, { ...settings, rank: null });
  }
  const seen = yield* rowsInAxes(train.x, space, kernels);
  const { value, charged } = biasColumnOf(spec, settings, inputRows(spec, train.x, 0));
  return {
    spec: { ...spec, inputs: space.basis.cols },
    // The charge of the hidden bias is that of x as it is, also where rows are shorter.
    settings: { ...settings, rank: null, pca: null, hiddenBiasScale: charged ? value : settings.hiddenBiasScale },
    reduction: { space, X: inputRows(spec, train.x, value) },
    data: (data) => ({ ...data, x: data === train ? seen : reducedRows(data.x, space) }),
  };
}

/** The axes that the options ask for; null where all of x is taken, since time was up before they were known. */
function* axesOf(
  x: Matrix,
  rank: Settings["rank"],
  pca: Settings["pca"],
  byItself: boolean,
  kernels: Kernels,
): Pieces<RowSpace | null> {
  if (pca !== null) return yield* leadingAxes(x, pca, true, kernels);
  if (byItself) return yield* findingSpan(x, ROUNDING, kernels);
  const space = yield* findingRowSpace(x, rank ?? "numerical");
  return space ?? (typeof rank === "number" ? yield* leadingAxes(x, rank, false, kernels) : null);
}

function unchanged(spec: NetworkSpec, settings: Settings): Reduced {
  return { spec, settings, reduction: null, data: (data) => data };
}

/** Standardised columns, unless gates that were handed over are those of x as it is and no option says otherwise. */
function* standardized(
  spec: NetworkSpec,
  train: Dataset,
  settings: Settings,
  kernels: Kernels,
  wish: ReduceWish,
): Pieces<Reduced> {
  const whole = standardizedSpace(spec, train);
  const z = standardizedRows(train.x, whole);
  const wide = isWide(spec, z, settings, wish);
  const space = wide ? { ...whole, span: yield* findingSpan(z, NOTHING, kernels) } : whole;
  const x = space.span === null ? z : yield* rowsInAxes(z, space.span, kernels);
  const { value } = biasColumnOf(spec, settings, x);
  const { arrangements, standardize } = settings;
  const handed = arrangements !== null && !("kind" in arrangements) ? arrangements : null;
  if (standardize === null && handed !== null && !madeFrom(handed, inputRows(spec, x, value)))
    return unchanged(spec, settings);
  return {
    spec: { ...spec, inputs: x.cols },
    settings,
    reduction: { space, X: inputRows(spec, train.x, value) },
    data: (data) => ({ ...data, x: data === train ? x : standardizedRows(data.x, space) }),
  };
}

/** Of more columns than this times the rows the span of the rows is taken without being asked: the objective is the same there. */
const WIDE = 2;
/** Singular values of standardised rows below this share of the largest are the rounding of float64. */
const NOTHING = 2 ** -45;

/** True where solving in the span is exact and changes nothing else: gates are our own. */
function isWide(
  { formulation, convolution, skip }: NetworkSpec,
  { rows, cols }: Matrix,
  { regularization, arrangements }: Settings,
  { byItself }: ReduceWish,
): boolean {
  const free = arrangements === null || ("kind" in arrangements && arrangements.kind === "grow");
  const constrained = regularization === "interpolate" || regularization === "max-margin";
  const dense = formulation === "relu" && convolution === null && skip === null;
  return dense && cols > WIDE * rows && free && !constrained && byItself?.(cols) === true;
}

/** True where neurons do not come to share outputs. */
function feedsApart({ outputs }: NetworkSpec, { vectorPenalty }: Settings): boolean {
  return outputs === 1 || vectorPenalty === "perOutput";
}

function refuseUnfit(spec: NetworkSpec, { rank, pca, regularization, vectorPenalty }: Settings): void {
  const { convolution, hiddenBias, l2, formulation, outputs, normalization, skip } = spec;
  const name = rank === null ? "pca" : "rank";
  if (skip !== null) refuseAs("fit", `no ${name} beside a linear layer that sees all columns`, String(rank ?? pca));
  if (normalization !== null) refuseAs("fit", `no ${name} beside batch normalisation`, String(rank ?? pca));
  if (formulation === "affine") refuseAs("fit", `no ${name} for one layer alone`, String(rank ?? pca));
  if (convolution !== null) refuseAs("fit", `no ${name} for a convolutional model`, String(rank ?? pca));
  if (rank !== null && (regularization === "interpolate" || regularization === "max-margin")) {
    refuseAs("fit", `no rank beside regularization "${regularization}"`, String(rank));
  }
  if (formulation === "relu" && outputs > 1 && vectorPenalty === "nuclear") {
    refuseAs("fit", `vectorPenalty "perOutput" for a ReLU network beside ${name}`, '"nuclear"');
  }
  if (pca !== null && !hiddenBias)
    refuseAs("fit", "a first layer with a bias, which takes up the mean, for pca", "none");
  if (pca !== null && l2.hiddenBias > 0) refuseAs("fit", "a first layer without a biasRegularizer for pca", "one");
}

function refuseBeyond({ inputs }: NetworkSpec, { rank, pca }: Settings): void {
  for (const [name, value] of Object.entries({ rank, pca })) {
    if (typeof value === "number" && value > inputs)
      refuseAs("fit", `${name} of at most ${inputs}, the columns of x`, String(value));
  }
}

/** The model whose gates are taken where no option names others. Those of a layer need not lie in the span: there none are. */
export function gatesOwner(
  model: tf.LayersModel,
  spec: NetworkSpec,
  reduction: Reduction | null,
): tf.LayersModel | null {
  const all = reduction === null || isStandardized(reduction.space);
  return spec.formulation === "gated" && all ? model : null;
}

/** Weights as the model holds them, with gates, as those of the program's columns. */
export function weightsInside(weights: NetworkWeights, space: Coordinates | null, biasColumn: number): NetworkWeights {
  if (space === null) return weights;
  if (isStandardized(space)) return standardizedWeights(weights, space, biasColumn);
  return { ...weights, kernel: inSpan(weights.kernel, space, biasColumn) };
}

/** Weights of the model [d x m] as those of the program: their part in the span, and the bias, which takes a mean up. */
function inSpan({ rows, cols: m, data }: Matrix, { basis, mean }: RowSpace, biasColumn: number): Matrix {
  const { rows: d, cols: r } = basis;
  const part = new Float64Array((r + rows - d) * m);
  part.set(data.subarray(d * m), r * m);
  for (let p = 0; p < d; p++) {
    for (let i = 0; i < r; i++) for (let j = 0; j < m; j++) part[i * m + j] += basis.data[p * r + i] * data[p * m + j];
    if (mean !== null) for (let j = 0; j < m; j++) part[r * m + j] += (mean[p] * data[p * m + j]) / biasColumn;
  }
  return { rows: r + rows - d, cols: m, data: part };
}

/** The weights of a network of the problem as the model holds them, in float32 numbers. */
export function layerWeights(problem: Problem, network: Network, units: number): NetworkWeights {
  const { column, reduction } = problem;
  const hidden =
    reduction === null
      ? hiddenWeights(problem, network, units)
      : weightsForX(hiddenWeights(problem, network, units, true), reduction.space, column.value);
  return withBestSkip(problem, hidden, layerRows(problem), "layers");
}

/** The rows on which these weights act. */
export function layerRows({ program, reduction }: Problem): Matrix {
  return reduction === null ? program.X : reduction.X;
}

/** The objective of a network as written: its loss on x, and what its weights, or those of standardised columns, are charged. */
export function writtenObjective(
  problem: Problem,
  weights: NetworkWeights,
  kernels: Kernels,
  Z?: Float64Array, // where it is known
): Parts {
  const { column, reduction, loss, regularization } = problem;
  const space = reduction !== null && isStandardized(reduction.space) ? reduction.space : null;
  const X = layerRows(problem);
  return objectiveOf(
    weightsInside(weights, space, column.value),
    X,
    loss,
    decayOf(regularization),
    Z ?? forward(weights, X, rowProductsFor(kernels, X)),
  );
}

/** The objective that the program charges: that of the network as written, but for the bias that a mean has moved. */
export function chargedObjective(problem: Problem, weights: NetworkWeights, written: Parts): Parts {
  const { regularization, reduction, loss, column, program } = problem;
  if (reduction === null || isStandardized(reduction.space) || reduction.space.mean === null) return written;
  const inside = weightsInside(weights, reduction.space, column.value);
  const Z = new Float64Array(program.loss.rows * program.loss.outputs);
  const charge = objectiveOf(inside, program.X, loss, decayOf(regularization), Z).regularization;
  return { loss: written.loss, regularization: charge, total: written.loss + charge };
}

/** The certificate for x as it is, where the program was solved in the span of its first singular vectors. */
export function certificateNear(
  certificate: Certificate,
  { program, reduction }: Problem,
  dualPoint: Float64Array, // [n x C]
  kernels: Kernels,
): { readonly certificate: Certificate; readonly notes: readonly string[] } {
  if (reduction === null) return { certificate, notes: [] };
  if (isStandardized(reduction.space)) {
    const claim = certificate.claim.replace(/\.$/, " (weights charged as those of standardised columns).");
    const { span } = reduction.space;
    const said = { ...certificate, claim };
    if (span === null) return { certificate: said, notes: [] };
    const note = `Solved in the span of the rows, ${span.basis.cols} of ${counted(span.basis.rows, "dimension")}.`;
    return { certificate: outsideSpan(said, distanceTo(span), dualPoint, program), notes: [note] };
  }
  const { basis, mean, tail, largest, share } = reduction.space;
  const kept = `${basis.cols} of ${counted(basis.rows, "dimension")}`;
  if (mean !== null) {
    const axes = share === null ? "principal components of x" : "directions of x, not its principal components";
    const claim = certificate.claim.replace(/\.$/, ` (on ${basis.cols} ${axes}).`);
    return { certificate: { ...certificate, claim }, notes: [`Solved on ${axes}, ${kept}.${timeWasUp(share)}`] };
  }
  const distance = distanceTo(reduction.space);
  const everywhere = certificate.allGates && near(certificate.allGates, certificate.primal, distance, program);
  const dual =
    everywhere?.finished === true
      ? everywhere.dual
      : withProducts(program, kernels, (products) => new GapJudge(program, products).boundNear(dualPoint, distance));
  const { primal, network, evidence } = certificate;
  const gap = { primal, dual, relative: relativeGap(primal, dual, program) };
  // Gates on x as it is have more patterns than in the span, and a bound for each; a ReLU neuron is near its part there.
  const gates = { ...program.gates, complete: program.gates.complete && program.cones };
  const carried = certify(gap, network, { ...program, gates }, evidence, everywhere);
  return {
    certificate: carried.scope === "these gates" && program.cones ? inTheSpan(carried, basis.cols, share) : carried,
    notes: [
      `Solved in ${kept}: what is left out of x is at most ${(tail / largest).toExponential(1)} of it, in norm. The bound is ` +
        `${certificate.dual.toPrecision(8)} there and ${dual.toPrecision(8)} for x as it is.${timeWasUp(share)}`,
    ],
  };
}

/**
 * A certificate of the span for rows that are within `distance` of it in spectral norm: a neuron is worth at most distance |N| more, and
 * the dual objective, concave and at least 0 at 0, keeps the share of the scale that is left.
 */
function outsideSpan(certificate: Certificate, distance: number, N: Float64Array, program: ConvexProgram): Certificate {
  const { primal, dual, allGates } = certificate;
  const kept = Math.max(0, dual) / (1 + (distance * steepest(program.pooling) * norm(N)) / program.beta);
  const lower = dual > 0 ? kept : dual;
  return {
    ...certificate,
    dual: lower,
    relativeGap: relativeGap(primal, lower, program),
    allGates: allGates && near(allGates, primal, distance, program),
  };
}

/** A neuron may have another pattern on the rows of x than on their part in the span, and the latter has the bound. */
function inTheSpan(certificate: Certificate, rank: number, share: number | null): Certificate {
  const axes = share === null ? `the first ${counted(rank, "singular vector")}` : counted(rank, "direction");
  return { ...certificate, claim: `${certificate.claim} Patterns are those in the span of ${axes} of x.` };
}

function timeWasUp(share: number | null): string {
  if (share === null) return "";
  const held = `${(100 * share).toPrecision(3)} % of the squares of x`;
  return ` Time was up before the leading directions were known: these hold ${held}. Give a larger timeLimit, or ask for fewer.`;
}

/**
 * A bound over all gates carried over to data X' with |X' - X| <= tail: there a gate is worth at most tail |N_c| more, and the
 * dual objective, concave and at least 0 at 0, keeps the share of the scale (at most 1 / ratio) that is left.
 */
function near(bound: AllGatesBound, primal: number, tail: number, program: ConvexProgram): AllGatesBound {
  const more = (tail * steepest(program.pooling) * bound.dualNorm) / program.beta;
  const ratio = bound.ratio + more;
  const dual = more === 0 ? bound.dual : bound.dual / (1 + more / bound.ratio);
  return { ...bound, dual, ratio, relativeGap: relativeGap(primal, dual, program) };
}
