/**
 * The fragment programs of outputs, bias and loss of a splitting: what lies between its products (solvers/splitting). Outputs are [n x C], the
 * bias [4 x C]: e, te, x and e before that.
 */

import type { LossTerms } from "../../types.js";
import { glsl, levelSource, pullSource } from "../device/index.js";
import { type PackedProgram, type PackedSizes, program } from "./programs.js";

/** [columns x rows]: r (z - c), turned; or a matrix alone where c is missing. */
export function turnedProgram(
  { rows, columns }: PackedSizes,
  inputs: readonly ["A"] | readonly ["A", "B"],
): PackedProgram {
  const value = inputs.length === 1 ? "getA(rc.y, rc.x)" : "weight * (getA(rc.y, rc.x) - getB(rc.y, rc.x))";
  return program(
    [columns, rows],
    [...inputs],
    `void main() {
      ivec2 rc = getOutputCoords();
      vec4 value = ${value};
      setOutput(value.xzyw);
    }`,
    inputs.length === 1 ? [] : ["weight"],
  );
}

const columnSum = (rows: number, texel: string) => `
      vec4 both = vec4(0.);
      for (int row = 0; row < ${rows}; row += 2) both += ${texel};
      vec2 sum = both.xy + both.zw;`;

/** [2 x columns]: in row 0 2 e - te + g^2 times the sums of r (z - c). */
export function pullsProgram({ rows, columns }: PackedSizes): PackedProgram {
  return program(
    [2, columns],
    ["Z", "C", "Bias"],
    `void main() {
      ivec2 rc = getOutputCoords();${columnSum(rows, "getZ(row, rc.y) - getC(row, rc.y)")}
      vec4 bias = getBias(0, rc.y);
      setOutput(vec4(2. * bias.xy - bias.zw + biasScale * weight * sum, 0., 0.));
    }`,
    ["weight", "biasScale"],
  );
}

/** [n x C]: W + Q^-1 1 times the pulls. */
export function pulledOutputsProgram({ rows, columns }: PackedSizes): PackedProgram {
  return program(
    [rows, columns],
    ["W", "Pulls", "OfBias"],
    `void main() {
      ivec2 rc = getOutputCoords();
      setOutput(getW(rc.x, rc.y) + getPulls(0, rc.y).xyxy * getOfBias(rc.x, 0).xxzz);
    }`,
  );
}

/** [4 x columns]: the bias after a step. */
export function biasProgram({ rows, columns }: PackedSizes): PackedProgram {
  return program(
    [4, columns],
    ["W", "Pulls", "Bias"],
    `void main() {
      ivec2 rc = getOutputCoords();${columnSum(rows, "getW(row, rc.y)")}
      vec4 bias = getBias(0, rc.y);
      vec2 x = getPulls(0, rc.y).xy - biasScale * sum;
      vec2 t = bias.zw + relaxation * (x - bias.xy);
      setOutput(rc.x == 0 ? vec4(share * t, t) : vec4(x, bias.xy));
    }`,
    ["biasScale", "relaxation", "share"],
  );
}

/** [n x C]: q = a W / r + (1 - a) z + c. */
export function relaxedProgram({ rows, columns }: PackedSizes): PackedProgram {
  return program(
    [rows, columns],
    ["W", "Z", "C"],
    `void main() {
      ivec2 rc = getOutputCoords();
      setOutput(relaxation / weight * getW(rc.x, rc.y) + (1. - relaxation) * getZ(rc.x, rc.y) + getC(rc.x, rc.y));
    }`,
    ["relaxation", "weight"],
  );
}

/** [n x 2]: in column 0 what the pulls of softmax at a row have in common; A [n x C] is the same in all columns. */
export function levelProgram({ rows, outputs }: PackedSizes): PackedProgram {
  return program(
    [rows, 2],
    ["Q", "Y", "A"],
    `${pullSource("categoricalCrossentropy", glsl)}
    float goal(int row, int column, float t) {
      vec4 q = getQ(row - (row & 1), column - (column & 1)) + t * getY(row - (row & 1), column - (column & 1));
      vec2 two = (row & 1) == 0 ? q.xy : q.zw;
      return (column & 1) == 0 ? two.x : two.y;
    }
    float levelAt(int row) {
      float t = tau * ((row & 1) == 0 ? getA(row - (row & 1), 0).x : getA(row - (row & 1), 0).z);
      ${levelSource("goal(row, column, t)", String(outputs), glsl)}
      return level;
    }
    void main() {
      int row = getOutputCoords().x;
      setOutput(vec4(levelAt(row), 0., levelAt(row + 1), 0.));
    }`,
    ["tau"],
  );
}

/** [n x C]: what the loss pulls at q; nothing in columns that only round up. */
export function pullProgram({ rows, columns, outputs }: PackedSizes, kind: LossTerms["kind"]): PackedProgram {
  const softmax = kind === "categoricalCrossentropy";
  return program(
    [rows, columns],
    ["Q", "Y", "A", ...(softmax ? ["Levels"] : [])],
    `${pullSource(kind, glsl)}
    void main() {
      ivec2 rc = getOutputCoords();
      vec4 q = getQ(rc.x, rc.y);
      vec4 y = getY(rc.x, rc.y);
      vec4 t = tau * getA(rc.x, rc.y);
      vec4 level = ${softmax ? "getLevels(rc.x, 0).xxzz" : "vec4(0.)"};
      vec4 pulls = vec4(pull(q.x, y.x, t.x, level.x), 0., pull(q.z, y.z, t.z, level.z), 0.);
      if (rc.y + 1 < ${outputs}) pulls.yw = vec2(pull(q.y, y.y, t.y, level.y), pull(q.w, y.w, t.w, level.w));
      setOutput(pulls);
    }`,
    ["tau"],
  );
}
