/** Gates that grow while a program is solved: the search for new ones, neurons that move, and the proof in the end. */

export { descendNeurons, mayDescendRoughly, type NeuronPasses } from "./descents/index.js";
export { passOver } from "./effort.js";
export { evenly } from "./evenly.js";
export { type GrownSolution, type GrowthOptions, searchBeyond, solveGrowing } from "./grow.js";
export { columnScalesFrom, columnScalesOf } from "./metric/index.js";
export { FEWEST_STARTS, largestAtZero, randomStarts } from "./oracle.js";
export { columnsOf, TogetherPasses } from "./passes.js";
export { withAllGates } from "./proof.js";
export { searchGates } from "./search.js";
export { firstPause, firstScale, zeroState } from "./state.js";
