/** Points, decision surface and neurons on a plane, with a probe that shows which neurons are on at a point. */

import { isOn, type Network, type Neuron, neuronsOn, outputsAt, outputsOn } from "./network.js";
import type { Plane } from "./plane.js";
import { colour, element } from "./svg.js";
import { classOf, type Task } from "./task.js";

const SIZE = 320;
const CELLS = 64; // of the surface, a side
const RADIUS = 3.5;
/** Okabe and Ito's colours and two more, for more than two classes. */
const MANY = [
  [0, 114, 178],
  [213, 94, 0],
  [0, 158, 115],
  [204, 121, 167],
  [230, 159, 0],
  [86, 180, 233],
  [160, 140, 20],
  [120, 90, 200],
  [150, 75, 40],
  [110, 120, 130],
] as const;

type Bytes = readonly [number, number, number];

export class PlanePlot {
  private task: Task | null = null;
  private plane: Plane | null = null;
  private network: Network | null = null;
  private neurons: Neuron[] = [];
  private readonly surface = element("image", { width: SIZE, height: SIZE, preserveAspectRatio: "none" });
  private readonly lines = element("g");
  private readonly points = element("g");
  private readonly mark = element("circle", { class: "probe", r: 6, visibility: "hidden" });
  private at: [number, number] = [0, 0];

  /** `pick` is told of points that are clicked, or chosen with Enter. */
  constructor(
    readonly svg: SVGSVGElement,
    private readonly probeText: HTMLElement,
    private readonly name: string,
    private readonly pick: (u: number, v: number) => void,
  ) {
    svg.setAttribute("role", "application");
    svg.setAttribute("tabindex", "0");
    svg.append(this.surface, this.lines, this.points, this.mark);
    svg.addEventListener("pointermove", (event) => this.probe(...this.place(event)));
    svg.addEventListener("pointerleave", () => this.endProbe());
    svg.addEventListener("click", (event) => this.pick(...this.place(event)));
    svg.addEventListener("blur", () => this.endProbe());
    svg.addEventListener("keydown", (event) => this.key(event));
    this.describe();
  }

  setTask(task: Task, plane: Plane): void {
    this.task = task;
    this.plane = plane;
    this.network = null;
    this.neurons = [];
    this.draw();
  }

  /** Empties the plot. */
  clear(): void {
    this.task = null;
    this.network = null;
    this.neurons = [];
    this.surface.removeAttribute("href");
    this.lines.replaceChildren();
    this.points.replaceChildren();
    this.endProbe();
    this.describe();
  }

  setNetwork(network: Network | null): void {
    const { task, plane } = this;
    if (task === null || plane === null) return;
    this.network = network;
    this.neurons = network === null ? [] : neuronsOn(network, plane);
    this.drawSurface(task, plane);
    this.drawLines(plane);
    this.markWrong(task);
    this.endProbe();
    this.describe();
  }

  /** Draws everything again, in the colours of the moment. */
  draw(): void {
    if (this.task === null || this.plane === null) return;
    this.drawPoints(this.task, this.plane);
    this.setNetwork(this.network);
  }

  private drawSurface(task: Task, plane: Plane): void {
    const { network } = this;
    if (network === null) {
      this.surface.removeAttribute("href");
      return;
    }
    const canvas = document.createElement("canvas");
    canvas.width = CELLS;
    canvas.height = CELLS;
    const context = canvas.getContext("2d");
    if (context === null) return;
    const image = context.createImageData(CELLS, CELLS);
    const Z = new Float64Array(network.outputs);
    const colours = coloursOf(task);
    for (let k = 0; k < CELLS * CELLS; k++) {
      const u = plane.reach * ((2 * ((k % CELLS) + 0.5)) / CELLS - 1);
      const v = plane.reach * (1 - (2 * (Math.floor(k / CELLS) + 0.5)) / CELLS);
      outputsAt(network, this.neurons, u, v, Z);
      const { side, strength } = opinion(task, Z);
      image.data.set(colours[side], 4 * k);
      image.data[4 * k + 3] = 255 * (0.1 + 0.45 * strength);
    }
    context.putImageData(image, 0, 0);
    this.surface.setAttribute("href", canvas.toDataURL());
  }

  private drawLines(plane: Plane): void {
    const largest = Math.max(...this.neurons.map((neuron) => neuron.size));
    this.lines.replaceChildren(
      ...this.neurons.map((neuron) => {
        const ends = clip(neuron.gate, plane.reach);
        const share = neuron.size / largest;
        const sign = neuron.output.length === 1 && neuron.output[0] < 0 ? "minus" : "plus";
        const line = element("line", { class: `neuron ${sign}`, "stroke-width": (0.6 + 2 * share).toFixed(2) });
        if (ends === null) line.setAttribute("visibility", "hidden");
        else
          ends.forEach(([u, v], k) => {
            line.setAttribute(`x${k + 1}`, this.x(u));
            line.setAttribute(`y${k + 1}`, this.y(v));
          });
        return line;
      }),
    );
  }

