/** Batch normalisation between a dense layer and its activation: the white rows that the program sees, and units on them. */

export { foldedUnits, type NormalizedLayers, normalizedLayersOf, type Units, whiteUnits } from "./units.js";
export { white, whitened } from "./whitening.js";
