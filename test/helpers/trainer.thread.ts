/** The script of a worker thread in Node. */

import { parentPort } from "node:worker_threads";
import { serveTrainer } from "../../src/index.js";

if (parentPort === null) throw new Error("This script is for a worker thread.");
serveTrainer(parentPort);
