/** Gated branches in their model: weights, the objective that the layers have with them, and what is proven. */

import * as tf from "@tensorflow/tfjs";
import { inTurns } from "../../../convex/linear/pieces.js";
import {
  type BranchLayers,
  branchLayerCharge,
  branchLayers,
  type GatedBranchProblem,
  type GatedBranchSolution,
  judging,
} from "../../../convex/parallel/gated/index.js";
import { Clock } from "../../../convex/solvers/clock.js";
import type { Matrix } from "../../../convex/types.js";
import type { Objective } from "../../records.js";
import { adviceFor, chargeInWords, type ParallelCertificate } from "../written.js";
import type { GatedParts, GatedWish } from "./wish.js";

/** A model's branches and the bias of its read-out, as the layers hold them. */
export interface HeldBranches {
  readonly layers: BranchLayers;
  readonly bias: Float64Array; // [C]
}

export async function heldBranches({ branches, dense }: Omit<GatedParts, "hiddenBias">): Promise<HeldBranches> {
  const { hidden } = branches;
  const weights = await Promise.all(branches.getWeights().map(matrixOf));
  const [kernel, ...behind] = weights.slice(0, hidden.length + 1);
  const [first, ...gatesBehind] = weights.slice(hidden.length + 1);
  const [output, bias] = await Promise.all(dense.getWeights().map(matrixOf));
  const numbers = (matrices: readonly Matrix[]) => matrices.map(({ data }) => data);
  const gates = { hidden, first, behind: numbers(gatesBehind) };
  return {
    layers: { kernel, behind: numbers(behind), gates, output },
    bias: bias?.data ?? new Float64Array(output.cols),
  };
}

async function matrixOf(tensor: tf.Tensor): Promise<Matrix> {
  const [rows, cols = 1] = tensor.shape;
  return { rows, cols, data: Float64Array.from(await tensor.data()) };
}

/** Writes the branches, and judges what the layers hold then; numbers that are none, or contradict their bound, are not written. */
export async function writtenGated(
  parts: GatedParts,
  wish: GatedWish,
  K: number,
  { problem, solution }: { readonly problem: GatedBranchProblem; readonly solution: GatedBranchSolution },
) {
  const { X, loss, gates, charge } = problem;
  if (Number.isFinite(solution.gap.primal) && !solution.contradicted) {
    write(parts, branchLayers(solution.branches, gates, charge, wish.outputs, K), solution.bias);
  }
  const held = await heldBranches(parts);
  const turns = new Clock(Number.POSITIVE_INFINITY, () => false);
  const outputs = await inTurns(judging(X, held.layers, held.bias), () => turns.pause());
  const value = loss.value(outputs);
  const regularization = wish.regularization * branchLayerCharge(held.layers, charge);
  const objective: Objective = { loss: value, regularization, total: value + regularization };
  const { status, branches, masks, rounds } = solution;
  return {
    certificate: certificateOf(solution, objective.total, wish),
    objective,
    ...{
      status,
      advice: adviceFor(solution),
      branches: branches.length,
      blocks: { count: masks, solved: masks },
      rounds,
    },
  };
}

/** Every tensor exists before the first layer is written, so that a device without room leaves the model as it was. */
function write(
  { branches, dense }: GatedParts,
  { kernel, behind, gates, output }: BranchLayers,
  bias: Float64Array,
): void {
  tf.tidy(() => {
    const matrix = ({ rows, cols, data }: Matrix) => tf.tensor2d(Float32Array.from(data), [rows, cols]);
    const tensors = (first: Matrix, others: readonly Float64Array[]) => [
      matrix(first),
      ...others.map((data, l) => {
        const cols = gates.hidden[l + 1] ?? 1;
        return matrix({ rows: data.length / cols, cols, data });
      }),
    ];
    const ofBranches = [...tensors(kernel, behind), ...tensors(gates.first, gates.behind)];
    const ofDense = [matrix(output)];
    const withBias = dense.weights.length > 1 ? [...ofDense, tf.tensor1d(Float32Array.from(bias))] : ofDense;
    branches.setWeights(ofBranches);
    dense.setWeights(withBias);
  });
}

function certificateOf(
  { gap: { primal, dual, relative }, contradicted }: GatedBranchSolution,
  network: number,
  { charge, hidden }: GatedWish,
): ParallelCertificate {
  const kind = chargeInWords(charge, hidden.length + 2);
  const which = "No network of any number of branches that have these gates has an objective";
  const proven = Number.isFinite(primal) && Number.isFinite(dual) && !contradicted;
  return {
    ...{ primal, dual, relativeGap: relative, network, scope: "these gates" },
    claim: proven
      ? `${which} (loss and ${kind}) below ${dual.toPrecision(8)}; this one has ${network.toPrecision(8)}.`
      : `Nothing is proven: ${contradicted ? "bound and objective contradict each other" : "it ended before there was a bound"}. This network has ${network.toPrecision(8)} (loss and ${kind}).`,
  };
}
