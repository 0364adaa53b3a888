/** A pad to draw on with mouse, pen, finger or keys. */

import type { Point, Stroke } from "./picture.js";

const SVG = "http://www.w3.org/2000/svg";
/** Of the side, that an arrow key moves the pen; with Shift a third. */
const STEP = 0.06;
/** Points nearer than this to the last one add nothing. */
const NEAR = 0.01;

export class Pad {
  private strokes: Point[][] = [];
  private pen: Point = { x: 0.5, y: 0.5 };
  private down = false;
  private readonly lines: SVGGElement;
  private readonly nib: SVGCircleElement;

  constructor(
    private readonly svg: SVGSVGElement,
    private readonly hear: {
      /** After every change; `ended` where a stroke is done. */
      readonly changed: (strokes: readonly Stroke[], ended: boolean) => void;
      /** Enter: take the drawing. */
      readonly taken: () => void;
      /** What a key did, in words. */
      readonly said: (what: string) => void;
    },
  ) {
    svg.setAttribute("viewBox", "0 0 100 100");
    svg.setAttribute("role", "application");
    svg.setAttribute("tabindex", "0");
    this.lines = document.createElementNS(SVG, "g");
    this.nib = document.createElementNS(SVG, "circle");
    this.nib.setAttribute("r", "2.5");
    this.nib.setAttribute("class", "nib");
    svg.replaceChildren(this.lines, this.nib);
    svg.addEventListener("pointerdown", (event) => this.press(event));
    svg.addEventListener("pointermove", (event) => this.move(event));
    for (const end of ["pointerup", "pointercancel"] as const) svg.addEventListener(end, () => this.lift());
    svg.addEventListener("keydown", (event) => this.key(event));
    this.draw();
  }

  get drawing(): readonly Stroke[] {
    return this.strokes;
  }

  clear(): void {
    this.strokes = [];
    this.down = false;
    this.changed(true);
  }

  private press(event: PointerEvent): void {
    if (event.button !== 0) return;
    this.svg.setPointerCapture(event.pointerId);
    this.pen = this.at(event);
    this.down = true;
    this.strokes.push([this.pen]);
    this.changed(false);
  }

  private move(event: PointerEvent): void {
    if (!this.down || !this.svg.hasPointerCapture(event.pointerId)) return;
    for (const one of event.getCoalescedEvents?.() ?? [event]) this.goTo(this.at(one));
    this.changed(false);
  }

  private lift(): void {
    if (!this.down) return;
    this.down = false;
    this.changed(true);
  }

  private key(event: KeyboardEvent): void {
    const step = event.shiftKey ? STEP / 3 : STEP;
    const [dx, dy] = ARROWS[event.key] ?? [0, 0];
    if (dx !== 0 || dy !== 0) {
      const bounded = (value: number) => Math.min(1, Math.max(0, value));
      this.goTo({ x: bounded(this.pen.x + step * dx), y: bounded(this.pen.y + step * dy) });
      this.changed(false);
    } else if (event.key === " ") {
      this.down = !this.down;
      if (this.down) this.strokes.push([this.pen]);
      this.hear.said(this.down ? "Pen down." : "Pen up.");
      this.changed(!this.down);
    } else if (event.key === "Enter") {
      this.down = false;
      this.hear.taken();
    } else if (event.key === "Delete" || event.key === "Backspace") {
      this.clear();
      this.hear.said("Cleared.");
    } else return;
    event.preventDefault();
  }

  private goTo(point: Point): void {
    this.pen = point;
    const stroke = this.strokes[this.strokes.length - 1];
    if (!this.down || stroke === undefined) return;
    const last = stroke[stroke.length - 1];
    if (Math.hypot(point.x - last.x, point.y - last.y) >= NEAR) stroke.push(point);
  }

  private at({ clientX, clientY }: PointerEvent): Point {
    const { left, top, width, height } = this.svg.getBoundingClientRect();
    const bounded = (value: number) => Math.min(1, Math.max(0, value));
    return { x: bounded((clientX - left) / width), y: bounded((clientY - top) / height) };
  }

  private changed(ended: boolean): void {
    this.draw();
    this.hear.changed(this.strokes, ended);
  }

  private draw(): void {
    this.lines.replaceChildren(...linesOf(this.strokes));
    this.nib.setAttribute("cx", String(100 * this.pen.x));
    this.nib.setAttribute("cy", String(100 * this.pen.y));
    this.nib.toggleAttribute("data-down", this.down);
  }
}

const ARROWS: Readonly<Record<string, readonly [number, number]>> = {
  ArrowLeft: [-1, 0],
  ArrowRight: [1, 0],
  ArrowUp: [0, -1],
  ArrowDown: [0, 1],
};

/** Strokes as lines of an SVG of 100 x 100. */
export function linesOf(strokes: readonly Stroke[]): SVGPolylineElement[] {
  return strokes.map((stroke) => {
    const line = document.createElementNS(SVG, "polyline");
    const points = stroke.length === 1 ? [stroke[0], stroke[0]] : stroke;
    line.setAttribute("points", points.map(({ x, y }) => `${(100 * x).toFixed(1)},${(100 * y).toFixed(1)}`).join(" "));
    return line;
  });
}
