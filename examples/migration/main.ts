/**
 * From model.fit to the convex trainer in three lines: shows the difference of the two scripts, runs both, and compares.
 *
 *     npm run demo:migration
 */

import { compare, differences } from "./compare.js";

for (const line of differences()) console.log(line);
console.log(`\n${compare()}`);
