/** Vite and webpack as a project with next to no configuration has them; each gives what it complains of. */

import { join } from "node:path";
import { createLogger, build as runVite } from "vite";
import webpack from "webpack";

export async function viteBuild(root: string): Promise<string[]> {
  const said: string[] = [];
  const silent = createLogger("silent");
  const warn = (text: string) => void said.push(text);
  await runVite({
    root,
    configFile: false,
    customLogger: { ...silent, warn, warnOnce: warn },
    build: { minify: false, chunkSizeWarningLimit: 1e5 },
    worker: { format: "es" },
  });
  return said;
}

export async function webpackBuild(folder: string): Promise<string[]> {
  const compiler = webpack({
    context: folder,
    entry: "./main.js",
    output: { path: join(folder, "dist") },
    mode: "development",
    devtool: false,
  });
  const stats = await new Promise<webpack.Stats | undefined>((resolve, reject) => {
    compiler?.run((error, done) => (error ? reject(error) : resolve(done)));
  });
  await new Promise<void>((resolve) => compiler?.close(() => resolve()));
  const { errors = [], warnings = [] } = stats?.toJson({ all: false, errors: true, warnings: true }) ?? {};
  if (errors.length > 0) throw new Error(`webpack: ${errors.map(({ message }) => message).join("\n")}`);
  return warnings.map(({ moduleName, message }) => `${moduleName}: ${message}`);
}

/** What tfjs makes a bundler say is not for us to mend; what our file makes it say is a fault. */
export function refuseOurs(bundler: string, complaints: readonly string[]): void {
  const ours = complaints.filter((text) => text.includes("tfjs-convex") || /module not found/i.test(text));
  if (ours.length > 0) throw new Error(`${bundler} complains of the package: ${ours.join("\n")}`);
}
