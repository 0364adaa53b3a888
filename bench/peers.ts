/**
 * fit with the network's own regularizers beside plain L-BFGS of scipy, of several widths, in float32 and float64: the objective over
 * processor time of one thread, on the same data, all networks judged by the same code. `npm run bench:peers -- --help` lists the flags.
 */

import * as tf from "@tensorflow/tfjs";
import { ConvexReLUTrainer } from "../src/index.js";
import { type Contest, contests, dealt } from "./data/contests.js";
import { type GatedRow, gatedCells, gatedRow } from "./gatedPeers.js";
import { type GroupSolver, groupSolvers } from "./peers/groups.js";
import { judgedLoss, judgedNetwork } from "./peers/judge.js";
import { type DescentRun, type DescentWish, findScipy, runDescent } from "./peers/lbfgs.js";
import { keeping, numbers, readFlags } from "./support/flags.js";
import { describeMachine } from "./support/machine.js";
import { clockByProcessor, processorSeconds } from "./support/measure.js";
import { plotPeers } from "./support/plots.js";
import { objective, publish, seconds } from "./support/report.js";

const flags = readFlags("peers", {
  data: { default: process.env.BENCH_DATA ?? "", help: "folder of the tables; also BENCH_DATA" },
  problems: { default: contests.map(({ name }) => name).join(","), help: "problems, by name" },
  checkpoints: { default: "1,2,5,15,60", help: "processor seconds; up to 15 in a third of the time" },
  widths: { default: "200,400,1000", help: "neurons of the rivals; 50 as well where there is time" },
  dtypes: { default: "float32", help: "of the rivals' products; float32,float64 for both" },
  memories: { default: "10", help: "pairs that the rivals keep" },
  seeds: { default: 1, help: "runs of each rival, of which the lowest is taken at every checkpoint" },
  heldout: {
    default: 0,
    help: "share of the rows that nobody sees, on which networks are judged as well; a result of its own",
  },
  units: { default: 1000, help: "units of our layer" },
  keep: {
    default: "",
    help: "folder in which all that was found stays, so that a run goes on where another ended (empty it when the source has changed)",
  },
  gated: {
    default: "250,1000,5000",
    help: "rows of gated programs beside packages for group lassos; empty: none",
  },
  packages: { default: groupSolvers.join(","), help: "these packages (GROUPS_PYTHON)" },
  cap: {
    default: 60,
    help: "processor seconds after which a package is not asked for a finer tolerance, or at all where fewer rows say that it takes longer",
  },
  close: { default: 1e-3, help: "a rival is below ours where it is by more than this share" },
});

/** What one run of ours ended with. */
interface OurRun {
  readonly limit: number; // processor seconds asked for
  readonly spent: number; // by fit as a whole
  readonly objective: number;
  readonly held: number | null; // loss on rows held out
  readonly gap: number;
  readonly status: string;
}

const SPLIT_SEED = 17;

interface Rival {
  readonly width: number;
  readonly dtype: string;
  readonly memory: number;
  readonly objectives: readonly number[]; // at the checkpoints, or what we spent where that is more
  readonly losses: readonly number[]; // of these networks, on rows held out
  readonly ended: number | null;
  readonly calls: number;
}

interface Row {
  readonly problem: string;
  readonly sizes: { readonly n: number; readonly d: number; readonly C: number };
  readonly loss: string;
  readonly ours: readonly OurRun[];
  readonly rivals: readonly Rival[];
}

const GATED =
  "Figure 1 recipe, d = 50, 500 gates, beta 2e-3: processor seconds of one thread until the objective, of our own forward pass in float64, is " +
  "within this share of the optimum; a package's best over its tolerances, each run from zero, without what compiles and lays out its matrix.";

clockByProcessor();
await tf.setBackend("cpu");
await tf.ready();
const checkpoints = numbers(flags.checkpoints).sort((a, b) => a - b);
const python = findScipy();
const rows: Row[] = [];
const skipped: string[] = [];
let versions: DescentRun["versions"] = {};
const [small] = contests;
await fitted(must(small.read("")), 0.5); // warms up, and is not kept
for (const source of contests.filter(({ name }) => flags.problems.split(",").includes(name))) {
  const contest = source.read(flags.data);
  if (contest === null) {
    skipped.push(`${source.name}: skipped, since its file is not in the data folder (--data or BENCH_DATA).`);
    continue;
  }
  rows.push(await measure(contest));
}

const gated: GatedRow[] = [];
const packages = flags.packages.split(",") as GroupSolver[];
for (const n of numbers(flags.gated).sort((a, b) => a - b))
  gated.push(await gatedRow(n, packages, flags.cap, flags.keep, gated));
