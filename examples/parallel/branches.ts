/** Three layers in parallel branches on images: the convex program behind gates over time, and descent of the same charge. */

import * as tf from "@tensorflow/tfjs";
import { wasmKernels } from "../../src/convex/kernels/index.js";
import { bindLoss } from "../../src/convex/losses/index.js";
import {
  type BranchGates,
  branchesOf,
  branchLayerOutputs,
  branchLayers,
  branchProgram,
  drawBranchGates,
} from "../../src/convex/parallel/gated/index.js";
import { solve } from "../../src/convex/solvers/solve.js";
import type { Gap, Matrix } from "../../src/convex/types.js";
import { secondsNow } from "../support/clock.js";

/** Rows with a column of ones, and their targets: 0 and 1, or one-hot. */
export interface Task {
  readonly x: Matrix; // [n x d]
  readonly y: Matrix; // [n x C]
}

export interface Shape {
  readonly branches: number; // K
  readonly hidden: number; // m
  readonly beta: number;
}

export interface Look {
  readonly seconds: number;
  readonly objective: number;
  readonly accuracy: number; // on the test rows
}

export interface ConvexRun {
  readonly looks: readonly Look[];
  readonly gap: Gap;
  readonly seconds: number;
  readonly masks: number;
  readonly status: string;
  readonly gates: BranchGates;
}

const lossName = ({ y }: Task) => (y.cols === 1 ? "binaryCrossentropy" : "categoricalCrossentropy");

/** The program of K drawn branches, looked at after each round of its solver; looks cost it nothing. */
export async function convexBranches(
  train: Task,
  test: Task,
  { branches, hidden, beta }: Shape,
  { tolerance, limit, seed }: { readonly tolerance: number; readonly limit: number; readonly seed: number },
): Promise<ConvexRun> {
  const kernels = await wasmKernels();
  const began = secondsNow();
  const gates = drawBranchGates(train.x.cols, [hidden], branches, seed);
  const loss = bindLoss(lossName(train), train.y);
  const problem = { X: train.x, loss, outputBias: { ridge: 0 }, beta, gates, charge: "sum" } as const;
  const posed = branchProgram(problem);
  const looks: Look[] = [];
  let looking = 0;
  const { gap, status } = await solve(posed.program, kernels, {
    ...{ tolerance, maxIterations: 1000, seconds: limit },
    onRound: ({ blocks, gap }) => {
      const now = secondsNow();
      const found = branchesOf(problem, posed, blocks);
      const layers = branchLayers(found, gates, "sum", loss.outputs, Math.max(1, found.length));
      const accuracy = accuracyOf(branchLayerOutputs(test.x, layers, blocks.bias), test.y);
      looks.push({ seconds: now - began - looking, objective: gap.primal, accuracy });
      looking += secondsNow() - now;
      return false;
    },
  });
  return { looks, gap, status, seconds: secondsNow() - began - looking, masks: posed.owners.length, gates };
}

export interface Descent {
  readonly optimizer: () => tf.Optimizer;
  /** Null: branches of ReLUs, whose patterns move with their weights. */
  readonly gates: BranchGates | null;
  readonly seconds: number;
  readonly seed: number;
  readonly batch: number;
  readonly looks: number;
}

