/** The page: reads the form, trains on both sides, and hands out what came of it. */

import { showChapters } from "./chapters.js";
import { codeOf } from "./code.js";
import { drawContours } from "./contourPlot.js";
import { Handout } from "./handout.js";
import { showLegend } from "./legend.js";
import { drawObjectives } from "./objectivePlot.js";
import { opening, opens } from "./opening.js";
import { planeOf } from "./plane.js";
import { PlanePlot } from "./planePlot.js";
import { Saved } from "./saved.js";
import { readSettings, type Settings } from "./settings.js";
import { CLICK_REACH, Source } from "./source.js";
import { forgetColours, plotStyle } from "./svg.js";
import { mountSymbols } from "./symbols/symbols.js";
import { lossesFor, type Task } from "./task.js";
import { type Plots, Training } from "./training.js";
import { byId } from "./view.js";
import { countTensors, makeWorker } from "./workers.js";

const form = byId<HTMLFormElement>("settings");
const source = new Source();
const plots: Plots = {
  convex: new PlanePlot(byId<SVGSVGElement>("convexPlot"), byId("convexProbe"), "Convex network", clickAt),
  gradient: new PlanePlot(byId<SVGSVGElement>("gradientPlot"), byId("gradientProbe"), "Network of model.fit", clickAt),
  excess: byId<SVGSVGElement>("excessPlot"),
  objective: byId<SVGSVGElement>("objectivePlot"),
  contour: byId<SVGSVGElement>("contourPlot"),
};
const handout = new Handout(complain);
const saved = new Saved(() => task, complain);

let task: Task | null = null;
let training: Training | null = null;
let drawn: Training | null = null; // the training whose curves are in the plots
let running: Promise<void> = Promise.resolve();

start();

function start(): void {
  document.head.append(Object.assign(document.createElement("style"), { textContent: plotStyle }));
  form.addEventListener("input", (event) => onInput((event.target as HTMLInputElement).name));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    running = running.then(train).catch(complain);
  });
  byId("stop").addEventListener("click", () => {
    byId<HTMLButtonElement>("stop").disabled = true; // heard
    training?.stop();
  });
  byId("drawContours").addEventListener("click", () => training?.drawContours().catch(complain));
  byId("undo").addEventListener("click", () => {
    source.undoClick();
    void showTask();
  });
  byId("theme").addEventListener("click", toggleTheme);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
  for (const box of document.querySelectorAll<HTMLElement>(".scroll")) box.tabIndex = 0; // so that keys can scroll it
  acceptFiles();
  mountSymbols(makeWorker);
  showChapters();
  redraw();
  void showTask().then(showOpening);
  if (import.meta.env.PROD) addEventListener("load", () => keepOffline().catch(() => undefined)); // the page does without
}

/** A finished run of what the form asks for at first, so that the page explains itself before anybody trains. */
async function showOpening(): Promise<void> {
  if (task === null || training !== null || !opens(readSettings(form))) return;
  const made = new Training(task, readSettings(form), plots);
  drawn = made;
  const shown = made.replay(opening, () => drawn === made);
  showVerdict(made, "A run made beforehand: ");
  await shown;
}

/** The built page keeps its files in this browser and opens without a network from then on. */
async function keepOffline(): Promise<void> {
  await navigator.serviceWorker.register("./serviceWorker.js");
  await navigator.serviceWorker.ready;
  byId("offline").textContent = "It opens without a network, too.";
}

function onInput(name: string): void {
  const target = form.elements.namedItem("target") as HTMLSelectElement;
  if (name === "formulation") showFields(readSettings(form));
  if (["data", "points", "noise"].includes(name) || name === target.name) void showTask();
}

/** Shows the data that the form asks for; what was trained on others is forgotten. */
async function showTask(): Promise<void> {
  const settings = readSettings(form);
  showFields(settings);
  training?.stop();
  const target = String(new FormData(form).get("target") ?? "");
  const note = byId("dataNote");
  task = null;
  byId("message").textContent = "";
  try {
    if (!form.checkValidity()) return;
    const found = await source.task(settings, target);
    if (readSettings(form).data !== settings.data) return; // another was chosen while this one was loading
    task = found.task;
    note.textContent = found.notes.join(" ");
  } catch (error) {
    note.textContent = "";
    if (readSettings(form).data !== "csv" || source.table !== null) complain(error);
    forget();
    return;
  }
  const plane = task.name === "clicks" ? { ...planeOf(task), reach: CLICK_REACH } : planeOf(task);
  plots.convex.setTask(task, plane);
  plots.gradient.setTask(task, plane);
  showLosses(task);
  showLegend(byId("legend"), task);
  forgetRun();
  await saved.refresh();
}

/** Nothing of the data before stays in the page. */
function forget(): void {
  plots.convex.clear();
  plots.gradient.clear();
  byId("legend").replaceChildren();
  forgetRun();
}

