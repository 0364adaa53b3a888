/** Rows that answer as shards do, of squared loss, and are not there: every answer is made of their moments. */

import { concatenated, dot } from "../../linear/vectors.js";
import type { ShardCall, ShardFacts } from "../cluster.js";
import type { Place, RowSums } from "../crew.js";
import { blocksOf } from "../written.js";
import { lifted, lowered } from "./frame.js";
import { productsOf } from "./layout.js";
import { gramTimes, type Moments } from "./moments.js";

/** A point in the frame: x [P x C x d], and c [C] about the offsets of the targets, outputs about these being Z = A x + 1 c'. */
interface Point {
  readonly x: Float64Array;
  readonly gram: Float64Array; // A'A x
  readonly c: Float64Array;
}

/** What rounding takes of sums, as a share of the sums of their sizes: blocks of 1024 rows are added up. */
const ROUNDING = 32 * Number.EPSILON;

type Call<Op extends ShardCall["op"]> = Extract<ShardCall, { readonly op: Op }>;

/**
 * Its answers are of the rows in the frame, whose sums have no large means in them; what rounding may have taken is added to losses and
 * conjugates, so that an objective is no less, and a bound no more, than that of the rows.
 */
export class MomentRows implements RowSums {
  readonly rows: number;
  readonly facts: readonly ShardFacts[] = []; // no shard has them
  private readonly scale: number; // L'(Z) = scale (Z - y)
  private now: Point | null = null; // the iterate
  private y: Point | null = null; // the extrapolated point
  private next: readonly [Point, Point] | null = null;
  private readonly lengths: Float64Array; // [P x d]: of the columns of A

  constructor(
    private readonly moments: Moments,
    private readonly generators: Float64Array, // [P x d], of the program
    private readonly balanced: boolean, // whether an output bias is free, so that the columns of gradients have no sum
  ) {
    this.rows = moments.rows;
    this.scale = 2 / (moments.rows * moments.outputs);
    this.lengths = lengthsOf(moments);
  }

  moved(): void {}

  async anchor(): Promise<void> {
    throw new Error("Squared loss has no kinks.");
  }

  readonly anchors = [];

  async lookAside(): Promise<void> {
    throw new Error("Another point beside the state is for rows that are there.");
  }

  async resume({ pull, before, blocks, biasBefore, bias }: Place): Promise<Float64Array> {
    this.now = this.point(blocks, bias);
    this.y = onward(this.now, before === blocks ? this.now : this.point(before, biasBefore), pull);
    this.next = null;
    return this.slope(this.y, 0);
  }

  async ask(call: ShardCall, payload: Float64Array): Promise<Float64Array> {
    if (call.op === "power") {
      const { frame } = this.moments;
      return lowered(frame, gramTimes({ ...this.moments, outputs: 1 }, lifted(frame, payload)));
    }
    if (call.op === "network") return this.network(call, payload);
    if ("commit" in call && call.commit && this.next !== null) {
      [this.now, this.y] = this.next;
      this.next = null;
    }
    const { now, y } = this;
    if (now === null || y === null) throw new Error(`"${call.op}" was asked of rows before a point.`);
    switch (call.op) {
      case "advance":
        return this.advance(now, y, call.pull, payload);
      case "bias":
        return this.bias(shifted(now, payload));
      case "judge":
        return this.judge(shifted(now, payload));
      case "conjugates":
        return this.conjugates(now, payload);
      default:
        throw new Error(`"${call.op}" is for rows that are there.`);
    }
  }

  private advance(now: Point, y: Point, pull: number, payload: Float64Array): Float64Array {
    const size = payload.length - this.moments.outputs;
    const tried = this.point(payload.slice(0, size), payload.slice(size));
    const away = Math.max(0, this.square(onward(tried, y, 1, 0)));
    const ahead = onward(tried, now, pull);
    this.next = [tried, ahead];
    const out = this.slope(ahead, 3);
    out[0] = this.scale * away;
    out[1] = Math.max(0, this.square(tried));
    out[2] = away;
    return out;
  }