if (!flags.dry && flags.heldout === 0) await plotPeers(rows);
publish(
  {
    name: flags.heldout > 0 ? "peers-heldout" : "peers",
    title: "fit beside plain L-BFGS: the objective over processor time",
    command: "npm run bench:peers",
    machine: describeMachine(["@tensorflow/tfjs"]),
    about: [
      `min loss((X W')_+ A) + beta / 2 (|W|^2 + |A|^2), beta 2e-3; figure1: the recipe of the scnn paper's Figure 1, d = 50; tables on`,
      `standardised columns and one of ones. Ours: \`new ConvexReLUTrainer({ timeLimit, threads: 1 }).fit(model, x, y)\` on ${flags.units} units with`,
      "regularizers, a fit for each limit, after one that warms up; the clock of the trainer is the processor time of its process, all of",
      "fit counts, and the weights that it wrote, of float32, are judged.",
      python === null
        ? "No Python with scipy was found (SCIPY_PYTHON, python3): only our side was measured."
        : `L-BFGS: scipy's, with products of numpy on one thread (${Object.entries(versions)
            .map(([name, version]) => `${name} ${version}`)
            .join(", ")}), gradients by hand,`,
      `no stop of its own; the best network that it met until the limit, or what fit spent where that is more. Best of ${flags.seeds} seeds, pairs: ${flags.memories}.`,
      ...(flags.heldout > 0
        ? [`Everybody sees the same rows, drawn at random; a share of ${flags.heldout} of them is held out.`]
        : []),
      `Here: widths ${flags.widths.replaceAll(",", ", ")} in ${flags.dtypes.replaceAll(",", " and ")}; "no L-BFGS" below means none of these.`,
      "Judged by one code in float64. Processor time, since other work ran on the machine beside it.",
    ],
    sections: [
      { title: "Objective", cells: cellsOf(rows), notes: [verdict(rows), ...skipped] },
      { title: "Each rival", cells: rivalCells(rows) },
      ...(flags.heldout > 0 ? [{ title: "Loss on rows held out", cells: heldCells(rows) }] : []),
      ...(gated.length === 0 ? [] : [{ title: "Gated programs", cells: gatedCells(gated), notes: [GATED] }]),
    ],
    data: { settings: { ...flags, data: undefined, keep: undefined }, checkpoints, versions, skipped, rows, gated },
  },
  flags,
);

async function measure(whole: Contest): Promise<Row> {
  const { heldout } = flags;
  const { seen: contest, held } = heldout > 0 ? dealt(whole, heldout, SPLIT_SEED) : { seen: whole, held: null };
  const { name, X, Y, loss } = contest;
  const ours: OurRun[] = [];
  for (const limit of checkpoints) {
    const { units } = flags;
    const wish = { limit, units, heldout };
    ours.push(await keeping(flags.keep, `${name}.ours.${limit}`, wish, () => fitted(contest, limit, held)));
    console.error(name, JSON.stringify(ours.at(-1)));
  }
  /** Where rivals are looked at: what we have spent where that is more than was asked for. */
  const spent = ours.map((run) => Math.max(run.limit, run.spent));
  const moments = [...spent].sort((a, b) => a - b);
  const rivals: Rival[] = [];
  for (const width of python === null ? [] : numbers(flags.widths)) {
    for (const dtype of flags.dtypes.split(",") as DescentWish["dtype"][]) {
      for (const memory of numbers(flags.memories)) {
        const runs: DescentRun[] = [];
        for (let seed = 0; seed < flags.seeds; seed++) {
          const wish = { width, dtype, memory, seed, checkpoints: moments };
          const file = `${name}.${width}.${dtype}.${memory}.${seed}`;
          const settings = { ...wish, heldout };
          runs.push(await keeping(flags.keep, file, settings, () => runDescent(python ?? "", contest, wish, held)));
        }
        const best = spent.map((moment) => {
          const k = moments.indexOf(moment);
          const run = runs.reduce((least, other) => (other.objectives[k] < least.objectives[k] ? other : least));
          return { objective: run.objectives[k], losses: run.losses.slice(k, k + 1) };
        });
        const objectives = best.map((at) => at.objective);
        const losses = best.flatMap((at) => at.losses);
        rivals.push({ width, dtype, memory, objectives, losses, ended: runs[0].ended, calls: runs[0].calls });
        versions = runs[0].versions;
        console.error(name, width, dtype, objectives.map((value) => value.toPrecision(6)).join(" "), runs[0].calls);
      }
    }
  }
  return { problem: name, sizes: { n: Y.rows, d: X.cols, C: Y.cols }, loss, ours, rivals };
}

