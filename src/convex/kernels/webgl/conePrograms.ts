/**
 * The fragment programs of blocks of a splitting: vectors are rows, that of side s (0: positive neurons), output c and gate i being
 * (s C + c) P + i, and q [2 C P x n] has a row for each.
 */

import { MASKS, WORD } from "./productPrograms.js";
import { type PackedProgram, type PackedSizes, program } from "./programs.js";

/** Which gate, output and side a row of vectors belongs to. */
const placeOf = ({ gates, outputs }: PackedSizes) => `
int gate = rc.x - rc.x / ${gates} * ${gates};
bool positive = rc.x < ${gates * outputs};
int output0 = rc.x / ${gates} - (positive ? 0 : ${outputs});`;

/**
 * [2 C P x n]: weight S |q| + sign D U. Made once for all features: in the product with X, of which every fragment reads all of it, the mask
 * would be read again for each two of them.
 */
export function slackProgram(sizes: PackedSizes): PackedProgram {
  const { rows, gates, outputs } = sizes;
  return program(
    [2 * outputs * gates, rows],
    ["Q", "U", "Masks"],
    `${MASKS}
    void main() {
      ivec2 rc = getOutputCoords();
      ${placeOf(sizes)}
      ivec2 words = wordsOf(gate, rc.y / ${WORD});
      int k = rc.y & ${WORD - 1};
      vec4 open = vec4((words.xxyy >> ivec4(k, k + 1, k, k + 1)) & 1);
      vec4 two = getU(output0 - (output0 & 1), rc.y);
      vec2 u = (output0 & 1) == 0 ? two.xy : two.zw;
      if (!positive) u = -u;
      setOutput((2. * open - 1.) * weight * abs(getQ(rc.x, rc.y)) + open * u.xyxy);
    }`,
    ["weight"],
  );
}

/** [m x d splits]: M X over the rows of each split. */
export function backProgram(m: number, rows: number, width: number, splits: number): PackedProgram {
  const span = 2 * Math.ceil(rows / 2 / splits);
  return program(
    [m, width * splits],
    ["M", "X"],
    `void main() {
      ivec2 rc = getOutputCoords();
      int split = rc.y / ${width};
      int p = rc.y - split * ${width};
      int end = min((split + 1) * ${span}, ${rows});
      vec4 result = vec4(0.);
      for (int from = split * ${span}; from < end; from += 64) {
        vec4 part = vec4(0.); // a sum of sums keeps its digits
        for (int row = from; row < min(from + 64, end); row += 2) {
          vec4 m = getM(rc.x, row);
          vec4 x = getX(row, p);
          part += m.xxzz * x.xyxy + m.yyww * x.zwzw;
        }
        result += part;
      }
      setOutput(result);
    }`,
  );
}

/** q := a h + (1 - a) max(0, q) + min(0, q), h = S Y G, q times keep before. */
export function clampProgram(sizes: PackedSizes): PackedProgram {
  const { rows, width, gates, outputs } = sizes;
  return program(
    [2 * outputs * gates, rows],
    ["Y", "G", "Q", "Masks"],
    `${MASKS}
    void main() {
      ivec2 rc = getOutputCoords();
      ${placeOf(sizes)}
      vec4 h = vec4(0.);
      for (int p = 0; p < ${width}; p += 2) {
        vec4 g = getG(rc.x, p);
        vec4 y = getY(rc.y, p);
        h += g.xxzz * y.xzxz + g.yyww * y.ywyw;
      }
      ivec2 words = wordsOf(gate, rc.y / ${WORD});
      int k = rc.y & ${WORD - 1};
      h *= 2. * vec4((words.xxyy >> ivec4(k, k + 1, k, k + 1)) & 1) - 1.;
      vec4 q = keep * getQ(rc.x, rc.y);
      setOutput(relaxation * h + (1. - relaxation) * max(q, 0.) + min(q, 0.));
    }`,
    ["relaxation", "keep"],
  );
}

