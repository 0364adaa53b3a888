/** A small problem as plain data: everything that a fit is given, so that a failing one can be looked at and replayed. */

import type { LossName, TrainerOptions } from "../../../src/index.js";

export interface Convolved {
  readonly kernelSize: readonly [number, number]; // [1, size] for signals
  readonly strides: readonly [number, number];
  readonly padding: "valid" | "same";
  readonly dilation: number;
  readonly readOut: "average" | "flatten" | "windows";
  readonly window: number; // of "windows", along each axis that is longer than 1
}

export interface L2 {
  readonly hidden: number;
  readonly hiddenBias: number;
  readonly output: number;
  readonly outputBias: number;
}

/** What goes before the fit that is judged. */
export type Before =
  | { readonly kind: "nothing" }
  | { readonly kind: "own result" } // of the same fit
  | { readonly kind: "other beta" }
  | { readonly kind: "other formulation" }
  | { readonly kind: "nearby data" } // equal rows moved apart, others by little
  | { readonly kind: "few rounds" }; // of a fit that was cut off

export interface Recipe {
  readonly seed: number;
  readonly layer: "dense" | "conv1d" | "conv2d";
  readonly formulation: "relu" | "gated";
  /** What the units do to negative sums: alpha of a LeakyReLU layer; 0: none. */
  readonly slope: number;
  readonly loss: LossName;
  readonly outputs: number;
  readonly rows: number;
  readonly inputShape: readonly number[];
  readonly data: string; // the kinds of x, in words
  readonly x: readonly number[]; // [rows x inputs]
  readonly y: readonly number[]; // [rows x outputs]
  readonly hiddenBias: boolean;
  readonly outputBias: boolean;
  readonly units: number;
  readonly l2: L2;
  readonly sampleWeight: readonly number[] | null;
  readonly classWeight: Readonly<Record<number, number>> | null;
  readonly options: TrainerOptions;
  readonly convolution: Convolved | null;
  /** A linear layer beside a dense hidden one, with the factor of its squared kernel; null without it. */
  readonly skip: { readonly l2: number; readonly bias: boolean } | null;
  readonly before: Before;
  /** How the earlier result is used: as the start, or only its gates. */
  readonly use: "warmStart" | "arrangements";
  readonly nearby: readonly number[]; // x of the earlier fit where that is of nearby data
  /** True for a draw of options that do not go together: a refusal is what is expected. */
  readonly senseless: boolean;
}
