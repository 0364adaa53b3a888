/** The page: reads the form, trains on both sides, and hands out what came of it. */

import { codeOf } from "./code.js";
import { drawContours } from "./contourPlot.js";
import { Handout } from "./handout.js";
import { drawObjectives } from "./objectivePlot.js";
import { planeOf } from "./plane.js";
import { PlanePlot } from "./planePlot.js";
import { Saved } from "./saved.js";
import { readSettings, type Settings } from "./settings.js";
import { CLICK_REACH, Source } from "./source.js";
import { forgetColours, plotStyle } from "./svg.js";
import { mountSymbols } from "./symbols/symbols.js";
import { lossesFor, type Task } from "./task.js";
import { countTensors, makeWorker, type Plots, Training } from "./training.js";
import { byId } from "./view.js";

const form = byId<HTMLFormElement>("settings");
const source = new Source();
const plots: Plots = {
  convex: new PlanePlot(byId<SVGSVGElement>("convexPlot"), byId("convexProbe"), "Convex network", clickAt),
  gradient: new PlanePlot(byId<SVGSVGElement>("gradientPlot"), byId("gradientProbe"), "Network of model.fit", clickAt),
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
  byId("stop").addEventListener("click", () => training?.stop());
  byId("drawContours").addEventListener("click", () => training?.drawContours().catch(complain));
  byId("undo").addEventListener("click", () => {
    source.undoClick();
    void showTask();
  });
  byId("objectiveView").addEventListener("input", () => drawn?.draw());
  byId("theme").addEventListener("click", toggleTheme);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
  for (const box of document.querySelectorAll<HTMLElement>(".scroll")) box.tabIndex = 0; // so that keys can scroll it
  acceptFiles();
  mountSymbols(makeWorker);
  redraw();
  void showTask();
  if (import.meta.env.PROD) addEventListener("load", () => keepOffline().catch(() => undefined)); // the page does without
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
  try {
    if (!form.checkValidity()) return;
    const found = await source.task(settings, target);
    if (readSettings(form).data !== settings.data) return; // another was chosen while this one was loading
    task = found.task;
    note.textContent = found.notes.join(" ");
  } catch (error) {
    note.textContent = (error as Error).message;
    return;
  }
  const plane = task.name === "clicks" ? { ...planeOf(task), reach: CLICK_REACH } : planeOf(task);
  plots.convex.setTask(task, plane);
  plots.gradient.setTask(task, plane);
  showLosses(task);
  drawn = null;
  drawObjectives(plots.objective, null);
  drawContours(plots.contour, null);
  await saved.refresh();
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
    byId("verdict").replaceChildren(
      ...mine.verdict().map((part) => {
        if (typeof part === "string") return part;
        return Object.assign(document.createElement("strong"), { textContent: part.strong });
      }),
    );
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
    const { columns } = await source.read(file);
    const select = form.elements.namedItem("target") as HTMLSelectElement;
    select.replaceChildren(...columns.map((name) => new Option(name)));
    select.selectedIndex = columns.length - 1;
    (form.elements.namedItem("data") as HTMLSelectElement).value = "csv";
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
