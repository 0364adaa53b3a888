/**
 * Rows of a planted network of 20 ReLU units with noise, for sharded benches: plain JavaScript, since workers load it. Row j is the same
 * whatever shard has it, and comes in blocks.
 */

const BLOCK = 4096;
const UNITS = 20;
const NOISE = 0.1;
const CLASSES = 10;

/** Uniform numbers in [-1, 1) from a 32-bit seed: mulberry32 (Ettinger 2017). */
function source(seed) {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 31 - 1;
  };
}

/** Targets: what the network answers, its sign, or which of ten such networks of the same units answers most. */
export function planted(from, to, d, targets = "real") {
  const teacher = source(7);
  const W = Float64Array.from({ length: UNITS * d }, teacher);
  const outputs = targets === "class" ? CLASSES : 1;
  const a = Float64Array.from({ length: outputs * UNITS }, teacher);
  const x = new Float32Array((to - from) * d);
  const y = new Float32Array(to - from);
  for (let j = from; j < to; j++) {
    const draw = source(Math.imul(j + 1, 0x9e3779b9));
    const at = (j - from) * d;
    for (let p = 0; p < d; p++) x[at + p] = draw();
    const values = Array.from({ length: outputs }, () => NOISE * draw());
    for (let i = 0; i < UNITS; i++) {
      let z = 0;
      for (let p = 0; p < d; p++) z += W[i * d + p] * x[at + p];
      if (z > 0) for (let c = 0; c < outputs; c++) values[c] += (a[c * UNITS + i] * z) / Math.sqrt(d);
    }
    y[j - from] = targets === "real" ? values[0] : targets === "sign" ? (values[0] < 0 ? -1 : 1) : argmax(values);
  }
  return { x, y };
}

function argmax(values) {
  return values.indexOf(Math.max(...values));
}

export function* rows({ shard, shards, args: { n, d, targets } }) {
  const end = Math.floor(((shard + 1) * n) / shards);
  for (let from = Math.floor((shard * n) / shards); from < end; from += BLOCK) {
    yield planted(from, Math.min(from + BLOCK, end), d, targets);
  }
}
