/** Rows for sharded fits in tests: plain JavaScript, since workers load it. What goes wrong, and where, is told by `args`. */

/** Uniform numbers in [-1, 1) from a seed: a linear congruential generator (Knuth's MMIX), in two halves. */
function source(seed) {
  let state = BigInt(seed) + 1n;
  return () => {
    state = (state * 6364136223846793005n + 1442695040888963407n) & ((1n << 64n) - 1n);
    return Number(state >> 11n) / 2 ** 52 - 1;
  };
}

/** Numbers on a grid so coarse that float32 has them beside a million, too. */
const GRID = 2 ** -4;

/**
 * Row j of all: the same whatever shard has it. With `shift`, targets are those on the grid (`shift: 0`) and so much more; with `away`, the
 * first column is so far from zero.
 */
export function rowOf(j, { d, outputs = 1, targets = "real", shift = null, away = 0 }) {
  const { x, y } = plainRowOf(j, { d, outputs, targets });
  if (away !== 0) x[0] += away;
  return shift === null ? { x, y } : { x, y: y.map((value) => GRID * Math.round(value / GRID) + shift) };
}

function plainRowOf(j, { d, outputs, targets }) {
  const draw = source(j);
  for (let k = 0; k < 4; k++) draw();
  const x = Float32Array.from({ length: d }, draw);
  // A number that a tensor holds, too.
  const value = (c) => Math.fround(Math.abs(x[0] + 0.3 * c) + x[1] * x[(2 + c) % d] - 0.4 + 0.1 * draw());
  const z = Array.from({ length: outputs }, (_, c) => value(c));
  if (targets === "sign") return { x, y: z.map((entry) => (entry >= 0 ? 1 : -1)) };
  if (targets === "probability") return { x, y: z.map((entry) => (entry >= 0 ? 1 : 0)) };
  if (targets === "class") return { x, y: z.indexOf(Math.max(...z)) };
  if (targets === "distribution") return { x, y: z.map((entry) => (entry === Math.max(...z) ? 1 : 0)) };
  return { x, y: z };
}

export async function* rows({ shard, shards, args }) {
  const { n, wrong = null, at = 0 } = args;
  const from = Math.floor((shard * n) / shards);
  const to = Math.floor(((shard + 1) * n) / shards);
  if (wrong === "empty" && shard === shards - 1) return;
  if (wrong === "never" && shard === shards - 1) await new Promise(() => {});
  if (wrong === "dies" && shard === shards - 1) process.exit(7);
  for (let j = from; j < to; j++) {
    const { x, y } = rowOf(j, args);
    if (wrong === "width" && shard === 1) yield { x: [...x, 1], y };
    else if (wrong === "throws" && j === at) throw new Error("the file ends here");
    else if (wrong === "nan" && j === at) yield { x: x.fill(Number.NaN, 1, 2), y };
    else if (wrong === "target" && j === at) yield { x, y: [Number.POSITIVE_INFINITY] };
    else yield { x, y };
  }
}
