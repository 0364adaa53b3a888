/** The program of a result as data, without its functions, and back. */

import { formulations } from "../convex/formulations/index.js";
import { withLinearPart } from "../convex/losses/beside/index.js";
import { bindLoss } from "../convex/losses/index.js";
import { rowsIn } from "../convex/operators/coordinates.js";
import type { GateSet, LinearColumns, Loss, Matrix, Penalty } from "../convex/types.js";
import { outputConstraint } from "../optimizers/pose/constraint.js";
import type { Dataset } from "../optimizers/read/data.js";
import { inputRows } from "../optimizers/read/inputRows.js";
import { poolingOf } from "../optimizers/read/model.js";
import type { Problem } from "../optimizers/records.js";

/** What a problem is made of. */
export interface ProblemMessage {
  readonly data: Dataset;
  readonly gates: GateSet;
  readonly penalty: Penalty["name"];
  readonly parts: Pick<Problem, "spec" | "column" | "regularization" | "growth" | "reduction">;
  /** Of a linear layer beside the hidden one; null without. */
  readonly columns: LinearColumns | null;
  /** Of the exact penalty that stood for a constraint; null without one. */
  readonly weight: number | null;
}

/** A problem and the rows that it was posed on. */
export function problemMessage(problem: Problem, data: Dataset): ProblemMessage {
  const { program, constraint, spec, column, regularization, growth, reduction } = problem;
  const x = reduction === null ? data.x : rowsIn(data.x, reduction.space);
  return {
    ...{ data: { ...data, x }, gates: program.gates, penalty: program.penalty.name },
    parts: { spec, column, regularization, growth, reduction },
    columns: columnsOf(program.loss),
    weight: constraint === null ? null : program.loss.value(oneAway(constraint)),
  };
}

/** Outputs at which the penalty of a constraint is its weight: each entry has a loss of one. */
function oneAway({ kind, targets }: NonNullable<Problem["constraint"]>): Float64Array {
  return kind === "interpolate" ? targets.data.map((value) => value + 1) : new Float64Array(targets.data.length);
}

function columnsOf({ beside }: Loss): LinearColumns | null {
  if (beside === undefined) return null;
  const { F, gram, ridge, maps } = beside;
  return { F, gram, ridge, maps };
}

export function problemOf({ data, gates, penalty, parts, columns, weight }: ProblemMessage): Problem {
  const { spec, column, regularization } = parts;
  const X: Matrix = inputRows(spec, data.x, column.value);
  const formulation = formulations[spec.formulation];
  const loss = bindLoss(spec.loss, data.y, data.weights);
  const kind = regularization.constraint;
  const constraint = kind === null ? null : outputConstraint(kind, spec.loss, data);
  const own = columns === null ? loss : withLinearPart(loss, columns);
  const outputBias = columns === null && spec.outputBias ? { ridge: spec.l2.outputBias } : null;
  const charged = constraint === null || weight === null ? own : constraint.penalty(weight);
  const pooling = poolingOf(spec);
  const { beta } = regularization;
  const program = formulation.build({ X, gates, loss: charged, beta, outputBias, pooling }, penalty);
  return { ...parts, program, loss, constraint, formulation, gateNotes: [] };
}
