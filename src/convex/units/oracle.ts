/** What finds the dearest units at a dual point N [n x C]: those whose output weights the loss wants most. */

export interface DearUnits {
  readonly largest: number; // |N_c' h| of the first; Infinity where an exact search was told to end early
  readonly units: readonly Float64Array[]; // their weights, the dearest first
}

export interface UnitOracle {
  /** True when no unit at all is dearer than the dearest that is found. */
  readonly exact: boolean;
  /** The largest worth of any unit, or an upper bound of it; null where none is known. Infinity at N where `dearest` ended early. */
  ceiling(N: Float64Array): number | null;
  /** Searches, also from the units that are `known`; ends early where `pause` answers true. */
  dearest(
    N: Float64Array,
    known?: readonly Float64Array[],
    pause?: () => Promise<boolean>,
  ): DearUnits | Promise<DearUnits>;
}

/** The columns of N [n x C]. */
export function columnsOf(N: Float64Array, C: number): Float64Array[] {
  return Array.from({ length: C }, (_, c) => Float64Array.from({ length: N.length / C }, (_, k) => N[k * C + c]));
}
