/** The penalties, by name. */

import type { Penalty } from "../types.js";
import { nuclear } from "./nuclear.js";
import { perOutput } from "./perOutput.js";
import { ridge } from "./ridge.js";

export const penalties: Readonly<Record<Penalty["name"], Penalty>> = { perOutput, nuclear, ridge };

export { branchPenalty } from "./branch.js";
