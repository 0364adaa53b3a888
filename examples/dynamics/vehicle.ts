/**
 * A small helicopter, simulated: body axes x forward, y right, z down; seconds, metres, radians.
 *
 *     v' = R'g - w x v + T (b - e_z) - 0.05 |v| v,        T = g (1 + 0.8 collective) (1 + 0.3 / (1 + h^2)) + 0.8 v_z
 *     w' = J^-1 (-w x J w + M),                           M = (30 b_y - 2 w_x, -30 b_x - 2 w_y, 6 rudder - 1.5 w_z - 0.3 (T - g)),
 *     b_x' = (-0.3 elevator - b_x) / 0.12 - 0.05 w_y,     b_y' = (0.3 aileron - b_y) / 0.12 - 0.05 w_x,
 *
 * v the velocity, w the rates, R the attitude, h the height over ground, which carries (1 + 0.3 / (1 + h^2)), and b the tilt of the rotor's
 * disc, which follows the stick late and which no sensor sees: so a window of past samples tells more than one. J = diag(1, 1.2, 1.6).
 * A pilot holds the attitude by feedback and moves the sticks at random.
 */

import { gaussianSource } from "../../src/convex/linear/random.js";

export const STEP = 0.05; // seconds between samples
const INNER = 10; // steps of Runge and Kutta's method between two samples
const GRAVITY = 9.81;
const INERTIA = [1, 1.2, 1.6];

type Vector = readonly [number, number, number];

/** What sensors see at a moment. */
export interface Sample {
  readonly controls: readonly [number, number, number, number]; // aileron, elevator, rudder, collective, in the step that begins
  readonly velocity: Vector; // in the body's axes
  readonly rates: Vector;
  readonly attitude: readonly number[]; // [3 x 3], body to earth
  readonly height: number;
}

/** Velocity, rates, attitude, height, tilt in x and y: 17 numbers. */
type State = readonly number[];

const cross = ([a, b, c]: Vector, [x, y, z]: Vector): Vector => [b * z - c * y, c * x - a * z, a * y - b * x];

function change(state: State, [aileron, elevator, rudder, collective]: Sample["controls"]): number[] {
  const v: Vector = [state[0], state[1], state[2]];
  const w: Vector = [state[3], state[4], state[5]];
  const R = state.slice(6, 15);
  const [h, bx, by] = state.slice(15);
  const thrust = GRAVITY * (1 + 0.8 * collective) * (1 + 0.3 / (1 + h * h)) + 0.8 * v[2];
  const speed = Math.hypot(...v);
  const turning = cross(w, v);
  const force = [bx, by, -1];
  const dv = v.map((value, k) => GRAVITY * R[6 + k] - turning[k] + thrust * force[k] - 0.05 * speed * value);
  const moment = [30 * by - 2 * w[0], -30 * bx - 2 * w[1], 6 * rudder - 1.5 * w[2] - 0.3 * (thrust - GRAVITY)];
  const spin = cross(w, [INERTIA[0] * w[0], INERTIA[1] * w[1], INERTIA[2] * w[2]]);
  const dw = moment.map((value, k) => (value - spin[k]) / INERTIA[k]);
  return [
    ...dv,
    ...dw,
    ...turned(R, w),
    -fall(R, v),
    (-0.3 * elevator - bx) / 0.12 - 0.05 * w[1],
    (0.3 * aileron - by) / 0.12 - 0.05 * w[0],
  ];
}

/** R times the cross product's matrix of w: how the attitude changes. */
function turned(R: readonly number[], [p, q, r]: Vector): number[] {
  return [0, 1, 2].flatMap((i) => {
    const [a, b, c] = R.slice(3 * i, 3 * i + 3);
    return [b * r - c * q, c * p - a * r, a * q - b * p];
  });
}

/** The velocity towards the ground. */
const fall = (R: readonly number[], v: readonly number[]) => R[6] * v[0] + R[7] * v[1] + R[8] * v[2];

function moved(state: State, controls: Sample["controls"]): State {
  const step = STEP / INNER;
  let now = state;
  for (let k = 0; k < INNER; k++) {
    const along = (slope: readonly number[], by: number) => now.map((value, j) => value + by * slope[j]);
    const a = change(now, controls);
    const b = change(along(a, step / 2), controls);
    const c = change(along(b, step / 2), controls);
    const d = change(along(c, step), controls);
    now = now.map((value, j) => value + (step * (a[j] + 2 * b[j] + 2 * c[j] + d[j])) / 6);
  }
  return [...now.slice(0, 6), ...orthonormal(now.slice(6, 15)), ...now.slice(15)];
}

