/** A program whose rows are elsewhere: its gates, then its beta, by what the rows add up. */

import type * as tf from "@tensorflow/tfjs";
import { counted } from "../../arguments.js";
import { formulations } from "../../convex/formulations/index.js";
import { wasmKernels } from "../../convex/kernels/wasm/index.js";
import { roundedAsWritten } from "../../convex/network.js";
import {
  type AtZero,
  type Coned,
  Cones,
  type Crew,
  chosenGates,
  distinctGates,
  hasKinks,
  lookAtZero,
  lossElsewhere,
  MOST_COLUMNS,
  type RowSums,
  Whole,
} from "../../convex/sharded/index.js";
import type { ConvexProgram, Matrix } from "../../convex/types.js";
import { ConvexError } from "../../errors.js";
import type { Settings } from "../options.js";
import { layerGenerators } from "../pose/pose.js";
import { biasColumnOf, regularizationOf } from "../pose/regularization.js";
import type { NetworkSpec } from "../read/model.js";
import type { BiasColumn, Regularization } from "../records.js";

/** A program whose rows are elsewhere, and what it was made from. */
export interface Posed {
  readonly program: ConvexProgram;
  readonly column: BiasColumn;
  readonly regularization: Regularization;
  readonly zero: AtZero;
  /** What is known of cones, of a program that has some. */
  readonly coned: Coned | null;
}

/** Gates that the rows have been cut by. */
export interface Cut {
  readonly column: BiasColumn;
  readonly generators: Matrix; // [P x d]
}

/** Has the shards cut their rows by the gates of the layer, or by drawn ones. */
export async function cutRows(
  model: tf.LayersModel,
  spec: NetworkSpec,
  crew: Crew,
  settings: Settings,
  pause: () => Promise<boolean>,
): Promise<Cut> {
  // Of all rows the longest is what a bias column goes by.
  const column = biasColumnOf(spec, settings, { rows: 1, cols: 1, data: Float64Array.of(crew.longest) });
  const generators = await generatorsFor(model, spec, crew, column.value, settings, pause);
  await crew.bind(generators.data, column.value);
  return { column, generators };
}

/** The program of these rows; beta may be a share of the one at which no neuron pays, or of more where a pause says stop. */
export async function posedOn(
  rows: RowSums,
  { column, generators }: Cut,
  spec: NetworkSpec,
  settings: Settings,
  pause?: () => Promise<boolean>,
): Promise<Posed> {
  const outputBias = spec.outputBias ? { ridge: spec.l2.outputBias } : null;
  const loss = lossElsewhere(spec.loss, rows.rows, spec.outputs);
  const X = { rows: rows.rows, cols: generators.cols, data: new Float64Array(0) };
  const gates = { count: generators.rows, rows: rows.rows, bits: new Uint32Array(0), generators, complete: false };
  const formulation = formulations[spec.formulation];
  const known = formulation.penaltiesFor(spec.outputs);
  const penalty = known.find((name) => name === settings.vectorPenalty) ?? known[0];
  const build = (beta: number) => formulation.build({ X, gates, loss, beta, outputBias, pooling: null }, penalty);
  const first = build(0);
  const cones = first.cones ? await Cones.of(rows, first, pause) : wholeFor(first, settings);
  const coned = cones === null ? null : { cones, kernels: await wasmKernels(1) };
  const zero = await lookAtZero(rows, first, coned?.cones, pause);
  const regularization = await regularizationOf(spec, settings, false, async () => zero.trivialBeta);
  return { program: build(regularization.beta), column, regularization, zero, coned };
}

/** For a gated program whose loss has kinks: where a model has room for it, Newton steps are some tens, and those of FISTA some thousands. */
function wholeFor(program: ConvexProgram, { solver }: Settings): Whole | null {
  const { loss, penalty, gates, X } = program;
  const fits = gates.count * X.cols + 1 <= MOST_COLUMNS; // output by output
  return hasKinks(loss) && penalty.separable && fits && solver === null ? new Whole(program) : null;
}

/** Distinct gates [P x d]: drawn, or, in numbers that a layer can hold, those of a gated layer. */
async function generatorsFor(
  model: tf.LayersModel,
  spec: NetworkSpec,
  crew: Crew,
  biasColumn: number,
  { arrangements, seed }: Settings,
  pause: () => Promise<boolean>,
): Promise<Matrix> {
  const d = biasColumn > 0 ? spec.inputs + 1 : spec.inputs;
  const gated = spec.formulation === "gated";
  const asked = arrangements !== null && "kind" in arrangements && arrangements.kind === "sample" ? arrangements : null;
  const drawn = asked ?? (gated ? null : { count: spec.units });
  const written = (generator: Float64Array) => (gated ? roundedAsWritten(generator, biasColumn) : generator);
  const list =
    drawn === null
      ? await chosenGates(crew, rowsOf(await layerGenerators(model, spec, d, biasColumn)), biasColumn, pause)
      : await distinctGates(crew, d, biasColumn, { count: drawn.count, seed: asked?.seed ?? seed }, written, pause);
  if (list.length === 0) {
    throw new ConvexError(
      "gates/empty",
      `arrangements: expected at least one gate that is active on a row, got none among ${counted(crew.rows, "row")}. ` +
        `Ask for more gates, or check that x is not all zero.`,
    );
  }
  const data = new Float64Array(list.length * d);
  list.forEach((generator, i) => {
    data.set(generator, i * d);
  });
  return { rows: list.length, cols: d, data };
}

function rowsOf({ rows, cols, data }: Matrix): Float64Array[] {
  return Array.from({ length: rows }, (_, i) => data.slice(i * cols, (i + 1) * cols));
}