/** [m x n]: a product of two matrices, [m x k] and [k x n]. */
export function productProgram(m: number, k: number, n: number): PackedProgram {
  return program(
    [m, n],
    ["A", "B"],
    `void main() {
      ivec2 rc = getOutputCoords();
      vec4 result = vec4(0.);
      for (int k = 0; k < ${k}; k += 2) {
        vec4 a = getA(rc.x, k);
        vec4 b = getB(k, rc.y);
        result += a.xxzz * b.xyxy + a.yyww * b.zwzw;
      }
      setOutput(result);
    }`,
  );
}

/** [C P x d]: for each vector of a positive neuron \`formula\` of its texel a and b, that of its negative neuron. */
export function halvesProgram({ width, gates, outputs }: PackedSizes, formula: string): PackedProgram {
  return program(
    [outputs * gates, width],
    ["G"],
    `void main() {
      ivec2 rc = getOutputCoords();
      vec4 a = getG(rc.x, rc.y);
      vec4 b = getG(rc.x + ${outputs * gates}, rc.y);
      setOutput(${formula});
    }`,
  );
}

/** [2 C P x d]: G - A'W, of which Pull [C P x d] is the part of positive neurons. */
export function pulledProgram({ width, gates, outputs }: PackedSizes): PackedProgram {
  const half = outputs * gates;
  return program(
    [2 * half, width],
    ["G", "Pull"],
    `void main() {
      ivec2 rc = getOutputCoords();
      vec4 g = getG(rc.x, rc.y);
      if (rc.x < ${half}) g -= getPull(rc.x, rc.y);
      else g += getPull(rc.x - ${half}, rc.y);
      setOutput(g);
    }`,
  );
}

/** [rows x columns]: the sum of splits that stand side by side. */
export function splitsProgram(rows: number, columns: number, splits: number): PackedProgram {
  return program(
    [rows, columns],
    ["Parts"],
    `void main() {
      ivec2 rc = getOutputCoords();
      vec4 result = vec4(0.);
      for (int s = 0; s < ${splits}; s++) result += getParts(rc.x, s * ${columns} + rc.y);
      setOutput(result);
    }`,
  );
}

/** Each vector of T, [vectors x d], shortened by the threshold or to zero; Squares [vectors x 2] has their squares in column 0. */
export function shortenProgram(vectors: number, width: number): PackedProgram {
  return program(
    [vectors, width],
    ["T", "Squares"],
    `void main() {
      ivec2 rc = getOutputCoords();
      vec2 norms = sqrt(getSquares(rc.x, 0).xz);
      vec2 cut = vec2(norms.x <= threshold ? 1. : threshold / norms.x, norms.y <= threshold ? 1. : threshold / norms.y);
      setOutput((1. - cut.xxyy) * getT(rc.x, rc.y));
    }`,
    ["threshold"],
  );
}

/** [rows x 2]: sums over the columns of the squares of two formulas of the texels a, b, c of three matrices, and of a number m. */
export function squareSumsProgram(rows: number, columns: number, first: string, second: string): PackedProgram {
  return program(
    [rows, 2],
    ["A", "B", "C"],
    `void main() {
      int row = getOutputCoords().x;
      vec4 sum = vec4(0.);
      for (int from = 0; from < ${columns}; from += 64) {
        vec4 part = vec4(0.);
        for (int k = from; k < min(from + 64, ${columns}); k += 2) {
          vec4 a = getA(row, k);
          vec4 b = getB(row, k);
          vec4 c = getC(row, k);
          vec4 u = ${first};
          vec4 v = ${second};
          part += vec4(dot(u.xy, u.xy), dot(v.xy, v.xy), dot(u.zw, u.zw), dot(v.zw, v.zw));
        }
        sum += part;
      }
      setOutput(sum);
    }`,
    ["m"],
  );
}
