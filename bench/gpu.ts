/**
 * What a GPU does: the share of its measured peak that each kernel of the engines has, and the time to gaps of 1e-2, 1e-3 and 1e-4. In
 * Node (the package `webgpu`) and in Chromium, at most eight minutes. `npm run bench:gpu -- --help` lists the flags.
 */

import "@tensorflow/tfjs-backend-wasm";
import { type DeviceCase, type DeviceRate, type DeviceSize, densePeak, iterationRate } from "./support/deviceRates.js";
import { readFlags } from "./support/flags.js";
import { type GapCase, type GapProblem, type GapTimes, gapTimes } from "./support/gapTimes.js";
import { withPage } from "./support/gpuPage.js";
import { describeMachine } from "./support/machine.js";
import { echo, publish } from "./support/report.js";

const flags = readFlags("gpu", {
  small: {
    default: false,
    help: "small sizes on the CPU (SwiftShader): whether all of it runs, not how fast a GPU is",
  },
  minutes: { default: 8, help: "in all: what there is no time for is left out, and named" },
});

const GAPS = [1e-2, 1e-3, 1e-4];
const REPEATS = 5;
const gated = (rows: number, features: number, gates: number, outputs: number): GapProblem => {
  return { rows, features, gates, outputs, cones: false };
};
const relu = (rows: number, features: number, gates: number): GapProblem => {
  return { rows, features, gates, outputs: 1, cones: true };
};
const problems: readonly GapProblem[] = flags.small
  ? [relu(80, 6, 20), gated(100, 8, 20, 1), gated(60, 8, 10, 3)]
  : [
      relu(10_000, 100, 1000),
      gated(50_000, 3072, 1000, 1),
      gated(100_000, 128, 1000, 1),
      gated(50_000, 3072, 1000, 10),
      gated(50_000, 3072, 4000, 1),
    ];
const sizes: readonly DeviceSize[] = flags.small
  ? [
      { rows: 100, features: 8, gates: 20, outputs: 1 },
      { rows: 100, features: 8, gates: 20, outputs: 1, cones: true },
    ]
  : [
      { rows: 20_000, features: 512, gates: 1000, outputs: 1 },
      { rows: 10_000, features: 100, gates: 1000, outputs: 1, cones: true },
    ];
const peaks = flags.small ? [128, 256] : [2048, 4096];
const IN_NODE: readonly DeviceCase[] = [{ engine: "webgpu", backend: "wasm" }];
const IN_PAGE: readonly DeviceCase[] = [
  { engine: "webgpu", backend: "webgpu" },
  { engine: "tfjs", backend: "webgpu" },
  { engine: "webgl", backend: "webgl" },
  { engine: "tfjs", backend: "webgl" },
];

type Benches = { densePeak: typeof densePeak; iterationRate: typeof iterationRate; gapTimes: typeof gapTimes };

const began = performance.now();
const left = () => 60 * flags.minutes - (performance.now() - began) / 1000;
const rates: (DeviceRate & { readonly share: number | null })[] = [];
const times: GapTimes[] = [];
const failures: string[] = [];

async function attempt(what: string, run: () => Promise<void>): Promise<void> {
  if (left() < 5) {
    failures.push(`${what}: no time was left`);
    return;
  }
  try {
    await run();
  } catch (error) {
    failures.push(`${what}: ${(error instanceof Error ? error.message : String(error)).split("\n")[0]}`);
  }
}

async function measure(cases: readonly DeviceCase[], where: string, benches: Benches): Promise<void> {
  for (const how of cases) {
    const name = `${how.engine} on ${how.backend}, ${where}`;
    for (const size of sizes) {
      await attempt(`${name}, a step`, async () => {
        // The peak of WebGPU in Node is not known to tfjs, which has no such backend there.
        const peak = where === "Node" ? null : await benches.densePeak(how.backend, peaks, REPEATS);
        const rate = await benches.iterationRate(how, size, REPEATS);
        rates.push({ ...rate, share: peak === null ? null : rate.flops / rate.seconds / peak });
      });
    }
  }
  const fused = cases.filter(({ engine }) => engine !== "tfjs");
  for (const problem of problems) {
    for (const how of fused as readonly GapCase[]) {
      await attempt(`${how.engine}, ${where}, ${titleOf(problem)}`, async () => {
        const allowed = Math.min(left(), (60 * flags.minutes) / problems.length / 2);
        times.push(await benches.gapTimes(how, problem, GAPS, allowed));
        echo([[], cellsOfTimes(times[times.length - 1])]);
      });
    }
  }
}

await measure(IN_NODE, "Node", { densePeak, iterationRate, gapTimes });
await attempt("Chromium", () =>
  withPage(flags.small, async (page) => {
    const there = globalThis as unknown as Benches;
    await measure(IN_PAGE, "Chromium", {
      densePeak: (...args) =>
        page.evaluate((given) => (globalThis as unknown as typeof there).densePeak(...given), args),
      iterationRate: (...args) =>
        page.evaluate((given) => (globalThis as unknown as typeof there).iterationRate(...given), args),
      gapTimes: (...args) => page.evaluate((given) => (globalThis as unknown as typeof there).gapTimes(...given), args),
    });
  }),
);

publish(
  {
    name: flags.small ? "gpu-small" : "gpu",
    title: "Engines on a GPU: kernels, and time to a gap",
    command: `npm run bench:gpu${flags.small ? " -- --small" : ""}`,
    machine: describeMachine(["@tensorflow/tfjs", "webgpu"]),
    about: [
      "Share: of the best square product that tfjs makes on that backend in float32. Gaussian rows, targets of ten neurons an output; beta is 0.05 of the smallest that leaves nothing.",
      ...(flags.small ? ["All ran on the CPU (SwiftShader), in small sizes: this says nothing about a GPU."] : []),
    ],
    sections: [
      {
        title: "Steps",
        cells: [["step", "engine", "tfjs backend", "ms", "GFLOP/s", "share"], ...rates.map(cellsOfRate)],
      },
      {
        title: "Seconds to a gap",
        cells: [
          ["program", "engine", ...GAPS.map((gap) => gap.toExponential(0)), "gap at the end"],
          ...times.map(cellsOfTimes),
        ],
        notes: failures,
      },
    ],
    data: { settings: flags, rates, times, failures },
  },
  { json: flags.json, dry: flags.dry },
);

function cellsOfRate(rate: (typeof rates)[number]): string[] {
  const { rows, features, gates, cones, engine, backend, seconds, flops, share } = rate;
  return [
    `${cones ? "ReLU" : "gated"}, n ${rows}, d ${features}, P ${gates}`,
    engine,
    backend,
    (1e3 * seconds).toPrecision(3),
    (flops / seconds / 1e9).toFixed(2),
    share === null ? "-" : share.toFixed(2),
  ];
}

function cellsOfTimes(time: GapTimes): string[] {
  const reached = time.seconds.map((value) => (value === null ? "-" : value.toPrecision(3)));
  return [
    titleOf(time),
    `${time.engine}${time.endedOnHost ? ", then host" : ""}`,
    ...reached,
    time.gap.toExponential(1),
  ];
}

function titleOf({ rows, features, gates, outputs, cones }: GapProblem): string {
  return `${cones ? "ReLU" : "gated"}, n ${rows}, d ${features}, P ${gates}, C ${outputs}`;
}
