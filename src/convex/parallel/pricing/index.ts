/** What branches of given patterns can be worth at a dual point, from both sides. */

export { type Price, pieceWorth, priceOf, type RowCoefficients } from "./price.js";
