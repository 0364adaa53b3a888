/** Descents of neurons down a network's objective, in the axes of the data: in float32 first where that has digits for it, ended and judged in float64. */

import type { Kernels, NeuronLayer } from "../../kernels/types.js";
import {
  type Descent,
  type DeviceObjective,
  descendWorthwhile,
  MEMORY,
  type Objective,
  usingObjective,
  type Worthwhile,
} from "../../linear/lbfgs.js";
import { layerObjective } from "../../operators/neuronLayer.js";
import type { ConvexProgram } from "../../types.js";
import { axesOf, columnScalesOf, neuronMetric } from "../metric/index.js";
import { hasDigits, roughly } from "./rough.js";

/** m neurons that are packed as (W [m x d], A, c). */
export interface NeuronPasses {
  readonly m: number;
  readonly outputs: number; // numbers of A
  /** The neuron that entry k of A belongs to. */
  own(k: number): number;
  /** The neurons over rows in float32; null where there is no such thing. */
  rough(program: ConvexProgram): NeuronLayer | null;
  /** The objective in float32 on a device; null where that has no neurons, or answers later than the host is done. */
  there?(program: ConvexProgram): Promise<DeviceObjective | null>;
  /** The objective in float64. */
  exact(program: ConvexProgram): Objective;
}

/**
 * Rows from which on so many pairs pay. 200 neurons with 10 and with 20 pairs: 5,000 x 50 after 1.5 s 0.0267 and 0.0254, spambase after a second
 * 0.1396 and 0.1394; below that it goes either way: wine-quality (1,599 rows) after a second 0.2456 and 0.2423, digits of two classes
 * (1,797 rows) after 0.8 s 0.1038 and 0.1046.
 */
const MANY_ROWS = 4000;
const LONG_MEMORY = 20;

/** A fall in float32 by this share of the value, and so many times what float64 says that it is off by, is one. */
const CLEAR = 1e-3;
const ERRORS = 10;

/** A descent that makes all of its steps. */
const ALWAYS = { window: 1, share: Number.NEGATIVE_INFINITY };

export interface NeuronWish extends Pick<Worthwhile, "window" | "share" | "onWindow"> {
  readonly hurried?: boolean;
}

export interface NeuronEnd extends Pick<Descent, "x" | "value" | "steps"> {
  readonly outputs: Float64Array | null; // [n x C]
}

/**
 * Where at most `steps` steps from `start` end, and the value there; fewer where so many together no longer take `share` off it. Where
 * there are passes in float32, that goes as far as float32 tells lower from higher, and what is left is in float64, as the value is:
 * never above where it began. Where float32 has led no lower, all steps are made again in float64; `steps` counts both. `outputs`: what
 * the network says there, where that is at hand.
 *
 * `hurried`: where time is over after a clear fall in float32, float64 is not asked: the value is that of float32, and the caller judges.
 */
export async function descendNeurons(
  program: ConvexProgram,
  kernels: Kernels,
  passes: NeuronPasses,
  start: Float64Array,
  steps: number,
  pause: () => Promise<boolean>,
  { window, share, onWindow, hurried = false }: NeuronWish = ALWAYS,
): Promise<NeuronEnd> {
  const { m, outputs, own } = passes;
  const weights = m * program.X.cols;
  const axes = await axesOf(program.X, kernels, pause);
  const posed = { ...program, X: axes.X };
  const { squares } = axes;
  const scales = squares === null ? scalesOf(program, m, outputs) : neuronMetric(program, squares, m, outputs, own);
  const memory = program.X.rows < MANY_ROWS ? MEMORY : LONG_MEMORY;
  const wish: Worthwhile = { window, share, onWindow, breath: pause, kernels, scales, memory };
  const from = turned(start, weights, axes.there);
  const lower = hasDigits(program, axes) ? await roughObjective(posed, passes) : null;
  const rough = lower === null ? null : await roughly(lower, from, steps, pause, wish);
  const end = (x: Float64Array, value: number, made: number, outputs: Float64Array | null | undefined) => ({
    ...{ x: turned(x, weights, axes.back), value, steps: made, outputs: outputs ?? null },
  });
  const fell = rough !== null && rough.value < rough.began - CLEAR * Math.abs(rough.began);
  if (hurried && fell && (await pause())) return end(rough.x, rough.value, rough.steps, null);
  return usingObjective(passes.exact(posed), async (objective) => {
    const valueAt = (x: Float64Array) => objective.value?.(x) ?? objective(x, new Float64Array(x.length));
    const there = rough === null ? Number.NaN : valueAt(rough.x);
    const lowerThan = ({ began, value }: Pick<Descent, "began" | "value">) =>
      (fell && there < began - ERRORS * Math.abs(there - value)) || there < valueAt(from);
    const near = rough !== null && lowerThan(rough) ? rough : null;
    const left = near === null ? steps : near.told ? 0 : Math.max(0, steps - near.steps);
    if (near !== null && left === 0) return end(near.x, there, near.steps, objective.outputsAt?.(near.x));
    // It is let go of here, and not by the descent.
    const lent: Objective = (x, gradient) => objective(x, gradient);
    const { x, value, ...exact } = await descendWorthwhile(lent, near?.x ?? from, left, pause, wish);
    return end(x, value, exact.steps + (rough?.steps ?? 0), objective.outputsAt?.(x));
  });
}

/** In float32: on a device where it pays, else on the host. */
async function roughObjective(posed: ConvexProgram, passes: NeuronPasses): Promise<DeviceObjective | null> {
  const there = (await passes.there?.(posed)) ?? null;
  if (there !== null) return there;
  const layer = passes.rough(posed);
  return layer === null ? null : layerObjective(posed, layer, passes.m * posed.X.cols, passes.outputs);
}

/** Packed neurons with other weights. */
function turned(x: Float64Array, weights: number, turn: (W: Float64Array) => Float64Array): Float64Array {
  const out = x.slice();
  out.set(turn(x.subarray(0, weights)));
  return out;
}

/**
 * Scales for the descent of m packed neurons where there are no axes: a column of X that is larger than all others together, as that
 * of a hidden bias is, moves as if it were the mean of them.
 */
export function scalesOf({ X, loss }: ConvexProgram, m: number, outputs: number): Float64Array {
  const ofColumns = columnScalesOf(X);
  const scales = new Float64Array(m * X.cols + outputs + loss.outputs).fill(1);
  for (let j = 0; j < m; j++) scales.set(ofColumns, j * X.cols);
  return scales;
}
