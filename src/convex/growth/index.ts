/** Gates that grow while a program is solved: the search for new ones, neurons that move, and the proof in the end. */

export { type GrownSolution, type GrowthOptions, searchBeyond, solveGrowing } from "./grow.js";
export { columnScalesOf } from "./movingNeurons.js";
export { largestAtZero, randomStarts } from "./oracle.js";
export { withAllGates } from "./proof.js";
export { eachSampleBlock } from "./sampleBlocks.js";
export { searchGates } from "./search.js";
