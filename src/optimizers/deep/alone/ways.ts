/** The rows of a model of any inputs and outputs: what its own losses, as it was compiled with them, make of its predictions. */

import * as tf from "@tensorflow/tfjs";
import { bindLoss, lossTraits } from "../../../convex/losses/index.js";
import { predictionLoss } from "../../../convex/tape/index.js";
import type { Matrix } from "../../../convex/types.js";
import { asSign, oneHot, pick } from "../../read/data.js";
import { refuseModel } from "../../read/layers/layer.js";
import { compiledIn, givenLosses, knownLoss } from "../../read/loss.js";
import { refuseWeight } from "../../read/sampleWeights.js";
import { readWholeTape } from "../../read/tape/index.js";
import { hostPasses } from "../host/index.js";
import { type Judge, type Part, type Place, parted, type Way, type Ways } from "../passes.js";
import { rowsOfEach } from "../rows.js";
import { rowsAtOnce, TfjsPasses } from "../tfjsPasses.js";
import type { AloneRows } from "./rows.js";

export async function aloneWays(model: tf.LayersModel, { x, y, train }: AloneRows): Promise<Ways> {
  const { rows, weights } = train;
  const judge = await judgeOfRows(model, y);
  return {
    rows: rows.length,
    byTfjs: (places, hasSlope) => new AlonePasses(model, places, hasSlope, x, y, rows, weights),
    async onHost({ kernels, ...trained }) {
      if (judge === null) return null;
      const order = {
        ...{ ...trained, kernels, model, x, rows: rows.length },
        parts: (most: number, make: (rows: Float64Array, loss: Judge) => Way) =>
          parted(rows.length, most, (from, to) =>
            make(rows.subarray(from, to), judge(rows.subarray(from, to), weights?.subarray(from, to) ?? null)),
          ),
      };
      const shapes = x.map(({ shape }) => shape.slice(1));
      return hostPasses(order, () => readWholeTape(model, shapes, kernels, trained.placed, trained.size));
    },
  };
}

/** Some rows, with their targets. */
interface Chunk {
  readonly x: readonly tf.Tensor[];
  readonly y: readonly tf.Tensor[];
  readonly weights: tf.Tensor1D | null;
}

/** By TensorFlow.js: any loss that has a gradient there. */
class AlonePasses extends TfjsPasses {
  readonly all: readonly Part[];

  constructor(
    model: tf.LayersModel,
    places: readonly Place[],
    hasSlope: boolean,
    private readonly x: readonly tf.Tensor[],
    private readonly y: readonly tf.Tensor[],
    private readonly rows: Float64Array,
    private readonly weights: Float64Array | null,
  ) {
    super(model, places, hasSlope);
    this.all = this.cut(Math.min(...x.map(rowsAtOnce)));
  }

  cut(most: number): Part[] {
    const { x, y, rows, weights } = this;
    return parted(rows.length, most, (from, to) => {
      const chosen = rows.subarray(from, to);
      const own = weights && tf.tensor1d(Float32Array.from(weights.subarray(from, to)));
      const chunk: Chunk = { x: rowsOfEach(x, chosen), y: rowsOfEach(y, chosen), weights: own };
      return {
        value: () => this.value(chunk),
        slope: (_, gradient, share) => this.slope(chunk, gradient, share),
        dispose: () => tf.dispose([...chunk.x, ...chunk.y, ...(own === null ? [] : [own])]),
      };
    });
  }

  /** The mean loss in float64, of what the layers compute in float32. */
  private async value(chunk: Chunk): Promise<number> {
    const losses = tf.tidy(() => this.losses(chunk));
    try {
      let total = 0;
      for (const loss of losses) for (const value of await loss.data()) total += value / loss.size;
      return total;
    } finally {
      tf.dispose(losses);
    }
  }

  private async slope(chunk: Chunk, gradient: Float64Array, share: number): Promise<number> {
    const { value, grads } = this.gradients(() =>
      this.losses(chunk).reduce<tf.Scalar>((all, loss) => tf.add(all, tf.mean(loss)), tf.scalar(0)),
    );
    try {
      return share * (await value.data())[0];
    } finally {
      value.dispose();
      await this.add(grads, share, gradient);
    }
  }

