export type Targets = "real" | "sign" | "class";

export function planted(from: number, to: number, d: number, targets?: Targets): { x: Float32Array; y: Float32Array };

export function rows(which: {
  shard: number;
  shards: number;
  args: { n: number; d: number; targets?: Targets };
}): Iterable<{ x: Float32Array; y: Float32Array }>;
