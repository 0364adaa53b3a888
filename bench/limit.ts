/**
 * Kernels against the limit: what each reaches beside the engine's best dense product on the machine, in GFLOP/s and GB/s, with
 * one thread and with several.
 * `npm run bench:limit -- --help` lists the flags.
 */

import { availableParallelism } from "node:os";
import { numbers, readFlags } from "./support/flags.js";
import { describeMachine } from "./support/machine.js";
import { plotLimit } from "./support/plots.js";
import { convolutionsAt, engines, kernelsAt, type Rate, ratesOf } from "./support/rates.js";
import { publish } from "./support/report.js";

const flags = readFlags("limit", {
  rows: { default: "250,1000,2000", help: "n" },
  features: { default: "50,100,200", help: "d, one for each n" },
  gates: { default: 500, help: "P" },
  images: { default: "100,500", help: "images of 32 x 32 x 3 under 3 x 3 filters" },
  filters: { default: 64, help: "gates of these filters" },
  peak: { default: "256,512,1024", help: "sizes of the square products of which the best is the limit" },
  threads: {
    default: `1,${Math.min(4, availableParallelism())}`,
    help: "of the WASM engine, one number after another",
  },
  plain: { default: 250, help: "n up to which the engine in plain TypeScript is measured too" },
  repeats: { default: 5, help: "least runs of which the median is taken" },
});

const IMAGE_SIDE = 32;
const features = numbers(flags.features);
const all = await engines([...new Set(numbers(flags.threads))], numbers(flags.peak), flags.repeats);
const rates: Rate[] = numbers(flags.rows).flatMap((n, k) => {
  const d = features[Math.min(k, features.length - 1)];
  const on = all.filter(({ name }) => name !== "cpu" || n <= flags.plain);
  return kernelsAt(n, d, flags.gates).flatMap((kernel) => ratesOf(kernel, on, flags.repeats));
});
for (const n of numbers(flags.images)) {
  for (const kernel of convolutionsAt(n, IMAGE_SIDE, flags.filters)) rates.push(...ratesOf(kernel, all, flags.repeats));
}

if (!flags.dry) await plotLimit(rates);
publish(
  {
    name: "limit",
    title: "Kernels against the engine's best dense product",
    command: "npm run bench:limit",
    machine: describeMachine(),
    about: [
      `Float64, and rough products in float32 where the engine has them; medians of at least ${flags.repeats} runs, the engines in turns.`,
      "FLOP: what the mathematics asks for, a masked product counted as a dense one; GB/s: every input read and every",
      "output written once, so it is a lower bound of the traffic.",
      "A cone projection is counted as one pass over the rows, of which it makes several, and starts from no memory of its",
      "face; solvers start from the last one. Share: of the engine's best square product.",
    ],
    sections: all.map(({ name: engine, peak }) => ({
      title: `${engine}: best dense product ${(peak / 1e9).toFixed(2)} GFLOP/s`,
      cells: cellsOf(rates.filter((rate) => rate.engine === engine)),
    })),
    data: { settings: flags, peaks: Object.fromEntries(all.map(({ name, peak }) => [name, peak])), rates },
  },
  flags,
);

function cellsOf(rows: readonly Rate[]): string[][] {
  return [
    ["kernel", "size", "ms", "GFLOP/s", "share", "GB/s"],
    ...rows.map(({ kernel, size, seconds, flops, bytes, share }) => [
      kernel,
      size,
      (1e3 * seconds).toPrecision(3),
      (flops / seconds / 1e9).toFixed(2),
      `${(100 * share).toFixed(0)} %`,
      (bytes / seconds / 1e9).toFixed(2),
    ]),
  ];
}
