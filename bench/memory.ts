/**
 * Peak memory of a fit against n, P and d: each size in a process of its own, its peak resident set less that of a fit of next
 * to nothing. `npm run bench:memory -- --help` lists the flags.
 */

import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { numbers, readFlags } from "./support/flags.js";
import { describeMachine } from "./support/machine.js";
import type { MemoryCase, MemoryUse } from "./support/peak.js";
import { plotMemory } from "./support/plots.js";
import { bytes, publish, seconds } from "./support/report.js";

const flags = readFlags("memory", {
  rows: { default: "500,2000,8000,32000", help: "n, at 256 gates and 50 features" },
  gates: { default: "256,1024,4096", help: "P, at 2,000 rows and 50 features" },
  features: { default: "50,200,800", help: "d, at 2,000 rows and 256 gates" },
  images: { default: "1000,10000", help: "images of 32 x 32 x 3 under 3 x 3 filters" },
  filters: { default: 500, help: "gates of these filters" },
  formulations: { default: "gated,relu", help: "network classes" },
  limit: { default: 30, help: "seconds for each fit: the peak comes in its first rounds" },
});

const script = fileURLToPath(new URL("support/peak.js", import.meta.url));
const formulations = flags.formulations.split(",") as MemoryCase["formulation"][];
const sizes = [
  ...numbers(flags.rows).map((n) => ({ varied: "n", n, d: 50, P: 256 })),
  ...numbers(flags.gates).map((P) => ({ varied: "P", n: 2000, d: 50, P })),
  ...numbers(flags.features).map((d) => ({ varied: "d", n: 2000, d, P: 256 })),
];

const base = run({ formulation: "gated", n: 8, d: 2, P: 2, limit: flags.limit });
const rows = formulations.flatMap((formulation) =>
  sizes.map(({ varied, ...size }) => {
    console.error(`${formulation}, n ${size.n}, d ${size.d}, P ${size.P} ...`);
    return { varied, ...run({ formulation, ...size, limit: flags.limit }) };
  }),
);
const SIDE = 32;
const CHANNELS = 3;
const FILTER = 3;
const pictures = numbers(flags.images).map((n) => {
  console.error(`${n} images, ${flags.filters} filters ...`);
  const images = { side: SIDE, channels: CHANNELS, filter: FILTER };
  const d = FILTER ** 2 * CHANNELS;
  return run({ formulation: "gated", n, d, P: flags.filters, limit: flags.limit, images });
});
export type MemoryRow = (typeof rows)[number];

const machine = describeMachine(["@tensorflow/tfjs"]);
const settings = flags;
const less = `less the ${bytes(base.peakBytes)} of a process that fits 8 rows. Garbage that was not yet collected counts too.`;
if (rows.length > 0) {
  if (!flags.dry) await plotMemory(rows, base);
  publish(
    {
      name: "memory",
      title: "Peak memory of a fit",
      command: "npm run bench:memory",
      machine,
      about: [
        `Peak resident set of a process that makes the data and fits one network to a gap of 1e-3 for at most ${flags.limit} s,`,
        less,
        "Beside it what the sizes say: the data in float64 (8 n d), the masks (n P / 8), a dense Newton matrix",
        "(8 n^2, where that solver ran).",
      ],
      sections: [{ title: "Against n, P and d", cells: cellsOf(rows) }],
      data: { settings, base, rows },
    },
    flags,
  );
}
if (pictures.length > 0) {
  const patches = (SIDE - FILTER + 1) ** 2;
  publish(
    {
      name: "memory-images",
      title: "Peak memory of a convolutional fit",
      command: `npm run bench:memory -- --rows "" --gates "" --features "" --limit ${flags.limit}`,
      machine,
      about: [
        `Peak resident set of a process that makes images of ${SIDE} x ${SIDE} x ${CHANNELS} and fits a gated network of filters of`,
        `${FILTER} x ${FILTER}, ${patches} patches an image, to a gap of 1e-3 for at most ${flags.limit} s,`,
        less,
        "Beside it what the sizes say: the images in float64, the masks (n K P / 8), and the matrix of all patches, which is not",
        "made. Seconds are those of the solver, which has what the gates leave of the limit, of the whole call of fit, and those that",
        "processors gave to all threads of the process, which on a machine with other work say more.",
      ],
      sections: [{ title: "Against n", cells: imageCellsOf(pictures) }],
      data: { settings, base, rows: pictures },
    },
    flags,
  );
}

function run(wish: MemoryCase): MemoryUse {
  const args = ["--import", "tsx", script, JSON.stringify(wish)];
  const child = spawnSync(process.execPath, args, { encoding: "utf8" });
  if (child.status !== 0) throw new Error(`bench/peak.ts ended with ${child.status ?? child.signal}:\n${child.stderr}`);
  return JSON.parse(child.stdout.trim().split("\n").pop() ?? "");
}

function cellsOf(all: readonly MemoryRow[]): string[][] {
  return [
    ["varied", "model", "n", "d", "P", "solver", "status", "seconds", "peak", "data", "masks", "Newton matrix"],
    ...all.map((row) => [
      row.varied,
      row.formulation,
      String(row.n),
      String(row.d),
      String(row.P),
      row.solver,
      row.status,
      seconds(row.seconds),
      bytes(Math.max(0, row.peakBytes - base.peakBytes)),
      bytes(8 * row.n * row.d),
      bytes(row.maskBytes),
      row.solver === "proximal-newton" ? bytes(8 * row.n ** 2) : "",
    ]),
  ];
}

function imageCellsOf(all: readonly MemoryUse[]): string[][] {
  return [
    [
      "n",
      "d",
      "P",
      "solver",
      "status",
      "gap",
      "solver s",
      "call s",
      "processor s",
      "peak",
      "images",
      "masks",
      "all patches",
    ],
    ...all.map((row) => [
      String(row.n),
      String(row.d),
      String(row.P),
      row.solver,
      row.status,
      row.relativeGap.toPrecision(2),
      seconds(row.seconds),
      seconds(row.callSeconds),
      seconds(row.processorSeconds),
      bytes(Math.max(0, row.peakBytes - base.peakBytes)),
      bytes(8 * row.n * SIDE ** 2 * CHANNELS),
      bytes(row.maskBytes),
      bytes(8 * row.n * (SIDE - FILTER + 1) ** 2 * row.d),
    ]),
  ];
}
