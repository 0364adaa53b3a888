/**
 * The fragment programs of the WebGL engine, in GLSL ES 3 for the tfjs backend.
 *
 * Matrices are packed as tfjs packs them: a texel holds rows r, r + 1 and columns c, c + 1 as (x, y; z, w). All sizes are even.
 * Vectors are rows, that of gate i and output c being c P + i, so that a texel holds two gates of one output. Masks are words
 * of 16 bits, which float32 holds exactly.
 */

/** Sizes, rounded up to even numbers but for `outputs`. */
export interface PackedSizes {
  readonly rows: number; // n
  readonly width: number; // d
  readonly gates: number; // P
  readonly outputs: number; // C
  readonly columns: number; // C rounded up
  readonly words: number; // of 16 rows
}

/** What `runWebGLProgram` of the tfjs backend takes. */
export interface PackedProgram {
  readonly variableNames: string[];
  readonly outputShape: number[];
  readonly userCode: string;
  readonly packedInputs: true;
  readonly packedOutput: true;
  readonly customUniforms?: { name: string; type: "float" }[];
}

/** Bits of a word of a mask. */
export const WORD = 16;

function program(
  outputShape: [number, number],
  variableNames: string[],
  userCode: string,
  uniforms: string[] = [],
): PackedProgram {
  const customUniforms = uniforms.map((name) => ({ name, type: "float" as const }));
  return { variableNames, outputShape, userCode, packedInputs: true, packedOutput: true, customUniforms };
}

/** The masks of gates i, i + 1 in word w. */
const MASKS = `
ivec2 wordsOf(int gate, int word) {
  vec4 m = getMasks(gate, word - (word & 1));
  return ivec2((word & 1) == 0 ? m.xz : m.yw);
}`;

