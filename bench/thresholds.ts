/**
 * From which size on a device is faster than the host: what `engine: "auto"` goes by. Writes src/convex/kernels/thresholds.ts, in which devices
 * that are not here keep what was measured of them. `npm run bench:thresholds -- --help` lists the flags.
 */

import { execFileSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import "@tensorflow/tfjs-backend-wasm";
import { type MeasuredDevice, measured } from "../src/convex/kernels/thresholds.js";
import { type DeviceCase, type DeviceRate, type DeviceSize, iterationRate } from "./support/deviceRates.js";
import { readFlags } from "./support/flags.js";
import { withPage } from "./support/gpuPage.js";
import { describeMachine } from "./support/machine.js";
import { publish } from "./support/report.js";

const flags = readFlags("thresholds", {
  repeats: { default: 5, help: "runs of which the median is taken" },
  software: { default: false, help: "WebGL and WebGPU on the CPU (SwiftShader), and no large sizes" },
});

const LADDER = [
  { rows: 100, features: 10, gates: 32 },
  { rows: 300, features: 30, gates: 64 },
  { rows: 1000, features: 50, gates: 128 },
  ...(flags.software
    ? []
    : [
        { rows: 2000, features: 100, gates: 256 },
        { rows: 10_000, features: 100, gates: 512 },
        { rows: 20_000, features: 500, gates: 512 },
      ]),
];
const sizes: readonly DeviceSize[] = [false, true].flatMap((cones) =>
  LADDER.map((size) => ({ ...size, outputs: 1, ...(cones ? { cones } : {}) })),
);
const HOST: DeviceCase = { engine: "wasm", backend: "wasm" };
const IN_NODE: readonly DeviceCase[] = [
  { engine: "tfjs", backend: "wasm" },
  { engine: "webgpu", backend: "wasm" },
];
const IN_PAGE: readonly DeviceCase[] = [
  { engine: "webgpu", backend: "webgpu" },
  { engine: "webgl", backend: "webgl" },
  { engine: "gpujs", backend: "webgl" },
  { engine: "tfjs", backend: "webgl" },
];

type Rates = Pick<typeof import("./support/deviceRates.js"), "iterationRate">;

/** A device's rate and the host's beside it, in turn. */
interface Pair {
  readonly device: DeviceRate;
  readonly host: DeviceRate;
}
const pairs: Pair[] = [];
const failures: string[] = [];

async function measure(cases: readonly DeviceCase[], { iterationRate }: Rates): Promise<void> {
  for (const how of cases) {
    try {
      for (const size of sizes.filter(({ cones }) => !cones || how.engine !== "gpujs")) {
        const host = await iterationRate({ ...HOST, backend: how.backend }, size, flags.repeats);
        pairs.push({ host, device: await iterationRate(how, size, flags.repeats) });
      }
    } catch (error) {
      failures.push(
        `${how.engine} on ${how.backend}: ${(error instanceof Error ? error.message : String(error)).split("\n")[0]}`,
      );
    }
  }
}

await measure(IN_NODE, { iterationRate });
await withPage(flags.software, (page) =>
  measure(IN_PAGE, {
    iterationRate: (...args) =>
      page.evaluate((given) => (globalThis as unknown as Rates).iterationRate(...given), args),
  }),
);

/** What a device calls itself, in the reason of `chooseEngine`, without versions and numbers. */
function deviceOf({ reason }: DeviceRate): string {
  const name = /float32 on (.*), certificate in float64/.exec(reason)?.[1] ?? reason;
  return /swiftshader/i.test(name) ? "SwiftShader" : name.replace(/\s*\(?0x[0-9a-f]+\)?/gi, "");
}

function thresholdOf(mine: readonly Pair[]): number | null {
  const work = ({ device: { rows, features, gates, outputs } }: Pair) => rows * features * gates * outputs;
  const ordered = [...mine].sort((a, b) => work(a) - work(b));
  const slower = ordered.map(({ device, host }) => device.seconds > host.seconds);
  const first = ordered[slower.lastIndexOf(true) + 1];
  return first === undefined ? null : work(first);
}

const found: MeasuredDevice[] = [];
for (const { device: rate } of pairs) {
  const device = deviceOf(rate);
  if (found.some((row) => row.engine === rate.engine && row.device === device)) continue;
  const mine = pairs.filter((pair) => pair.device.engine === rate.engine && deviceOf(pair.device) === device);
  const of = (cones: boolean) => thresholdOf(mine.filter((pair) => (pair.device.cones === true) === cones));
  found.push({ engine: rate.engine as MeasuredDevice["engine"], device, gated: of(false), cones: of(true) });
}
// Only these engines say on which hardware they run.
const named = found.filter(({ engine }) => engine === "webgpu" || engine === "webgl");
const kept = measured.filter(
  (row) => !named.some(({ engine, device }) => engine === row.engine && device === row.device),
);
if (!flags.dry) {
  const file = new URL("../src/convex/kernels/thresholds.ts", import.meta.url).pathname;
  const source = readFileSync(file, "utf8");
  const begins = source.indexOf("export const measured");
  const table = JSON.stringify([...kept, ...named]);
  writeFileSync(file, `${source.slice(0, begins)}export const measured: readonly MeasuredDevice[] = ${table};\n`);
  execFileSync("npx", ["biome", "format", "--write", file], { stdio: "ignore" });
}

publish(
  {
    name: "thresholds",
    title: "From which size on a device is faster than the host",
    command: `npm run bench:thresholds${flags.software ? " -- --software" : ""}`,
    machine: describeMachine(["@tensorflow/tfjs", "gpu.js"]),
    about: [
      `An iteration of the first-order method (ReLU: of the splitting) on a device and on the engine wasm with its own number of threads, in turns; medians of ${flags.repeats}.`,
      ...(flags.software ? ["WebGL and WebGPU ran on the CPU (SwiftShader): these rows say nothing about a GPU."] : []),
    ],
    sections: [
      {
        title: "Multiplications from which on the device was faster",
        cells: [
          ["engine", "device", "gated", "ReLU"],
          ...found.map(({ engine, device, gated, cones }) => [engine, device, ...[gated, cones].map(cellOf)]),
        ],
        notes: failures,
      },
      {
        title: "An iteration",
        cells: [
          ["engine", "tfjs backend", "program", "device, ms", "host, ms"],
          ...pairs.map(({ device, host }) => [
            device.engine,
            device.backend,
            `${device.cones ? "ReLU" : "gated"}, n ${device.rows}, d ${device.features}, P ${device.gates}`,
            (1e3 * device.seconds).toPrecision(3),
            (1e3 * host.seconds).toPrecision(3),
          ]),
        ],
      },
    ],
    data: { settings: flags, found, pairs, failures },
  },
  flags,
);

function cellOf(threshold: number | null): string {
  return threshold === null ? "at no size" : threshold.toExponential(1);
}
