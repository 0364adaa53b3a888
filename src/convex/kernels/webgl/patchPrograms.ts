/**
 * The fragment programs of the two products over patches, which are gathered from images and never stored.
 *
 * A texel of Images [n x pixels] holds one pixel and the next of two samples, so that a patch is made for two samples at once.
 * Places [K x d] says where its entries stand. Masks are words of 16 gates, [n x K words], that of sample j, patch k and word w
 * in column k words + w.
 */

import { type PackedProgram, type PackedSizes, program } from "./programs.js";

/** Bits of a word of a mask. */
export const WORD = 16;

/** Sizes of the patches; `words` of 16 gates is even. */
export interface PackedPatches {
  readonly patches: number; // K
  readonly positions: number; // A
  readonly words: number;
}

/** Entries p, p + 1 of a patch of samples j, j + 1, packed. */
const GATHER = `
ivec2 placesOf(int index, int p) {
  vec4 four = getPlaces(index - (index & 1), p);
  return ivec2((index & 1) == 0 ? four.xy : four.zw);
}
vec4 gathered(int row, ivec2 at) {
  vec4 a = getImages(row, at.x - (at.x & 1));
  vec4 b = getImages(row, at.y - (at.y & 1));
  vec2 first = (at.x & 1) == 0 ? a.xz : a.yw;
  vec2 second = (at.y & 1) == 0 ? b.xz : b.yw;
  return vec4(first.x, second.x, first.y, second.y);
}`;

/** Into how many items the sum of a forward product can be cut: patches by two words of gates. */
export function forwardItems({ patches, words }: PackedPatches): number {
  return (patches * words) / 2;
}

/** [n x columns splits]: sums of D_i x v_i over the patches and gates of each split, which stands in columns from s times `columns`. */
export function forwardPatchProgram(
  { rows, width, gates, outputs, columns }: PackedSizes,
  sizes: PackedPatches,
  splits: number,
): PackedProgram {
  const { positions, words } = sizes;
  const items = forwardItems(sizes);
  const span = Math.ceil(items / splits);
  return program(
    [rows, columns * splits],
    ["Images", "V", "Masks", "Places"],
    `${GATHER}
    void main() {
      ivec2 rc = getOutputCoords();
      int split = rc.y / ${columns};
      int output0 = rc.y - split * ${columns};
      int end = min((split + 1) * ${span}, ${items});
      vec4 result = vec4(0.);
      for (int item = split * ${span}; item < end; item++) {
        ivec4 words = ivec4(getMasks(rc.x, 2 * item)); // two words of each sample
        if (words == ivec4(0)) continue;
        int index = item / ${words / 2};
        int gate0 = (item - index * ${words / 2}) * ${2 * WORD};
        int most = min(${2 * WORD}, ${gates} - gate0);
        int column = (index - index / ${positions} * ${positions}) * ${outputs} + output0;
        for (int k = 0; k < 2; k++) {
          if (output0 + k >= ${outputs}) break;
          int first = (column + k) * ${gates} + gate0;
          vec2 part = vec2(0.);
          for (int p = 0; p < ${width}; p += 2) {
            vec4 x = gathered(rc.x, placesOf(index, p));
            for (int i = 0; i < most; i += 2) {
              ivec2 word = i < ${WORD} ? words.xz : words.yw;
              int bit = i & ${WORD - 1};
              vec4 open = vec4((word.xxyy >> ivec4(bit, bit + 1, bit, bit + 1)) & 1);
              vec4 v = getV(first + i, p);
              vec4 products = open * (x.xxzz * v.xzxz + x.yyww * v.ywyw); // samples j, j + 1 by gates i, i + 1
              part += products.xz + products.yw;
            }
          }
          result[k] += part.x;
          result[k + 2] += part.y;
        }
      }
      setOutput(result);
    }`,
  );
}

/** Into how many items the sum of an adjoint can be cut: the patches of a position by pairs of samples. */
export function adjointItems({ rows }: PackedSizes, { patches, positions }: PackedPatches): number {
  return ((patches / positions) * rows) / 2;
}

/** [P A C x d splits]: sums of D_i x R_c over the samples and patches of each split, which stands in columns from s d. */
export function adjointPatchProgram(even: PackedSizes, sizes: PackedPatches, splits: number): PackedProgram {
  const { rows, width, gates, outputs, perGate } = even;
  const { positions, words } = sizes;
  const pairs = rows / 2;
  const items = adjointItems(even, sizes);
  const span = Math.ceil(items / splits);
  return program(
    [gates * perGate, width * splits],
    ["Images", "R", "Masks", "Places"],
    `${GATHER}
    void main() {
      ivec2 rc = getOutputCoords();
      int split = rc.y / ${width};
      int p = rc.y - split * ${width};
      int column = rc.x / ${gates};
      int gate = rc.x - column * ${gates};
      int position = column / ${outputs};
      int output0 = column - position * ${outputs};
      int bit = gate & ${WORD - 1};
      int begin = split * ${span};
      int end = min(begin + ${span}, ${items});
      vec4 result = vec4(0.);
      for (int t = begin / ${pairs}; t * ${pairs} < end; t++) {
        int index = t * ${positions} + position;
        int word = index * ${words} + gate / ${WORD};
        ivec2 at = placesOf(index, p);
        int stop = min(end - t * ${pairs}, ${pairs});
        vec4 part = vec4(0.); // a sum of sums keeps its digits
        for (int pair = max(begin - t * ${pairs}, 0); pair < stop; pair++) {
          int row = 2 * pair;
          vec4 two = getMasks(row, word - (word & 1));
          ivec2 words = ivec2((word & 1) == 0 ? two.xz : two.yw) >> bit;
          vec4 open = vec4((words.xyxy >> ivec4(0, 0, 1, 1)) & 1);
          if (open != vec4(0.)) {
            vec4 both = getR(output0 - (output0 & 1), row);
            vec4 masked = open * ((output0 & 1) == 0 ? both.xyxy : both.zwzw);
            vec4 x = gathered(row, at);
            part += masked.xxzz * x.xyxy + masked.yyww * x.zwzw;
          }
          if ((pair & 15) == 15) {
            result += part;
            part = vec4(0.);
          }
        }
        result += part;
      }
      setOutput(result);
    }`,
  );
}
