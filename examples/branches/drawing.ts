/** Surfaces side by side, each as the lines of its rows from back to front, of which nearer ones hide farther ones. */

import { writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { Resvg } from "@resvg/resvg-js";
import { plotColors } from "../support/plot.js";
import type { Surface } from "./experiment.js";

const require = createRequire(import.meta.url);

export interface Panel {
  readonly title: string;
  readonly note: string;
  readonly surface: Surface;
}

const PANEL = { width: 180, height: 188 };
const SLANT = 0.3; // of the depth, to the right
const DEPTH = 70; // pixels from the front line to the back
const RISE = 70; // pixels from the lowest point to the highest

/** Writes `${path}.svg` and `${path}.png`; one row of panels below the other. */
export function drawSurfaces(path: string, rows: readonly (readonly Panel[])[]): void {
  const columns = Math.max(...rows.map((row) => row.length));
  const [width, height] = [columns * PANEL.width, rows.length * PANEL.height];
  const panels = rows.flatMap((row, r) => row.map((panel, c) => drawn(panel, c * PANEL.width, r * PANEL.height)));
  const svg =
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" ` +
    `font-family="DejaVu Sans" font-size="10"><rect width="100%" height="100%" fill="white"/>${panels.join("")}</svg>`;
  writeFileSync(`${path}.svg`, svg);
  const fontFiles = [require.resolve("dejavu-fonts-ttf/ttf/DejaVuSans.ttf")];
  const font = { fontFiles, defaultFontFamily: "DejaVu Sans", loadSystemFonts: false };
  writeFileSync(`${path}.png`, new Resvg(svg, { font, fitTo: { mode: "zoom", value: 2 } }).render().asPng());
}

function drawn({ title, note, surface: { side, values } }: Panel, x: number, y: number): string {
  const least = Math.min(...values);
  const range = Math.max(...values) - least || 1;
  const across = PANEL.width - 16 - SLANT * DEPTH;
  const lines: string[] = [];
  for (let row = side - 1; row >= 0; row--) {
    const back = row / (side - 1);
    const floor = PANEL.height - 8 - DEPTH * back;
    const points = Array.from({ length: side }, (_, j) => [
      Math.round(8 + SLANT * DEPTH * back + (across * j) / (side - 1)),
      Math.round(floor - (RISE * (values[row * side + j] - least)) / range),
    ]);
    const [first, ...rest] = points;
    let [px, py] = first;
    const steps = rest.map(([qx, qy]) => {
      const step = `${qx - px}${qy < py ? "" : ","}${qy - py}`;
      [px, py] = [qx, qy];
      return step;
    });
    const last = points[points.length - 1][0];
    lines.push(`M${first[0]} ${first[1]}l${steps.join(" ")}V${Math.round(floor) + 1}H${last - (last - first[0])}z`);
  }
  return (
    `<g transform="translate(${x} ${y})"><text x="8" y="13">${title}</text><text x="8" y="27" fill="#555">${note}</text>` +
    `<g fill="white" stroke="${plotColors[0]}" stroke-width=".8" stroke-linejoin="round">` +
    `${lines.map((d) => `<path d="${d}"/>`).join("")}</g></g>`
  );
}
