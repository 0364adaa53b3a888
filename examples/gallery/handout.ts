/** The buttons that hand out a training: model, code, data and plots as files. */

import { codeOf, dataFile, needsFile } from "./code.js";
import { svgFile } from "./svg.js";
import type { Plots, Training } from "./training.js";
import { offer } from "./view.js";
import { loadConvex } from "./workers.js";

export class Handout {
  private training: Training | null = null;
  private plots: Plots | null = null;
  private readonly buttons = document.querySelectorAll<HTMLButtonElement>("[data-export]");

  constructor(complain: (error: unknown) => void) {
    for (const button of this.buttons) {
      button.addEventListener("click", () => this.hand(button.dataset.export ?? "").catch(complain));
    }
  }

  /** Null while there is nothing to hand out. */
  offer(training: Training | null, plots: Plots | null): void {
    this.training = training;
    this.plots = plots;
    const ready = training?.result !== null && training !== null;
    for (const button of this.buttons) button.disabled = !ready;
  }

  private async hand(what: string): Promise<void> {
    const { training, plots } = this;
    if (training === null || training.result === null || plots === null) return;
    const { task, settings } = training;
    switch (what) {
      case "model": {
        const { json, weights } = await (await loadConvex()).modelFiles(training.result.model);
        offer("model.json", json);
        return offer("model.weights.bin", weights);
      }
      case "code":
        offer("run.mjs", codeOf(task, settings));
        if (needsFile(task)) offer("data.json", dataFile(task, settings));
        return;
      case "data":
        return offer("data.json", dataFile(task, settings));
      case "convexPlot":
        return offer("convex.svg", svgFile(plots.convex.svg));
      case "gradientPlot":
        return offer("model-fit.svg", svgFile(plots.gradient.svg));
      case "excessPlot":
        return offer("above-the-bound.svg", svgFile(plots.excess));
      case "objectivePlot":
        return offer("objective.svg", svgFile(plots.objective));
      case "contourPlot":
        return offer("around.svg", svgFile(plots.contour));
    }
  }
}
