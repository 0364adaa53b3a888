/** Upper bounds of what is NP-hard: maxima over polyhedral cones, relaxed. */

export { ConeRelaxation } from "./coneRelaxation.js";
