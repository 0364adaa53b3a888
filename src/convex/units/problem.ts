/** The records of networks that are built unit by unit. */

import type { Gap, Loss, Matrix, OutputBias, Status } from "../types.js";
import type { UnitActivation } from "./hiddenUnits.js";
import type { UnitOracle } from "./oracle.js";
import type { Places } from "./places.js";

/** What is to be solved; the last column of X [n x d] is the constant that carries the bias of the units, where they have one. */
export interface UnitProblem {
  readonly X: Matrix;
  readonly loss: Loss;
  readonly outputBias: OutputBias | null;
  readonly activation: UnitActivation;
  /** |w| of tanh units at most, so that they do not become sign units; those of polynomials have length one. */
  readonly radius: number;
}

/** A problem of which the kind of unit is yet to be said. */
export type UnitData = Pick<UnitProblem, "X" | "loss" | "outputBias">;

/** The same of polynomial units, which may stand at several places. */
export interface PlacedData extends Omit<UnitData, "X"> {
  readonly places: Places;
}

/** How tanh and sign units are searched for. */
export interface UnitOptions {
  readonly starts: number; // of the search a round
  readonly together: number; // units that are inserted a round at most
  readonly seed: number;
}

/** One unit with its output weights. */
export interface SolvedUnit {
  readonly weights: Float64Array; // [d]
  readonly outputs: Float64Array; // [C]; where there are A places [A C], of each feed
}

/** Units with an output bias [C]. */
export interface UnitNetwork {
  readonly units: readonly SolvedUnit[];
  readonly bias: Float64Array;
}

/** The units that may be inserted. */
export interface UnitClass {
  /** Outputs [n] of a unit on the data, at each place where it may stand. */
  outputsOf(weights: Float64Array): readonly Float64Array[];
  readonly places: number;
  readonly oracle: UnitOracle;
  /** Units that are in from the start; without them, the dearest at zero. */
  readonly start?: readonly Float64Array[];
}

export interface UnitSolution extends UnitNetwork {
  readonly units: readonly SolvedUnit[]; // those whose output weights are not all zero
  readonly status: Status;
  readonly advice: string;
  readonly gap: Gap; // over all units where `exact`, else over the units in hand
  /** True when the bound is over all units: for tanh, of sign units, which bounds them too. */
  readonly exact: boolean;
  /** The largest worth of a unit at the dual point that was found, in units of beta. */
  readonly bestRatio: number;
  readonly dualPoint: Float64Array; // [n x C]
  readonly rounds: number;
  readonly iterations: number; // steps of descents and of solvers, of which there are `maxIterations`
  readonly seconds: number;
}
