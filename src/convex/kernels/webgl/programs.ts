/**
 * The fragment programs of steps and blocks of the WebGL engine, in GLSL ES 3 for the tfjs backend.
 *
 * Matrices are packed as tfjs packs them: a texel holds rows r, r + 1 and columns c, c + 1 as (x, y; z, w). All sizes are even.
 * Vectors are rows, that of gate i, position a and output c being (a C + c) P + i, so that a texel holds two gates of one output.
 */

/** Sizes, rounded up to even numbers but for `outputs`, `perGate` and `order`. */
export interface PackedSizes {
  readonly rows: number; // n
  readonly width: number; // d
  readonly gates: number; // P
  readonly outputs: number; // C
  readonly columns: number; // C rounded up
  readonly perGate: number; // A C
  readonly order: number; // of Gram matrices and factors
  readonly orderColumns: number; // order rounded up
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

export function program(
  outputShape: [number, number],
  variableNames: string[],
  userCode: string,
  uniforms: string[] = [],
): PackedProgram {
  const customUniforms = uniforms.map((name) => ({ name, type: "float" as const }));
  return { variableNames, outputShape, userCode, packedInputs: true, packedOutput: true, customUniforms };
}

/** [P A C x d]: the sum of the splits. */
export function sumProgram({ width, gates, perGate }: PackedSizes, splits: number): PackedProgram {
  return program(
    [gates * perGate, width],
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
const MOVED = `${DESCENDED}
vec4 moved(int row, int p) { return getBase(row, p) + descended(row, p); }`;

/** [P A C x 2]: |base + y - step g|^2 in column 0. */
export function squaresProgram({ width, gates, perGate }: PackedSizes): PackedProgram {
  return program(
    [gates * perGate, 2],
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
export function shrinkProgram({ width, gates, perGate }: PackedSizes): PackedProgram {
  return program(
    [gates * perGate, width],
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

/** [P r x columns]: U U' of each gate's block U of base + y - step g, row (gate, a) being that of a. */
export function gramProgram({ width, gates, perGate, orderColumns }: PackedSizes): PackedProgram {
  return program(
    [gates * perGate, orderColumns],
    ["Base", "Y", "G"],
    `${SUMS} ${MOVED}
    void main() {
      ivec2 rc = getOutputCoords();
      int gate = rc.x - rc.x / ${gates} * ${gates};
      int first = rc.y * ${gates} + gate;
      int second = min(rc.y + 1, ${perGate - 1}) * ${gates} + gate;
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

/** [P r x columns]: U' U of the same. */
export function rightGramProgram({ gates, perGate, order, orderColumns }: PackedSizes): PackedProgram {
  return program(
    [gates * order, orderColumns],
    ["Base", "Y", "G"],
    `${SUMS} ${MOVED}
    void main() {
      ivec2 rc = getOutputCoords();
      int p = rc.x / ${gates};
      int gate = rc.x - p * ${gates};
      vec4 sum = vec4(0.);
      vec4 rest = vec4(0.);
      for (int c = 0; c < ${perGate}; c++) {
        int row = c * ${gates} + gate;
        vec4 u = moved(row, p - (p & 1));
        add(sum, rest, ((p & 1) == 0 ? u.xxzz : u.yyww) * moved(row, rc.y));
      }
      setOutput(sum + rest);
    }`,
    ["stepSize"],
  );
}

/** x+ - base = S (y - step g) + (S - I) base for each gate; row (gate, a) of Factors [P r x columns] is row a of S - I. */
export function combineProgram({ width, gates, perGate }: PackedSizes): PackedProgram {
  return program(
    [gates * perGate, width],
    ["Base", "Y", "G", "Factors"],
    `${DESCENDED}
    void main() {
      ivec2 rc = getOutputCoords();
      int own = rc.x / ${gates};
      int gate = rc.x - own * ${gates};
      vec4 result = vec4(0.);
      for (int c = 0; c < ${perGate}; c++) {
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

/** x+ - base = (y - step g) S + base (S - I) of the same. */
export function rightCombineProgram({ width, gates, perGate, order }: PackedSizes): PackedProgram {
  return program(
    [gates * perGate, width],
    ["Base", "Y", "G", "Factors"],
    `${MOVED}
    void main() {
      ivec2 rc = getOutputCoords();
      int gate = rc.x - rc.x / ${gates} * ${gates};
      vec4 result = descended(rc.x, rc.y);
      for (int q = 0; q < ${width}; q += 2) {
        vec4 u = moved(rc.x, q);
        result += u.xxzz * getFactors(q * ${gates} + gate, rc.y);
        result += u.yyww * getFactors(min(q + 1, ${order - 1}) * ${gates} + gate, rc.y);
      }
      setOutput(result);
    }`,
    ["stepSize"],
  );
}

/** [P A C x 2]: |x+ - y|^2 and <y - x+, x+ - x> of each vector. */
export function reportProgram({ width, gates, perGate }: PackedSizes): PackedProgram {
  return program(
    [gates * perGate, 2],
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

/** Entry by entry: `formula` of the texels a, b, c of three matrices [P A C x d], and of a number m. */
export function entryProgram({ width, gates, perGate }: PackedSizes, formula: string): PackedProgram {
  return program(
    [gates * perGate, width],
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
