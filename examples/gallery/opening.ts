/** The run that the page opens with: scripts/opening.ts makes it, by the code of the page, with the settings of the form. */

import record from "./opening.json";
import type { Settings } from "./settings.js";
import type { Recorded } from "./training.js";

export const opening: Recorded = record;

/** Whether it is a run with these settings: a reload may have kept others in the form. */
export function opens(settings: Settings): boolean {
  return JSON.stringify(settings) === JSON.stringify(record.settings);
}
