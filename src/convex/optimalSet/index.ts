/** All optima of one program, as a polyhedron: its corners, its nearest point, and ways between networks. */

export { type Candidate, type Candidates, candidatesOf, distinct } from "./candidates.js";
export { leastDistance } from "./leastDistance.js";
export { networkPath, type PathPoint } from "./networkPath.js";
export { Optima, type Optimum, type Waypoint } from "./optima.js";
