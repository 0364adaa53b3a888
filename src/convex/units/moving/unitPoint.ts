/** A point of the descent of units: each with one feed and a sign; made of a network and made into one, widened, pruned, compacted. */

import { concatenated, dot, norm } from "../../linear/vectors.js";
import type { Polynomial } from "../hiddenUnits.js";
import { outputsAtPlace } from "../places.js";
import type { PricedUnit } from "../polynomialOracle.js";
import type { PlacedData, SolvedUnit, UnitNetwork } from "../problem.js";
import { decompose } from "./decompose.js";

/** Units with less than this share of the largest output weight are dropped between rounds, and eigenvalues in the end. */
export const DEAD = 1e-8;

/** Units of one feed each: vectors p [m x d], their signs and feeds, and the output bias [C]. */
export interface UnitPoint {
  readonly P: Float64Array;
  readonly signs: readonly (1 | -1)[];
  readonly feeds: readonly number[];
  readonly bias: Float64Array;
}

/** The point with units that it lacks, each with the output weight of a Newton step of its own, shared among all. */
export function withUnits(
  { P, signs, feeds, bias }: UnitPoint,
  missing: readonly PricedUnit[],
  beta: number,
  { places, loss }: PlacedData,
  activation: Polynomial,
  N: Float64Array,
): UnitPoint {
  const { d, list } = places;
  const wider = new Float64Array(P.length + missing.length * d);
  wider.set(P);
  const reach = norm(N) / loss.curvature; // how far the outputs are from where the gradient is zero, at least
  missing.forEach(({ u, value, feed }, i) => {
    const h = outputsAtPlace(activation, list[Math.floor(feed / loss.outputs)], u);
    const square = dot(h, h);
    const step = (value - beta) / (loss.curvature * square * missing.length);
    const alpha = Math.min(step, reach / Math.sqrt(square));
    for (let p = 0; p < d; p++) wider[P.length + i * d + p] = Math.sqrt(alpha) * u[p];
  });
  return {
    P: wider,
    // A unit worth sign N'h > 0 lowers the loss with an output weight of the other sign.
    signs: [...signs, ...missing.map(({ sign }) => (sign > 0 ? -1 : 1) as 1 | -1)],
    feeds: [...feeds, ...missing.map(({ feed }) => feed)],
    bias,
  };
}

/** Without the units whose output weight has vanished. */
export function pruned({ P, signs, feeds, bias }: UnitPoint, d: number): UnitPoint {
  const weights = signs.map((_, j) => dot(P.subarray(j * d, (j + 1) * d), P.subarray(j * d, (j + 1) * d)));
  const floor = DEAD * weights.reduce((most, weight) => Math.max(most, weight), 0);
  const kept = signs.map((_, j) => j).filter((j) => weights[j] > floor);
  const left = new Float64Array(kept.length * d);
  kept.forEach((j, to) => {
    left.set(P.subarray(j * d, (j + 1) * d), to * d);
  });
  return { P: left, signs: kept.map((j) => signs[j]), feeds: kept.map((j) => feeds[j]), bias };
}

/** The same network with at most d + 1 units of a feed and sign; with `rank`, with as few as that many eigenvalues take. */
export function compacted({ P, signs, feeds, bias }: UnitPoint, d: number, rank: number | null = null): UnitPoint {
  const groups = new Map<string, number[]>();
  signs.forEach((sign, j) => {
    const key = `${feeds[j]} ${sign}`;
    groups.set(key, [...(groups.get(key) ?? []), j]);
  });
  const parts = [...groups.values()].map((list) => {
    const given = concatenated(...list.map((j) => P.subarray(j * d, (j + 1) * d)));
    const fewer = rank !== null || list.length > d + 1 ? decompose(given, d, rank ?? 0) : given;
    return { vectors: fewer, count: fewer.length / d, sign: signs[list[0]], feed: feeds[list[0]] };
  });
  return {
    P: concatenated(...parts.map(({ vectors }) => vectors)),
    signs: parts.flatMap(({ sign, count }) => Array<1 | -1>(count).fill(sign)),
    feeds: parts.flatMap(({ feed, count }) => Array<number>(count).fill(feed)),
    bias,
  };
}

/** The same network, of `count` feeds, with as few units as its matrices have eigenvalues, up to rounding. */
export function withFewUnits(network: UnitNetwork, d: number, count: number): UnitNetwork {
  return networkOf(compacted(pointOf(network), d, DEAD), d, count);
}

export function pointOf({ units, bias }: UnitNetwork): UnitPoint {
  const entries = units.flatMap(({ weights, outputs }) =>
    Array.from(outputs, (alpha, feed) => ({ weights, alpha, feed })).filter(({ alpha }) => alpha !== 0),
  );
  return {
    P: concatenated(...entries.map(({ weights, alpha }) => weights.map((value) => Math.sqrt(Math.abs(alpha)) * value))),
    signs: entries.map(({ alpha }) => (alpha < 0 ? -1 : 1)),
    feeds: entries.map(({ feed }) => feed),
    bias,
  };
}

export function networkOf({ P, signs, feeds, bias }: UnitPoint, d: number, count: number): UnitNetwork {
  const units = signs.map((sign, j): SolvedUnit => {
    const p = P.slice(j * d, (j + 1) * d);
    const r = norm(p);
    const alpha = new Float64Array(count);
    alpha[feeds[j]] = sign * r * r;
    return { weights: p.map((value) => value / r), outputs: alpha };
  });
  return { units, bias };
}
