/** The bound of a program with cones when some gates join it: of networks that moved to patterns which were not among its own. */

import { concatenated } from "../../linear/vectors.js";
import type { ConvexProgram, SparseBlocks } from "../../types.js";
import type { Crew } from "../crew.js";
import { chosenGates } from "../gates/index.js";
import type { Coned } from "../solve.js";
import { Cones } from "./cones.js";
import { ConeNewton, newtonAtZero } from "./newton.js";

/** The wider program, and what the gradient at the blocks of the narrower one proves for it. */
export async function boundWith(
  crew: Crew,
  program: ConvexProgram,
  { cones: before, kernels }: Coned,
  { index, vectors, bias }: SparseBlocks,
  added: readonly Float64Array[], // generators [d]
  biasColumn: number,
  pause: () => Promise<boolean>,
): Promise<{ readonly program: ConvexProgram; readonly dual: number }> {
  const { gates, loss, X } = program;
  const d = X.cols;
  const own = Array.from({ length: gates.count }, (_, i) => gates.generators.data.slice(i * d, (i + 1) * d));
  // The first of equal ones stay: those of the program keep their places.
  const all = await chosenGates(crew, [...own, ...added], biasColumn, pause);
  const generators = { rows: all.length, cols: d, data: concatenated(...all) };
  await crew.bind(generators.data, biasColumn, true);
  const wider: ConvexProgram = { ...program, gates: { ...gates, count: all.length, generators } };
  const cones = await Cones.of(crew, wider, pause);
  // What steps learned of the cones that were there: with the nearest rows alone prices are far too high.
  cones.restore(before.kept);
  const blocks = new Float64Array(cones.size);
  index.forEach((slot, k) => {
    const half = gates.count * loss.outputs;
    const place = slot < half ? slot : slot - half + all.length * loss.outputs;
    blocks.set(vectors.subarray(k * d, (k + 1) * d), place * d);
  });
  const start = { ...newtonAtZero(cones.size, bias, null), before: blocks, blocks };
  const { dual } = await new ConeNewton(crew, wider, cones, kernels, start).look();
  return { program: wider, dual };
}
