/** Writing a point of a path: its network into the model, or into a wider one. */

import type * as tf from "@tensorflow/tfjs";
import type { Network, NetworkWeights } from "../../convex/network.js";
import { ConvexError } from "../../errors.js";
import type { Settings } from "../options.js";
import type { NetworkSpec } from "../read/model.js";
import { writeWeights } from "./weights.js";
import { resized, unitsFor } from "./width.js";

/**
 * Answers with the model that has the weights of a point, `weightsOf` its network in so many units.
 *
 * @throws ConvexError "options/value" for a point of another path.
 */
export function writePoint<M extends tf.LayersModel>(
  model: M,
  spec: NetworkSpec,
  { width }: Pick<Settings, "width">,
  biasColumn: number,
  network: Network | undefined, // of the point; undefined where it is none of the path
  weightsOf: (network: Network, units: number) => NetworkWeights,
): M {
  if (network === undefined) {
    throw new ConvexError("options/value", "write: expected a point of this path, got another. Pass one of `points`.");
  }
  const units = unitsFor(spec, Math.max(1, network.neurons.length), width);
  const weights = weightsOf(network, units);
  const target = units === spec.units ? model : resized(model, units);
  writeWeights(target, spec, weights, biasColumn);
  return target;
}
