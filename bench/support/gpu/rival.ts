/** scnn on the same card: seconds to the gaps of a program, by the bound that an engine of ours has proven. */

import { wasmKernels } from "../../../src/convex/kernels/index.js";
import { findCudaPython, runScnn } from "../../peers/scnn.js";
import type { GapTimes } from "./gapTimes.js";
import { problemOf } from "./problems.js";

/** What of our own run scnn is compared with. */
export type Proven = Pick<GapTimes, "rows" | "features" | "gates" | "outputs" | "cones" | "beta" | "bound">;

export interface RivalTimes extends Proven {
  readonly seconds: readonly (number | null)[];
  readonly gap: number; // at the end
  readonly ended: string;
  readonly versions: Readonly<Record<string, string>>;
}

/** A string says why there is no result. */
export async function scnnTimes(
  proven: Proven,
  gaps: readonly number[],
  seconds: number,
): Promise<RivalTimes | string> {
  const python = findCudaPython();
  if (python === null) return "no Python with scnn, and a torch with CUDA (SCNN_PYTHON, python3)";
  const { X, gates, loss } = problemOf(proven, await wasmKernels());
  const y = loss.bound?.targets.data;
  if (y === undefined || proven.outputs > 1) return "scnn is asked for squared losses of one output alone";
  const formulation = proven.cones ? "relu" : "gated";
  const limits = { tol: 1e-16, constraintTol: 1e-6, maxIterations: 1e7, cap: seconds };
  const settings = { python, dtype: "float32", backend: "torch", device: "cuda" as const, ...limits };
  const run = runScnn({ X, y, gates, beta: proven.beta, formulation }, settings);
  if (typeof run === "string") return run;
  const reached = run.trace.map(({ network, seconds }) => ({ seconds, gap: (network - proven.bound) / network }));
  return {
    ...proven,
    seconds: gaps.map((wanted) => reached.find(({ gap }) => gap <= wanted)?.seconds ?? null),
    gap: Math.min(...reached.map(({ gap }) => gap)),
    ended: run.ended,
    versions: run.versions,
  };
}