  /** Of each output the losses of the rows, or one number where its loss makes no more of them. */
  private losses({ x, y, weights }: Chunk): tf.Tensor[] {
    const outputs = [this.model.apply(x.length === 1 ? x[0] : [...x], { training: false })].flat() as tf.Tensor[];
    const rows = x[0].shape[0];
    return compiledIn(this.model).lossFunctions.map((of, k) => {
      const loss: unknown = of(y[k], outputs[k]);
      if (!(loss instanceof tf.Tensor)) {
        return refuseModel(
          "model/loss",
          "a loss that answers with a tensor",
          typeof loss,
          "Return what tf operations make.",
        );
      }
      if (loss.rank === 0 || loss.shape[0] !== rows) {
        if (weights === null) return loss;
        return refuseWeight(
          "weights of rows with a loss that answers for every row",
          `shape [${loss.shape.join(", ")}]`,
        );
      }
      const perRow = loss.rank === 1 ? loss : tf.mean(tf.reshape(loss, [rows, -1]), 1);
      return weights === null ? perRow : tf.mul(perRow, weights);
    });
  }
}

/** What predictions of some rows, the outputs one behind the other, are worth; null where the host lacks one of the losses. */
type JudgeOfRows = (rows: Float64Array, weights: Float64Array | null) => Judge;

async function judgeOfRows(model: tf.LayersModel, y: readonly tf.Tensor[]): Promise<JudgeOfRows | null> {
  const losses = givenLosses(model);
  const outputs = await Promise.all(
    y.map(async (target, k) => judgeOfOutput(losses[k], model.outputs[k].shape.slice(1), await matrixOf(target))),
  );
  if (outputs.includes(null)) return null;
  const all = outputs as NonNullable<(typeof outputs)[number]>[];
  if (all.length === 1) return all[0].judge;
  return (rows, weights) => joined(all.map(({ columns, judge }) => ({ columns, judge: judge(rows, weights) })));
}

async function matrixOf(tensor: tf.Tensor): Promise<Matrix> {
  const [rows] = tensor.shape;
  return { rows, cols: tensor.size / rows, data: Float64Array.from(await tensor.data()) };
}

/** Null where no loss on the host is the one that is given. */
function judgeOfOutput(
  given: unknown,
  shape: readonly (number | null)[],
  Y: Matrix,
): { readonly columns: number; readonly judge: JudgeOfRows } | null {
  const C = shape[shape.length - 1] ?? 1;
  const read = knownLoss(given);
  const columns = shape.reduce<number>((all, size) => all * (size ?? 1), 1);
  // Those of ours are of sums; of what goes through an activation, they are where they want none.
  const ours = read !== null && (read.fromLogits || lossTraits[read.loss].activation === "linear");
  if (ours && (shape.length === 1 || lossTraits[read.loss].targets !== "distribution")) {
    const targets = read.labels === "zero or one" ? { ...Y, data: Y.data.map(asSign) } : Y;
    return { columns, judge: (rows, weights) => bindLoss(read.loss, pick(targets, rows), weights) };
  }
  if (typeof given !== "string") return null;
  const targets = given === "sparseCategoricalCrossentropy" ? oneHot(Y, C) : Y;
  if (predictionLoss(given, targets, C, null) === null) return null;
  return {
    columns,
    judge: (rows, weights) => predictionLoss(given, pick(targets, rows), C, weights) as Judge,
  };
}

/** The sum of several losses, each of its own columns. */
function joined(parts: readonly { readonly columns: number; readonly judge: Judge }[]): Judge {
  const width = parts.reduce((all, { columns }) => all + columns, 0);
  const each = (Z: Float64Array, use: (judge: Judge, part: Float64Array, from: number) => void) => {
    let from = 0;
    for (const { columns, judge } of parts) {
      const part = new Float64Array((Z.length / width) * columns);
      for (let k = 0; k < part.length; k++) part[k] = Z[Math.floor(k / columns) * width + from + (k % columns)];
      use(judge, part, from);
      from += columns;
    }
  };
  return {
    value(Z) {
      let total = 0;
      each(Z, (judge, part) => {
        total += judge.value(part);
      });
      return total;
    },
    gradient(Z, out) {
      each(Z, (judge, part, from) => {
        const slope = new Float64Array(part.length);
        judge.gradient(part, slope);
        const columns = (part.length / Z.length) * width;
        slope.forEach((value, k) => {
          out[Math.floor(k / columns) * width + from + (k % columns)] = value;
        });
      });
    },
  };
}
