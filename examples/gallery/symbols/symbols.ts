/** The panel "Teach it your own symbols": drawings of a few kinds, a head that the worker trains on them, and what it makes of the next. */

import { byId, number, percent, showFacts } from "../view.js";
import { EXAMPLES, examplesOf } from "./examples.js";
import { linesOf, Pad } from "./pad.js";
import { pictureOf, type Stroke } from "./picture.js";
import "./symbols.css";

type Teacher = import("./teacher.js").Teacher;

const FEWEST_KINDS = 2;
const MOST_KINDS = 6;
/** Drawings of a kind from which it can be taught, and the most that are kept. */
const EACH = 5;
const MOST_EACH = 20;

interface Kind {
  name: string;
  readonly drawings: (readonly Stroke[])[];
}

/** Puts the panel to work; `makeWorker` is called with the first lesson. */
export function mountSymbols(makeWorker: () => Worker): void {
  new Symbols(makeWorker).show();
}

class Symbols {
  private kinds: Kind[] = [emptyKind(0), emptyKind(1)];
  private chosen = 0;
  private teacher: Promise<Teacher> | null = null;
  private taught: readonly string[] | null = null; // names of the kinds, as they were
  private busy = false;
  private asked = false;
  private readonly pad: Pad;

  constructor(private readonly makeWorker: () => Worker) {
    this.pad = new Pad(byId<SVGSVGElement>("symbolPad"), {
      changed: (_, ended) => this.look(ended),
      taken: () => this.take(),
      said: (what) => say(what),
    });
    byId("takeSymbol").addEventListener("click", () => this.take());
    byId("clearPad").addEventListener("click", () => this.pad.clear());
    byId("addKind").addEventListener("click", () => this.addKind());
    byId("fillKinds").addEventListener("click", () => this.fill());
    byId("teach").addEventListener("click", () => void this.teach());
  }

  show(): void {
    byId("kinds").replaceChildren(...this.kinds.map((kind, k) => this.rowOf(kind, k)));
    byId<HTMLButtonElement>("addKind").disabled = this.busy || this.kinds.length === MOST_KINDS;
    byId<HTMLButtonElement>("fillKinds").disabled = this.busy;
    byId<HTMLButtonElement>("teach").disabled = this.busy || this.lacking() !== "";
    byId("takeSymbol").textContent = `Add to ${this.kinds[this.chosen].name}`;
    byId("lacking").textContent = this.lacking();
  }

  private rowOf(kind: Kind, k: number): HTMLElement {
    const row = document.createElement("li");
    const choice = Object.assign(document.createElement("input"), {
      type: "radio",
      name: "kind",
      checked: k === this.chosen,
    });
    choice.setAttribute("aria-label", `Draw for ${kind.name}`);
    choice.addEventListener("change", () => {
      this.chosen = k;
      this.show();
      byId("kinds").querySelectorAll<HTMLInputElement>("[type=radio]")[k].focus();
    });
    const name = Object.assign(document.createElement("input"), { value: kind.name, maxLength: 20 });
    name.setAttribute("aria-label", `Name of symbol ${k + 1}`);
    name.addEventListener("change", () => {
      kind.name = name.value.trim() || emptyKind(k).name;
      this.show();
    });
    const count = Object.assign(document.createElement("span"), {
      className: "count",
      textContent: `${kind.drawings.length} of ${EACH}`,
    });
    const drawn = Object.assign(document.createElement("span"), { className: "drawn" });
    drawn.append(...kind.drawings.map(thumbnail));
    const last = this.button("Undo", `Undo the last drawing of ${kind.name}`, kind.drawings.length === 0, () => {
      kind.drawings.pop();
    });
    const remove = this.button("Remove", `Remove ${kind.name}`, this.kinds.length === FEWEST_KINDS, () => {
      this.kinds.splice(k, 1);
      this.chosen = Math.min(this.chosen, this.kinds.length - 1);
    });
    row.append(choice, name, count, last, remove, drawn);
    return row;
  }

  private button(text: string, label: string, disabled: boolean, act: () => void): HTMLButtonElement {
    const button = Object.assign(document.createElement("button"), {
      type: "button",
      textContent: text,
      className: "quiet",
    });
    button.disabled = disabled || this.busy;
    button.setAttribute("aria-label", label);
    button.addEventListener("click", () => {
      act();
      this.show();
      say(`${label}: done.`);
      byId("symbolPad").focus({ preventScroll: true });
    });
    return button;
  }

  /** What is missing before it can be taught, in words; empty when nothing is. */
  private lacking(): string {
    const short = this.kinds.filter(({ drawings }) => drawings.length < EACH);
    if (short.length === 0) return "";
    return `Still to draw: ${short.map(({ name, drawings }) => `${EACH - drawings.length} of ${name}`).join(", ")}.`;
  }