  private bias(at: Point): Float64Array {
    const { rows, targets, squares, frame } = this.moments;
    const slopes = this.columns(at).map((sum) => this.scale * sum);
    // At least the sum of their sizes (Cauchy and Schwarz), and what rounding of these sums, and of the bias, goes by.
    const sizes = this.residuals(at).map(
      (square, c) =>
        this.scale *
        Math.max(
          Math.sqrt(rows * square),
          Math.abs(targets[c]),
          rows * Math.abs(at.c[c]),
          rows * Math.abs(at.c[c] + frame.offsets[c]),
          Math.sqrt(rows * squares[c]),
        ),
    );
    const bend = new Float64Array(at.c.length).fill(this.scale * rows);
    return Float64Array.of(this.value(at), ...slopes, ...sizes, ...bend);
  }

  private judge(at: Point): Float64Array {
    const out = this.slope(at, 1);
    out[0] = this.value(at);
    return out;
  }

  /** L*(Q) = |Q|^2 / (2 scale) + <Q, y + 1 offsets'>, Q = s (scale (Z - y) - 1 rest'). */
  private conjugates(now: Point, payload: Float64Array): Float64Array {
    const { rows, outputs: C, squares, targets, frame } = this.moments;
    const { scale } = this;
    const at = shifted(now, payload.subarray(0, C));
    const rest = payload.subarray(C, 2 * C);
    const columns = this.columns(at);
    const residual = this.residuals(at);
    const sizes = this.sizes(at);
    let long = 0;
    let along = 0;
    let lost = 0;
    for (let c = 0; c < C; c++) {
      long += scale * scale * residual[c] - 2 * scale * rest[c] * columns[c] + rows * rest[c] * rest[c];
      along += scale * (this.alongTargets(at, c) - squares[c]) - rest[c] * targets[c];
      lost += scale * ROUNDING * sizes[c] * sizes[c];
      if (this.balanced) continue; // the columns of Q have no sum, and so no part of the offsets
      along += frame.offsets[c] * (scale * columns[c] - rows * rest[c]);
      lost += scale * ROUNDING * Math.sqrt(rows) * Math.abs(frame.offsets[c]) * sizes[c];
    }
    return payload
      .slice(2 * C)
      .map((s) => (s * s * Math.max(0, long)) / (2 * scale) + s * along + (s * s + Math.abs(s)) * lost);
  }

  /** Of a network whose gates are among these: its loss. Rows that are near a gate are not told. */
  private network({ units, biasColumn }: Call<"network">, payload: Float64Array): Float64Array {
    const { gates, outputs } = this.moments;
    const d = this.generators.length / gates;
    const { blocks, bias } = blocksOf(payload, this.generators, { d, units, C: outputs, biasColumn });
    return Float64Array.of(this.value(this.point(blocks, bias)), 0);
  }

  /** Of blocks [P x C x d] and bias [C] of the program. */
  private point(blocks: Float64Array, bias: Float64Array): Point {
    const { frame } = this.moments;
    const x = lifted(frame, blocks);
    return { x, gram: gramTimes(this.moments, x), c: bias.map((value, k) => value - frame.offsets[k]) };
  }

  /** |Z|^2. */
  private square(at: Point): number {
    const { rows } = this.moments;
    const sums = this.ones(at);
    return at.c.reduce((sum, c, k) => sum + c * (2 * sums[k] + rows * c), dot(at.x, at.gram));
  }

  private value(at: Point): number {
    const sizes = this.sizes(at);
    const squares = this.residuals(at).map((square, c) => square + ROUNDING * sizes[c] * sizes[c]);
    return (this.scale / 2) * squares.reduce((sum, square) => sum + square, 0);
  }