/** [n x columns splits]: sums of D_i X v_i over the gates of each split; split s stands in columns from s times `columns`. */
export function forwardProgram({ rows, width, gates, outputs, columns }: PackedSizes, splits: number): PackedProgram {
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
export function adjointProgram({ rows, width, gates, outputs, words }: PackedSizes, splits: number): PackedProgram {
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

/** [P C x d]: the sum of the splits. */
export function sumProgram({ width, gates, outputs }: PackedSizes, splits: number): PackedProgram {
  return program(
    [gates * outputs, width],
    ["Parts"],
    `void main() {
      ivec2 rc = getOutputCoords();
      vec4 result = vec4(0.);
      for (int s = 0; s < ${splits}; s++) result += getParts(rc.x, s * ${width} + rc.y);
      setOutput(result);
    }`,
  );
}

/** Adds to four sums with their rounding errors (Knuth's TwoSum); a compiler that is too clever makes them plain sums. */
const SUMS = `
void add(inout vec4 sum, inout vec4 rest, vec4 value) {
  vec4 next = sum + value;
  vec4 part = next - sum;
  rest += (sum - (next - part)) + (value - part);
  sum = next;
}`;

const DESCENDED = `vec4 descended(int row, int p) { return getY(row, p) - stepSize * getG(row, p); }`;

/** [P C x 2]: |base + y - step g|^2 in column 0. */
export function squaresProgram({ width, gates, outputs }: PackedSizes): PackedProgram {
  return program(
    [gates * outputs, 2],
    ["Base", "Y", "G"],
    `${SUMS} ${DESCENDED}
    void main() {
      int row = getOutputCoords().x;
      vec4 sum = vec4(0.);
      vec4 rest = vec4(0.);
      for (int p = 0; p < ${width}; p += 2) {
        vec4 u = getBase(row, p) + descended(row, p);
        add(sum, rest, vec4(dot(u.xy, u.xy), 0., dot(u.zw, u.zw), 0.));
      }
      setOutput(sum + rest);
    }`,
    ["stepSize"],
  );
}

/** x+ - base: each vector of base + y - step g shortened by the threshold. */
export function shrinkProgram({ width, gates, outputs }: PackedSizes): PackedProgram {
  return program(
    [gates * outputs, width],
    ["Base", "Y", "G", "Squares"],
    `${DESCENDED}
    void main() {
      ivec2 rc = getOutputCoords();
      vec2 norms = sqrt(getSquares(rc.x, 0).xz);
      vec2 cut = vec2(norms.x <= threshold ? 1. : threshold / norms.x, norms.y <= threshold ? 1. : threshold / norms.y);
      setOutput((1. - cut.xxyy) * descended(rc.x, rc.y) - cut.xxyy * getBase(rc.x, rc.y));
    }`,
    ["stepSize", "threshold"],
  );
}

/** [P C x columns]: products of the vector of (gate, output) with those of all outputs of the gate, in base + y - step g. */
export function gramProgram({ width, gates, outputs, columns }: PackedSizes): PackedProgram {
  return program(
    [gates * outputs, columns],
    ["Base", "Y", "G"],
    `${SUMS} ${DESCENDED}
    vec4 moved(int row, int p) { return getBase(row, p) + descended(row, p); }
    void main() {
      ivec2 rc = getOutputCoords();
      int gate = rc.x - rc.x / ${gates} * ${gates};
      int first = rc.y * ${gates} + gate;
      int second = min(rc.y + 1, ${outputs - 1}) * ${gates} + gate;
      vec4 sum = vec4(0.);
      vec4 rest = vec4(0.);
      for (int p = 0; p < ${width}; p += 2) {
        vec4 u = moved(rc.x, p);
        vec4 a = moved(first, p);
        vec4 b = moved(second, p);
        add(sum, rest, vec4(dot(u.xy, a.xy), dot(u.xy, b.xy), dot(u.zw, a.zw), dot(u.zw, b.zw)));
      }
      setOutput(sum + rest);
    }`,
    ["stepSize"],
  );
}

/** x+ - base = S (y - step g) + (S - I) base for each gate; row (gate, output) of Factors [P C x columns] is that of S - I. */
export function combineProgram({ width, gates, outputs }: PackedSizes): PackedProgram {
  return program(
    [gates * outputs, width],
    ["Base", "Y", "G", "Factors"],
    `${DESCENDED}
    void main() {
      ivec2 rc = getOutputCoords();
      int own = rc.x / ${gates};
      int gate = rc.x - own * ${gates};
      vec4 result = vec4(0.);
      for (int c = 0; c < ${outputs}; c++) {
        vec4 two = getFactors(rc.x, c - (c & 1));
        vec4 change = (c & 1) == 0 ? two.xxzz : two.yyww;
        int row = c * ${gates} + gate;
        result += (change + (c == own ? 1. : 0.)) * descended(row, rc.y) + change * getBase(row, rc.y);
      }
      setOutput(result);
    }`,
    ["stepSize"],
  );
}

/** [P C x 2]: |x+ - y|^2 and <y - x+, x+ - x> of each vector. */
export function reportProgram({ width, gates, outputs }: PackedSizes): PackedProgram {
  return program(
    [gates * outputs, 2],
    ["Next", "Y", "X"],
    `${SUMS}
    void main() {
      int row = getOutputCoords().x;
      vec4 sum = vec4(0.);
      vec4 rest = vec4(0.);
      for (int p = 0; p < ${width}; p += 2) {
        vec4 next = getNext(row, p);
        vec4 change = next - getY(row, p);
        vec4 ahead = next - getX(row, p);
        add(sum, rest, vec4(dot(change.xy, change.xy), -dot(change.xy, ahead.xy), dot(change.zw, change.zw), -dot(change.zw, ahead.zw)));
      }
      setOutput(sum + rest);
    }`,
  );
}

/** Entry by entry: `formula` of the texels a, b, c of three matrices [P C x d], and of a number m. */
export function entryProgram({ width, gates, outputs }: PackedSizes, formula: string): PackedProgram {
  return program(
    [gates * outputs, width],
    ["A", "B", "C"],
    `void main() {
      ivec2 rc = getOutputCoords();
      vec4 a = getA(rc.x, rc.y);
      vec4 b = getB(rc.x, rc.y);
      vec4 c = getC(rc.x, rc.y);
      setOutput(${formula});
    }`,
    ["m"],
  );
}
