/** What a module of the user exports. */

import { RowRefusal } from "../../convex/sharded/index.js";

/** Its function of a name, or its default. @throws RowRefusal where it has none; what the module throws while it is loaded. */
export async function exported<F extends (...args: never[]) => unknown>(
  load: string,
  name: string,
  wanted: string,
): Promise<F> {
  const module = (await import(load)) as Readonly<Record<string, unknown>>;
  const made = module[name] ?? module.default;
  if (typeof made === "function") return made as F;
  throw new RowRefusal(
    "cluster/module",
    null,
    `expected ${load} to export a function "${name}", got ${typeof made}. Export ${wanted}.`,
  );
}