/** One fit with a time limit. */
async function fitted(contest: Contest, limit: number, held: Contest | null = null): Promise<OurRun> {
  const { X, Y, loss, beta, images } = contest;
  const decay = () => tf.regularizers.l2({ l2: beta / 2 });
  const activation = loss === "meanSquaredError" ? "linear" : loss === "binaryCrossentropy" ? "sigmoid" : "softmax";
  const hidden = { activation: "relu", useBias: false, kernelRegularizer: decay() } as const;
  const shape = images === undefined ? [X.cols] : [images.side, images.side, 1];
  const model = tf.sequential({
    layers: [
      ...(images === undefined
        ? [tf.layers.dense({ ...hidden, units: flags.units, inputShape: shape })]
        : [
            tf.layers.conv2d({ ...hidden, filters: flags.units, kernelSize: images.filter, inputShape: shape }),
            tf.layers.globalAveragePooling2d({}),
          ]),
      tf.layers.dense({ units: Y.cols, activation, useBias: false, kernelRegularizer: decay() }),
    ],
  });
  model.compile({ optimizer: "adam", loss });
  const x = tf.tensor(Float32Array.from((images?.pixels ?? X).data), [Y.rows, ...shape]);
  const y = tf.tensor2d(Float32Array.from(Y.data), [Y.rows, Y.cols]);
  const before = processorSeconds();
  const { certificate, status } = await new ConvexReLUTrainer({ timeLimit: limit, threads: 1 }).fit(model, x, y);
  const spent = processorSeconds() - before;
  const [inputs, outputs] = model.getWeights().map((weight) => Float64Array.from(weight.dataSync()));
  const W = new Float64Array(inputs.length); // [m x d] of tfjs's [d x m]
  for (let p = 0; p < X.cols; p++)
    for (let j = 0; j < flags.units; j++) W[j * X.cols + p] = inputs[p * flags.units + j];
  tf.dispose([x, y]);
  model.dispose();
  return {
    ...{ limit, spent, gap: certificate.relativeGap, status },
    objective: judgedNetwork(contest, W, outputs),
    held: held === null ? null : judgedLoss(held, W, outputs),
  };
}

function lowest(rivals: readonly Rival[], k: number): Rival | undefined {
  return [...rivals].sort((a, b) => a.objectives[k] - b.objectives[k])[0];
}

/** Of ours, and of the L-BFGS that is lowest on the rows that all have seen. */
function heldCells(all: readonly Row[]): string[][] {
  return [
    ["problem", "limit", "ours", "best L-BFGS", "width"],
    ...all.flatMap((row) =>
      row.ours.map(({ limit, held }, k) => {
        const best = lowest(row.rivals, k);
        const theirs = best === undefined ? ["", ""] : [objective(best.losses[k]), `${best.width}, ${best.dtype}`];
        return [row.problem, String(limit), objective(held ?? Number.NaN), ...theirs];
      }),
    ),
  ];
}

/** How far the best rival is above ours, in percent; negative where it is below. */
function margin({ ours, rivals }: Row, k: number): number {
  const best = lowest(rivals, k);
  return best === undefined ? Number.NaN : 100 * (best.objectives[k] / ours[k].objective - 1);
}

function cellsOf(all: readonly Row[]): string[][] {
  return [
    ["problem", "n, d, C", "limit", "spent", "ours", "gap", "best L-BFGS", "width", "above ours"],
    ...all.flatMap((row) =>
      row.ours.map(({ limit, spent, objective: value, gap }, k) => {
        const best = lowest(row.rivals, k);
        const theirs =
          best === undefined ? ["", "", ""] : [objective(best.objectives[k]), `${best.width}, ${best.dtype}`];
        const { n, d, C } = row.sizes;
        const sizes = `${n}, ${d}, ${C}`;
        const own = [row.problem, sizes, String(limit), seconds(spent), objective(value), gap.toExponential(1)];
        return [...own, ...theirs, ...(best === undefined ? [] : [`${margin(row, k).toFixed(2)} %`])];
      }),
    ),
  ];
}

function rivalCells(all: readonly Row[]): string[][] {
  return [
    ["problem", "width", "products", "evaluations", ...checkpoints.map((limit) => `${limit} s`)],
    ...all.flatMap(({ problem, rivals }) =>
      rivals.map(({ width, dtype, calls, objectives }) => [
        problem,
        String(width),
        dtype,
        String(calls),
        ...objectives.map(objective),
      ]),
    ),
  ];
}

function verdict(all: readonly Row[]): string {
  const held = all.filter(({ rivals }) => rivals.length > 0);
  if (held.length === 0) return "No rival was run.";
  const margins = held.flatMap((row) => row.ours.map((_, k) => margin(row, k)));
  const below = margins.filter((value) => value < -100 * flags.close).length;
  const won = held.filter((row) => margin(row, checkpoints.length - 1) > 0).length;
  return (
    `At ${margins.length - below} of ${margins.length} checkpoints no L-BFGS is more than ${100 * flags.close} % below ours; ` +
    `at the last one ours is lower than all on ${won} of ${held.length} problems.`
  );
}

function must<T>(value: T | null): T {
  if (value === null) throw new Error("A problem that needs no file had none.");
  return value;
}
