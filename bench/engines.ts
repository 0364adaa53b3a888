/**
 * Engines that keep blocks: fused kernels against the same iteration composed from tfjs ops on the same backend, and the share
 * of the backend's best dense product. In Node and in Chromium. `npm run bench:engines -- --help` lists the flags.
 */

import { availableParallelism } from "node:os";
import "@tensorflow/tfjs-backend-wasm";
import {
  type DeviceCase,
  type DeviceRate,
  type DeviceSize,
  densePeak,
  iterationRate,
  PATCH_FEATURES,
} from "./support/deviceRates.js";
import { numbers, readFlags } from "./support/flags.js";
import { withPage } from "./support/gpuPage.js";
import { describeMachine } from "./support/machine.js";
import { publish } from "./support/report.js";

// A CPU takes minutes for what a GPU does in a second.
const defaults = process.argv.includes("--software")
  ? { rows: "500", features: "100", gates: 128, images: "20", side: 16, filters: 32, peak: "256,512" }
  : { rows: "1000,2000", features: "100,196", gates: 256, images: "100", side: 32, filters: 64, peak: "512,1024" };
const flags = readFlags("engines", {
  rows: { default: defaults.rows, help: "n" },
  features: { default: defaults.features, help: "d, one for each n" },
  gates: { default: defaults.gates, help: "P" },
  outputs: { default: 1, help: "C" },
  images: { default: defaults.images, help: "images of side x side x 3 under filters of 3 x 3" },
  side: { default: defaults.side, help: "of the images" },
  filters: { default: defaults.filters, help: "gates of these filters" },
  peak: { default: defaults.peak, help: "sizes of the square products of which the best is the limit" },
  repeats: { default: 5, help: "runs of which the median is taken" },
  software: {
    default: false,
    help: "WebGL and WebGPU on the CPU (SwiftShader), smaller sizes: says nothing about a GPU",
  },
});

const HOST_THREADS = Math.min(4, availableParallelism());
const IN_NODE: readonly DeviceCase[] = [
  { engine: "tfjs", backend: "wasm" },
  { engine: "wasm", backend: "wasm", threads: 1 },
  ...(HOST_THREADS > 1 ? [{ engine: "wasm", backend: "wasm", threads: HOST_THREADS } as const] : []),
  { engine: "gpujs", backend: "wasm" },
];
const IN_PAGE: readonly DeviceCase[] = [
  { engine: "tfjs", backend: "webgl" },
  { engine: "webgl", backend: "webgl" },
  { engine: "gpujs", backend: "webgl" },
  { engine: "tfjs", backend: "webgpu" },
  { engine: "webgpu", backend: "webgpu" },
];
type Rates = typeof import("./support/deviceRates.js");

const { side, outputs } = flags;
const sizes: DeviceSize[] = [
  ...numbers(flags.rows).map((rows, k) => {
    const features = numbers(flags.features);
    return { rows, features: features[Math.min(k, features.length - 1)], gates: flags.gates, outputs };
  }),
  ...numbers(flags.rows)
    .slice(0, 1)
    .map((rows) => ({ rows, features: numbers(flags.features)[0], gates: flags.gates, outputs, cones: true })),
  ...numbers(flags.images).flatMap((rows) =>
    (["mean", "patches"] as const).map((readOut) => {
      return { rows, features: PATCH_FEATURES, gates: flags.filters, outputs, image: { side, readOut } };
    }),
  ),
];
const rates: DeviceRate[] = [];
const peaks: Record<string, number> = {};
const failures: string[] = [];

async function measure(cases: readonly DeviceCase[], where: Pick<Rates, "densePeak" | "iterationRate">): Promise<void> {
  for (const how of cases) {
    try {
      peaks[how.backend] ??= await where.densePeak(how.backend, numbers(flags.peak), flags.repeats);
      for (const size of sizes.filter(({ cones }) => !cones || how.engine !== "gpujs"))
        rates.push(await where.iterationRate(how, size, flags.repeats));
    } catch (error) {
      const [why] = (error instanceof Error ? error.message : String(error)).split("\n");
      failures.push(`${how.engine} on ${how.backend}: ${why.replace(/^page\.evaluate: (Error: )?/, "")}`);
    }
  }
}