/** Mini-batches of sum_k ((x W_1k)_+ w_2k)_+ w_3k, or of branches behind gates, charged beta/3 of third powers; looks cost it nothing. */
export async function descendBranches(train: Task, test: Task, shape: Shape, run: Descent): Promise<Look[]> {
  const { rows: n, cols: d } = train.x;
  const { branches: K, hidden: m } = shape;
  const C = train.y.cols;
  const rows = ({ x, y }: Task) => [
    tf.tensor2d(Float32Array.from(x.data), [x.rows, x.cols]),
    tf.tensor2d(Float32Array.from(y.data), [y.rows, y.cols]),
  ];
  const [[x, y], [tx, ty]] = [rows(train), rows(test)];
  // Glorot's, as dense layers of K m, K and C units have them.
  const normal = (size: [number, number], sizes: number, offset: number) =>
    tf.tidy(() => tf.variable(tf.randomNormal(size, 0, Math.sqrt(2 / sizes), "float32", 10 * run.seed + offset)));
  const weights = [
    normal([d, K * m], d + K * m, 1),
    normal([1, K * m], K * m + K, 2),
    normal([K, C], K + C, 3),
    tf.tidy(() => tf.variable(tf.zeros([C]))),
  ];
  const fixed =
    run.gates === null
      ? null
      : [
          tf.tensor2d(Float32Array.from(run.gates.first.data), [d, K * m]),
          tf.tensor2d(Float32Array.from(run.gates.behind[0]), [1, K * m]),
        ];
  const outputs = (inputs: tf.Tensor2D) => outputsOf(inputs, weights, fixed as [tf.Tensor2D, tf.Tensor2D] | null, K, m);
  const objective = (inputs: tf.Tensor2D, targets: tf.Tensor2D) =>
    tf.add(lossOf(outputs(inputs), targets), tf.mul(shape.beta / 3, chargeOf(weights, K, m))) as tf.Scalar;
  const optimizer = run.optimizer();
  const looks: Look[] = [];
  let spent = 0;
  const look = () => {
    const value = tf.tidy(() => objective(x as tf.Tensor2D, y as tf.Tensor2D).dataSync()[0]);
    const Z = tf.tidy(() => outputs(tx as tf.Tensor2D).dataSync());
    looks.push({ seconds: spent, objective: value, accuracy: accuracyOf(Float64Array.from(Z), test.y) });
  };
  look();
  const order = Int32Array.from({ length: n }, (_, k) => k);
  for (let next = run.seconds / run.looks; spent < run.seconds; ) {
    const began = secondsNow();
    tf.util.shuffle(order);
    for (let from = 0; from < n; from += run.batch) {
      const chosen = tf.tensor1d(order.slice(from, from + run.batch), "int32");
      const [bx, by] = [x, y].map((all) => tf.gather(all, chosen) as tf.Tensor2D);
      optimizer.minimize(() => objective(bx, by), false, weights);
      tf.dispose([chosen, bx, by]);
    }
    spent += secondsNow() - began;
    if (spent < next && spent < run.seconds) continue;
    next = spent + run.seconds / run.looks;
    look();
    if (!Number.isFinite(looks[looks.length - 1].objective)) break;
    await tf.nextFrame?.();
  }
  tf.dispose([x, y, tx, ty, ...weights, ...(fixed ?? [])]);
  optimizer.dispose();
  return looks;
}

function outputsOf(
  x: tf.Tensor2D,
  [first, second, third, bias]: readonly tf.Tensor[],
  gates: readonly [tf.Tensor2D, tf.Tensor2D] | null,
  K: number,
  m: number,
): tf.Tensor2D {
  const summed = (neurons: tf.Tensor) => tf.sum(tf.reshape(neurons, [-1, K, m]), 2);
  const linear = tf.matMul(x, first as tf.Tensor2D);
  let inner: tf.Tensor;
  if (gates === null) inner = tf.relu(summed(tf.mul(tf.relu(linear), second)));
  else {
    const sums = tf.matMul(x, gates[0]);
    const open = tf.sub(1, tf.step(tf.neg(sums)));
    const outer = tf.sub(1, tf.step(tf.neg(summed(tf.mul(tf.relu(sums), gates[1])))));
    inner = tf.mul(outer, summed(tf.mul(tf.mul(open, linear), second)));
  }
  return tf.add(tf.matMul(inner as tf.Tensor2D, third as tf.Tensor2D), bias) as tf.Tensor2D;
}

/** Cross entropy from logits, in operations that every backend has gradients of. */
function lossOf(Z: tf.Tensor2D, y: tf.Tensor2D): tf.Scalar {
  if (y.shape[1] === 1) return tf.mean(tf.sub(tf.softplus(Z), tf.mul(y, Z))) as tf.Scalar;
  return tf.mean(tf.neg(tf.sum(tf.mul(y, tf.logSoftmax(Z)), 1))) as tf.Scalar;
}

/** sum_k |W_1k|^3 + |w_2k|^3 + |w_3k|^3. */
function chargeOf([first, second, third]: readonly tf.Tensor[], K: number, m: number): tf.Scalar {
  const cubes = (squares: tf.Tensor) => tf.sum(tf.mul(squares, tf.sqrt(tf.add(squares, 1e-12))));
  const columns = tf.sum(tf.square(first), 0);
  const parts = [columns, tf.square(tf.reshape(second, [-1]))].map((squares) => tf.sum(tf.reshape(squares, [K, m]), 1));
  return tf.addN([...parts, tf.sum(tf.square(third), 1)].map(cubes)) as tf.Scalar;
}

function accuracyOf(Z: Float64Array, { rows: n, cols: C, data }: Matrix): number {
  let right = 0;
  for (let k = 0; k < n; k++) {
    if (C === 1) right += Number(Z[k] > 0 === data[k] > 0.5);
    else {
      const of = (values: Float64Array) => {
        let best = 0;
        for (let c = 1; c < C; c++) if (values[k * C + c] > values[k * C + best]) best = c;
        return best;
      };
      right += Number(of(Z) === of(data));
    }
  }
  return right / n;
}
