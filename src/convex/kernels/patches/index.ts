/** Products with gates over patches, for any engine. */

export { PatchwiseProducts } from "./patchwise.js";
export { PooledProducts, roomForPooled } from "./pooled.js";
