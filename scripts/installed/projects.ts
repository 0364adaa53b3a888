/** The fresh projects: how each is written, built and run. A project is one entry here, and the tests run it then. */

import { execFileSync } from "node:child_process";
import { copyFileSync } from "node:fs";
import { join } from "node:path";
import { build as bundle } from "esbuild";
import { refuseOurs, viteBuild, webpackBuild } from "./bundlers.js";
import { type Home, MODULES } from "./home.js";
import { openPage } from "./page.js";
import { IMPORTS, type Report, TYPED_IMPORTS, typedXor, xor } from "./program.js";

export interface Project {
  readonly name: string;
  /** Makes it, builds it, runs it. Throws where a tool has something to complain of. */
  run(home: Home): Promise<Report>;
}

const PRINT = "console.log";
const TITLE = "(text => { document.title = text; })";

/** The last line that a program prints. */
function printed(command: string, words: readonly string[], folder: string): Report {
  const text = execFileSync(command, words, { cwd: folder, encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });
  return JSON.parse(text.trim().split("\n").at(-1) ?? "");
}

const node = (file: string, folder: string) => printed(process.execPath, [file], folder);

async function titleOf(folder: string, headers?: Readonly<Record<string, string>>): Promise<Report> {
  const { title, complaints } = await openPage(folder, headers);
  if (complaints.length > 0 || title === "") throw new Error(`the page says: ${complaints.join("\n") || "nothing"}`);
  return JSON.parse(title);
}

/** Runs tsc, strict, as a project has it: no types but those that are imported. */
function compile(folder: string, options: Readonly<Record<string, unknown>>, home: Home): void {
  home.project(folder, {
    "tsconfig.json": JSON.stringify({
      compilerOptions: {
        strict: true,
        target: "ES2022",
        types: [],
        skipLibCheck: true,
        lib: ["ES2022", "DOM"],
        ...options,
      },
    }),
  });
  try {
    execFileSync(process.execPath, [join(MODULES, "typescript/bin/tsc"), "-p", join(home.folder, folder)], {
      encoding: "utf8",
    });
  } catch (error) {
    throw new Error(`tsc: ${(error as { stdout?: string }).stdout ?? error}`);
  }
}

const WORKER = 'import { serveTrainer } from "tfjs-convex";\nserveTrainer();\n';
const IN_WORKER =
  'new WorkerTrainer(new Worker(new URL("./trainer.worker.ts", import.meta.url), { type: "module" }), options)';
const BUILT = "tfjs-convex.min.js";
const page = (script: string) => `<!doctype html><title></title><body>${script}</body>`;

export const projects: readonly Project[] = [
  {
    name: "Node, import",
    run: async (home) => node("index.mjs", home.project("esm", { "index.mjs": IMPORTS + xor(PRINT) })),
  },
  {
    name: "Node, require",
    run: async (home) => {
      const needed = 'const tf = require("@tensorflow/tfjs");\nconst { ConvexReLUTrainer } = require("tfjs-convex");\n';
      return node("index.cjs", home.project("cjs", { "index.cjs": needed + xor(PRINT) }));
    },
  },
  {
    name: "TypeScript, module node16, as a module and as CommonJS",
    run: async (home) => {
      const text = TYPED_IMPORTS + typedXor(PRINT);
      const folder = home.project("node16", { "index.mts": text, "index.cts": text });
      compile("node16", { module: "node16" }, home);
      node("index.cjs", folder);
      return node("index.mjs", folder);
    },
  },
  {
    name: "TypeScript, resolution bundler, and esbuild",
    run: async (home) => {
      const folder = home.project("bundler", { "index.ts": TYPED_IMPORTS + typedXor(PRINT) });
      compile("bundler", { module: "esnext", moduleResolution: "bundler", noEmit: true }, home);
      const { warnings } = await bundle({
        absWorkingDir: folder,
        entryPoints: ["index.ts"],
        outfile: join(folder, "out.cjs"),
        ...{ bundle: true, platform: "node", format: "cjs", logLevel: "silent" },
      });
      refuseOurs(
        "esbuild",
        warnings.map(({ text, location }) => `${location?.file}: ${text}`),
      );
      return node("out.cjs", folder);
    },
  },
  {
    name: "Vite, with a worker",
    run: async (home) => {
      const root = home.project("vite", {
        "index.html": page('<script type="module" src="./main.ts"></script>'),
        "main.ts": TYPED_IMPORTS.replace("ConvexReLUTrainer", "WorkerTrainer") + typedXor(TITLE, IN_WORKER),
        "trainer.worker.ts": WORKER,
      });
      refuseOurs("Vite", await viteBuild(root));
      return titleOf(join(root, "dist"));
    },
  },
  {
    name: "webpack, with a worker",
    run: async (home) => {
      const folder = home.project("webpack", {
        "main.js": IMPORTS.replace("ConvexReLUTrainer", "WorkerTrainer") + xor(TITLE, IN_WORKER.replace(".ts", ".js")),
        "trainer.worker.js": WORKER,
        "dist/index.html": page('<script src="./main.js"></script>'),
      });
      refuseOurs("webpack", await webpackBuild(folder));
      return titleOf(join(folder, "dist"));
    },
  },
  {
    name: "script tags under a strict Content-Security-Policy",
    run: async (home) => {
      const tags = ["tf.js", BUILT, "main.js"].map((file) => `<script src="./${file}"></script>`);
      const main = `const { ConvexReLUTrainer } = tfConvex;\n${xor(TITLE)}`;
      const folder = home.project("tags", { "index.html": page(tags.join("")), "main.js": main });
      copyFileSync(join(MODULES, "@tensorflow/tfjs/dist/tf.es2017.min.js"), join(folder, "tf.js"));
      copyFileSync(join(home.folder, "node_modules/tfjs-convex/dist", BUILT), join(folder, BUILT));
      return titleOf(folder, { "Content-Security-Policy": "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'" });
    },
  },
];

/** Runtimes that not every machine has: tried where they are on the PATH, by scripts/installed.ts. */
export const elsewhere: readonly (Project & { readonly command: string })[] = [
  {
    name: "Bun",
    command: "bun",
    run: async (home) => printed("bun", ["index.mjs"], home.project("bun", { "index.mjs": IMPORTS + xor(PRINT) })),
  },
  {
    name: "Deno",
    command: "deno",
    run: async (home) => {
      const folder = home.project("deno", { "index.mjs": IMPORTS + xor(PRINT), "package.json": "{}" });
      return printed("deno", ["run", "-A", "--node-modules-dir=manual", "index.mjs"], folder);
    },
  },
];

/** What a page says whose tags stand in the wrong order. */
export async function wrongOrder(home: Home): Promise<readonly string[]> {
  const folder = home.project("order", { "index.html": page(`<script src="./${BUILT}"></script>`) });
  copyFileSync(join(home.folder, "node_modules/tfjs-convex/dist", BUILT), join(folder, BUILT));
  return (await openPage(folder)).complaints;
}