  private take(): void {
    const { drawings, name } = this.kinds[this.chosen];
    if (this.busy) return;
    const empty = this.pad.drawing.length === 0;
    if (empty || drawings.length === MOST_EACH) {
      say(empty ? "Draw something first." : `${MOST_EACH} drawings of ${name} are enough.`);
      return;
    }
    drawings.push(this.pad.drawing);
    this.pad.clear();
    say(`Drawing ${drawings.length} of ${name} added.`);
    // On to the next symbol that is short of drawings, once this one has all.
    const next = this.kinds.findIndex((kind) => kind.drawings.length < EACH);
    if (drawings.length === EACH && next >= 0) this.chosen = next;
    this.show();
  }

  private addKind(): void {
    this.kinds.push(emptyKind(this.kinds.length));
    this.chosen = this.kinds.length - 1;
    this.show();
  }

  private fill(): void {
    this.kinds = EXAMPLES.map((name) => ({ name, drawings: examplesOf(name, EACH) }));
    this.chosen = 0;
    this.show();
    say(`${EXAMPLES.join(", ")}: ${EACH} drawings of each.`);
  }

  private async teach(): Promise<void> {
    this.busy = true;
    this.show();
    say("Teaching.");
    const began = performance.now();
    try {
      this.teacher ??= import("./teacher.js").then(({ Teacher }) => Teacher.start(this.makeWorker()));
      const teacher = await this.teacher;
      const ready = performance.now();
      const names = this.kinds.map(({ name }) => name);
      const facts = await teacher.teach({
        pictures: this.kinds.flatMap(({ drawings }) => drawings.map(pictureOf)),
        kinds: this.kinds.flatMap(({ drawings }, k) => drawings.map(() => k)),
        count: names.length,
      });
      const spent = (performance.now() - ready) / 1000;
      this.taught = names;
      const proven = `within ${percent(facts.relativeGap)} of the best head with its gates`;
      byId("symbolVerdict").textContent = `Taught in ${spent.toFixed(2)} s, and proven to be ${proven}. Now draw.`;
      showFacts(byId("symbolFacts"), [
        { name: "status", value: facts.status },
        { name: "objective", value: number(facts.objective) },
        { name: "dual bound", value: number(facts.bound) },
        { name: "seconds of the fit", value: facts.seconds.toFixed(2) },
        { name: "neurons", value: String(facts.neurons) },
        { name: "features of a drawing", value: String(facts.features) },
      ]);
      byId("symbolClaim").textContent = facts.claim;
      say(`Taught, ${proven}. Loading took ${((ready - began) / 1000).toFixed(1)} s. Draw something.`);
    } catch (error) {
      this.teacher = null;
      byId("symbolVerdict").textContent = (error as Error).message;
      say((error as Error).message);
    } finally {
      this.busy = false;
      this.show();
      this.look(true);
    }
  }

  /** Predicts what is on the pad, once a frame at most. */
  private look(ended: boolean): void {
    const { teacher, taught } = this;
    if (taught === null || teacher === null || (this.asked && !ended)) return;
    this.asked = true;
    requestAnimationFrame(async () => {
      this.asked = false;
      const drawing = this.pad.drawing;
      const guess = drawing.length === 0 ? null : (await teacher).guess(pictureOf(drawing));
      showGuess(taught, guess);
      if (ended && guess !== null) {
        const best = guess.indexOf(Math.max(...guess));
        say(`${taught[best]}, ${percent(guess[best])}.`);
      }
    });
  }
}

function emptyKind(k: number): Kind {
  return { name: `symbol ${k + 1}`, drawings: [] };
}

function thumbnail(drawing: readonly Stroke[]): SVGSVGElement {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", "0 0 100 100");
  svg.setAttribute("aria-hidden", "true");
  svg.append(...linesOf(drawing));
  return svg;
}

/** A bar for each kind. */
function showGuess(names: readonly string[], guess: Float32Array | null): void {
  const best = guess === null ? -1 : guess.indexOf(Math.max(...guess));
  byId("guess").replaceChildren(
    ...names.map((name, k) => {
      const row = document.createElement("li");
      const [label, bar, share] = ["span", "span", "span"].map((tag) => document.createElement(tag));
      label.textContent = name;
      bar.className = "bar";
      bar.style.setProperty("--share", String(guess?.[k] ?? 0));
      share.textContent = guess === null ? "" : percent(guess[k]);
      row.toggleAttribute("data-best", k === best);
      row.append(label, bar, share);
      return row;
    }),
  );
}

function say(what: string): void {
  byId("symbolSaid").textContent = what;
}
