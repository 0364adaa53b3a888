/** Children that answer in lines of JSON, within a time: one that hangs or falls over takes nobody with it. */

import { spawn } from "node:child_process";
import { createInterface } from "node:readline";

/**
 * Runs a program with all that it starts, and hands over each line of its output that is JSON; ends them all after `seconds`. Answers with
 * why it did not end well, or null.
 */
export function linesOf(
  [program, ...args]: readonly string[],
  seconds: number,
  onLine: (value: unknown) => void,
  env: NodeJS.ProcessEnv = process.env,
): Promise<string | null> {
  return new Promise((resolve) => {
    // A group of its own, so that a browser ends with the process that began it.
    const child = spawn(program, args, { detached: true, env, stdio: ["ignore", "pipe", "pipe"] });
    let late = false;
    let errors = "";
    const end = () => {
      try {
        if (child.pid !== undefined) process.kill(-child.pid, "SIGKILL");
      } catch {
        // All of it has ended by itself.
      }
    };
    const timer = setTimeout(() => {
      late = true;
      end();
    }, 1000 * seconds);
    const stopped = () => {
      end();
      process.exit(130);
    };
    process.once("SIGINT", stopped).once("SIGTERM", stopped);
    createInterface({ input: child.stdout }).on("line", (line) => {
      if (!line.startsWith("{")) return;
      try {
        onLine(JSON.parse(line));
      } catch {
        // Something else's words.
      }
    });
    child.stderr.on("data", (chunk) => {
      errors = `${errors}${chunk}`.slice(-4000);
    });
    child.on("error", (error) => {
      errors = error.message;
    });
    child.on("close", (code, signal) => {
      clearTimeout(timer);
      process.off("SIGINT", stopped).off("SIGTERM", stopped);
      end();
      if (late) resolve(`ended after ${seconds.toFixed(0)} s`);
      else if (code === 0) resolve(null);
      else resolve(`${signal ?? `status ${code}`}${reasonIn(errors)}`);
    });
  });
}

/** The line that names an error, or the last one. */
function reasonIn(errors: string): string {
  const lines = errors.split("\n").filter((line) => line.trim() !== "");
  const named = lines.find((line) => /^\w*Error\b/.test(line.trim())) ?? lines[lines.length - 1];
  return named === undefined ? "" : `: ${named.trim().slice(0, 300)}`;
}
