/** Layers that go through a sequence: a loop over times, and what their units do at each. */

export { gatedCell, type MakeCell, memoryCell, simpleCell, type Units } from "./cells.js";
export { type Order, recurrence } from "./recurrence.js";
