import { readFileSync } from "node:fs";
import commonjs from "@rollup/plugin-commonjs";
import resolve from "@rollup/plugin-node-resolve";
import terser from "@rollup/plugin-terser";
import dts from "rollup-plugin-dts";
import esbuild from "rollup-plugin-esbuild";

const meta = JSON.parse(readFileSync(new URL("package.json", import.meta.url), "utf8"));
const peers = Object.keys(meta.peerDependencies);
const installed = [...peers, ...Object.keys(meta.dependencies)];
const isOneOf = (names) => (id) => names.some((name) => id === name || id.startsWith(`${name}/`));

const input = "src/index.ts";
const banner = `// ${meta.name} ${meta.version}, ${meta.license}`;
const globals = { "@tensorflow/tfjs": "tf" };

/** What a page whose script tags stand in the wrong order reads, in place of a property of undefined. */
const tfFirst = `if (tf === undefined) {
  throw new Error(
    "tfjs-convex: expected TensorFlow.js in the page, as the global tf, got none. " +
      "Put its <script> tag before that of tfjs-convex, and defer or async on neither.",
  );
}`;

/** Pages have WebGPU and WebGL: the engine of gpu.js is for those who bundle the package. */
const withoutGpujs = {
  name: "without-gpujs",
  resolveId: (id) =>
    id === "./gpujs/index.js" ? new URL("src/convex/kernels/gpujs/absent.ts", import.meta.url).pathname : null,
};

/** What Node loads of ml-matrix is CommonJS; its sources are modules, of which a bundle takes only the decompositions. */
const matrixModules = {
  name: "matrix-modules",
  resolveId: (id) =>
    id === "ml-matrix" ? new URL("node_modules/ml-matrix/src/index.js", import.meta.url).pathname : null,
};

const sharded = "src/cluster/index.ts";
/** Errors are those of the main entry, so that there is one class of them. */
const errorsOfMain = {
  name: "errors-of-main",
  resolveId: (id) => (id.endsWith("/errors.js") ? { id: meta.name, external: true } : null),
};
const isNode = (id) => id.startsWith("node:");

export default [
  {
    input,
    external: isOneOf(installed),
    plugins: [esbuild({ target: "es2022" })],
    output: [
      // Nothing is minified in these: they are read as they are, and maps would be twice as large as they.
      { file: "dist/index.js", format: "es", banner },
      { file: "dist/index.cjs", format: "cjs", banner },
    ],
  },
  {
    // For a <script> tag: everything inside but TensorFlow.js, which the page has as `tf`.
    input,
    external: isOneOf(peers),
    plugins: [
      withoutGpujs,
      matrixModules,
      resolve({ browser: true }),
      commonjs(),
      esbuild({ target: "es2022" }),
      terser(),
    ],
    output: {
      file: "dist/tfjs-convex.min.js",
      format: "umd",
      name: "tfConvex",
      globals,
      intro: tfFirst,
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
  {
    // For Node alone: who runs shards.
    input: sharded,
    external: (id) => isNode(id) || isOneOf(installed)(id),
    treeshake: { moduleSideEffects: false },
    plugins: [errorsOfMain, esbuild({ target: "es2022" })],
    output: [
      { file: "dist/sharded.js", format: "es", banner },
      { file: "dist/sharded.cjs", format: "cjs", banner },
    ],
  },
  {
    // What a worker runs: whole but for what is installed, and without TensorFlow.js.
    input: "src/cluster/shard.ts",
    external: (id) => isNode(id) || isOneOf(installed)(id),
    treeshake: { moduleSideEffects: false },
    plugins: [esbuild({ target: "es2022" })],
    output: { file: "dist/shard.js", format: "es", banner },
  },
  {
    input: sharded,
    external: isNode,
    plugins: [errorsOfMain, dts()],
    output: [{ file: "dist/sharded.d.ts" }, { file: "dist/sharded.d.cts" }],
  },
];
