/** Rows of a table by their numbers. */

import { type Make, partOf, type WeightPlace } from "./operation.js";

/** Row x of the table [.. x units] for each of `count` numbers x of a sample, cut to whole ones; NaN where there is none. */
export function embedding(count: number, units: number, table: WeightPlace): Make {
  const most = table.size / units;
  /** Calls `use` with each entry that is there: of the table, of what is made. */
  const eachEntry = (n: number, numbers: Float64Array, use: (from: number, to: number) => void) => {
    for (let k = 0; k < count; k++) {
      for (let s = 0; s < n; s++) {
        const row = Math.trunc(numbers[k * n + s]);
        if (!(row >= 0 && row < most)) continue;
        for (let c = 0; c < units; c++) use(row * units + c, (k * units + c) * n + s);
      }
    }
  };
  return () => ({
    size: count * units,
    work: count * units,
    room: 0,
    forward(n, [numbers], weights, out) {
      const rows = partOf(weights, table);
      out.fill(Number.NaN);
      eachEntry(n, numbers, (from, to) => {
        out[to] = rows[from];
      });
    },
    backward(n, [numbers], _weights, _out, pull, [below], gradient) {
      below?.fill(0);
      if (!table.trained) return;
      const rows = partOf(gradient, table);
      eachEntry(n, numbers, (to, from) => {
        rows[to] += pull[from];
      });
    },
  });
}
