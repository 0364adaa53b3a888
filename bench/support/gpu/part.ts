/** One part of bench/gpu.ts, in a process of its own: prints each finding as a line of JSON. Called by it, not by hand. */

import "@tensorflow/tfjs-backend-wasm";
import { withPage } from "../gpuPage.js";
import { type Proven, type RivalTimes, scnnTimes } from "./rival.js";
import { type Finding, runTask, type Task } from "./tasks.js";

/** What is asked of it, as JSON, its only argument. */
export type PartWish = { readonly seconds: number } & (
  | { readonly where: "Node"; readonly task: Task }
  | { readonly where: "Chromium"; readonly task: Task; readonly software: boolean } // on the CPU (SwiftShader)
  | { readonly where: "Python"; readonly proven: Proven; readonly gaps: readonly number[] }
);

export type PartFinding = Finding | { readonly rival: RivalTimes };

const wish: PartWish = JSON.parse(process.argv[2]);
const { seconds } = wish;
const tell = (finding: PartFinding) => process.stdout.write(`${JSON.stringify(finding)}\n`);

if (wish.where === "Node") {
  await runTask(wish.task, seconds, tell);
} else if (wish.where === "Python") {
  const found = await scnnTimes(wish.proven, wish.gaps, seconds);
  tell(typeof found === "string" ? { failure: found } : { rival: found });
} else {
  await inPage(wish.task, wish.software);
}
process.exit(0); // a device that Node holds keeps it alive

async function inPage(task: Task, software: boolean): Promise<void> {
  const began = performance.now();
  await withPage(
    software,
    async (page) => {
      await page.exposeFunction("tell", tell);
      const left = seconds - (performance.now() - began) / 1000;
      await page.evaluate(
        ([task, left]) => {
          const there = globalThis as unknown as { runTask: typeof runTask; tell: typeof tell };
          return there.runTask(task, left, there.tell);
        },
        [task, left] as const,
      );
    },
    true,
  );
}