function orthonormal(R: readonly number[]): number[] {
  const unit = ([x, y, z]: Vector): Vector => {
    const length = Math.hypot(x, y, z);
    return [x / length, y / length, z / length];
  };
  const a = unit([R[0], R[1], R[2]]);
  const along = a[0] * R[3] + a[1] * R[4] + a[2] * R[5];
  const b = unit([R[3] - along * a[0], R[4] - along * a[1], R[5] - along * a[2]]);
  return [...a, ...b, ...cross(a, b)];
}

/** A flight of so many samples. */
export function fly(samples: number, seed: number): Sample[] {
  const draw = gaussianSource(seed);
  let state: State = [0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1, 2 + 3 * Math.abs(draw()), 0, 0];
  let sticks = [0, 0, 0, 0];
  let wish = [0, 0, 0, 0];
  const seen: Sample[] = [];
  for (let k = 0; k < samples; k++) {
    if (k % 30 === 0) wish = [0.25 * draw(), 0.25 * draw(), draw(), 1.5 * draw()]; // roll, pitch, climb, turn
    sticks = sticks.map((value) => 0.8 * value + 0.15 * draw());
    const [v, w, R, h] = [state.slice(0, 3), state.slice(3, 6), state.slice(6, 15), state[15]];
    const held = [
      0.8 * (wish[0] - R[7]) - 0.25 * w[0],
      0.8 * (wish[1] + R[6]) - 0.25 * w[1],
      0.4 * (wish[3] - w[2]),
      0.25 * (wish[2] + fall(R, v)) + (h < 3 ? 0.4 * (3 - h) : 0) - (h > 6 ? 0.1 * (h - 6) : 0),
    ];
    const within = (value: number) => Math.max(-1, Math.min(1, value));
    const controls = held.map((value, j) => within(value + sticks[j])) as unknown as Sample["controls"];
    seen.push({ controls, velocity: v as unknown as Vector, rates: w as unknown as Vector, attitude: R, height: h });
    state = moved(state, controls);
  }
  return seen;
}

/** The sample after this one, with these accelerations of velocity and rates held for the step; controls are those given. */
export function advanced(now: Sample, acceleration: ArrayLike<number>, controls: Sample["controls"]): Sample {
  const plus = (from: Vector, at: number) =>
    from.map((value, k) => value + STEP * acceleration[at + k]) as unknown as Vector;
  const [velocity, rates] = [plus(now.velocity, 0), plus(now.rates, 3)];
  const middle = now.rates.map((value, k) => (value + rates[k]) / 2) as unknown as Vector;
  const attitude = orthonormal(afterTurn(now.attitude, middle));
  const height = now.height - (STEP * (fall(now.attitude, now.velocity) + fall(attitude, velocity))) / 2;
  return { controls, velocity, rates, attitude, height };
}

/** The attitude after a step of constant rates, to second order. */
function afterTurn(R: readonly number[], w: Vector): number[] {
  const first = turned(R, w);
  const second = turned(first, w);
  return R.map((value, k) => value + STEP * first[k] + (STEP * STEP * second[k]) / 2);
}

/** Mean accelerations over the step from a sample to the next: 3 of the velocity, 3 of the rates. */
export function accelerations(now: Sample, next: Sample): number[] {
  const of = (a: Vector, b: Vector) => a.map((value, k) => (b[k] - value) / STEP);
  return [...of(now.velocity, next.velocity), ...of(now.rates, next.rates)];
}

/** The flight as sensors record it: velocity to 0.05 m/s, rates to 0.02 rad/s (standard deviations). */
export function recorded(flight: readonly Sample[], seed: number): Sample[] {
  const draw = gaussianSource(seed);
  const near = (of: Vector, spread: number) => of.map((value) => value + spread * draw()) as unknown as Vector;
  return flight.map((sample) => ({
    ...sample,
    velocity: near(sample.velocity, 0.05),
    rates: near(sample.rates, 0.02),
  }));
}

/** What a network is told of a sample: 14 numbers. */
export function featuresOf({ controls, velocity, rates, attitude, height }: Sample): number[] {
  return [...controls, ...velocity, ...rates, ...attitude.slice(6, 9), height];
}
