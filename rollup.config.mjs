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

/** The text of the WASM module comes first, where it does not part what else is alike: 700 bytes less when compressed. */
const moduleFirst = {
  name: "module-first",
  transform: (code, id) =>
    id.endsWith("src/index.ts") ? { code: `import "./convex/kernels/wasmModule.js";${code}`, map: null } : null,
};

/** Pages have WebGPU and WebGL: the engine of gpu.js is for those who bundle the package. */
const withoutGpujs = {
  name: "without-gpujs",
  resolveId: (id) =>
    id === "./gpujs.js" ? new URL("src/convex/kernels/withoutGpujs.ts", import.meta.url).pathname : null,
};

/** Fields that a constructor sets need no line of their own. */
const lean = { target: "es2022", tsconfigRaw: { compilerOptions: { useDefineForClassFields: false } } };
const plainer = { inline: 1, sequences: false, unsafe_arrows: true }; // longer, but gzip likes it
/** Names inside the solvers and engines that no option, result, message or WASM export has. */
const inner = [
  "addMaskedGram|addOuter|adjointNorms|adjointSplits|biasScale|centers|cholesky|conjugate|curvature|dearest|forwardSplits",
  "halves|heap|hessianDiagonal|multiplyTransposed|newton|poolPatches|projector|quads|resting|rowCount|secondDerivative",
  "setting|slots|working",
];
const shortest = {
  ecma: 2020,
  module: true,
  compress: { passes: 3, ecma: 2020, pure_getters: true, ...plainer },
  mangle: { properties: { regex: new RegExp(`^(${inner.join("|")})$`) } },
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
    plugins: [withoutGpujs, moduleFirst, shaders, resolve({ browser: true }), esbuild(lean), terser(shortest)],
    output: { file: "dist/tfjs-convex.min.js", format: "umd", name: "tfConvex", globals, sourcemap: true, banner },
  },
  {
    input,
    external: isOneOf(installed),
    plugins: [dts()],
    output: [{ file: "dist/index.d.ts" }, { file: "dist/index.d.cts" }],
  },
];
