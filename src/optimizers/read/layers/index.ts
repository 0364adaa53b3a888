/** The layer classes that may be more than a trunk. A new one is a file and a line here. */

import { activations } from "./activation.js";
import { batchNormalization } from "./batchNormalization.js";
import { convolution } from "./convolution.js";
import { dense } from "./dense.js";
import { gated } from "./gated.js";
import { identities } from "./identity.js";
import type { LayerKind, LayerPart, Step } from "./layer.js";
import { pooling } from "./pooling.js";

const KINDS: readonly LayerKind[] = [
  dense,
  convolution,
  gated,
  batchNormalization,
  pooling,
  ...activations,
  ...identities,
];

const BY_CLASS = new Map(KINDS.flatMap((kind) => kind.classes.map((name) => [name, kind] as const)));

/** What a layer may be; null for a class that is only ever part of a trunk. */
export function partOf(step: Step): LayerPart | null {
  return BY_CLASS.get(step.layer.getClassName())?.part(step) ?? null;
}
