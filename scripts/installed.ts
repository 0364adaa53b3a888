/**
 * Packs the package, installs it into fresh projects of every kind that people have, and trains XOR in each:
 * `npm run check:installed`. Bun and Deno take part where they are on the PATH. Ends with status 1 where a project failed.
 */

import { spawnSync } from "node:child_process";
import { makeHome } from "./installed/home.js";
import { fault } from "./installed/program.js";
import { elsewhere, projects } from "./installed/projects.js";

const home = makeHome();
try {
  for (const project of [...projects, ...elsewhere]) {
    if ("command" in project && spawnSync(project.command as string, ["--version"]).status !== 0) {
      console.log(`not tried  ${project.name}: not on the PATH`);
      continue;
    }
    const wrong = await project.run(home).then(fault, (error) => String(error.stderr ?? error.message));
    console.log(wrong === null ? `trains XOR  ${project.name}` : `FAILED  ${project.name}: ${wrong}`);
    if (wrong !== null) process.exitCode = 1;
  }
} finally {
  home.remove();
}
