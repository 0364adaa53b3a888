/** The lowest network of a class that many descents find. It knows networks and nothing of convex programs. */

import { fitted, marginsMet, signed } from "./constraints.js";
import type { Dice } from "./dice.js";
import { emptyNet, type Gradient, type Net, objective, sizeOf, type Task } from "./forward.js";
import { minimise } from "./lbfgs.js";

/** The networks that a claim is about. */
export interface NetworkClass {
  readonly gates: "all" | "these";
  readonly feeds: "all outputs" | "one output";
  /** "these": the patterns, and a generator [d] with its shift inside each one's cone (null where it is not known). */
  readonly masks: readonly Uint8Array[];
  readonly inside: readonly { readonly g: Float64Array; readonly shift: number }[] | null;
  /** Rows on which patterns are meant, where these are not the task's own. */
  readonly coneRows: Float64Array | null;
  readonly goal: "fit" | "margin" | null;
}

export interface Found {
  readonly value: number;
  readonly net: Net | null;
}

/** Weight of the worst violation of a cone, and of a constraint on the outputs, as descents go on. */
const PENALTIES = [30, 1e5];
const STEPS = 120;

/**
 * Descends `times` from the written network with a few fresh neurons, and from random ones; stops early below `enough`.
 */
export function lowest(task: Task, kind: NetworkClass, written: Net, dice: Dice, times: number, enough: number): Found {
  let best: Found = { value: Number.POSITIVE_INFINITY, net: null };
  const consider = (net: Net) => {
    const admitted = admit(task, kind, net);
    if (admitted === null) return;
    const value = kind.goal === null ? objective(task, admitted) : sizeOf(task, admitted);
    if (value < best.value) best = { value, net: admitted };
  };
  for (let k = 0; k < times && !(best.value < enough); k++) {
    const base = k % 3 === 0 ? written : k % 3 === 1 && best.net !== null ? best.net : null;
    descend(task, kind, base, dice, k, consider);
  }
  return best;
}

function descend(
  task: Task,
  kind: NetworkClass,
  base: Net | null,
  dice: Dice,
  round: number,
  consider: (net: Net) => void,
): void {
  const cones = !task.gated && kind.gates === "these" && round % 4 !== 3;
  const from = base === null ? null : kind.feeds === "one output" ? split(task, base) : base;
  const old = from === null ? [] : active(task, from);
  const fresh = from === null ? dice.whole(2, 7) : dice.whole(1, 4);
  const picked = Array.from({ length: fresh }, () => drawMask(task, kind, cones, dice));
  const everything = task.gated && kind.gates === "these" && kind.masks.length <= 24;
  if (everything) {
    picked.length = 0;
    const copies = kind.feeds === "one output" ? task.positions * task.outputs : 1;
    for (let copy = 0; copy < copies; copy++) picked.push(...kind.masks.map((mask, index) => ({ mask, index })));
  }
  const oldMasks = old.map((j) =>
    cones ? patternOf(task, kind, from as Net, j) : { mask: (from as Net).masks[j], index: -1 },
  );
  if (oldMasks.some((mask) => mask === null)) return;
  const masks = [...oldMasks.map((one) => (one as Picked).mask), ...picked.map(({ mask }) => mask)];
  const indices = [...oldMasks.map((one) => (one as Picked).index), ...picked.map(({ index }) => index)];
  const net = emptyNet(task, masks);
  const vectors = task.positions * task.outputs;
  const allowed = new Uint8Array(masks.length * vectors).fill(kind.feeds === "one output" ? 0 : 1);
  const { inputs: d } = task;
  const scales = columnScales(task);
  old.forEach((j, k) => {
    if (from === null) return;
    net.W.set(from.W.subarray(j * d, (j + 1) * d), k * d);
    net.b[k] = from.b[j];
    net.A.set(from.A.subarray(j * vectors, (j + 1) * vectors), k * vectors);
    for (let v = 0; v < vectors; v++) if (from.A[j * vectors + v] !== 0) allowed[k * vectors + v] = 1;
  });
  if (from !== null) net.c.set(from.c);
  if (from !== null) net.U.set(from.U);
  const size = from === null ? dice.power(-1, 0.5) : dice.power(-3, -0.5);
  for (let k = old.length; k < masks.length; k++) {
    for (let p = 0; p < d; p++) net.W[k * d + p] = (size * dice.gauss()) / scales[p];
    if (task.hiddenBias) net.b[k] = size * dice.gauss();
    if (kind.feeds === "one output") {
      const v = everything ? Math.floor((k - old.length) / kind.masks.length) : dice.whole(0, vectors - 1);
      allowed[k * vectors + v] = 1;
    }
    for (let v = 0; v < vectors; v++) net.A[k * vectors + v] = allowed[k * vectors + v] * size * dice.gauss();
  }
  const point = new Point(task, net, allowed, scales);
  const penalties = cones || kind.goal !== null ? PENALTIES : [0];
  for (const penalty of penalties) {
    minimise(point.x, (x, gradient) => charged(task, kind, point, x, gradient, penalty, cones ? indices : null), STEPS);
    if (penalty === PENALTIES[0]) continue;
    const moved = point.net(point.x);
    const end = {
      ...moved,
      W: moved.W.slice(),
      b: moved.b.slice(),
      A: moved.A.slice(),
      c: moved.c.slice(),
      U: moved.U.slice(),
    };
    const inside = cones ? repaired(task, kind, end, indices) : end;
    if (inside !== null) consider(inside);
  }
}

