/**
 * What a loss pulls at an output, q - z with z the prox of t l(.; y) at q, in float32: as text that WGSL and GLSL read alike, but for the
 * words `number` and `count` before a variable. As a difference of q and z it would lose the digits in which they agree.
 */

import type { LossTerms } from "../../types.js";

/** `number` and `count` of a language, the first index, and how it writes a function of numbers. */
export interface Dialect {
  readonly number: string;
  readonly count: string;
  readonly zero: string;
  signature(name: string, parameters: readonly string[]): string;
}

export const wgsl: Dialect = {
  ...{ number: "var", count: "var", zero: "0u" },
  signature: (name, parameters) => `fn ${name}(${parameters.map((p) => `${p}: f32`).join(", ")}) -> f32`,
};
export const glsl: Dialect = {
  ...{ number: "float", count: "int", zero: "0" },
  signature: (name, parameters) => `float ${name}(${parameters.map((p) => `float ${p}`).join(", ")})`,
};

interface TextFunction {
  readonly name: string;
  readonly parameters: readonly string[];
  readonly body: string;
}

/**
 * The root e of e + t tanh(e) = b, b >= 0. The left side is concave, so that Newton from a point below the root stays below it, and
 * rises: |tanh e| <= min(1, e) says where to begin.
 */
const balanced: TextFunction = {
  name: "balanced",
  parameters: ["b", "t"],
  body: `
  number e = max(b - t, b / (1. + t));
  for (count k = 0; k < 32; k++) {
    number h = tanh(min(e, 20.));
    number rise = (b - e - t * h) / (1. + t * (1. - h * h));
    e += rise;
    if (rise <= 1e-7 * e) { break; }
  }
  return e;`,
};

/** The root w of w + log w = x (Wright's omega): concave as well, with e^x / (1 + e^x) <= w, and x - log x <= w where x >= 1. */
const omega: TextFunction = {
  name: "omega",
  parameters: ["x"],
  body: `
  if (x < -80.) { return 0.; }
  number s = exp(min(x, 1.));
  number w = s / (1. + s);
  if (x > 1.) { w = max(w, x - log(x)); }
  for (count k = 0; k < 5; k++) { w = w * (1. + x - log(w)) / (1. + w); }
  return w;`,
};

const shared = { name: "pull", parameters: ["q", "y", "t", "level"] };
const side = "number side = 1.;\n  if (b < 0.) { side = -1.; }";

/** By their tfjs names; `level` is of softmax alone, log t - log sum exp z. */
const bodies: Readonly<Record<LossTerms["kind"], string>> = {
  meanSquaredError: "return 2. * t / (1. + 2. * t) * (q - y);",
  hinge: "return -y * clamp(1. - y * q, 0., t);",
  squaredHinge: "return -y * max(1. - y * q, 0.) * (2. * t / (1. + 2. * t));",
  huberLoss: "return clamp(t / (1. + t) * (q - y), -t, t);",
  meanAbsoluteError: "return clamp(q - y, -t, t);",
  logcosh: `
  number b = q - y;
  ${side}
  return side * t * tanh(min(balanced(abs(b), t), 20.));`,
  // With z = 2 e, z + t sigmoid(z) = q + t y is e + t / 4 tanh(e) = b / 2.
  binaryCrossentropy: `
  number b = q + t * (y - 0.5);
  ${side}
  number z = side * 2. * balanced(0.5 * abs(b), 0.25 * t);
  number s = exp(-min(abs(z), 80.));
  number p = 1. / (1. + s);
  number rest = s / (1. + s);
  if (z < 0.) { return t * ((1. - y) * rest - y * p); }
  return t * ((1. - y) * p - y * rest);`,
  categoricalCrossentropy: `
  if (t <= 0.) { return 0.; }
  return omega(q + t * y + level) - t * y;`,
};

/** \`pull(q, y, t, level)\` with what it calls, and for softmax \`omega(x)\`. */
export function pullSource(kind: LossTerms["kind"], dialect: Dialect): string {
  const helpers = [balanced, omega].filter(({ name }) => bodies[kind].includes(`${name}(`));
  return [...helpers, { ...shared, body: bodies[kind] }]
    .map(({ name, parameters, body }) => `${dialect.signature(name, parameters)} {${inDialect(body, dialect)}\n}`)
    .join("\n");
}

/**
 * Statements that leave in \`level\` what softmax asks of a row, log t - lambda with sum_c omega(q_c + t y_c + level) = t, for expressions of
 * q_c + t y_c, c the variable \`column\`, and of the number of columns. From where the largest column alone makes t the sum falls to it, in a convex way: Newton never
 * passes the root.
 */
export function levelSource(entry: string, columns: string, dialect: Dialect): string {
  return inDialect(
    `
  number level = 0.;
  if (t > 0.) {
    number top = -3e38;
    for (count column = ${dialect.zero}; column < ${columns}; column++) { top = max(top, ${entry}); }
    level = t + log(t) - top;
    for (count k = 0; k < 24; k++) {
      number sum = 0.;
      number slope = 0.;
      for (count column = ${dialect.zero}; column < ${columns}; column++) {
        number w = omega(${entry} + level);
        sum += w;
        slope += w / (1. + w);
      }
      number step = (sum - t) / slope;
      level -= step;
      if (sum - t <= 1e-6 * t) { break; }
    }
  }`,
    dialect,
  );
}

function inDialect(body: string, { number, count }: Dialect): string {
  return body.replaceAll(/\bnumber\b/g, number).replaceAll(/\bcount\b/g, count);
}
