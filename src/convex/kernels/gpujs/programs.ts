/**
 * The kernels of the gpu.js engine, in the JavaScript that gpu.js translates; as text, since minifiers rewrite functions.
 *
 * Matrices are indexed [row][column]; vector i A C + a C + c is that of gate i, position a and output c. Masks are words of 16
 * bits, packed along the rows (of data) for one product and along the gates for the other, and read from the lowest bit up.
 */

/** Sizes that the kernels are compiled for, as `this.constants`. */
export interface Constants {
  readonly width: number; // d
  readonly outputs: number; // C
  readonly perGate: number; // A C
  readonly patches: number; // K
  readonly positions: number; // A
  readonly window: number; // K / A
  readonly rowWords: number; // of a gate's mask at one position
  readonly gateWords: number; // of a row's masks
}

/** Half a step against the rounding of a quotient that is to be a whole number. */
const GATE = "const gate = Math.floor((this.thread.y + 0.5) / this.constants.perGate);";
const ORIGIN = "base[v][p] + y[v][p] - numbers[0] * g[v][p]";

/** Copies a matrix to the device. */
export const upload = `function (values) { return values[this.thread.y][this.thread.x]; }`;

/** [P A C x d]: X' D_i R_c, as a sum of sums over 16 rows. */
export const adjoint = `function (X, R, masks) {
  ${GATE}
  const output = this.thread.y - gate * this.constants.outputs;
  let sum = 0;
  for (let w = 0; w < this.constants.rowWords; w++) {
    let word = masks[gate][w];
    let part = 0;
    for (let k = 0; k < 16; k++) {
      const rest = Math.floor(word * 0.5);
      if (word - 2 * rest > 0.5) {
        const row = w * 16 + k;
        part += R[output][row] * X[row][this.thread.x];
      }
      word = rest;
    }
    sum += part;
  }
  return sum;
}`;

/** [C x n]: the sum of D_i X v_i over the gates. */
export const forward = `function (X, V, masks) {
  let sum = 0;
  for (let w = 0; w < this.constants.gateWords; w++) {
    let word = masks[this.thread.x][w];
    let part = 0;
    for (let k = 0; k < 16; k++) {
      const rest = Math.floor(word * 0.5);
      if (word - 2 * rest > 0.5) {
        const v = (w * 16 + k) * this.constants.outputs + this.thread.y;
        for (let p = 0; p < this.constants.width; p++) part += X[this.thread.x][p] * V[v][p];
      }
      word = rest;
    }
    sum += part;
  }
  return sum;
}`;

/**
 * [P A C x d]: the sum over samples and patches of D_i x R_c. The patches of a position follow each other in its masks; places
 * [K x d] say where their entries stand in an image.
 */
export const adjointPatches = `function (images, R, masks, places) {
  ${GATE}
  const vector = this.thread.y - gate * this.constants.perGate;
  const position = Math.floor((vector + 0.5) / this.constants.outputs);
  const output = vector - position * this.constants.outputs;
  let sum = 0;
  for (let w = 0; w < this.constants.rowWords; w++) {
    let word = masks[gate][position * this.constants.rowWords + w];
    let part = 0;
    for (let k = 0; k < 16; k++) {
      const rest = Math.floor(word * 0.5);
      if (word - 2 * rest > 0.5) {
        const at = w * 16 + k;
        const row = Math.floor((at + 0.5) / this.constants.window);
        const index = (at - row * this.constants.window) * this.constants.positions + position;
        const place = places[index][this.thread.x];
        part += R[output][row] * images[row][place];
      }
      word = rest;
    }
    sum += part;
  }
  return sum;
}`;

/** [C x n]: the sum of D_i x v_i over the patches and gates; masks [n x K words]. */
export const forwardPatches = `function (images, V, masks, places) {
  let sum = 0;
  for (let index = 0; index < this.constants.patches; index++) {
    const position = index - Math.floor((index + 0.5) / this.constants.positions) * this.constants.positions;
    const first = position * this.constants.outputs + this.thread.y;
    for (let w = 0; w < this.constants.gateWords; w++) {
      let word = masks[this.thread.x][index * this.constants.gateWords + w];
      let part = 0;
      for (let k = 0; k < 16; k++) {
        const rest = Math.floor(word * 0.5);
        if (word - 2 * rest > 0.5) {
          const v = (w * 16 + k) * this.constants.perGate + first;
          for (let p = 0; p < this.constants.width; p++) {
            const place = places[index][p];
            part += images[this.thread.x][place] * V[v][p];
          }
        }
        word = rest;
      }
      sum += part;
    }
  }
  return sum;
}`;

