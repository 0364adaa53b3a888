/** SVG elements, the style that all plots share, and plots as files. */

const NAMESPACE = "http://www.w3.org/2000/svg";

/** The colours of style.css that plots use. */
const COLOURS = ["--paper", "--panel", "--ink", "--muted", "--line", "--convex", "--gradient", "--first", "--second"];

/** Rules of the plots; in the page once, and in every file that is saved. */
export const plotStyle = `
.plot text { font: 11px system-ui, sans-serif; fill: var(--muted); }
.plot .axis { stroke: var(--line); stroke-width: 1; }
.plot .point { stroke: var(--paper); stroke-width: 1; }
.plot .point.wrong { stroke: var(--ink); stroke-width: 1.5; }
.plot .first { fill: var(--first); }
.plot .second { fill: var(--second); }
.plot text.digit { stroke: none; font-size: 9px; font-weight: 700; fill: var(--ink); text-anchor: middle; dominant-baseline: central; }
.plot text.digit.wrong { text-decoration: underline; }
.plot .neuron { stroke: var(--ink); stroke-opacity: 0.45; fill: none; }
.plot .neuron.minus { stroke-dasharray: 4 3; }
.plot.probing .neuron { stroke-opacity: 0.15; }
.plot.probing .neuron.on { stroke-opacity: 0.9; }
.plot .probe { fill: none; stroke: var(--ink); stroke-width: 1.5; }
.plot .primal, .plot .dual { stroke: var(--convex); fill: none; stroke-width: 2.25; }
.plot .dual { stroke-dasharray: 5 3; }
.plot .solved { fill: var(--convex); }
.plot .gap { fill: var(--convex); fill-opacity: 0.12; }
.plot .descent { stroke: var(--gradient); fill: none; stroke-width: 1.5; stroke-opacity: 0.8; }
.plot text.convexText { fill: var(--convex); }
.plot text.gradientText { fill: var(--gradient); }
.plot .contour { fill: none; stroke: var(--ink); stroke-opacity: 0.35; }
`;

export function element<K extends keyof SVGElementTagNameMap>(
  name: K,
  attributes: Readonly<Record<string, string | number>> = {},
  text = "",
): SVGElementTagNameMap[K] {
  const made = document.createElementNS(NAMESPACE, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, String(value));
  if (text !== "") made.textContent = text;
  return made;
}

/** Asking the page for a colour makes it compute all styles: too dear for every frame. */
const known = new Map<string, readonly [number, number, number]>();

/** A colour of the page as three bytes. */
export function colour(name: string): readonly [number, number, number] {
  const [r, g, b] = known.get(name) ?? (resolved(name).match(/[\d.]+/g) ?? ["0", "0", "0"]).map(Number);
  known.set(name, [r, g, b]);
  return [r, g, b];
}

/** To be called when the theme has changed. */
export function forgetColours(): void {
  known.clear();
}

function resolved(name: string): string {
  const probe = document.createElement("span");
  probe.style.color = `var(${name})`;
  document.body.append(probe);
  const { color } = getComputedStyle(probe);
  probe.remove();
  return color;
}

/** A plot as a file of its own, in the colours of the moment. */
export function svgFile(plot: SVGSVGElement): Blob {
  const copy = plot.cloneNode(true) as SVGSVGElement;
  copy.setAttribute("xmlns", NAMESPACE);
  for (const name of ["tabindex", "role", "id"]) copy.removeAttribute(name);
  copy.classList.remove("probing");
  for (const probe of copy.querySelectorAll(".probe")) probe.remove();
  const { width, height } = plot.viewBox.baseVal;
  const variables = COLOURS.map((name) => `${name}: ${resolved(name)};`).join(" ");
  copy.prepend(
    element("style", {}, `.plot { ${variables} }\n${plotStyle}`),
    element("rect", { width, height, style: "fill: var(--panel)" }),
  );
  return new Blob([new XMLSerializer().serializeToString(copy)], { type: "image/svg+xml" });
}
