/** The layers of a model as a tape on the host, in float64, where it knows them all. */

export { type Features, hostFeatures, hostOutputs } from "./features.js";
export { columnsOf, type Input, readInputs } from "./inputs.js";
export { isForDevice, rowsOfBlock } from "./limits.js";
export { type ReadTape, readTape, readWholeTape } from "./readTape.js";
export { recurrentLayersOf } from "./recurrentLayers.js";
