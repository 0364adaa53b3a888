/**
 * What a GPU does: the share of its measured peak that each kernel of the engines has, and the time to gaps of 1e-2, 1e-3 and 1e-4, beside
 * scnn's on the same card. In Node (the package `webgpu`) and in Chromium, at most eight minutes. `npm run bench:gpu -- --help` lists the flags.
 *
 * Each part is a process of its own with a time of its own, the most wanted first: one that fails, or hangs, is named, and the others run.
 * After each the files are written anew.
 */

import { existsSync, realpathSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { findChromium } from "../scripts/find-chromium.mjs";
import type { DeviceCase, DeviceRate, DeviceSize } from "./support/deviceRates.js";
import { readFlags } from "./support/flags.js";
import { linesOf } from "./support/gpu/children.js";
import type { GapTimes } from "./support/gpu/gapTimes.js";
import type { PartFinding, PartWish } from "./support/gpu/part.js";
import type { GapProblem } from "./support/gpu/problems.js";
import type { RivalTimes } from "./support/gpu/rival.js";
import type { DeviceLook, Task } from "./support/gpu/tasks.js";
import { describeMachine } from "./support/machine.js";
import { echo, publish, type Report, writeReport } from "./support/report.js";

const flags = readFlags("gpu", {
  small: {
    default: false,
    help: "small sizes on the CPU (SwiftShader): whether all of it runs, not how fast a GPU is",
  },
  minutes: { default: 8, help: "in all: what there is no time for is left out, and named" },
  only: { default: "", help: "parts whose name has this in it, beside the look at what is there" },
});

const GAPS = [1e-2, 1e-3, 1e-4];
const REPEATS = 5;
/** Seconds beyond its own after which a part is ended, and below which none begins. */
const GRACE = 5;
const LEAST = 10;
const gated = (rows: number, features: number, gates: number, outputs: number): GapProblem => {
  return { rows, features, gates, outputs, cones: false };
};
const relu = (rows: number, features: number, gates: number): GapProblem => {
  return { rows, features, gates, outputs: 1, cones: true };
};
const [RELU, TALL, WIDE, CLASSES, MANY] = flags.small
  ? [relu(80, 6, 20), gated(100, 8, 20, 1), gated(100, 24, 20, 1), gated(60, 8, 10, 3), gated(60, 24, 40, 1)]
  : [
      relu(10_000, 100, 1000),
      gated(100_000, 128, 1000, 1),
      gated(50_000, 3072, 1000, 1),
      gated(50_000, 3072, 1000, 10),
      gated(50_000, 3072, 4000, 1),
    ];
const SIZES: readonly DeviceSize[] = flags.small
  ? [
      { rows: 100, features: 8, gates: 20, outputs: 1 },
      { rows: 100, features: 8, gates: 20, outputs: 1, cones: true },
    ]
  : [
      { rows: 20_000, features: 512, gates: 1000, outputs: 1 },
      { rows: 10_000, features: 100, gates: 1000, outputs: 1, cones: true },
    ];
const PEAKS = flags.small ? [128, 256] : [2048, 4096];
const IN_NODE: readonly DeviceCase[] = [{ engine: "webgpu", backend: "wasm" }];
const IN_PAGE: readonly DeviceCase[] = [
  { engine: "webgpu", backend: "webgpu" },
  { engine: "tfjs", backend: "webgpu" },
  { engine: "webgl", backend: "webgl" },
  { engine: "tfjs", backend: "webgl" },
];

type Where = PartWish["where"];
type Rate = DeviceRate & { readonly share: number | null; readonly where: Where };
type Times = GapTimes & { readonly where: Where };

const PART = fileURLToPath(new URL("support/gpu/part.ts", import.meta.url));
const began = performance.now();
const left = () => 60 * flags.minutes - (performance.now() - began) / 1000;
const looks: (DeviceLook & { readonly where: Where })[] = [];
const rates: Rate[] = [];
const rivals: RivalTimes[] = [];
const times = new Map<string, Times>(); // the last that each run told
const failures: string[] = [];

/** Runs one part; what it found goes into the report, which is written anew. */
async function part(name: string, seconds: number, wish: (seconds: number) => PartWish): Promise<void> {
  if (flags.only !== "" && !name.includes(flags.only) && !name.startsWith("look")) return;
  const given = Math.min(seconds, left() - GRACE);
  if (given < LEAST) {
    failures.push(`${name}: no time was left`);
    return;
  }
  console.error(`${name}, at most ${given.toFixed(0)} s ...`);
  const asked = wish(given);
  const command = [process.execPath, "--max-old-space-size=16384", "--import", "tsx", PART, JSON.stringify(asked)];
  const why = await linesOf(command, given + GRACE, (line) => keep(name, asked.where, line as PartFinding), ENV);
  if (why !== null) failures.push(`${name}: ${why}`);
  if (!flags.dry && (rates.length > 0 || times.size > 0)) writeReport(report());
}

function keep(name: string, where: Where, finding: PartFinding): void {
  if ("look" in finding) looks.push({ ...finding.look, where });
  if ("rate" in finding) rates.push({ ...finding.rate, where });
  if ("rival" in finding) rivals.push(finding.rival);
  if ("failure" in finding) failures.push(`${name}: ${finding.failure}`);
  if ("times" in finding) {
    const mine = { ...finding.times, where };
    times.set(`${name} ${mine.engine}`, mine);
    echo([[], cellsOfTimes(mine)]);
  }
}

/** A real device, or with --small any. */
const usable = ({ device, emulated }: DeviceLook) => device !== null && (flags.small || !emulated);
/** Composed operations run where the engine of the backend's name does. */
const casesIn = (where: Where, cases: readonly DeviceCase[]) =>
  cases.filter((how) => {
    const engine = how.engine === "tfjs" ? how.backend : how.engine;
    return looks.some((look) => look.where === where && look.engine === engine && usable(look));
  });

const inNode = (task: Task) => (seconds: number) => ({ where: "Node" as const, task, seconds });
const inPage = (task: Task) => (seconds: number) => {
  return { where: "Chromium" as const, task, seconds, software: flags.small };
};
const steps = (cases: readonly DeviceCase[], peaks: readonly number[]): Task => {
  return { kind: "steps", cases, sizes: SIZES, peaks, repeats: REPEATS };
};
const gaps = (cases: readonly DeviceCase[], problem: GapProblem): Task => {
  return { kind: "gaps", cases, problem, gaps: GAPS };
};

/** SwiftShader for Node, with the loader that Chromium brings, where --small asks for it. */
const ENV = flags.small ? { ...process.env, ...emulator() } : process.env;

await part("look, Node", 30, inNode({ kind: "look", cases: IN_NODE }));
await part("look, Chromium", 40, inPage({ kind: "look", cases: IN_PAGE.filter(({ engine }) => engine !== "tfjs") }));
for (const { where, engine, device, emulated, why } of looks) {
  console.error(`  ${where}, ${engine}: ${device === null ? why : `${device}${emulated ? ", which is the CPU" : ""}`}`);
}
if (!looks.some(usable)) {
  console.error(
    [
      "bench:gpu: expected a GPU in Node or in Chromium, found none:",
      ...looks.map(({ where, engine, device, why }) => `  ${where}, ${engine}: ${device ?? why}`),
      ...failures.map((failure) => `  ${failure}`),
      "Node needs the package webgpu, the Vulkan loader (libvulkan.so.1) and the driver's VK_DRIVER_FILES; Chromium needs a GPU process.",
      "On a machine without a GPU: npm run bench:gpu -- --small.",
    ].join("\n"),
  );
  process.exit(1);
}

const node = casesIn("Node", IN_NODE);
const page = casesIn("Chromium", IN_PAGE);
// Node's device is that of Chromium; what it is there it need not be twice.
const fused = page.filter(
  ({ engine }) => engine === "webgl" || (engine === "webgpu" && (flags.small || node.length === 0)),
);
// The peak of WebGPU in Node is not known to tfjs, which has no such backend there.
if (node.length > 0) await part("steps, Node", 45, inNode(steps(node, [])));
if (page.length > 0) await part("steps, Chromium", 60, inPage(steps(page, PEAKS)));
for (const [problem, seconds] of [
  [RELU, 70],
  [TALL, 60],
] as const) {
  if (node.length > 0) await part(`${titleOf(problem)}, Node`, seconds, inNode(gaps(node, problem)));
  if (fused.length > 0) await part(`${titleOf(problem)}, Chromium`, seconds, inPage(gaps(fused, problem)));
  await part(`${titleOf(problem)}, scnn`, 45, (seconds) => {
    const proven = [...times.values()].filter((mine) => titleOf(mine) === titleOf(problem));
    proven.sort((a, b) => b.bound - a.bound);
    return { where: "Python", gaps: GAPS, seconds, proven: proven[0] ?? { ...problem, beta: 0, bound: 0 } };
  });
}
for (const problem of [WIDE, CLASSES, MANY]) {
  const [cases, where] = node.length > 0 ? [node, "Node"] : [fused, "Chromium"];
  const run = node.length > 0 ? inNode : inPage;
  await part(`${titleOf(problem)}, ${where}`, problem === WIDE ? 100 : 120, run(gaps(cases, problem)));
}
publish(report(), flags);

function report(): Report {
  return {
    name: flags.small ? "gpu-small" : "gpu",
    title: "Engines on a GPU: kernels, and time to a gap",
    command: `npm run bench:gpu${flags.small ? " -- --small" : ""}`,
    machine: describeMachine(["@tensorflow/tfjs", "webgpu"]),
    about: [
      "Share: of the best square product that tfjs makes on that backend in float32. Uniform rows, gates of 16 features, targets of ten neurons an output; beta is 0.05 of the smallest that leaves nothing.",
      "Seconds are those of the solver; data, gates and beta are prepared before, by the host. scnn: to our own bound, its own clock, float32.",
      ...(flags.small ? ["All ran on the CPU (SwiftShader), in small sizes: this says nothing about a GPU."] : []),
    ],
    sections: [
      {
        title: "Devices",
        cells: [
          ["where", "engine", "device"],
          ...looks.map(({ where, engine, device, why }) => [where, engine, device ?? `none: ${why}`]),
        ],
      },
      {
        title: "Steps",
        cells: [["step", "engine", "where", "tfjs backend", "ms", "GFLOP/s", "share"], ...rates.map(cellsOfRate)],
      },
      {
        title: "Seconds to a gap",
        cells: [
          ["program", "engine", "where", ...GAPS.map((gap) => gap.toExponential(0)), "gap at the end", "prepared in"],
          ...[...times.values()].map(cellsOfTimes),
          ...rivals.map(cellsOfRival),
        ],
        notes: failures,
      },
    ],
    data: { settings: flags, looks, rates, times: [...times.values()], rivals, failures },
  };
}

function cellsOfRate({ engine, backend, seconds, flops, share, where, ...size }: Rate): string[] {
  return [
    `${size.cones ? "ReLU" : "gated"}, n ${size.rows}, d ${size.features}, P ${size.gates}`,
    engine,
    where,
    backend,
    (1e3 * seconds).toPrecision(3),
    (flops / seconds / 1e9).toFixed(2),
    share === null ? "-" : share.toFixed(2),
  ];
}

function cellsOfTimes(time: Times): string[] {
  const { engine, endedOnHost, where, gap, prepared, status } = time;
  return [
    titleOf(time),
    `${engine}${endedOnHost ? ", then host" : ""}`,
    where,
    ...reachedIn(time),
    `${gap.toExponential(1)}${status === "running" ? ", so far" : ""}`,
    prepared.toPrecision(3),
  ];
}

function cellsOfRival(rival: RivalTimes): string[] {
  return [titleOf(rival), "scnn", "CUDA", ...reachedIn(rival), rival.gap.toExponential(1), "-"];
}

function reachedIn({ seconds }: Pick<GapTimes, "seconds">): string[] {
  return seconds.map((value) => (value === null ? "-" : value.toPrecision(3)));
}

function titleOf({ rows, features, gates, outputs, cones }: GapProblem): string {
  return `${cones ? "ReLU" : "gated"}, n ${rows}, d ${features}, P ${gates}, C ${outputs}`;
}

/** Where Chromium keeps the driver of its emulator and a loader; nothing where it is told already, or there is none. */
function emulator(): NodeJS.ProcessEnv {
  const { VK_DRIVER_FILES, LD_LIBRARY_PATH = "", CHROME_PATH } = process.env;
  if (VK_DRIVER_FILES !== undefined) return {};
  const chromium = CHROME_PATH === undefined || existsSync(CHROME_PATH) ? findChromium() : null;
  const own = chromium === null ? [] : [dirname(realpathSync(chromium))];
  const folders = [...own, "/usr/lib/chromium", "/usr/lib/chromium-browser"];
  const folder = folders.find((path) => existsSync(join(path, "vk_swiftshader_icd.json")));
  if (folder === undefined) return {};
  const libraries = [folder, LD_LIBRARY_PATH].filter((path) => path !== "").join(":");
  return { VK_DRIVER_FILES: join(folder, "vk_swiftshader_icd.json"), LD_LIBRARY_PATH: libraries };
}
