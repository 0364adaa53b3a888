/** Both heads on one frozen trunk: trained convexly, and by Adam for as long. */

import * as tf from "@tensorflow/tfjs";
import { ConvexReLUTrainer, type FitResult } from "../../src/index.js";
import { secondsNow } from "../support/clock.js";
import { table } from "../support/table.js";
import { accuracyOf, fitOnClock, objectiveOf, useFastBackend } from "../support/train.js";
import { type Pictures, picturesOf, SIDE } from "./images.js";

const KNOWN = [0, 1, 2, 3, 4];
export const NEW = [5, 6, 7, 8, 9];
const LOSS = "categoricalCrossentropy";
/** Of Adam on the trunk. */
const TRUNK_RATE = 0.005;

export interface HeadSettings {
  readonly units: number; // of the hidden layer
  readonly decay: number; // l2 of kernels and hidden bias
}

export interface TransferSettings extends HeadSettings {
  readonly known: number; // pictures of each known digit that the trunk learns from
  readonly epochs: number; // of the trunk
  readonly unseen: number; // pictures of each digit that are held out
  readonly shots: readonly number[]; // pictures of each new digit that a head learns from
  readonly tolerance: number;
  readonly timeLimit: number; // seconds of a convex fit
  readonly rates: readonly number[]; // of Adam
  readonly starts: number; // of Adam at each rate
  readonly report?: (line: string) => void;
}

/** What one start of Adam ended with. */
interface End {
  readonly objective: number;
  readonly testAccuracy: number;
}

/** All starts of Adam at one rate, the lowest objective first. */
interface Descents {
  readonly rate: number;
  readonly ends: readonly End[];
}

/** What both heads learned from so many pictures of each new digit. */
export interface Lesson extends End {
  readonly shots: number;
  readonly result: FitResult<tf.Sequential>;
  readonly seconds: number; // of the convex fit with the trunk's features, and of each start of Adam without them
  readonly adam: readonly Descents[];
}

export interface Transfer {
  readonly knownAccuracy: number; // of the trunk and its first head, on known digits that are held out
  readonly features: number; // of a picture, as the new head sees it
  readonly lessons: readonly Lesson[];
}

/** Trains the trunk, then both heads for each number of pictures. */
export async function transfer(settings: TransferSettings): Promise<Transfer> {
  const { report, unseen, shots } = settings;
  const { trunk, accuracy } = await trainedTrunk(settings);
  const features = trunk.outputs[0].shape[1] as number;
  report?.(
    `The trunk tells digits 0 to 4 apart: ${percent(accuracy)} of those held out. It gives ${features} features of a picture.`,
  );
  const test = picturesOf("t10k", NEW, unseen);
  const lessons: Lesson[] = [];
  for (const count of shots) {
    const few = picturesOf("train", NEW, count);
    const lesson = await learn(trunk, few, test, count, settings);
    report?.(`${count} of each new digit: ${lesson.result.certificate.claim}`);
    lessons.push(lesson);
    tf.dispose([few.x, few.y]);
  }
  tf.dispose([test.x, test.y]);
  tf.dispose(trunk.getWeights());
  return { knownAccuracy: accuracy, features, lessons };
}

/** A small convolutional network that model.fit has trained on the known digits, frozen, without its last layer. */
export async function trainedTrunk({
  known,
  unseen,
  epochs,
}: Pick<TransferSettings, "known" | "unseen" | "epochs">): Promise<{ trunk: tf.Sequential; accuracy: number }> {
  const [train, test] = [picturesOf("train", KNOWN, known), picturesOf("t10k", KNOWN, unseen)];
  const { conv2d, flatten, dense } = tf.layers;
  const seeded = (seed: number) => ({ kernelInitializer: tf.initializers.glorotUniform({ seed }) });
  const filters = { kernelSize: 3, strides: 2, activation: "relu" } as const;
  const trunk = tf.sequential({
    layers: [
      conv2d({ filters: 8, ...filters, inputShape: [SIDE, SIDE, 1], ...seeded(1) }),
      conv2d({ filters: 16, ...filters, padding: "same", ...seeded(2) }),
      flatten(),
    ],
  });
  const last = dense({ units: KNOWN.length, activation: "softmax", ...seeded(3) });
  const model = tf.sequential({ layers: [trunk, last] });
  const optimizer = tf.train.adam(TRUNK_RATE);
  model.compile({ optimizer, loss: LOSS });
  // TensorFlow.js's WASM backend has no gradient of a convolution's filters.
  await tf.setBackend("cpu");
  await model.fit(train.x, train.y, { epochs, batchSize: 32, verbose: 0, shuffle: false });
  await useFastBackend();
  const accuracy = accuracyOf(model, test.x, test.y);
  tf.dispose([train.x, train.y, test.x, test.y]);
  last.dispose();
  optimizer.dispose();
  // TensorFlow.js does not see it where only the model within is frozen.
  for (const layer of trunk.layers) layer.trainable = false;
  return { trunk, accuracy };
}

