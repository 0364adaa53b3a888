/** The script of a worker in a page. */

import { serveTrainer } from "../../src/index.js";

serveTrainer();
