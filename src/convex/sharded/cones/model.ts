/** The second-order model of a loss over some gates and outputs, of sums over rows: H = A_W' L''(Z) A_W, with last rows for the output biases. */

import type { ConvexProgram } from "../../types.js";
import type { Bend } from "../cluster.js";
import type { RowSums } from "../crew.js";
import { pairsOf, productsOf } from "../moments/layout.js";

/** Numbers of one answer. */
const ANSWER = 2 ** 20;

/** Models at one point; of squared loss, whose curvature is the same everywhere and for every output, one for all. */
export class ConeModels {
  private kept: { readonly key: string; readonly H: Float64Array } | null = null;

  constructor(
    private readonly crew: RowSums,
    private readonly program: Pick<ConvexProgram, "X" | "loss" | "outputBias">,
  ) {}

  /** Whether models are the loss itself. */
  get exact(): boolean {
    return this.program.loss.name === "meanSquaredError";
  }

  /** Numbers of a model of so many gates and outputs. */
  columns(gates: number, outputs: number): number {
    return outputs * (gates * this.program.X.cols + (this.program.outputBias === null ? 0 : 1));
  }

  /**
   * H [q x q], its lower triangle, at the point that the shards look at, its bias `offset` [C] further: the vectors of the first output,
   * gate by gate, of the next one, and at last the biases. Of one output it is a bound where outputs see each other. No row bends less
   * than the share `least` of the loss's curvature. Null where a pause says stop.
   */
  async of(
    outputs: readonly number[],
    list: readonly number[],
    offset: Float64Array,
    least: number,
    pause: () => Promise<boolean>,
  ): Promise<Float64Array | null> {
    const key = list.join();
    if (this.exact && this.kept?.key === key) return this.kept.H;
    const q = this.columns(list.length, outputs.length);
    const H = new Float64Array(q * q);
    const bound = outputs.length === 1 && !this.program.loss.separable;
    for (let a = 0; a < outputs.length; a++) {
      for (let b = 0; b <= a; b++) {
        const bend = { output: outputs[a], other: outputs[b], bound, least };
        if (!(await this.pair(bend, a, b, list, offset, H, q, pause))) return null;
      }
    }
    if (this.exact) this.kept = { key, H };
    return H;
  }

  /** The block of the a-th and the b-th output; false where a pause says stop. */
  private async pair(
    bend: Bend,
    a: number,
    b: number,
    list: readonly number[],
    offset: Float64Array,
    H: Float64Array,
    q: number,
    pause: () => Promise<boolean>,
  ): Promise<boolean> {
    const { crew, program } = this;
    const d = program.X.cols;
    const width = list.length * d;
    const first = (a * q + b) * width;
    for (let from = 0; from < list.length; ) {
      if (await pause()) return false;
      let to = from + 1;
      while (to < list.length && (pairsOf(to + 1) - pairsOf(from)) * productsOf(d) <= ANSWER) to += 1;
      const call = { ...bend, op: "curvature", aside: true, gates: to, from, to } as const;
      const sums = await crew.ask(call, Float64Array.of(...offset, ...list.slice(0, to)));
      place(sums, from, to, d, q, H.subarray(first), a !== b);
      from = to;
    }
    if (program.outputBias === null) return true;
    const head = await crew.ask({ ...bend, op: "weights", aside: true }, offset);
    const outputs = q / (width + 1);
    const [rowA, rowB] = [outputs * width + a, outputs * width + b];
    list.forEach((gate, k) => {
      const some = head.subarray(1 + gate * d, 1 + (gate + 1) * d);
      H.set(some, rowA * q + b * width + k * d);
      H.set(some, rowB * q + a * width + k * d);
    });
    H[rowA * q + rowB] = head[0] + (a === b ? 2 * program.outputBias.ridge : 0);
    return true;
  }
}

/** Puts the upper triangles of pairs (i, j), i in [from, to) and j <= i, where they belong; into (j, i), too, of a block that is `whole`. */
function place(
  sums: Float64Array,
  from: number,
  to: number,
  d: number,
  q: number,
  H: Float64Array,
  whole: boolean,
): void {
  let at = 0;
  for (let i = from; i < to; i++) {
    for (let j = 0; j <= i; j++) {
      for (let a = 0; a < d; a++) {
        for (let b = a; b < d; b++, at++) {
          const value = sums[at];
          H[(i * d + a) * q + j * d + b] = value;
          H[(i * d + b) * q + j * d + a] = value;
          if (!whole) continue;
          H[(j * d + b) * q + i * d + a] = value;
          H[(j * d + a) * q + i * d + b] = value;
        }
      }
    }
  }
}
