/** Everything that a result says, held against its own numbers, the layers, TensorFlow.js, and the networks that descents find. */

import * as tf from "@tensorflow/tfjs";
import type { FitResult } from "../../../src/index.js";
import { type Claim, readClaim } from "./claim.js";
import type { Dice } from "./dice.js";
import { type Net, objective, outputsOf, roundingOf, sizeOf, type Task } from "./forward.js";
import { lossOf } from "./losses.js";
import type { Recipe } from "./recipe.js";
import { lowest, type NetworkClass } from "./search.js";
import { principal } from "./span.js";
import { bareTask, chargedNet, chargedTask, largestNorm, maskOf, masksOf, netOf } from "./task.js";

export interface Failure {
  readonly kind: string; // the same for failures of one kind
  readonly detail: string;
}

/** Sums in float64 of a few hundred terms. */
const SUMS = 1e-9;
/** Share of the zero network's objective that is rounding, where that objective is far above the best. */
const FLOOR = 1e-12;

/** What the charges of biases may move when the layers' own, which means have moved, are rounded to float32. */
function movedRounding({ charge }: Task, { b }: Net, layers: Net): number {
  let sum = 0;
  b.forEach((value, j) => {
    const reach = 4 * 2 ** -24 * (Math.abs(layers.b[j]) + Math.abs(value));
    sum += charge.hiddenBias * ((Math.abs(value) + reach) ** 2 - value ** 2);
  });
  return sum;
}

export interface Judged {
  readonly failures: readonly Failure[];
  /** (found - dual) / |found| of the lowest network found; NaN where none was looked for. */
  readonly room: number;
}

