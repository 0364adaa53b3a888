import { readdirSync, readFileSync } from "node:fs";
import { dirname, posix } from "node:path";
import resolve from "@rollup/plugin-node-resolve";
import terser from "@rollup/plugin-terser";
import dts from "rollup-plugin-dts";
import esbuild from "rollup-plugin-esbuild";
import { privateNames } from "./scripts/private-names.mjs";

const meta = JSON.parse(readFileSync(new URL("package.json", import.meta.url), "utf8"));
const peers = Object.keys(meta.peerDependencies);
const installed = [...peers, ...Object.keys(meta.dependencies)];
const isOneOf = (names) => (id) => names.some((name) => id === name || id.startsWith(`${name}/`));

const input = "src/index.ts";
const banner = `// ${meta.name} ${meta.version}, ${meta.license}`;
const globals = { "@tensorflow/tfjs": "tf" };

/** Takes comments and spaces out of files whose template literals are programs for a GPU, where minifiers leave them. */
const shaders = {
  name: "shaders",
  transform(code, id) {
    if (!/kernels\/webg[pl]u?\w*(Shaders|Shape|Programs|Kernels)\.ts$/.test(id)) return null;
    const tight = (line) =>
      line
        .trimStart()
        .replace(/\s*\/\/ .*$/, "")
        .replace(/ *([=*,;:?(){}<>&|]) */g, "$1")
        .replace(/(?<=[\w)\]]) ?([+\-/%]) ?(?=[\w(])/g, "$1")
        .replace(/ ([+\-/]=)/g, "$1")
        .replace(/\b(\d+\.)0\b/g, "$1");
    const lines = code.split("\n").map((line) => (line.trimStart().startsWith("#") ? line.trimStart() : tight(line)));
    return { code: lines.join("\n").replace(/([;{}])\n+(?!#)/g, "$1"), map: { mappings: "" } };
  },
};

/**
 * Modules folder by folder in an order that was searched for, the text of the WASM module first: deflate looks back 32 kB, and
 * what is alike should be near. 1,500 bytes less when compressed than in the order of first use; a folder not named comes last.
 */
const FOLDERS = `
  . convex/losses convex/penalties convex/kernels convex/recovery convex convex/formulations convex/optimalSet
  convex/relaxation convex/pricing convex/solvers convex/operators convex/units convex/arrangements layers optimizers worker
`
  .trim()
  .split(/\s+/);
const byFolder = {
  name: "by-folder",
  transform(code, id) {
    if (!id.endsWith("src/index.ts")) return null;
    const placeOf = (file) => FOLDERS.indexOf(posix.dirname(file)) >>> 0; // -1 becomes the last
    const files = readdirSync(dirname(id), { recursive: true, encoding: "utf8" })
      .map((file) => file.replaceAll("\\", "/"))
      .filter((file) => /\.ts$/.test(file) && file !== "index.ts" && !/gpujs/i.test(file))
      .sort((one, other) => placeOf(one) - placeOf(other) || (one < other ? -1 : 1));
    const lines = ["convex/kernels/wasmModule.ts", ...files].map((file) => `import "./${file.replace(/ts$/, "js")}";`);
    return { code: lines.join("") + code, map: null };
  },
};

/** Pages have WebGPU and WebGL: the engine of gpu.js is for those who bundle the package. */
const withoutGpujs = {
  name: "without-gpujs",
  resolveId: (id) =>
    id === "./gpujs.js" ? new URL("src/convex/kernels/withoutGpujs.ts", import.meta.url).pathname : null,
};

/** `const` as `let`, two letters less a thousand times; the spaces keep the source map true. */
const constAsLet = {
  name: "const-as-let",
  transform(code) {
    const spots = [];
    const visit = (node) => {
      if (node.type === "VariableDeclaration" && node.kind === "const") spots.push(node.start);
      for (const child of Object.values(node).flat()) if (child?.type !== undefined) visit(child);
    };
    visit(this.parse(code));
    const letters = code.split(""); // places are those of UTF-16
    for (const at of spots) letters.splice(at, 5, ..."let  ");
    return { code: letters.join(""), map: null };
  },
};

/** Fields that a constructor sets need no line of their own. */
const lean = {
  target: "es2022",
  minifySyntax: true,
  tsconfigRaw: { compilerOptions: { useDefineForClassFields: false } },
};
/** Short names for what is named most. */
const short = { Float64Array: "$F", Int32Array: "$I", Math: "$M", Number: "$N", Array: "$A", Uint32Array: "$U" };
const intro = `const { ${Object.entries(short)
  .map((pair) => pair.join(": "))
  .join(", ")} } = globalThis;`;
const shortest = {
  ecma: 2020,
  module: true,
  compress: {
    passes: 5,
    ecma: 2020,
    pure_getters: true,
    sequences: false,
    inline: 1,
    directives: false, // "use strict" stays
    lhs_constants: false,
    unsafe_arrows: true,
    unsafe_methods: true,
    global_defs: {
      ...Object.fromEntries(Object.entries(short).map(([name, alias]) => [`@${name}`, alias])),
      "@Number.POSITIVE_INFINITY": "Infinity",
      "@Number.NEGATIVE_INFINITY": "-Infinity",
      "@process": "undefined", // a page is not Node
    },
  },
  mangle: {
    reserved: Object.values(short),
    properties: { builtins: true, regex: new RegExp(`^(${privateNames().join("|")})$`) },
  },
};

export default [
  {
    input,
    external: isOneOf(installed),
    plugins: [esbuild({ target: "es2022" })],
    output: [
      { file: "dist/index.js", format: "es", sourcemap: true, banner },
      { file: "dist/index.cjs", format: "cjs", sourcemap: true, banner },
    ],
  },
  {
    // For a <script> tag: everything inside but TensorFlow.js, which the page has as `tf`.
    input,
    external: isOneOf(peers),
    plugins: [withoutGpujs, byFolder, shaders, resolve({ browser: true }), esbuild(lean), constAsLet, terser(shortest)],
    output: {
      file: "dist/tfjs-convex.min.js",
      format: "umd",
      name: "tfConvex",
      globals,
      intro,
      sourcemap: true,
      banner,
    },
  },
  {
    input,
    external: isOneOf(installed),
    plugins: [dts()],
    output: [{ file: "dist/index.d.ts" }, { file: "dist/index.d.cts" }],
  },
];
