/** What a gap proves, in numbers and in words: the certificate of a network, and the networks that its bound is about. */

import { these } from "../../arguments.js";
import { blockOutputs } from "../operators/blocks.js";
import type { AllGatesBound, Certificate, ConvexProgram, Evidence, Gap } from "../types.js";
import { REACH } from "./gapJudge.js";
import { relativeGap, withoutRounding } from "./relativeGap.js";

/** Joins the program's gap with the judgement of the network that was recovered from it. */
export function certify(
  gap: Gap,
  network: number,
  program: ConvexProgram,
  evidence: Evidence | null = null,
  allGates: AllGatesBound | null = null,
): Certificate {
  const everywhere = allGates?.finished === true;
  // What no gate can undercut, these gates can't.
  const best = everywhere ? allGates.dual : Math.max(gap.dual, allGates?.dual ?? gap.dual);
  const dual = withoutRounding(gap.primal, best, program);
  const also =
    allGates === null || everywhere
      ? ""
      : ` With any activation patterns no such network has one below ${allGates.dual.toPrecision(8)}.`;
  const alone = feedsOneEach(program);
  return {
    primal: gap.primal,
    dual,
    relativeGap: dual === gap.dual ? gap.relative : relativeGap(gap.primal, dual, program),
    network,
    scope: program.gates.complete || everywhere ? "all gates" : "these gates",
    claim:
      `No network with ${scopeOf(program, everywhere)}, has an objective below ${dual.toPrecision(8)}; ` +
      `this one has ${network.toPrecision(8)}.${also}${alone ? NOT_AMONG_THEM : ""}`,
    evidence,
    allGates,
    neurons: alone ? "feed one output each" : "feed all outputs",
    perOutput: null,
  };
}

/** Of the claim of a bound for networks whose neurons each feed one output: what it leaves open. */
export const NOT_AMONG_THEM =
  " Networks whose neurons feed several outputs, which the layers can be too, are not among them and may have less.";

/** A bound for networks whose neurons feed all outputs. */
export interface SharedBound extends Gap {
  readonly program: ConvexProgram; // over whose gates it holds
  readonly everywhere?: boolean; // or with any
  readonly evidence: Evidence | null;
}

/** The certificate of a network whose neurons may feed all outputs; `alone` is what is known of those whose neurons feed one. */
export function certifyShared(alone: Certificate, bound: SharedBound): Certificate {
  const { primal, program, everywhere = false, evidence } = bound;
  const dual = withoutRounding(primal, bound.dual, program);
  const { network, scope, allGates } = alone;
  const among = scopeOf(program, everywhere, true);
  const claim = alone.claim
    .replace(NOT_AMONG_THEM, "")
    .replace(`this one has ${network.toPrecision(8)}`, `the best that was found has ${alone.primal.toPrecision(8)}`);
  const where = / Patterns are those in the span .*$/.exec(alone.claim)?.[0] ?? "";
  return {
    ...{ primal, dual, relativeGap: relativeGap(primal, dual, program), network, evidence, allGates: null },
    scope: program.gates.complete || everywhere ? "all gates" : "these gates",
    claim: `No network with ${among}, has an objective below ${dual.toPrecision(8)}; this one has ${network.toPrecision(8)}.${where}`,
    neurons: "feed all outputs",
    perOutput: {
      ...{ primal: alone.primal, dual: alone.dual, relativeGap: alone.relativeGap, scope, claim },
      ...{ evidence: alone.evidence, allGates },
    },
  };
}

/**
 * What a bound for networks whose neurons each feed one of `outputs` says of those whose neurons feed all: prices of at most beta
 * each are at most sqrt(outputs) beta together, and the dual objective is concave and at least 0 at 0.
 */
export function sharedAtLeast(dual: number, outputs: number): number {
  return dual / Math.sqrt(outputs);
}

/**
 * The largest price of a neuron that feeds all outputs, from those of neurons that feed one [2P x C, the positive ones first]: over a
 * cone |(N_c' X v)_c| is at most the length of its largest entries.
 */
export function largestTogether(prices: Float64Array, gates: number, outputs: number): number {
  let largest = 0;
  for (let i = 0; i < gates; i++) {
    let square = 0;
    for (let c = 0; c < outputs; c++)
      square += Math.max(prices[i * outputs + c], prices[(gates + i) * outputs + c]) ** 2;
    largest = Math.max(largest, square);
  }
  return Math.sqrt(largest);
}

/** True where the penalty charges outputs one by one, so that the program is about neurons that feed one. */
export function feedsOneEach(program: Pick<ConvexProgram, "penalty" | "loss" | "pooling">): boolean {
  return blockOutputs(program) > 1 && program.penalty.name === "perOutput";
}

/**
 * The networks that a bound is about, in words; `everywhere` where it was proven for gates that are not in the set too, `shared`
 * where for neurons that feed all outputs.
 */
export function scopeOf(program: ConvexProgram, everywhere = false, shared = !feedsOneEach(program)): string {
  if (program.penalty.name === "ridge") {
    return program.beta > 0
      ? "any weights in this layer"
      : `weights of up to ${REACH} times the length of these in this layer`;
  }
  const { gates, cones, pooling, loss } = program;
  const { patches: K, positions: A } = pooling ?? { patches: 1, positions: 1 };
  const feeding = A > 1 ? `one output from one ${A < K ? "window" : "patch"}` : "one output";
  const among = shared ? "networks of any width" : `networks whose neurons each feed ${feeding}`;
  const kind = cones ? "activation pattern" : "gate";
  const all = gates.count === 1 ? "the one arrangement" : `all ${gates.count} arrangements`;
  const listed = gates.complete ? `${all} of the data` : these(gates.count, kind);
  const which = everywhere ? "any activation patterns" : listed;
  const beside = loss.beside === undefined ? "" : ", with any linear layer beside the hidden one";
  return `${which}, among ${among}${beside}`;
}
