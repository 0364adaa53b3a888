/** The program that every project runs: XOR, as in the README's quick start, and one line that says how it went. */

/** What a project prints. */
export interface Report {
  readonly status: string;
  readonly scope: string;
  readonly relativeGap: number;
  readonly engine: string;
  readonly predicted: readonly number[];
}

/** Trains and hands a Report to `report`; `tf` and the names of the package are there already. */
export function xor(report: string, trainer = "new ConvexReLUTrainer(options)"): string {
  return `
const x = tf.tensor2d([[0, 0], [0, 1], [1, 0], [1, 1]]);
const y = tf.tensor2d([[0], [1], [1], [0]]);
const model = tf.sequential({
  layers: [tf.layers.dense({ units: 16, activation: "relu", inputShape: [2] }), tf.layers.dense({ units: 1 })],
});
model.compile({ optimizer: "adam", loss: "meanSquaredError" });
const options = { arrangements: { kind: "enumerate" }, solver: "proximal-newton" };
async function main() {
  await tf.setBackend("cpu");
  const result = await ${trainer}.fit(model, x, y);
  const { status, engine, certificate: { scope, relativeGap } } = result;
  const predicted = Array.from(model.predict(x).dataSync());
  ${report}(JSON.stringify({ status, scope, relativeGap, engine, predicted }));
}
main().catch((error) => ${report}(JSON.stringify({ status: String(error) })));
`;
}

/** The same in strict TypeScript. */
export function typedXor(report: string, trainer?: string): string {
  return xor(report, trainer)
    .replace("const options =", "const options: TrainerOptions =")
    .replace("model.predict(x).dataSync()", "(model.predict(x) as tf.Tensor).dataSync()")
    .replace("function main()", "function main(): Promise<void>");
}

export const IMPORTS = 'import * as tf from "@tensorflow/tfjs";\nimport { ConvexReLUTrainer } from "tfjs-convex";\n';
export const TYPED_IMPORTS =
  'import * as tf from "@tensorflow/tfjs";\nimport { ConvexReLUTrainer, type TrainerOptions } from "tfjs-convex";\n';

/** Null where XOR is learnt and proven, else what is wrong. */
export function fault(report: Report): string | null {
  const { status, scope, relativeGap, predicted } = report;
  const right = predicted?.map((value) => value > 0.5).join() === "false,true,true,false";
  const proven = status === "solved" && scope === "all gates" && relativeGap <= 1e-4;
  return right && proven ? null : `expected XOR solved and proven for all gates, got ${JSON.stringify(report)}`;
}
