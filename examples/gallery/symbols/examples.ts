/** Drawings for those who want to see it taught before they draw: each symbol five times, never twice the same. */

import type { Point, Stroke } from "./picture.js";

const TURN = 2 * Math.PI;

const SHAPES: Readonly<Record<string, readonly (readonly (readonly [number, number])[])[]>> = {
  cross: [
    [
      [0.2, 0.2],
      [0.8, 0.8],
    ],
    [
      [0.8, 0.2],
      [0.2, 0.8],
    ],
  ],
  circle: [
    Array.from({ length: 25 }, (_, k) => [
      0.5 + 0.33 * Math.cos((k / 24) * TURN),
      0.5 + 0.33 * Math.sin((k / 24) * TURN),
    ]),
  ],
  triangle: [
    [
      [0.5, 0.15],
      [0.85, 0.8],
      [0.15, 0.8],
      [0.5, 0.15],
    ],
  ],
};

export const EXAMPLES = Object.keys(SHAPES);

/** So many drawings of a symbol, each turned, stretched and moved a little. */
export function examplesOf(name: string, count: number): Stroke[][] {
  return Array.from({ length: count }, (_, k) => {
    const swing = (salt: number) => Math.sin(12.9898 * (k + 1) + 78.233 * salt);
    const angle = 0.22 * swing(1);
    const [wide, tall] = [0.85 + 0.14 * swing(2), 0.85 + 0.14 * swing(3)];
    return SHAPES[name].map((stroke) =>
      stroke.map(([x, y], place): Point => {
        const [u, v] = [wide * (x - 0.5), tall * (y - 0.5)];
        const shake = 0.012 * swing(4 + place);
        return {
          x: 0.5 + u * Math.cos(angle) - v * Math.sin(angle) + shake,
          y: 0.5 + u * Math.sin(angle) + v * Math.cos(angle) - shake,
        };
      }),
    );
  });
}