/** The layers of a head, as both train them. */
function headLayers({ units, decay }: HeadSettings, seed: number, features: number): tf.layers.Layer[] {
  const kernelRegularizer = tf.regularizers.l2({ l2: decay });
  const seeded = (more: number) => ({ kernelInitializer: tf.initializers.glorotUniform({ seed: 10 * seed + more }) });
  return [
    tf.layers.dense({
      ...{ units, activation: "relu", inputShape: [features], ...seeded(1) },
      ...{ kernelRegularizer, biasRegularizer: kernelRegularizer },
    }),
    tf.layers.dense({ units: NEW.length, activation: "softmax", kernelRegularizer, ...seeded(2) }),
  ];
}

/** The convex fit is of the whole model, as its user has it; Adam gets the features for nothing and as much time. */
async function learn(
  trunk: tf.Sequential,
  few: Pictures,
  test: Pictures,
  shots: number,
  settings: TransferSettings,
): Promise<Lesson> {
  const { tolerance, timeLimit, rates, starts } = settings;
  const features = trunk.outputs[0].shape[1] as number;
  const head = headLayers(settings, 0, features);
  const model = tf.sequential({ layers: [trunk, ...head] });
  const unused = tf.train.sgd(1);
  model.compile({ optimizer: unused, loss: LOSS });
  const began = secondsNow();
  const result = await new ConvexReLUTrainer({ tolerance, timeLimit }).fit(model, few.x, few.y);
  const seconds = secondsNow() - began;
  const end = { objective: objectiveOf(model, few.x, few.y), testAccuracy: accuracyOf(model, test.x, test.y) };
  const [x, unseen] = [few.x, test.x].map((images) => trunk.predict(images) as tf.Tensor);
  const adam: Descents[] = [];
  for (const rate of rates) {
    const ends: End[] = [];
    for (let seed = 1; seed <= starts; seed++) {
      ends.push(await descend({ x, y: few.y }, { x: unseen, y: test.y }, rate, seed, seconds, settings));
    }
    adam.push({ rate, ends: ends.sort((a, b) => a.objective - b.objective) });
  }
  for (const layer of head) layer.dispose();
  unused.dispose();
  tf.dispose([x, unseen]);
  return { shots, result, seconds, ...end, adam };
}

type Rows = { readonly x: tf.Tensor; readonly y: tf.Tensor };

async function descend(
  train: Rows,
  test: Rows,
  rate: number,
  seed: number,
  budget: number,
  settings: HeadSettings,
): Promise<End> {
  const optimizer = tf.train.adam(rate);
  const model = tf.sequential({ layers: headLayers(settings, seed, train.x.shape[1] as number) });
  model.compile({ optimizer, loss: LOSS });
  await fitOnClock(model, train.x, train.y, { budget, batchSize: 32 });
  const end = {
    objective: objectiveOf(model, train.x, train.y),
    testAccuracy: accuracyOf(model, test.x, test.y),
  };
  model.dispose();
  optimizer.dispose();
  return end;
}

/** The rate whose best start has the lowest objective. */
export function bestRate({ adam }: Lesson): Descents {
  return adam.reduce((best, one) => (one.ends[0].objective < best.ends[0].objective ? one : best));
}

export function transferTable(lessons: readonly Lesson[]): string {
  return table([
    ["of each digit", "method", "objective", "above the bound", "test accuracy", "seconds", "neurons"],
    ...lessons.flatMap((lesson) => {
      const { result, shots, seconds } = lesson;
      const { rate, ends } = bestRate(lesson);
      const over = (objective: number) => percent(objective / result.certificate.dual - 1, 2);
      const accuracies = ends.map(({ testAccuracy }) => testAccuracy);
      return [
        [
          ...[String(shots), "convex", lesson.objective.toFixed(6), `${over(lesson.objective)} (proven)`],
          ...[percent(lesson.testAccuracy), seconds.toFixed(1), String(result.neurons)],
        ],
        [
          ...["", `Adam, rate ${rate}, best of ${ends.length}`, ends[0].objective.toFixed(6), over(ends[0].objective)],
          ...[`${percent(Math.min(...accuracies))} to ${percent(Math.max(...accuracies))}`, seconds.toFixed(1), ""],
        ],
      ];
    }),
  ]);
}

/** What the table showed, in a sentence that follows from its numbers. */
export function conclusion(lessons: readonly Lesson[]): string {
  const within = lessons.map(
    ({ objective, result }) => `${Number((100 * (objective / result.certificate.dual - 1)).toPrecision(2))} %`,
  );
  const lower = lessons.filter((lesson) => lesson.objective <= bestRate(lesson).ends[0].objective).length;
  const better = lessons.filter((lesson) => lesson.testAccuracy >= bestRate(lesson).ends[0].testAccuracy).length;
  const all = lessons.length;
  return (
    `What it showed: one fit of a frozen network's head, without a learning rate, was proven to be within ${listOf(within)} of the best ` +
    `head with its gates, from ${listOf(lessons.map(({ shots }) => String(shots)))} pictures of each digit; its objective was no ` +
    `higher than the best of Adam's starts in ${lower} of ${all} cases, and its accuracy on new pictures no lower than that start's in ` +
    `${better} of ${all}.`
  );
}

/** "a", "a and b", "a, b and c". */
function listOf(words: readonly string[]): string {
  return words.length < 2 ? words.join("") : `${words.slice(0, -1).join(", ")} and ${words[words.length - 1]}`;
}

function percent(share: number, digits = 1): string {
  return `${(100 * share).toFixed(digits)} %`;
}
