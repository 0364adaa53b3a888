/**
 * The fragment programs of the two products with masks, without patches: words of 16 rows, which float32 holds exactly.
 */

import { type PackedProgram, type PackedSizes, program } from "./programs.js";

/** Bits of a word of a mask. */
export const WORD = 16;

/** The masks of gates i, i + 1 in word w. */
export const MASKS = `
ivec2 wordsOf(int gate, int word) {
  vec4 m = getMasks(gate, word - (word & 1));
  return ivec2((word & 1) == 0 ? m.xz : m.yw);
}`;

/** [n x columns splits]: sums of D_i X v_i over the gates of each split; split s stands in columns from s times `columns`. */
export function forwardProgram({ width, gates, outputs, columns, rows }: PackedSizes, splits: number): PackedProgram {
  const span = 2 * Math.ceil(gates / 2 / splits);
  return program(
    [rows, columns * splits],
    ["X", "V", "Masks"],
    `${MASKS}
    void main() {
      ivec2 rc = getOutputCoords();
      int split = rc.y / ${columns};
      int output0 = rc.y - split * ${columns};
      int shift = rc.x & ${WORD - 1};
      int end = min((split + 1) * ${span}, ${gates});
      vec4 result = vec4(0.);
      for (int gate = split * ${span}; gate < end; gate += 2) {
        ivec2 words = wordsOf(gate, rc.x / ${WORD}) >> shift;
        vec4 open = vec4(ivec4(words & 1, (words >> 1) & 1));
        if (open == vec4(0.)) continue;
        for (int k = 0; k < 2; k++) {
          if (output0 + k >= ${outputs}) break;
          vec4 products = vec4(0.); // rows r, r + 1 by gates i, i + 1
          for (int p = 0; p < ${width}; p += 2) {
            vec4 x = getX(rc.x, p);
            vec4 v = getV((output0 + k) * ${gates} + gate, p);
            products += x.xxzz * v.xzxz + x.yyww * v.ywyw;
          }
          products *= open;
          result[k] += products.x + products.y;
          result[k + 2] += products.z + products.w;
        }
      }
      setOutput(result);
    }`,
  );
}

/** [P C x d splits]: X' D_i R_c over the rows of each split; split s stands in columns from s d. */
export function adjointProgram(
  { rows, width, gates, outputs }: PackedSizes,
  words: number,
  splits: number,
): PackedProgram {
  const span = Math.ceil(words / splits);
  return program(
    [gates * outputs, width * splits],
    ["X", "R", "Masks"],
    `${MASKS}
    void main() {
      ivec2 rc = getOutputCoords();
      int split = rc.y / ${width};
      int p = rc.y - split * ${width};
      int output0 = rc.x / ${gates};
      int gate = rc.x - output0 * ${gates};
      int end = min((split + 1) * ${span}, ${words});
      vec4 result = vec4(0.);
      for (int word = split * ${span}; word < end; word++) {
        ivec2 words = wordsOf(gate, word);
        if (words == ivec2(0)) continue;
        vec4 part = vec4(0.); // a sum of sums keeps its digits
        for (int k = 0; k < ${WORD}; k += 2) {
          int row = word * ${WORD} + k;
          if (row >= ${rows}) break;
          vec4 two = getR(output0 - (output0 & 1), row);
          vec2 r = (output0 & 1) == 0 ? two.xy : two.zw;
          vec4 masked = vec4((words.xxyy >> ivec4(k, k + 1, k, k + 1)) & 1) * r.xyxy;
          vec4 x = getX(row, p);
          part += masked.xxzz * x.xyxy + masked.yyww * x.zwzw;
        }
        result += part;
      }
      setOutput(result);
    }`,
  );
}
