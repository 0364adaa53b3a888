/** Refuses to publish what README.md would be wrong about on npm: `npm publish` runs it first. */

import { readFileSync } from "node:fs";

const read = (name) => readFileSync(new URL(`../${name}`, import.meta.url), "utf8");
const meta = JSON.parse(read("package.json"));
const readme = read("README.md");

const faults = [];
if (meta.repository === undefined) {
  const relative = [...readme.matchAll(/\]\((?!https?:|#)([^)\s]+)\)/g)].length;
  faults.push(
    `package.json has no "repository": npm turns the ${relative} relative links and pictures of README.md into whole ones by it.`,
  );
}
if (readme.includes("is not on the npm registry")) {
  faults.push(
    'README.md says that the package is not on the npm registry: let it say "npm install tfjs-convex" from now on.',
  );
}
for (const fault of faults) console.error(`check-publish: ${fault}`);
process.exitCode = faults.length > 0 ? 1 : 0;