/** [P A C x 1]: |base + y - step g|. */
export const norms = `function (base, y, g, numbers) {
  const v = this.thread.y;
  let sum = 0;
  for (let p = 0; p < this.constants.width; p++) {
    const u = ${ORIGIN};
    sum += u * u;
  }
  return Math.sqrt(sum);
}`;

/** [P A C x d]: x+ - base for x+ = base + y - step g, shortened by the threshold. */
export const shrink = `function (base, y, g, norms, numbers) {
  const v = this.thread.y;
  const p = this.thread.x;
  const norm = norms[v][0];
  let short = 1;
  if (norm > numbers[1]) short = numbers[1] / norm;
  return (1 - short) * (y[v][p] - numbers[0] * g[v][p]) - short * base[v][p];
}`;

/** [P A C x A C]: products of a vector of base + y - step g with those of all outputs of its gate. */
export const grams = `function (base, y, g, numbers) {
  ${GATE}
  const other = gate * this.constants.perGate + this.thread.x;
  let sum = 0;
  for (let p = 0; p < this.constants.width; p++) {
    const v = this.thread.y;
    sum += (${ORIGIN}) * (base[other][p] + y[other][p] - numbers[0] * g[other][p]);
  }
  return sum;
}`;

/** [P d x d]: of two columns of a gate's block. */
export const rightGrams = `function (base, y, g, numbers) {
  const gate = Math.floor((this.thread.y + 0.5) / this.constants.width);
  const column = this.thread.y - gate * this.constants.width;
  const other = this.thread.x;
  let sum = 0;
  for (let c = 0; c < this.constants.perGate; c++) {
    const v = gate * this.constants.perGate + c;
    const a = base[v][column] + y[v][column] - numbers[0] * g[v][column];
    sum += a * (base[v][other] + y[v][other] - numbers[0] * g[v][other]);
  }
  return sum;
}`;

/** [P A C x d]: S (y - step g) + (S - I) base, the factors being S - I. */
export const combine = `function (base, y, g, factors, numbers) {
  ${GATE}
  const p = this.thread.x;
  let sum = 0;
  for (let c = 0; c < this.constants.perGate; c++) {
    const v = gate * this.constants.perGate + c;
    const change = factors[this.thread.y][c];
    let share = change;
    if (v === this.thread.y) share = change + 1;
    sum += share * (y[v][p] - numbers[0] * g[v][p]) + change * base[v][p];
  }
  return sum;
}`;

/** [P A C x d]: (y - step g) S + base (S - I), S symmetric. */
export const rightCombine = `function (base, y, g, factors, numbers) {
  ${GATE}
  const v = this.thread.y;
  const p = this.thread.x;
  let sum = y[v][p] - numbers[0] * g[v][p];
  for (let q = 0; q < this.constants.width; q++) {
    const change = factors[gate * this.constants.width + q][p];
    sum += change * (base[v][q] + y[v][q] - numbers[0] * g[v][q]);
  }
  return sum;
}`;

/** [P A C x 2]: |x+ - y|^2 and <y - x+, x+ - x> of each vector. */
export const report = `function (next, y, x) {
  const v = this.thread.y;
  let sum = 0;
  for (let p = 0; p < this.constants.width; p++) {
    const change = next[v][p] - y[v][p];
    let other = change;
    if (this.thread.x > 0.5) other = x[v][p] - next[v][p];
    sum += change * other;
  }
  return sum;
}`;

/** [P A C x d]: x+ + momentum (x+ - x). */
export const extrapolate = `function (next, x, numbers) {
  const a = next[this.thread.y][this.thread.x];
  return a + numbers[2] * (a - x[this.thread.y][this.thread.x]);
}`;

/** [P A C x d]: base + x+. */
export const add = `function (base, next) {
  return base[this.thread.y][this.thread.x] + next[this.thread.y][this.thread.x];
}`;

/** [P A C x d]: a difference from the old base as one from the new base. */
export const shift = `function (value, fresh, base) {
  return value[this.thread.y][this.thread.x] - (fresh[this.thread.y][this.thread.x] - base[this.thread.y][this.thread.x]);
}`;