interface Picked {
  readonly mask: Uint8Array | null;
  readonly index: number; // among the masks of the class; -1: none of them
}

function drawMask(task: Task, kind: NetworkClass, cones: boolean, dice: Dice): Picked {
  if (!task.gated && !cones) return { mask: null, index: -1 };
  if (kind.gates === "these") {
    const index = dice.whole(0, kind.masks.length - 1);
    return { mask: kind.masks[index], index };
  }
  return { mask: drawnGate(task, dice), index: -1 };
}

/** A pattern that some gate has: of the zero gate, of a random one, or of one that is orthogonal to a few rows. */
function drawnGate(task: Task, dice: Dice): Uint8Array {
  const { X, inputs: d, hiddenBias } = task;
  const count = X.length / d;
  const width = d + (hiddenBias ? 1 : 0);
  const largest = X.reduce((most, value) => Math.max(most, Math.abs(value)), 0) || 1;
  const row = (i: number) => Float64Array.from({ length: width }, (_, p) => (p < d ? X[i * d + p] / largest : 1));
  const kind = dice.uniform();
  if (kind < 0.12) return new Uint8Array(count).fill(1);
  const g = Float64Array.from({ length: width }, () => dice.gauss());
  const through = kind < 0.5 ? dice.whole(1, Math.max(1, width - 1)) : 0;
  const on = new Set<number>();
  const basis: Float64Array[] = [];
  for (let k = 0; k < through && basis.length < width - 1; k++) {
    const i = dice.whole(0, count - 1);
    const r = row(i);
    const length = Math.sqrt(dot(r, r));
    for (const q of [...basis, ...basis]) axpy(-dot(q, r), q, r);
    const rest = Math.sqrt(dot(r, r));
    if (!(rest > 1e-3 * length)) continue;
    for (let p = 0; p < width; p++) r[p] /= rest;
    basis.push(r);
    on.add(i);
  }
  for (const q of [...basis, ...basis]) axpy(-dot(q, g), q, g);
  const mask = new Uint8Array(count);
  for (let i = 0; i < count; i++) {
    const r = row(i);
    const sum = dot(r, g);
    // Rows that are too close to call otherwise lie in the span of those that the gate is orthogonal to, or equal one.
    const near = Math.abs(sum) <= 1e-9 * Math.sqrt(dot(r, r) * dot(g, g));
    if (near && !on.has(i) && through === 0) return new Uint8Array(count).fill(1);
    mask[i] = near || sum >= 0 ? 1 : 0;
  }
  return mask;
}

/** The same outputs from neurons that each feed one. */
function split(task: Task, net: Net): Net {
  const vectors = task.positions * task.outputs;
  const d = task.inputs;
  const places = active(task, net).flatMap((j) =>
    Array.from({ length: vectors }, (_, v) => ({ j, v })).filter(({ v }) => net.A[j * vectors + v] !== 0),
  );
  const apart = emptyNet(
    task,
    places.map(({ j }) => net.masks[j]),
  );
  places.forEach(({ j, v }, k) => {
    apart.W.set(net.W.subarray(j * d, (j + 1) * d), k * d);
    apart.b[k] = net.b[j];
    apart.A[k * vectors + v] = net.A[j * vectors + v];
  });
  apart.c.set(net.c);
  apart.U.set(net.U);
  return apart;
}