  private drawPoints(task: Task, plane: Plane): void {
    const sides = coloursOf(task).map((bytes) => `rgb(${bytes.join(",")})`);
    this.points.replaceChildren(
      ...Array.from({ length: task.rows }, (_, k) => {
        const [x, y] = [this.x(plane.points[2 * k]), this.y(plane.points[2 * k + 1])];
        const label = task.y[k];
        if (task.classes.length > 2) return element("text", { class: "point digit", x, y }, short(task, label));
        if (task.classes.length === 0) {
          const { side, strength } = opinion(task, [label]);
          return element("circle", {
            ...{ class: "point", cx: x, cy: y, r: RADIUS },
            ...{ fill: sides[side], "fill-opacity": (0.25 + 0.75 * strength).toFixed(2) },
          });
        }
        if (label === 0) return element("circle", { class: "point first", cx: x, cy: y, r: RADIUS });
        const d = `M${x} ${Number(y) - 4.5}l4.5 4.5l-4.5 4.5l-4.5 -4.5z`;
        return element("path", { class: "point second", d });
      }),
    );
  }

  /** Marks the points that the network puts into another class. */
  private markWrong(task: Task): void {
    const { network } = this;
    const Z = network === null ? null : outputsOn(network, task);
    const C = network?.outputs ?? 1;
    for (let k = 0; k < task.rows; k++) {
      const seen = Z === null ? null : classOf(task, Z.subarray(k * C, (k + 1) * C));
      this.points.children[k].classList.toggle("wrong", seen !== null && seen !== task.y[k]);
    }
  }

  private probe(u: number, v: number): void {
    const { network, task, plane } = this;
    if (task === null || plane === null) return;
    this.at = [u, v];
    this.mark.setAttribute("cx", this.x(u));
    this.mark.setAttribute("cy", this.y(v));
    this.mark.setAttribute("visibility", "visible");
    const place = `(${u.toFixed(2)}, ${v.toFixed(2)})`;
    if (network === null) {
      this.probeText.textContent = place;
      return;
    }
    this.svg.classList.add("probing");
    let on = 0;
    this.neurons.forEach((neuron, j) => {
      const open = isOn(neuron, u, v);
      on += Number(open);
      this.lines.children[j].classList.toggle("on", open);
    });
    const Z = new Float64Array(network.outputs);
    outputsAt(network, this.neurons, u, v, Z);
    const seen = classOf(task, Z);
    const value = (Z.length === 1 || seen === null ? Z[0] : Z[seen]).toFixed(3);
    const said = seen === null ? value : `${task.classes[seen]}, output ${value}`;
    this.probeText.textContent = `${place}: ${on} of ${this.neurons.length} neurons on; ${said}`;
  }

  private endProbe(): void {
    this.svg.classList.remove("probing");
    this.mark.setAttribute("visibility", "hidden");
    const way =
      this.network === null
        ? ""
        : "Point at a place, or focus the plot and use the arrow keys: neurons that are on there stand out.";
    this.probeText.textContent = way;
  }

  private key(event: KeyboardEvent): void {
    const step = (this.plane?.reach ?? 1) / (event.shiftKey ? 5 : 25);
    const move = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] }[event.key];
    const reach = this.plane?.reach ?? 1;
    if (move !== undefined) {
      const [u, v] = this.at.map((value, k) => Math.max(-reach, Math.min(reach, value + step * move[k])));
      this.probe(u, v);
    } else if (event.key === "Enter" || event.key === " ") {
      this.pick(...this.at);
    } else {
      return;
    }
    event.preventDefault();
  }

  private describe(): void {
    const { task, network } = this;
    const data = task === null ? "no data" : `${task.rows} points`;
    const what = network === null ? "not trained yet" : `${this.neurons.length} neurons`;
    this.svg.setAttribute(
      "aria-label",
      `${this.name}: ${data}, ${what}. The arrow keys move a probe that tells which neurons are on.`,
    );
  }

  private place(event: MouseEvent): [number, number] {
    const box = this.svg.getBoundingClientRect();
    const reach = this.plane?.reach ?? 1;
    return [
      reach * ((2 * (event.clientX - box.left)) / box.width - 1),
      reach * (1 - (2 * (event.clientY - box.top)) / box.height),
    ];
  }

  private x(u: number): string {
    return (SIZE * (0.5 + (0.5 * u) / (this.plane?.reach ?? 1))).toFixed(2);
  }

  private y(v: number): string {
    return (SIZE * (0.5 - (0.5 * v) / (this.plane?.reach ?? 1))).toFixed(2);
  }
}

/** Which colour a network's outputs stand for, and how strongly, from 0 to 1. */
function opinion(task: Task, Z: ArrayLike<number>): { side: number; strength: number } {
  const seen = classOf(task, Z);
  if (seen === null || task.classes.length === 2) {
    return { side: Number(Z[0] > 0), strength: Math.tanh(Math.abs(Z[0])) };
  }
  let second = Number.NEGATIVE_INFINITY;
  for (let c = 0; c < Z.length; c++) if (c !== seen) second = Math.max(second, Z[c]);
  return { side: seen, strength: Math.tanh(Z[seen] - second) };
}

export function coloursOf(task: Task): readonly Bytes[] {
  if (task.classes.length <= 2) return [colour("--first"), colour("--second")];
  return task.classes.map((_, c) => MANY[c % MANY.length]);
}

function short(task: Task, label: number): string {
  return task.classes[label].slice(0, 2);
}

/** The ends of the line a + b u + c v = 0 in the square of half side `reach`; null when it passes by. */
function clip([a, b, c]: readonly [number, number, number], reach: number): [number, number][] | null {
  const ends: [number, number][] = [];
  for (const side of [-reach, reach]) {
    const v = -(a + b * side) / c;
    if (c !== 0 && Math.abs(v) <= reach) ends.push([side, v]);
    const u = -(a + c * side) / b;
    if (b !== 0 && Math.abs(u) < reach) ends.push([u, side]);
  }
  return ends.length >= 2 ? ends.slice(0, 2) : null;
}
