/** The packed package in fresh projects (scripts/installed): what a user has after `npm install`, without a download. */

import { readdirSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Home, makeHome } from "../../scripts/installed/home.js";
import { fault } from "../../scripts/installed/program.js";
import { projects, wrongOrder } from "../../scripts/installed/projects.js";

let home: Home;

beforeAll(() => {
  home = makeHome(); // builds first where dist/ is old
}, 240_000);

afterAll(() => home?.remove());

test("the package has the files that package.json names, and a map of the minified one alone", () => {
  const files = readdirSync(join(home.folder, "node_modules/tfjs-convex/dist")).sort();
  const code = ["index.cjs", "index.d.cts", "index.d.ts", "index.js", "tfjs-convex.min.js"];
  const sharded = ["shard.js", "sharded.cjs", "sharded.d.cts", "sharded.d.ts", "sharded.js"];
  expect(files).toEqual([...code, ...sharded, "tfjs-convex.min.js.map"].sort());
});

test.each(projects)(
  "XOR is trained and proven in a fresh project: $name",
  async ({ run }) => expect(fault(await run(home))).toBeNull(),
  180_000,
);

test("a script tag before that of TensorFlow.js is refused with what to do", async () => {
  expect((await wrongOrder(home)).join()).toMatch(/expected TensorFlow\.js in the page.*Put its <script> tag before/);
});
