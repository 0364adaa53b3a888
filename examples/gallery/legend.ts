/** What the marks of the two planes mean, with the names of the task's classes. */

import { coloursOf } from "./planePlot.js";
import { element } from "./svg.js";
import type { Task } from "./task.js";

const SIDE = 16;

export function showLegend(list: HTMLElement, task: Task): void {
  const { classes } = task;
  const colours = coloursOf(task).map((bytes) => `rgb(${bytes.join(",")})`);
  const circle = (attributes: object) => element("circle", { cx: 8, cy: 8, r: 4.5, ...attributes });
  const diamond = () => element("path", { class: "second", d: "M8 2.5l5.5 5.5l-5.5 5.5l-5.5 -5.5z" });
  const points =
    classes.length === 0
      ? [entry("a value below 0", circle({ fill: colours[0] })), entry("above 0", circle({ fill: colours[1] }))]
      : classes.length === 2
        ? [entry(classes[0], circle({ class: "first" })), entry(classes[1], diamond())]
        : classes.map((name, c) =>
            entry(name, element("rect", { width: SIDE, height: SIDE, rx: 3, fill: colours[c] })),
          );
  const line = (kind: string) =>
    element("line", { class: `neuron ${kind}`, x1: 0, x2: SIDE, y1: 8, y2: 8, "stroke-width": 2 });
  list.replaceChildren(
    ...points,
    ...(classes.length > 0
      ? [entry("outlined: put into the wrong class", circle({ class: "point wrong", fill: "none" }))]
      : []),
    entry("background: what the network says there"),
    entry("where a neuron turns on, adding", line("plus")),
    ...(classes.length > 2 ? [] : [entry("subtracting", line("minus"))]),
  );
}

function entry(text: string, ...marks: SVGElement[]): HTMLLIElement {
  const item = document.createElement("li");
  if (marks.length > 0) {
    const picture = element("svg", { class: "plot key", viewBox: `0 0 ${SIDE} ${SIDE}`, "aria-hidden": "true" });
    picture.append(...marks);
    item.append(picture);
  }
  item.append(text);
  return item;
}
