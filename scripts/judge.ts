/**
 * Judges many random small problems (test/helpers/judge.ts): npm run judge -- --count 5000 --seed 1 --descents 30
 *
 * Prints a line for each problem that failed, and what was covered; `--only 123` replays one seed and prints its recipe.
 * Ends with status 1 where a problem failed.
 */

import { parseArgs } from "node:util";
import * as tf from "@tensorflow/tfjs";
import { judgeSeed, type Verdict } from "../test/helpers/judge.js";

const { values } = parseArgs({
  options: {
    count: { type: "string", default: "200" },
    seed: { type: "string", default: "1" },
    descents: { type: "string", default: "30" },
    only: { type: "string" },
  },
});
const first = Number(values.only ?? values.seed);
const count = values.only === undefined ? Number(values.count) : 1;
const descents = Number(values.descents);

await tf.setBackend("cpu");
const tallies = new Map<string, Map<string, number>>();
let failed = 0;
let seconds = 0;
for (let seed = first; seed < first + count; seed++) {
  const verdict = await judgeSeed(seed, descents);
  seconds += verdict.seconds;
  tallyAll(verdict);
  if (values.only !== undefined) console.log(JSON.stringify(verdict, null, 1));
  if (verdict.failures.length === 0) continue;
  failed++;
  for (const { kind, detail } of verdict.failures)
    console.log(`FAILED ${seed} | ${kind} | ${detail} | ${inShort(verdict)}`);
}
for (const [name, tally] of tallies) {
  const sorted = [...tally].sort((a, b) => b[1] - a[1]);
  console.log(`${name}: ${sorted.map(([value, times]) => `${value} ${times}`).join(", ")}`);
}
console.log(
  `${count} problems from seed ${first}, ${descents} descents each: ${failed} failed (${seconds.toFixed(0)} s)`,
);
process.exitCode = failed > 0 ? 1 : 0;

function tallyAll({ recipe, outcome, scope, failures, seconds: spent }: Verdict): void {
  const { options, before } = recipe;
  const arrangements = options.arrangements;
  tally("outcome", outcome);
  tally("scope", scope);
  tally("layer", `${recipe.layer} ${recipe.formulation}`);
  tally("loss", recipe.loss);
  tally("skip", recipe.skip === null ? "none" : recipe.skip.l2 > 0 ? "charged" : "free");
  tally("outputs", String(recipe.outputs));
  tally("biases", `${recipe.hiddenBias ? "hidden" : "-"}/${recipe.outputBias ? "output" : "-"}`);
  tally(
    "weights",
    [recipe.sampleWeight && "samples", recipe.classWeight && "classes"].filter(Boolean).join("+") || "none",
  );
  tally(
    "regularization",
    recipe.l2.hidden > 0
      ? "layers"
      : String(typeof options.regularization === "number" ? "number" : options.regularization),
  );
  tally("arrangements", arrangements === undefined ? "default" : "kind" in arrangements ? arrangements.kind : "gates");
  tally("pricing", options.pricing?.kind ?? "default");
  tally("reduction", options.rank !== undefined ? "rank" : options.pca !== undefined ? "pca" : "none");
  tally("before", before.kind === "nothing" ? "nothing" : `${before.kind} as ${recipe.use}`);
  tally("solver", options.solver ?? "default");
  for (const kind of recipe.data.split(", ")) tally("data", kind);
  for (const { kind } of failures) tally("failures", kind);
  if (spent > 10) tally("slow", `${recipe.seed} (${spent.toFixed(0)} s)`);
}

function tally(name: string, value: string): void {
  const counts = tallies.get(name) ?? new Map<string, number>();
  counts.set(value, (counts.get(value) ?? 0) + 1);
  tallies.set(name, counts);
}

function inShort({ recipe, outcome }: Verdict): string {
  const { layer, formulation, loss, outputs, rows, inputShape, hiddenBias, outputBias, data, options, before, use } =
    recipe;
  const weights = `${recipe.sampleWeight ? " sampleWeight" : ""}${recipe.classWeight ? " classWeight" : ""}`;
  return (
    `${outcome}; ${layer} ${formulation} ${loss} C=${outputs} n=${rows} [${inputShape}] bias ${Number(hiddenBias)}${Number(outputBias)}` +
    `${weights}${recipe.skip === null ? "" : ` skip ${JSON.stringify(recipe.skip)}`}; ${data}; ${JSON.stringify(options)}${before.kind === "nothing" ? "" : ` after ${before.kind} as ${use}`}`
  );
}
