export function planted(from: number, to: number, d: number): { x: Float32Array; y: Float32Array };

export function rows(which: {
  shard: number;
  shards: number;
  args: { n: number; d: number };
}): Iterable<{ x: Float32Array; y: Float32Array }>;