export function judge(
  recipe: Recipe,
  result: FitResult,
  tensors: { x: tf.Tensor; y: tf.Tensor },
  dice: Dice,
  descents: number,
): Judged {
  const failures: Failure[] = [];
  const fail = (kind: string, detail: string) => failures.push({ kind, detail });
  const { certificate, status, objective: said, model } = result;
  const { primal, dual, relativeGap, network, scope } = certificate;
  const tolerance = recipe.options.tolerance ?? 1e-4;
  const constrained = result.regularization.constraint !== null;

  const finite = model.getWeights().every((weight) => weight.dataSync().every(Number.isFinite));
  if (!finite) fail("weights that are not finite", status);
  const bare = bareTask(recipe);
  const task = chargedTask(recipe, result);
  const zero = constrained ? 0 : lossOf(task, new Float64Array(task.rows * task.outputs));
  const slack = (value: number) => SUMS * Math.abs(value) + FLOOR * zero;

  // Its own numbers.
  if (status === "nonFinite" || !Number.isFinite(primal)) {
    if (status === "solved") fail("solved without a number", `primal ${primal}`);
    return { failures, room: Number.NaN };
  }
  if (!(dual <= primal + slack(primal))) fail("dual above primal", `${dual} > ${primal} (${status}, ${scope})`);
  // As docs/proof.md has it: relative to the objective, or a billionth of what constant outputs lose.
  const least = constrained ? 0 : 1e-9 * constantLoss(task, task.outputBias);
  const gap = (primal - dual) / Math.max(Math.abs(primal), least, Number.MIN_VALUE * 2 ** 60);
  if (!(Math.abs(gap - relativeGap) <= 1e-9 * (1 + Math.abs(gap)))) {
    // What the best constant outputs lose is known here of squares only.
    const known = task.loss === "meanSquaredError" || !task.outputBias || primal > least;
    if (known && Math.abs(primal - dual) > slack(primal))
      fail("relativeGap of other numbers", `${relativeGap}, not ${gap}`);
  }
  if (status === "solved" && !(relativeGap <= tolerance * (1 + 1e-9)))
    fail("solved above the tolerance", `${relativeGap} > ${tolerance}`);
  // Gates may have been left to search for, but no gap is still closing, and rounding is no limit.
  if (relativeGap <= tolerance && /still closing|stopped closing/.test(result.advice))
    fail(`${status} below the tolerance`, `${relativeGap} <= ${tolerance}: ${result.advice}`);
  const claim = readClaim(certificate.claim);
  if (claim === null) fail("a claim in words that nobody can check", certificate.claim);
  else judgeClaim(claim, result, result.neurons >= recipe.units && recipe.options.width !== "resize", fail);

  // The network.
  const layers = netOf(model, bare);
  const charged = chargedNet(recipe, result, layers, bare);
  const { standardized } = result.regularization;
  // The layers round weights for x, whose columns may be far from zero.
  const moved = standardized || recipe.options.pca !== undefined;
  const rounding =
    roundingOf(task, charged) + (moved ? roundingOf(bare, layers) + movedRounding(task, charged, layers) : 0);
  const lossOwn = standardized
    ? lossOf(bare, outputsOf(bare, layers)) + sizeOf(task, charged)
    : objective(task, charged);
  const own = constrained ? sizeOf(task, charged) : lossOwn;
  if (/standardised columns/.test(certificate.claim) !== standardized)
    fail("standardised columns that the claim does not name", certificate.claim);
  const undecided = closeGates(bare, model);
  const turned = recipe.options.pca === undefined ? 1e-6 : 1;
  if (!undecided.some((close) => close <= 1e-11) && !(Math.abs(own - network) <= slack(own) + turned * rounding))
    fail("network is not the layers' objective", `${network}, by hand ${own}`);
  if (!(network <= primal + slack(primal) + rounding))
    fail("network above primal", `${network} > ${primal} (+ ${rounding})`);
  // Weights in float32 may lie just outside the cones of the patterns that are named.
  const rounded = recipe.options.pca !== undefined || constrained || scope === "these gates";
  if (!(network >= dual - slack(dual) - (rounded ? rounding : 0)))
    fail("network below dual", `${network} < ${dual} (${certificate.claim})`);
  judgeObjective(recipe, result, bare, layers, fail);
  if (recipe.options.pca === undefined) judgeScale(result, standardized ? task : bare, recipe, fail);
  const steady = !undecided.some((close) => close <= 1e-4);
  if (steady) judgeEvaluate(recipe, model, bare, layers, said.loss, tensors, fail);

  // The networks that it speaks of.
  if (claim === null || descents === 0) return { failures, room: Number.NaN };
  const kind = classOf(claim, recipe, result, task, bare);
  if (kind === null) return { failures, room: Number.NaN };
  const enough = dual - slack(dual) * 10 - 1e-7 * Math.abs(dual);
  const found = lowest(task, kind, charged, dice, descents, enough);
  if (found.value < enough)
    fail(
      `a network below dual (${scope})`,
      `${found.value} < ${dual} (primal ${primal}, network ${network}, ${status}): ${certificate.claim}`,
    );
  return { failures, room: (found.value - dual) / Math.abs(found.value) };
}

/** The loss of zero outputs, or, where there is an output bias, of the weighted means of the targets if they lose less. */
function constantLoss(task: Task, outputBias: boolean): number {
  const { rows: n, outputs: C, Y, weights } = task;
  const zero = lossOf(task, new Float64Array(n * C));
  if (!outputBias || task.loss !== "meanSquaredError") return zero;
  const means = Float64Array.from({ length: C }, (_, c) => {
    let [sum, total] = [0, 0];
    for (let k = 0; k < n; k++) {
      sum += (weights?.[k] ?? 1) * Y[k * C + c];
      total += weights?.[k] ?? 1;
    }
    return total > 0 ? sum / total : 0;
  });
  return Math.min(
    zero,
    lossOf(
      task,
      Float64Array.from({ length: n * C }, (_, k) => means[k % C]),
    ),
  );
}

type Fail = (kind: string, detail: string) => void;

function judgeClaim(
  claim: Claim,
  { certificate, gates, status, advice }: FitResult,
  narrow: boolean,
  fail: Fail,
): void {
  const { dual, network, scope } = certificate;
  const near = (a: number, b: number) => Math.abs(a - b) <= 1e-6 * Math.abs(b) || a === b;
  if (!near(claim.bound, dual)) fail("a claim of another bound", `${claim.bound}, dual ${dual}`);
  if (claim.own !== null && Number.isFinite(network) && !near(claim.own, network))
    fail("a claim of another network", `${claim.own}, network ${network}`);
  if ((claim.gates === "all") !== (scope === "all gates"))
    fail("a claim of another scope", `${scope}: ${certificate.claim}`);
  if (
    claim.count !== null &&
    claim.gates === "these" &&
    claim.count !== gates.count &&
    certificate.perOutput === null &&
    // A narrowed network brings patterns of its own into its claim.
    !(narrow && claim.count > gates.count)
  )
    fail("a claim of another count", `${claim.count}, gates ${gates.count}`);
  if (!(typeof advice === "string" && advice.length > 0)) fail("no advice", status);
}

