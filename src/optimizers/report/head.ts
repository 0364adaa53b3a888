/** What a certificate of a deep model is about: the head, given the features that the layers below compute. */

import type { Certificate } from "../../convex/types.js";
import type { NetworkSpec } from "../read/model.js";

/** The certificate with words that say so; as it is of a model with nothing that is trained below its head. */
export function claimedOfHead(certificate: Certificate, { deep, cut }: Pick<NetworkSpec, "deep" | "cut">): Certificate {
  if (deep.length === 0) return certificate;
  const head = cut === "hidden" ? "the last hidden layer and the read-out" : "the read-out";
  const layers = deep.map((name) => `"${name}"`).join(", ");
  return {
    ...certificate,
    claim:
      `Of ${head} alone, given the features that the layers below (${layers}) compute: ${certificate.claim} ` +
      `Nothing is proven of other weights in those layers.`,
  };
}
