/** Derivatives of a network at an optimum of its convex program. */

export { byTargets, distanceToJump, hasTargetSlopes } from "./byTargets.js";
export { alongRows, type Curvature, curvatureAt, Inverse, lossCurved, sumOfRows } from "./curvature.js";
export { opensOn, outputsAt, type Point, placesOf, type Shape, slopes, type Unit } from "./point.js";
export { directionOf, type Held, restNear, type Stationary, settle } from "./stationary.js";
