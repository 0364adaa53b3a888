import { readFileSync } from "node:fs";
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
    plugins: [withoutGpujs, matrixModules, resolve({ browser: true }), esbuild({ target: "es2022" }), terser()],
    output: {
      file: "dist/tfjs-convex.min.js",
      format: "umd",
      name: "tfConvex",
      globals,
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
