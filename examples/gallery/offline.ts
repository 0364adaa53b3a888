/** A plugin of Vite that builds the service worker with the list of all files of the build. */

import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { Plugin } from "vite";

/** `publicDir` has the files that Vite copies as they are. */
export function offline(root: string, publicDir: string): Plugin {
  const script = "serviceWorker.js";
  return {
    name: "offline",
    apply: "build",
    buildStart() {
      this.emitFile({ type: "chunk", id: join(root, "serviceWorker.ts"), fileName: script });
    },
    generateBundle: {
      order: "post",
      handler(_options, bundle) {
        const chunk = bundle[script];
        if (chunk?.type !== "chunk") throw new Error(`The build has no ${script}.`);
        const hash = createHash("sha256");
        const files: string[] = [];
        for (const [name, file] of Object.entries(bundle).sort(([a], [b]) => (a < b ? -1 : 1))) {
          if (name === script) continue;
          files.push(`./${name}`);
          hash.update(file.type === "chunk" ? file.code : file.source);
        }
        for (const name of readdirSync(publicDir)) {
          files.push(`./${name}`);
          hash.update(readFileSync(join(publicDir, name)));
        }
        const list = JSON.stringify(JSON.stringify({ version: hash.digest("hex").slice(0, 12), files }));
        const code = chunk.code.replace(/(["'`])FILES\1/, () => list);
        if (code === chunk.code) throw new Error(`${script} has no place for the list of files.`);
        chunk.code = code;
      },
    },
  };
}
