/** The objective around the optimum as contours of its excess. */

import { colour, element } from "./svg.js";

const SIZE = 320;
const APART = 15; // of two labels
/** Excess over the objective in the middle, a contour each. */
const LEVELS = [0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30];

/** Values [k x k] of a function whose least is in the middle. */
export interface Field {
  readonly steps: Float64Array;
  readonly values: Float64Array;
  readonly objective: number;
}

export function drawContours(svg: SVGSVGElement, field: Field | null): void {
  if (field === null) {
    svg.setAttribute("aria-label", "The objective around the optimum: not drawn yet.");
    svg.replaceChildren(element("text", { x: SIZE / 2, y: SIZE / 2, "text-anchor": "middle" }, "Train, then draw."));
    return;
  }
  const { steps, values, objective } = field;
  const k = steps.length;
  const place = (at: number) => (SIZE * at) / (k - 1);
  const excess = values.map((value) => value / objective - 1);
  const crossed = LEVELS.filter((level) => excess.some((value) => value > level));
  svg.setAttribute(
    "aria-label",
    `The objective around the optimum: ${objective.toPrecision(6)} in the middle, ` +
      `up to ${(100 * Math.max(...excess)).toPrecision(3)} percent more at the edge, nowhere less than ` +
      `${(100 * Math.min(...excess)).toPrecision(2)} percent.`,
  );
  svg.replaceChildren(
    ...shades(excess, k),
    ...crossed.map((level) => element("path", { class: "contour", d: contour(excess, k, level, place) })),
    element("circle", { class: "solved", cx: SIZE / 2, cy: SIZE / 2, r: 4 }),
    ...labels(excess, k, crossed, place),
  );
}

/** Marching squares: straight pieces through every cell that a level crosses. */
function contour(values: Float64Array, k: number, level: number, place: (at: number) => number): string {
  const pieces: string[] = [];
  for (let i = 0; i + 1 < k; i++) {
    for (let j = 0; j + 1 < k; j++) {
      const corners = [
        [j, i],
        [j + 1, i],
        [j + 1, i + 1],
        [j, i + 1],
      ];
      const heights = corners.map(([x, y]) => values[y * k + x] - level);
      const ends: string[] = [];
      for (let side = 0; side < 4; side++) {
        const [from, to] = [heights[side], heights[(side + 1) % 4]];
        if (from > 0 === to > 0) continue;
        const share = from / (from - to);
        const [[x1, y1], [x2, y2]] = [corners[side], corners[(side + 1) % 4]];
        ends.push(`${place(x1 + share * (x2 - x1)).toFixed(1)} ${place(y1 + share * (y2 - y1)).toFixed(1)}`);
      }
      for (let e = 0; e + 1 < ends.length; e += 2) pieces.push(`M${ends[e]}L${ends[e + 1]}`);
    }
  }
  return pieces.join("");
}

/** Names each contour where it leaves the middle upwards. */
function labels(
  values: Float64Array,
  k: number,
  levels: readonly number[],
  place: (at: number) => number,
): SVGElement[] {
  const middle = (k - 1) / 2;
  let free = Number.NEGATIVE_INFINITY; // labels from the edge inwards, none upon another
  return [...levels].reverse().flatMap((level) => {
    for (let i = middle; i > 0; i--) {
      if (values[(i - 1) * k + middle] <= level) continue;
      const at = { x: place(middle) + 4, y: place(i - 0.5) + 4 };
      if (at.y < free || at.y > SIZE / 2 - APART / 2) return [];
      free = at.y + APART;
      return [element("text", at, `+${Number((100 * level).toPrecision(2))} %`)];
    }
    return [];
  });
}

/** The excess as shades of the convex colour, darkest in the middle: a pixel a value. */
function shades(excess: Float64Array, k: number): SVGElement[] {
  const canvas = Object.assign(document.createElement("canvas"), { width: k, height: k });
  const context = canvas.getContext("2d");
  if (context === null) return [];
  const image = context.createImageData(k, k);
  const tint = colour("--convex");
  const [low, high] = [Math.log(LEVELS[0]), Math.log(LEVELS[LEVELS.length - 1])];
  excess.forEach((value, at) => {
    const share = (Math.log(Math.max(value, LEVELS[0])) - low) / (high - low);
    image.data.set(tint, 4 * at);
    image.data[4 * at + 3] = 255 * 0.5 * Math.max(0, 1 - share);
  });
  context.putImageData(image, 0, 0);
  return [element("image", { width: SIZE, height: SIZE, preserveAspectRatio: "none", href: canvas.toDataURL() })];
}
