/** What rows are made of: n of them, d columns, targets of a kind; and what goes wrong. */
export interface RowsWish {
  readonly n: number;
  readonly d: number;
  readonly outputs?: number;
  readonly targets?: "real" | "sign" | "probability" | "class" | "distribution";
  readonly shift?: number;
  readonly away?: number;
  readonly wrong?: "empty" | "width" | "throws" | "nan" | "target" | "never" | "dies" | null;
  readonly at?: number;
}

export function rowOf(j: number, args: RowsWish): { x: Float32Array; y: number[] | number };

export function rows(which: { shard: number; shards: number; args: RowsWish }): AsyncIterable<unknown>;
