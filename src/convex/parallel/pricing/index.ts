/** What branches of given patterns can be worth at a dual point, from both sides. */

export { type Coefficients, coefficientsOf } from "./coefficients.js";
export { type Price, pieceWorth, priceOf } from "./price.js";
export { choicesOf, chosenOptions, type RowOption, rowOptions, type Tree, treesOf } from "./rowOptions.js";
