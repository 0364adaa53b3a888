/**
 * Trains the trunk of the panel "Teach it your own symbols" and writes trunk.json beside this file: the network of examples/transfer,
 * which model.fit has taught the digits 0 to 4 of MNIST.
 *
 *     npm run gallery:trunk
 */

import { writeFileSync } from "node:fs";
import { useFastBackend } from "../../support/train.js";
import { trainedTrunk } from "../../transfer/experiment.js";

await useFastBackend();
const { trunk, accuracy } = await trainedTrunk({ known: 600, unseen: 400, epochs: 4 });
const weights = await Promise.all(
  trunk.getWeights().map(async (weight) => {
    const values = (await weight.data()) as Float32Array;
    const bytes = Buffer.from(values.buffer, values.byteOffset, values.byteLength);
    return { shape: weight.shape, values: bytes.toString("base64") };
  }),
);
const text = JSON.stringify({ knownAccuracy: Number(accuracy.toFixed(4)), weights }, null, 1);
writeFileSync(new URL("trunk.json", import.meta.url), `${text}\n`);
console.log(`Digits 0 to 4 that were held out: ${(100 * accuracy).toFixed(1)} %. trunk.json: ${text.length} bytes.`);