/** objective is loss and charges of the layers, a hidden bias that they do not charge left out. */
function judgeObjective(recipe: Recipe, result: FitResult, bare: Task, net: Net, fail: Fail): void {
  const { hidden, output, outputBias } = result.regularization;
  const { loss, regularization, total } = result.objective;
  const skip = recipe.skip?.l2 ?? 0;
  const charge = { hidden, output, outputBias, skip, hiddenBias: recipe.hiddenBias ? recipe.l2.hiddenBias : 0 };
  const task = { ...bare, charge };
  const own = lossOf(task, outputsOf(task, net));
  // The charge of a hidden bias belongs to standardised columns, which no layer knows.
  const size = result.regularization.standardized
    ? sizeOf(chargedTask(recipe, result), chargedNet(recipe, result, net, bare))
    : sizeOf(task, net);
  const close = closeGates(bare, result.model).some((value) => value <= 1e-11);
  // What was charged and is taken off again leaves its rounding behind; so does a probability of nearly one.
  const lost = 1e-6 * roundingOf({ ...task, charge: chargedTask(recipe, result).charge }, net) * 100 + 1e-14;
  if (!close && !(Math.abs(loss - own) <= SUMS * Math.abs(own) + lost))
    fail("objective.loss is not the loss", `${loss}, by hand ${own}`);
  if (!(Math.abs(regularization - size) <= SUMS * Math.abs(size) + 1e-9 * result.certificate.network + lost))
    fail("objective.regularization is not the charges", `${regularization}, by hand ${size}`);
  if (!(Math.abs(total - loss - regularization) <= SUMS * Math.abs(total) + lost))
    fail("objective.total is no sum", `${total}, ${loss} + ${regularization}`);
  const carried = recipe.l2.hidden > 0;
  if (!carried) return;
  const losses = tf.tidy(() => result.model.calculateLosses().reduce((sum, value) => sum + value.dataSync()[0], 0));
  if (!(Math.abs(losses - size) <= 1e-5 * Math.abs(size) + 1e-30))
    fail("calculateLosses is not the charges", `${losses}, by hand ${size}`);
}

/** The hidden bias that no layer charges is charged by the largest norm of a row that counts, or as the option says. */
function judgeScale(result: FitResult, bare: Task, recipe: Recipe, fail: Fail): void {
  if (!recipe.hiddenBias || recipe.l2.hiddenBias > 0) return;
  const { value } = result.problem.column;
  const wanted = recipe.options.hiddenBiasScale;
  const known = wanted !== undefined ? [wanted] : [largestNorm(bare, false), largestNorm(bare, true)];
  if (!known.some((scale) => Math.abs(value - scale) <= 1e-6 * scale))
    fail("another scale of the hidden bias", `${value}, not ${known.join(" or ")}`);
}

function judgeEvaluate(
  recipe: Recipe,
  model: tf.Sequential,
  bare: Task,
  net: Net,
  said: number,
  { x, y }: { x: tf.Tensor; y: tf.Tensor },
  fail: Fail,
): void {
  const plain = { ...bare, weights: null };
  const Z = outputsOf(plain, net);
  const own = lossOf(plain, Z);
  const largest = Z.reduce((most, z) => Math.max(most, Math.abs(z)), 0);
  if (largest > (bare.outputs > 1 ? 7 : 14) && recipe.loss.endsWith("Crossentropy")) return; // tfjs clips there
  if (Z.some((z) => Math.abs(z) > 1e18) || own > 1e30) return; // beyond float32
  const value = tf.tidy(() => (model.evaluate(x, y, { batchSize: recipe.rows }) as tf.Scalar).dataSync()[0]);
  const terms = 8 + bare.inputs * bare.patches + net.masks.length * bare.positions;
  const reach = roundingOf(plain, net, terms) + terms * 2 ** -22 * (Math.abs(own) + 1);
  if (!(Math.abs(value - own) <= reach)) fail("model.evaluate says otherwise", `${value}, by hand ${own}`);
  if (bare.weights === null && !(Math.abs(value - said) <= reach))
    fail("objective.loss is not what model.evaluate says", `${said}, evaluate ${value}`);
}