/** The neurons that do something. */
function active(task: Task, { A, W, b, masks }: Net): number[] {
  const vectors = task.positions * task.outputs;
  return masks
    .map((_, j) => j)
    .filter(
      (j) =>
        A.subarray(j * vectors, (j + 1) * vectors).some((value) => value !== 0) &&
        (b[j] !== 0 || W.subarray(j * task.inputs, (j + 1) * task.inputs).some((value) => value !== 0)),
    );
}

/** The pattern of the class in whose cone a neuron lies, or very nearly; null: none. */
function patternOf(task: Task, kind: NetworkClass, net: Net, j: number): Picked | null {
  const sums = sumsOf(task, kind, net, j);
  const most = sums.reduce((largest, sum) => Math.max(largest, Math.abs(sum)), 0);
  let best: Picked | null = null;
  let least = 1e-4 * most;
  kind.masks.forEach((mask, index) => {
    let worst = 0;
    for (let i = 0; i < sums.length; i++) worst = Math.max(worst, mask[i] === 1 ? -sums[i] : sums[i]);
    if (worst > least) return;
    least = worst;
    best = { mask, index };
  });
  return best;
}

function sumsOf(task: Task, kind: NetworkClass, { W, b }: Net, j: number): Float64Array {
  const X = kind.coneRows ?? task.X;
  const d = task.inputs;
  return Float64Array.from({ length: X.length / d }, (_, i) => {
    let sum = b[j];
    for (let p = 0; p < d; p++) sum += W[j * d + p] * X[i * d + p];
    return sum;
  });
}

/** A network that the class has beyond doubt, or null: neurons of "these" patterns must lie in their cones. */
function admit(task: Task, kind: NetworkClass, net: Net): Net | null {
  const plain = task.gated ? net : { ...net, masks: net.masks.map(() => null) };
  if (!task.gated && kind.gates === "these") {
    for (const j of active(task, plain)) {
      const sums = sumsOf(task, kind, plain, j);
      const lies = kind.masks.some((mask) => sums.every((sum, i) => (mask[i] === 1 ? sum >= 0 : sum <= 0)));
      if (!lies) return null;
    }
  }
  if (kind.goal === "fit") return fitted(task, plain, kind.feeds === "one output");
  return kind.goal === "margin" ? marginsMet(task, plain) : plain;
}

/** Moves every neuron along a generator inside its cone until it lies in it; null where that does not help. */
function repaired(task: Task, kind: NetworkClass, net: Net, indices: readonly number[]): Net | null {
  if (kind.inside === null) return null;
  const { inputs: d } = task;
  const X = kind.coneRows ?? task.X;
  const W = net.W.slice();
  const b = net.b.slice();
  for (let j = 0; j < net.masks.length; j++) {
    const mask = kind.masks[indices[j]];
    const { g, shift } = kind.inside[indices[j]];
    const sums = sumsOf(task, kind, net, j);
    let t = 0;
    for (let i = 0; i < sums.length; i++) {
      let margin = shift;
      for (let p = 0; p < d; p++) margin += g[p] * X[i * d + p];
      const [sum, room] = mask[i] === 1 ? [sums[i], margin] : [-sums[i], -margin];
      if (sum < 0) t = Math.max(t, room > 0 ? -sum / room : Number.POSITIVE_INFINITY);
    }
    if (t === Number.POSITIVE_INFINITY) {
      W.fill(0, j * d, (j + 1) * d);
      b[j] = 0;
      continue;
    }
    t *= 1 + 1e-9;
    for (let p = 0; p < d; p++) W[j * d + p] += t * g[p];
    b[j] += t * shift;
  }
  return { ...net, W, b };
}

function charged(
  task: Task,
  kind: NetworkClass,
  point: Point,
  x: Float64Array,
  gradient: Float64Array,
  penalty: number,
  indices: readonly number[] | null,
): number {
  const net = point.net(x);
  const slope = point.slope;
  const asked =
    kind.goal === null
      ? task
      : {
          ...task,
          loss: kind.goal === "fit" ? ("meanSquaredError" as const) : ("squaredHinge" as const),
          Y: signed(task, kind.goal),
        };
  let value = objective(asked, net, slope, kind.goal === null ? 1 : 10 * penalty * point.size);
  if (indices !== null && penalty > 0) value += coneCharge(task, kind, net, slope, indices, penalty * point.size);
  point.pack(slope, gradient);
  return value;
}