function forgetRun(): void {
  drawn = null;
  drawObjectives(plots.excess, null, "excess");
  drawObjectives(plots.objective, null, "objective");
  drawContours(plots.contour, null);
  for (const id of ["convexFacts", "gradientFacts"]) byId(id).replaceChildren();
  byId<HTMLTableElement>("runs").tBodies[0].replaceChildren();
  handout.offer(null, null);
  byId<HTMLButtonElement>("drawContours").disabled = true;
  byId("verdict").replaceChildren(
    "Press ",
    strong("Train"),
    ": the convex program on the left, model.fit from several starts on the right, with the same model, data and objective.",
  );
}

function strong(text: string): HTMLElement {
  return Object.assign(document.createElement("strong"), { textContent: text });
}

function showVerdict(shown: Training, before = ""): void {
  const parts = shown.verdict().map((part) => (typeof part === "string" ? part : strong(part.strong)));
  byId("verdict").replaceChildren(before, ...parts);
}

function showFields({ data, formulation }: Settings): void {
  for (const field of form.querySelectorAll<HTMLElement>("[data-for]")) {
    field.hidden = !field.dataset.for?.split(" ").includes(data);
  }
  for (const field of form.querySelectorAll<HTMLElement>("[data-formulation]")) {
    field.hidden = field.dataset.formulation !== formulation;
  }
}

function showLosses(given: Task): void {
  const select = form.elements.namedItem("loss") as HTMLSelectElement;
  const losses = lossesFor(given);
  const chosen = losses.some(([name]) => name === select.value) ? select.value : losses[0][0];
  select.replaceChildren(...losses.map(([name, words]) => new Option(words, name, false, name === chosen)));
}

async function train(): Promise<void> {
  if (task === null) return;
  byId("message").textContent = "";
  await training?.dispose();
  const mine = new Training(task, readSettings(form), plots);
  training = mine;
  drawn = mine;
  busy(true);
  showResults();
  byId("verdict").replaceChildren("Training, both sides at once.");
  handout.offer(null, null);
  drawContours(plots.contour, null);
  byId<HTMLButtonElement>("drawContours").disabled = true;
  try {
    await mine.run();
    byId("code").textContent = codeOf(mine.task, mine.settings);
  } finally {
    handout.offer(mine, plots);
    saved.offer(mine.result?.model ?? null);
    byId<HTMLButtonElement>("drawContours").disabled = mine.result === null;
    byId("tensors").textContent = String(await countTensors());
    busy(false);
    showVerdict(mine);
    byId("status").textContent = mine.summary();
  }
}

/** On a phone the results are below the form. */
function showResults(): void {
  const results = byId("results");
  if (results.getBoundingClientRect().top < innerHeight / 2) return;
  const behavior = matchMedia("(prefers-reduced-motion: reduce)").matches ? "auto" : "smooth";
  results.scrollIntoView({ behavior });
}

function busy(yes: boolean): void {
  byId<HTMLButtonElement>("train").disabled = yes;
  byId<HTMLButtonElement>("stop").disabled = !yes;
  byId("results").setAttribute("aria-busy", String(yes));
}

function complain(error: unknown): void {
  byId("message").textContent = error instanceof Error ? error.message : String(error);
}

function clickAt(u: number, v: number): void {
  const settings = readSettings(form);
  if (settings.data !== "clicks") return;
  source.addClick(u, v, Number(new FormData(form).get("clickClass")));
  void showTask();
}

function acceptFiles(): void {
  const read = async (file: File | undefined) => {
    if (file === undefined) return;
    const select = form.elements.namedItem("target") as HTMLSelectElement;
    select.replaceChildren();
    (form.elements.namedItem("data") as HTMLSelectElement).value = "csv";
    try {
      const { columns } = await source.read(file);
      select.replaceChildren(...columns.map((name) => new Option(name)));
      select.selectedIndex = columns.length - 1;
    } catch (error) {
      await showTask();
      throw error;
    }
    await showTask();
  };
  const field = byId<HTMLInputElement>("file");
  field.addEventListener("change", () => read(field.files?.[0]).catch(complain));
  document.addEventListener("dragover", (event) => {
    event.preventDefault();
    document.body.classList.add("dropping");
  });
  document.addEventListener("dragleave", () => document.body.classList.remove("dropping"));
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    document.body.classList.remove("dropping");
    read(event.dataTransfer?.files[0]).catch(complain);
  });
}

function isDark(): boolean {
  const { colorScheme } = document.documentElement.style;
  return colorScheme === "" ? matchMedia("(prefers-color-scheme: dark)").matches : colorScheme === "dark";
}

function toggleTheme(): void {
  document.documentElement.style.colorScheme = isDark() ? "light" : "dark";
  redraw();
}

function redraw(): void {
  forgetColours();
  byId("theme").textContent = isDark() ? "Light" : "Dark";
  plots.convex.draw();
  plots.gradient.draw();
  drawn?.draw();
}
