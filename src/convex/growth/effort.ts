/**
 * A sense of proportion: what a growth has spent, in multiplications, and what that has brought.
 *
 * It counts by sizes and not by a clock, so that the same seed gives the same weights on a busy machine.
 */

import type { ConvexProgram, Matrix } from "../types.js";

/** Multiplications that nobody minds: some five seconds. */
const PATIENCE = 1e10;
/** The second half of what was spent is to have brought this share of the objective. */
const SLOW = 2e-2;
/** A solve may take so many times what was spent before, or the patience. */
const SOLVE_TIMES = 3;
/** Multiplications of the moves between two solves. */
const MOVES = PATIENCE / 2;
/** What a row costs a pass beside its columns, in multiplications. */
const ROW = 16;
/** Passes over the data of all gates: in a round of a solve (measured at n = 300 to 7,700, d = 5 to 20), and in a judgement. */
const SOLVE_PASSES = 75;
const JUDGE_PASSES = 11;
/** Steps of an inner iteration that such a round may have. */
const USUAL_STEPS = 20;
/** Rounds of a whole solve, from a point near its solution. */
const SOLVE_ROUNDS = 15;
/** A solve that is foretold to take more than this is not begun: neurons move instead. */
const DEAR = 1.5e10;
/** Passes of an evaluation of the objective of neurons, forward and back, and of the steps of a search. */
const DESCENT_PASSES = 1;
const SEARCH_PASSES = 80;

/** Multiplications of one pass of a gate, or neuron, over the rows, with what a row costs beside its columns. */
export function passOver({ rows, cols }: Matrix): number {
  return rows * (cols + ROW);
}

export class Effort {
  private readonly pass: number; // multiplications
  private readonly outputs: number;
  private readonly marks: { readonly spent: number; readonly objective: number }[] = [];
  private most = Number.POSITIVE_INFINITY;
  private spent = 0;

  constructor(
    { X, loss }: ConvexProgram,
    /** False: it counts, and never says that it is enough. */
    private readonly patient: boolean,
  ) {
    this.pass = passOver(X);
    this.outputs = loss.outputs;
  }

  /** Before a solve. */
  begin(): void {
    this.most = Math.max(PATIENCE, SOLVE_TIMES * this.spent) + this.spent;
  }

  /** `steps` of the inner iteration, where that is counted: across kinks they are many. */
  solveRound(gates: number, steps = 0): void {
    this.spent += SOLVE_PASSES * Math.max(1, steps / USUAL_STEPS) * gates * this.outputs * this.pass;
  }

  judgement(gates: number): void {
    this.spent += JUDGE_PASSES * gates * this.outputs * this.pass;
  }

  search(starts: number): void {
    this.spent += SEARCH_PASSES * starts * this.pass;
  }

  descent(steps: number, neurons: number): void {
    this.spent += DESCENT_PASSES * steps * neurons * this.pass;
  }

  /** At most so many steps of a descent, fewer on large data. */
  affordable(steps: number, neurons: number): number {
    if (!this.patient) return steps;
    return Math.max(LEAST_STEPS, Math.min(steps, Math.floor(PATIENCE / (DESCENT_PASSES * neurons * this.pass))));
  }

  /** What was spent so far, to ask about later. */
  get total(): number {
    return this.spent;
  }

  /** True when somebody may mind what was spent, also who did not ask for a sense of proportion. */
  get noticed(): boolean {
    return this.spent > PATIENCE;
  }

  /** True when moves have taken their share since then. */
  moved(since: number): boolean {
    return this.patient && this.spent - since > MOVES;
  }

  /** After a round. */
  mark(objective: number): void {
    this.marks.push({ spent: this.spent, objective });
  }

  /** True when a solve takes more than it may. */
  get exceeded(): boolean {
    return this.patient && this.spent > this.most;
  }

  /** True when the second half of what was spent has brought next to nothing. */
  get slowed(): boolean {
    const last = this.marks[this.marks.length - 1];
    if (!this.patient || last === undefined || last.spent < PATIENCE) return false;
    const half = this.marks.filter(({ spent }) => spent <= last.spent / 2).pop();
    return half !== undefined && half.objective - last.objective < SLOW * Math.abs(last.objective);
  }

  /** True when a whole solve is out of proportion. */
  dear(gates: number): boolean {
    return this.patient && SOLVE_ROUNDS * SOLVE_PASSES * gates * this.outputs * this.pass > DEAR;
  }
}

const LEAST_STEPS = 20;