/** How close rows come to the boundaries of the layer's gates, as shares of the sizes of their terms; exact zeros left out. */
function closeGates(bare: Task, model: tf.Sequential): number[] {
  if (!bare.gated) return [];
  const layer = model.layers.find((candidate) => candidate.getClassName().startsWith("Gated"));
  const weights = layer?.getWeights().map((weight) => weight.dataSync()) ?? [];
  const [gate, shift] = bare.hiddenBias ? [weights[2], weights[3]] : [weights[1], null];
  const { X, inputs: d } = bare;
  const m = gate.length / d;
  const shares: number[] = [];
  for (let j = 0; j < m; j++) {
    for (let i = 0; i < X.length / d; i++) {
      let sum = shift === null ? 0 : shift[j];
      let size = Math.abs(sum);
      for (let p = 0; p < d; p++) {
        sum += gate[p * m + j] * X[i * d + p];
        size += Math.abs(gate[p * m + j] * X[i * d + p]);
      }
      if (size > 0) shares.push(Math.abs(sum) / size);
    }
  }
  return shares;
}

/** The class of networks that a claim names; null where words do not say which gates they were. */
function classOf(claim: Claim, recipe: Recipe, result: FitResult, task: Task, bare: Task): NetworkClass | null {
  const { gates, goal, inSpan } = { ...result, ...claim, gates: claim.gates };
  const set = result.gates;
  const { cols, data } = set.generators;
  const scale = result.problem.column.value;
  const shared = { gates, feeds: claim.feeds, goal };
  if (gates === "all") return { ...shared, masks: [], inside: null, coneRows: null };
  const d = task.inputs;
  const generated = (i: number) =>
    maskOf(task.X, d, data.slice(i * cols, i * cols + d), scale > 0 ? data[i * cols + d] * scale : 0);
  // Windows bring patches into another order than that of the image.
  // Rows of weight 0 have no part in the patterns.
  const whole = set.rows === task.rows * task.patches;
  if (!whole && !task.gated) return null;
  const ordered = whole && recipe.convolution?.readOut !== "windows";
  // Where neurons came to share outputs, gates joined that the result does not hand out.
  if (claim.count !== set.count) return null;
  if (set.count === 0) return null; // constants
  const masks = ordered ? masksOf(set) : Array.from({ length: set.count }, (_, i) => generated(i));
  const reduced = recipe.options.rank !== undefined || recipe.options.pca !== undefined;
  if (!task.gated && reduced) {
    if (recipe.options.pca !== undefined || inSpan === null) return null;
    // Patterns in the span of the rows, as the claim says; another basis of the same span has the same patterns.
    const { basis, values } = principal(bare.X, bare.rows, bare.inputs, inSpan, false);
    const r = basis.length / bare.inputs;
    if (values[r] !== undefined && values[r] > (1 - 1e-6) * values[r - 1]) return null;
    const coneRows = bare.X.map((_, k) => {
      const [i, p] = [Math.floor(k / bare.inputs), k % bare.inputs];
      let sum = 0;
      for (let q = 0; q < r; q++) {
        let part = 0;
        for (let s = 0; s < bare.inputs; s++) part += basis[q * bare.inputs + s] * bare.X[i * bare.inputs + s];
        sum += part * basis[q * bare.inputs + p];
      }
      return sum;
    });
    return { ...shared, masks, inside: null, coneRows };
  }
  const inside =
    cols === d + (scale > 0 ? 1 : 0)
      ? Array.from({ length: set.count }, (_, i) => ({
          g: data.slice(i * cols, i * cols + d),
          shift: scale > 0 ? data[i * cols + d] * scale : 0,
        }))
      : null;
  return { ...shared, masks, inside, coneRows: null };
}