  /** [C]: at least the norm of |A| |x_c| + 1 |c_c| + |y_c|, of which all products are that residuals are sums of. */
  private sizes({ x, c }: Point): Float64Array {
    const { rows, squares, outputs: C, width: d, gates } = this.moments;
    return c.map((level, k) => {
      let size = Math.sqrt(rows) * Math.abs(level) + Math.sqrt(squares[k]);
      for (let i = 0; i < gates; i++)
        for (let p = 0; p < d; p++) size += this.lengths[i * d + p] * Math.abs(x[(i * C + k) * d + p]);
      return size;
    });
  }

  /** [C]: |Z_c - y_c|^2, no less than zero. */
  private residuals(at: Point): Float64Array {
    const { rows, squares, outputs: C, width: d, gates } = this.moments;
    const sums = this.ones(at);
    return at.c.map((c, k) => {
      let image = 0;
      for (let i = 0; i < gates; i++) {
        const from = (i * C + k) * d;
        for (let p = from; p < from + d; p++) image += at.x[p] * at.gram[p];
      }
      return Math.max(0, image + c * (2 * sums[k] + rows * c) - 2 * this.alongTargets(at, k) + squares[k]);
    });
  }

  /** Z_c' y_c. */
  private alongTargets({ x, c }: Point, k: number): number {
    const { pull, targets, gates, outputs: C, width: d } = this.moments;
    let sum = c[k] * targets[k];
    for (let i = 0; i < gates; i++) {
      const from = (i * C + k) * d;
      for (let p = from; p < from + d; p++) sum += x[p] * pull[p];
    }
    return sum;
  }

  /** [C]: 1'A x_c. */
  private ones({ x, c }: Point): Float64Array {
    const { sums, gates, outputs: C, width: d } = this.moments;
    return c.map((_, k) => {
      let sum = 0;
      for (let i = 0; i < gates; i++) for (let p = 0; p < d; p++) sum += sums[i * d + p] * x[(i * C + k) * d + p];
      return sum;
    });
  }

  /** [C]: 1'(Z_c - y_c). */
  private columns(at: Point): Float64Array {
    const { rows, targets } = this.moments;
    return this.ones(at).map((sum, c) => sum + rows * at.c[c] - targets[c]);
  }

  /** Room for `first` numbers, then the sums of the columns of L' [C], and A'L' of the program [P x C x d]. */
  private slope(at: Point, first: number): Float64Array {
    const { sums, pull, outputs: C, width: d, frame } = this.moments;
    const { scale } = this;
    const inFrame = pull.map((value, k) => {
      const c = Math.floor(k / d) % C;
      const i = Math.floor(k / (C * d));
      return scale * (at.gram[k] + sums[i * d + (k % d)] * at.c[c] - value);
    });
    return concatenated(
      new Float64Array(first),
      this.columns(at).map((sum) => scale * sum),
      lowered(frame, inFrame),
    );
  }
}

/** [P x d]: the norms of the columns of A, from the diagonal of A'A. */
function lengthsOf({ gates, width: d, pairs }: Moments): Float64Array {
  const out = new Float64Array(gates * d);
  for (let i = 0; i < gates; i++) {
    let at = ((i * (i + 1)) / 2 + i) * productsOf(d);
    for (let p = 0; p < d; p++) {
      out[i * d + p] = Math.sqrt(Math.max(0, pairs[at]));
      at += d - p;
    }
  }
  return out;
}

/** own a + pull (a - b), with own 1 unless it is said. */
function onward(a: Point, b: Point, pull: number, own = 1): Point {
  const mix = (p: Float64Array, q: Float64Array) => p.map((value, k) => own * value + pull * (value - q[k]));
  return { x: mix(a.x, b.x), gram: mix(a.gram, b.gram), c: mix(a.c, b.c) };
}

function shifted(at: Point, offset: Float64Array): Point {
  return { ...at, c: at.c.map((value, k) => value + offset[k]) };
}