await measure(IN_NODE, { densePeak, iterationRate });
const failuresInNode = failures.length;
await withPage(flags.software, (page) =>
  measure(IN_PAGE, {
    densePeak: (...args) => page.evaluate((given) => (globalThis as unknown as Rates).densePeak(...given), args),
    iterationRate: (...args) =>
      page.evaluate((given) => (globalThis as unknown as Rates).iterationRate(...given), args),
  }),
);

const noGpu = failures.length > failuresInNode && !flags.software;
const hints = noGpu
  ? ["Where a page has no GPU, `npm run bench:engines -- --software` runs WebGL and WebGPU on the CPU."]
  : [];

const composed = (rate: DeviceRate) =>
  rates.find((other) => other.engine === "tfjs" && other.backend === rate.backend && sameSize(other, rate));

publish(
  {
    name: "engines",
    title: "Engines that keep blocks: an iteration of the first-order method",
    command: `npm run bench:engines${flags.software ? " -- --software" : ""}`,
    machine: describeMachine(["@tensorflow/tfjs", "gpu.js"]),
    about: [
      `An iteration: X' D_i R for every gate, a step, the sum of D_i X v_i, an extrapolation. Medians of ${flags.repeats} runs.`,
      "ReLU: a step of the splitting, X' of all slacks and multipliers, the sum of D_i Y v_i, X' D_i R, and Y v for all vectors with signs and clamps.",
      "Convolutions: patches gathered from images by fused kernels, laid out by composed ones, and pooled once for each gate by the engine wasm where they are averaged, which then needs K times fewer.",
      "FLOP: a masked product counted as a dense one. Composed: the engine tfjs on the same backend. Share: of the best square product that tfjs makes on that backend in float32; the engine wasm works in float64, of which two and not four go into an instruction.",
      ...(flags.software ? ["WebGL and WebGPU ran on the CPU (SwiftShader): these rows say nothing about a GPU."] : []),
    ],
    sections: sizes.map((size) => ({
      title: titleOf(size),
      cells: cellsOf(rates.filter((rate) => sameSize(rate, size))),
      notes: [...failures, ...hints],
    })),
    data: { settings: flags, peaks, rates, failures },
  },
  flags,
);

/** Gates may be fewer than were asked for. */
function sameSize(a: DeviceSize, b: DeviceSize): boolean {
  return a.cones === b.cones && a.rows === b.rows && a.features === b.features && a.image?.readOut === b.image?.readOut;
}

function titleOf({ rows, features, gates, outputs, cones, image }: DeviceSize): string {
  if (cones) return `ReLU, n ${rows}, d ${features}, P ${gates}, C ${outputs}`;
  if (image === undefined) return `n ${rows}, d ${features}, P ${gates}, C ${outputs}`;
  const readOut = image.readOut === "mean" ? "their mean" : "each patch";
  return `${rows} images of ${image.side} x ${image.side} x 3, 3 x 3, read out by ${readOut}, P ${gates}, C ${outputs}`;
}

function cellsOf(rows: readonly DeviceRate[]): string[][] {
  return [
    ["engine", "tfjs backend", "ms", "GFLOP/s", "times composed", "share"],
    ...rows.map((rate) => {
      const speed = rate.flops / rate.seconds;
      const other = composed(rate);
      return [
        rate.threads === undefined ? rate.engine : `${rate.engine}, ${rate.ran} thread${rate.ran === 1 ? "" : "s"}`,
        rate.backend,
        (1e3 * rate.seconds).toPrecision(3),
        (speed / 1e9).toFixed(2),
        other === undefined ? "-" : (other.seconds / rate.seconds).toFixed(2),
        (speed / peaks[rate.backend]).toFixed(2),
      ];
    }),
  ];
}
