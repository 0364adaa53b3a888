/** Strokes -> a picture as the trunk knows pictures: white on black, the drawing brought to the middle and to one size, as in MNIST. */

export interface Point {
  readonly x: number; // 0 to 1, from the left
  readonly y: number; // 0 to 1, from the top
}

/** Where the pen went while it was down. */
export type Stroke = readonly Point[];

export const SIDE = 14;
/** The picture is drawn at this many times its size, and averaged. */
const FINE = 2;
/** Of the side: what the larger extent of a drawing becomes, and how thick its lines are. */
const EXTENT = 0.71;
const THICKNESS = 0.085;
/** A drawing that is smaller than this share of the pad is a dot, and stays small. */
const SMALLEST = 0.12;

/** Pixels in [0, 1], row by row, [14 x 14]. */
export function pictureOf(strokes: readonly Stroke[]): Float32Array {
  const picture = new Float32Array(SIDE * SIDE);
  const points = strokes.flat();
  if (points.length === 0) return picture;
  const [left, right] = [Math.min(...points.map(({ x }) => x)), Math.max(...points.map(({ x }) => x))];
  const [top, bottom] = [Math.min(...points.map(({ y }) => y)), Math.max(...points.map(({ y }) => y))];
  const scale = EXTENT / Math.max(right - left, bottom - top, SMALLEST);
  const moved = strokes.map((stroke) =>
    stroke.map(({ x, y }) => ({
      x: 0.5 + scale * (x - (left + right) / 2),
      y: 0.5 + scale * (y - (top + bottom) / 2),
    })),
  );
  const fine = FINE * SIDE;
  for (let row = 0; row < fine; row++) {
    for (let column = 0; column < fine; column++) {
      const at = { x: (column + 0.5) / fine, y: (row + 0.5) / fine };
      // One pixel from full to nothing at the edge of a line.
      const ink = Math.min(1, Math.max(0, 0.5 + (THICKNESS / 2 - distanceTo(at, moved)) * fine));
      picture[Math.floor(row / FINE) * SIDE + Math.floor(column / FINE)] += ink / FINE ** 2;
    }
  }
  return picture;
}

/** To the nearest point of any stroke. */
function distanceTo(at: Point, strokes: readonly Stroke[]): number {
  let least = Number.POSITIVE_INFINITY;
  for (const stroke of strokes) {
    for (let k = 0; k < stroke.length; k++) {
      const [a, b] = [stroke[Math.max(0, k - 1)], stroke[k]];
      const [dx, dy] = [b.x - a.x, b.y - a.y];
      const square = dx * dx + dy * dy;
      const t = square === 0 ? 0 : Math.min(1, Math.max(0, ((at.x - a.x) * dx + (at.y - a.y) * dy) / square));
      least = Math.min(least, Math.hypot(at.x - a.x - t * dx, at.y - a.y - t * dy));
    }
  }
  return least;
}
