/** Two classes of points in the plane, the same for the same seed. */

import type { Rows, Task } from "./task.js";

/** Coordinates are cut to this many decimals, so that the code of a run can hold them. */
const DECIMALS = 4;

type Draw = (share: number, label: number, normal: () => number, uniform: () => number) => [number, number];

const shapes: Readonly<Record<"moons" | "spirals" | "circles" | "xor", Draw>> = {
  moons: (share, label) => {
    const angle = Math.PI * share;
    return label === 0
      ? [Math.cos(angle) - 0.5, Math.sin(angle) - 0.25]
      : [0.5 - Math.cos(angle), 0.25 - Math.sin(angle)];
  },
  spirals: (share, label) => {
    const angle = 0.5 + 1.5 * Math.PI * share;
    const radius = 0.2 + 0.9 * share;
    const side = label === 0 ? 1 : -1;
    return [side * radius * Math.cos(angle), side * radius * Math.sin(angle)];
  },
  circles: (share, label) => {
    const radius = label === 0 ? 1 : 0.45;
    return [radius * Math.cos(2 * Math.PI * share), radius * Math.sin(2 * Math.PI * share)];
  },
  xor: (_share, label, _normal, uniform) => {
    const a = 0.1 + 0.9 * uniform();
    const b = 0.1 + 0.9 * uniform();
    const side = uniform() < 0.5 ? 1 : -1;
    return label === 0 ? [side * a, side * b] : [side * a, -side * b];
  },
};

const CLASSES: Readonly<Record<keyof typeof shapes, readonly [string, string]>> = {
  moons: ["upper moon", "lower moon"],
  spirals: ["one arm", "other arm"],
  circles: ["outer ring", "inner ring"],
  xor: ["equal signs", "unequal signs"],
};
/** Points that are drawn anew to see how well a network knows the shape. */
const HELD = 400;
const HELD_SEED = 2;

export function makeToy(name: keyof typeof shapes, points: number, noise: number): Task {
  return {
    ...draw(name, points, noise, 1),
    name,
    cols: 2,
    classes: CLASSES[name],
    held: draw(name, HELD, noise, HELD_SEED),
  };
}

function draw(name: keyof typeof shapes, points: number, noise: number, seed: number): Rows {
  const uniform = mulberry32(seed);
  const normal = () => Math.sqrt(-2 * Math.log(1 - uniform())) * Math.cos(2 * Math.PI * uniform());
  const x = new Float32Array(2 * points);
  const y = new Float32Array(points);
  const half = Math.ceil(points / 2);
  for (let k = 0; k < points; k++) {
    const label = k % 2;
    const share = Math.floor(k / 2) / Math.max(1, half - 1);
    const [a, b] = shapes[name](share, label, normal, uniform);
    x[2 * k] = cut(a + noise * normal());
    x[2 * k + 1] = cut(b + noise * normal());
    y[k] = label;
  }
  return { rows: points, x, y };
}

export function cut(value: number): number {
  return Number(value.toFixed(DECIMALS));
}

/** The generator mulberry32 (Tommy Ettinger, public domain): 32 bits of state are enough for a picture. */
function mulberry32(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}
