/** One fit of a sweep, where a worker is. */

import { serialize } from "node:v8";
import { type FitAnswer, RowRefusal } from "../../convex/sharded/index.js";
import type { FitCall } from "../frames.js";
import { exported } from "./userModule.js";

type FitOf = (args: unknown, which: { readonly index: number }) => unknown;

/** Never rejects: what a fit throws is its answer. */
export async function fitted({ load, index, args }: FitCall): Promise<FitAnswer> {
  try {
    const once = await exported<FitOf>(load, "fit", "async function fit(args)");
    return { index, tries: 1, done: cloned(await once(args, { index })) };
  } catch (error) {
    if (error instanceof RowRefusal) return { index, tries: 1, failed: { code: error.code, text: error.text } };
    const said = error instanceof Error ? error.message : String(error);
    const text = `expected the module's fit to end, got its error "${said}". Run it by itself to see where it comes from.`;
    return { index, tries: 1, failed: { code: "cluster/module", text } };
  }
}

function cloned(value: unknown): string {
  try {
    return serialize(value).toString("base64");
  } catch (error) {
    const said = error instanceof Error ? error.message : String(error);
    throw new RowRefusal(
      "cluster/module",
      null,
      `expected fit to return what can be sent, got what can't: ${said} Return numbers, arrays and plain objects, such as ` +
        `{ objective, certificate } of a result, not the result with its model.`,
    );
  }
}
