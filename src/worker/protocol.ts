/** What page and worker say to each other during one fit. */

import type { FitArgs, TrainArgs } from "../optimizers/convexReLUTrainer.js";
import type { TrainerOptions } from "../optimizers/options.js";
import type { FitParallelOptions, ParallelOptions, ParallelSummary } from "../optimizers/parallel/index.js";
import type { StartingPoint } from "../optimizers/records.js";
import type { FitSummary, SummaryAlone } from "../optimizers/report/result.js";
import type { ProblemMessage } from "./problemMessage.js";

/** A tensor's values, which are transferred. */
export interface TensorMessage {
  readonly shape: readonly number[];
  readonly dtype: "float32" | "int32" | "bool";
  readonly values: Float32Array | Int32Array | Uint8Array;
}

/** A loss or metric: its name in tfjs, or its place among the functions of tf.losses or tf.metrics. */
export type FunctionMessage = string | { readonly from: "losses" | "metrics"; readonly name: string };

/** A model with its weights, as tf.io has it, and what it was compiled with. */
export interface ModelMessage {
  readonly topology: object;
  readonly weightSpecs: readonly object[];
  readonly weightData: ArrayBuffer;
  readonly loss: FunctionMessage | readonly FunctionMessage[]; // of one output, or of each
  readonly metrics: readonly FunctionMessage[];
}

/** The arguments of fit or train that can be copied as they are; tensors go beside them. */
export type PlainArgs = Omit<FitArgs, "validationData" | "sampleWeight" | "callbacks" | "verbose" | "warmStart"> &
  Partial<Pick<TrainArgs, "loss" | "metrics" | "hiddenBias" | "outputBias">> & {
    readonly warmStart?: StartingPoint;
  };

/** Of a parallel network what can be copied as it is. */
export type PlainParallel = Omit<FitParallelOptions, "signal" | "callbacks" | "verbose" | "sampleWeight"> &
  Partial<ParallelOptions>;

/** A whole fit (with a model) or train (without). */
export interface Order {
  readonly kind: "order";
  readonly job: number;
  readonly model: ModelMessage | null;
  /** Whether the model is the head of a deep one, which stays where it is better than what is found. */
  readonly ofDeep: boolean;
  readonly x: readonly TensorMessage[]; // of each input
  readonly y: readonly TensorMessage[]; // of each output
  readonly validation: readonly [x: readonly TensorMessage[], y: readonly TensorMessage[]] | null;
  readonly sampleWeight: Float64Array | null;
  readonly args: PlainArgs;
  /** Options of `trainParallel` (without a model) or `fitParallel` (with one), in place of a fit; null for a fit. */
  readonly parallel: PlainParallel | null;
  readonly options: Omit<TrainerOptions, "signal">;
}

/** To the worker. After "begin" and each "epoch" it waits for "go". */
export type ToWorker =
  | Order
  | { readonly kind: "go"; readonly job: number; readonly stop: boolean }
  | { readonly kind: "abort"; readonly job: number };

/** The weights of a model, in its order. */
export type WeightsMessage = readonly TensorMessage[];

/** From the worker. An order is answered by "heard" at once, even where it has to wait for others. */
export type FromWorker =
  | { readonly kind: "heard"; readonly job: number }
  | {
      readonly kind: "begin";
      readonly job: number;
      readonly samples: number;
      readonly epochs: number;
      readonly metrics: readonly string[];
    }
  | {
      readonly kind: "epoch";
      readonly job: number;
      readonly epoch: number;
      readonly logs: Readonly<Record<string, number>>;
    }
  | {
      readonly kind: "done";
      readonly job: number;
      readonly summary: Omit<FitSummary, "model" | "problem">;
      readonly problem: ProblemMessage;
      readonly units: number;
      readonly weights: WeightsMessage;
      /** The model that `train` built; null after `fit`. */
      readonly model: ModelMessage | null;
    }
  | {
      readonly kind: "doneAlone";
      readonly job: number;
      readonly summary: Omit<SummaryAlone, "model">;
      readonly weights: WeightsMessage;
    }
  | {
      readonly kind: "doneParallel";
      readonly job: number;
      readonly summary: Omit<ParallelSummary, "model">;
      readonly weights: WeightsMessage;
    }
  | { readonly kind: "refused"; readonly job: number; readonly code: string; readonly message: string }
  | { readonly kind: "failed"; readonly job: number; readonly message: string };