/** The squares of what lies outside the cones, weighted. */
function coneCharge(
  task: Task,
  kind: NetworkClass,
  net: Net,
  slope: Gradient,
  indices: readonly number[],
  weight: number,
): number {
  const X = kind.coneRows ?? task.X;
  const { inputs: d } = task;
  let value = 0;
  for (let j = 0; j < indices.length; j++) {
    const mask = kind.masks[indices[j]];
    const sums = sumsOf(task, kind, net, j);
    for (let i = 0; i < sums.length; i++) {
      const outside = mask[i] === 1 ? Math.min(0, sums[i]) : Math.max(0, sums[i]);
      if (outside === 0) continue;
      value += weight * outside * outside;
      if (task.hiddenBias) slope.b[j] += 2 * weight * outside;
      for (let p = 0; p < d; p++) slope.W[j * d + p] += 2 * weight * outside * X[i * d + p];
    }
  }
  return value;
}

/** Columns by their largest entries, so that a descent sees them alike. */
function columnScales({ X, inputs: d }: Pick<Task, "X" | "inputs">): Float64Array {
  const scales = new Float64Array(d);
  for (let k = 0; k < X.length; k++) scales[k % d] = Math.max(scales[k % d], Math.abs(X[k]));
  const most = scales.reduce((largest, scale) => Math.max(largest, scale), 0) || 1;
  return scales.map((scale) => Math.max(scale, 1e-4 * most));
}

/** A network as one vector of what may move. */
class Point {
  readonly x: Float64Array;
  readonly slope: Gradient;
  private readonly moved: Net;
  private readonly linear: Float64Array; // scales of the columns that a linear layer beside the neurons sees
  /** How large objectives are here: weights of penalties are in these units. */
  readonly size: number;

  constructor(
    private readonly task: Task,
    private readonly start: Net,
    private readonly allowed: Uint8Array,
    private readonly scales: Float64Array,
  ) {
    this.linear = task.skip === null ? new Float64Array(0) : columnScales(task.skip);
    const copy = () => ({
      ...{ W: start.W.slice(), b: start.b.slice(), A: start.A.slice(), c: start.c.slice() },
      U: start.U.slice(),
    });
    this.moved = { ...copy(), masks: start.masks };
    this.slope = copy();
    this.x = new Float64Array(start.W.length + start.b.length + start.A.length + start.c.length + start.U.length);
    this.size = Math.max(
      1e-30,
      Math.min(1e30, objective(task, { ...start, A: start.A.map(() => 0) }), objective(task, start)),
    );
    this.write(start, this.x, (value, scale) => value * scale);
  }

  /** Valid until the next call. */
  net(x: Float64Array): Net {
    const { start, task, allowed, scales, moved } = this;
    const d = task.inputs;
    const { W, b, A, c, U } = start;
    let at = 0;
    for (let k = 0; k < W.length; k++) moved.W[k] = x[at + k] / scales[k % d];
    at += W.length;
    if (task.hiddenBias) for (let k = 0; k < b.length; k++) moved.b[k] = x[at + k];
    at += b.length;
    for (let k = 0; k < A.length; k++) moved.A[k] = allowed[k] === 1 ? x[at + k] : 0;
    at += A.length;
    if (task.outputBias) for (let k = 0; k < c.length; k++) moved.c[k] = x[at + k];
    at += c.length;
    for (let k = 0; k < U.length; k++) moved.U[k] = x[at + k] / this.linear[Math.floor(k / task.outputs)];
    return moved;
  }

  pack(slope: Gradient, out: Float64Array): void {
    this.write(slope, out, (value, scale) => value / scale);
    const from = slope.W.length + slope.b.length;
    for (let k = 0; k < this.allowed.length; k++) if (this.allowed[k] === 0) out[from + k] = 0;
  }

  private write(
    { W, b, A, c, U }: Gradient,
    out: Float64Array,
    change: (value: number, scale: number) => number,
  ): void {
    const d = this.task.inputs;
    for (let k = 0; k < W.length; k++) out[k] = change(W[k], this.scales[k % d]);
    out.set(b, W.length);
    out.set(A, W.length + b.length);
    out.set(c, W.length + b.length + A.length);
    const from = W.length + b.length + A.length + c.length;
    const { outputs } = this.task;
    for (let k = 0; k < U.length; k++) out[from + k] = change(U[k], this.linear[Math.floor(k / outputs)]);
  }
}

function dot(a: Float64Array, b: Float64Array): number {
  let sum = 0;
  for (let k = 0; k < a.length; k++) sum += a[k] * b[k];
  return sum;
}

function axpy(t: number, x: Float64Array, y: Float64Array): void {
  for (let k = 0; k < y.length; k++) y[k] += t * x[k];
}
