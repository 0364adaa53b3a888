/** What any gate at all can be worth at a dual point: branch and bound over all activation patterns. */

export { DEFAULT_CONES, type DearGate, GatePricer, type Pricing } from "./allGates.js";
