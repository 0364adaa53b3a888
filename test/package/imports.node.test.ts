/** Who may import whom under src/, read from the source itself. */

import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, posix } from "node:path";
import { fileURLToPath } from "node:url";
import ts from "typescript";
import { describe, expect, test } from "vitest";

const SOURCE = fileURLToPath(new URL("../../src/", import.meta.url));

/** From the ground up: a place imports from itself and from places on lower lines, never from its own line or above. */
const LEVELS: readonly (readonly string[])[] = [
  ["errors.ts"],
  ["arguments.ts"],
  ["convex/types.ts"],
  ["convex/kernels/types.ts"],
  ["convex/linear"],
  ["convex/quadratic", "convex/branches"],
  ["convex/network.ts", "convex/arrangements", "convex/losses", "convex/penalties"],
  ["convex/kernels"],
  ["convex/operators", "convex/recovery", "convex/relaxation", "convex/description", "convex/tape", "convex/tangent"],
  ["convex/certificate", "convex/formulations"],
  ["convex/pricing"],
  ["convex/solvers", "convex/optimalSet", "convex/sensitivity"],
  ["convex/growth", "convex/units"],
  ["convex/sharing", "convex/narrowing", "convex/matrices"],
  ["convex/parallel", "convex/sharded"],
  ["layers"],
  ["optimizers/options.ts"],
  ["optimizers/read"],
  ["optimizers/records.ts"],
  ["optimizers/pose"],
  ["optimizers/solve"],
  ["optimizers/write", "optimizers/report"],
  ["optimizers/fit.ts", "optimizers/certify.ts", "optimizers/sharded"],
  ["optimizers/deep"],
  ["optimizers"],
  ["worker", "cluster"],
  ["index.ts"],
];

/** Packages, and the files that may import them. */
const PACKAGES: readonly { readonly name: RegExp; readonly in: RegExp }[] = [
  { name: /^@tensorflow\//, in: /^(optimizers|layers|worker)\/|^convex\/kernels\/(tfjs\/|webgl\/|webgpu\/)/ },
  { name: /^gpu\.js$/, in: /^convex\/kernels\/gpujs\// },
  { name: /^pure-rand(\/|$)/, in: /^convex\/linear\/random\.ts$/ },
  { name: /^ml-matrix$/, in: /^convex\/linear\/eigen\/eigen\.ts$/ },
  { name: /^quadprog$/, in: /^convex\/quadratic\// },
  { name: /^cli-progress$/, in: /^optimizers\/report\/bar\.ts$/ },
  // An entry of its own, for Node alone.
  { name: /^node:/, in: /^cluster\// },
];

/** Files that load a module by a computed name, which no bundler follows: rows, and of Node threads, WebGPU and the progress bar. */
const LOADS_LAZILY = [
  "cluster/serve/userModule.ts",
  "convex/kernels/wasm/helpers.ts",
  "convex/kernels/webgpu/device.ts",
  "optimizers/report/bar.ts",
];

const TYPE_ONLY = ts.SyntaxKind.TypeKeyword;

interface Import {
  readonly file: string; // under src/
  readonly from: string | null; // as written; null when it is computed
  readonly names: boolean; // false for `import "x"`
  readonly atRuntime: boolean; // false for `import type`
}

const files = readdirSync(SOURCE, { recursive: true, encoding: "utf8" })
  .map((name) => name.replaceAll("\\", "/"))
  .filter((name) => name.endsWith(".ts") && !name.endsWith(".d.ts"))
  .sort();
const trees = new Map(
  files.map((file) => [
    file,
    ts.createSourceFile(file, readFileSync(SOURCE + file, "utf8"), ts.ScriptTarget.Latest, true),
  ]),
);
const imports = [...trees].flatMap(([file, tree]) => importsOf(file, tree));
const internal = imports.flatMap((entry) =>
  entry.from?.startsWith(".") ? { ...entry, target: targetOf(entry.file, entry.from) } : [],
);

/** Every way in which one module names another: import, export from, import(), import type in a type, import =. */
function importsOf(file: string, tree: ts.SourceFile): Import[] {
  const found: Import[] = [];
  const add = (specifier: ts.Node | undefined, names: boolean, atRuntime: boolean) =>
    found.push({
      file,
      from: specifier && ts.isStringLiteralLike(specifier) ? specifier.text : null,
      names,
      atRuntime,
    });
  const visit = (node: ts.Node): void => {
    if (ts.isImportDeclaration(node)) {
      add(node.moduleSpecifier, node.importClause !== undefined, node.importClause?.phaseModifier !== TYPE_ONLY);
    } else if (ts.isExportDeclaration(node) && node.moduleSpecifier) {
      add(node.moduleSpecifier, true, !node.isTypeOnly);
    } else if (ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword) {
      add(node.arguments[0], true, true);
    } else if (ts.isImportTypeNode(node)) {
      add(ts.isLiteralTypeNode(node.argument) ? node.argument.literal : undefined, true, false);
    } else if (ts.isExternalModuleReference(node)) {
      add(node.expression, true, true);
    }
    ts.forEachChild(node, visit);
  };
  visit(tree);
  return found;
}

function targetOf(file: string, from: string): string {
  return posix.join(dirname(file), from).replace(/\.js$/, ".ts");
}

/** The line of LEVELS and the place on it that a file belongs to. */
function placeOf(file: string): { readonly level: number; readonly name: string } {
  const level = LEVELS.findIndex((names) => names.some((name) => file === name || file.startsWith(`${name}/`)));
  return { level, name: LEVELS[level]?.find((name) => file === name || file.startsWith(`${name}/`)) ?? "nowhere" };
}

/** A ring of files that import one another, types included, or null. */
function findCircle(): readonly string[] | null {
  const done = new Set<string>();
  const follow = (file: string, path: readonly string[]): readonly string[] | null => {
    if (path.includes(file)) return [...path.slice(path.indexOf(file)), file];
    if (done.has(file)) return null;
    for (const entry of internal) {
      const circle = entry.file === file ? follow(entry.target, [...path, file]) : null;
      if (circle !== null) return circle;
    }
    done.add(file);
    return null;
  };
  return files.map((file) => follow(file, [])).find((circle) => circle !== null) ?? null;
}

describe("imports under src/", () => {
  test("there are some, so that the rules below are about something", () => {
    expect(internal.length).toBeGreaterThan(files.length / 2);
  });

  test("every file has its place among the levels", () => {
    expect(files.filter((file) => placeOf(file).level === -1)).toEqual([]);
  });

  test("relative imports end in .js and name a file that is there", () => {
    expect(internal.filter(({ from, target }) => !from?.endsWith(".js") || !existsSync(SOURCE + target))).toEqual([]);
  });

  test("nothing imports upward, nor sideways between places of one level", () => {
    const upward = internal.filter(({ file, target }) => {
      const [importer, imported] = [placeOf(file), placeOf(target)];
      return importer.name !== imported.name && importer.level <= imported.level;
    });
    expect(upward.map(({ file, target }) => `${file} -> ${target}`)).toEqual([]);
  });

  test("no files import one another in a circle, not even for types", () => {
    expect(findCircle()).toBeNull();
  });

  test("packages are imported only where they may be: tfjs in optimizers, layers and its own kernels", () => {
    const foreign = imports.filter(({ file, from }) => {
      if (from === null || from.startsWith(".")) return false;
      return !PACKAGES.some((rule) => rule.name.test(from) && rule.in.test(file));
    });
    expect(foreign.map(({ file, from }) => `${file} -> ${from}`)).toEqual([]);
  });

  test("only what is for Node alone, and a user's rows, are loaded by a computed name", () => {
    expect(imports.filter(({ from }) => from === null).map(({ file }) => file)).toEqual(LOADS_LAZILY);
  });
});

describe("modules under src/", () => {
  test("no import is for its side effect", () => {
    expect(imports.filter(({ names }) => !names)).toEqual([]);
  });

  test("a module that is imported declares things and does nothing", () => {
    const doing = [...trees].flatMap(([file, tree]) =>
      tree.statements.filter((statement) => !isDeclaration(statement)).map((node) => `${file}: ${node.getText()}`),
    );
    expect(doing).toEqual([]);
  });

  test("exports have names: no default export", () => {
    const nameless = [...trees].filter(([, tree]) =>
      tree.statements.some(
        (node) =>
          ts.isExportAssignment(node) ||
          (ts.canHaveModifiers(node) &&
            ts.getModifiers(node)?.some(({ kind }) => kind === ts.SyntaxKind.DefaultKeyword)),
      ),
    );
    expect(nameless.map(([file]) => file)).toEqual([]);
  });

  test("the library never prints", () => {
    const printing = [...trees].filter(([, tree]) => mentions(tree, "console"));
    expect(printing.map(([file]) => file)).toEqual([]);
  });
});

function isDeclaration(node: ts.Statement): boolean {
  return (
    ts.isImportDeclaration(node) ||
    ts.isExportDeclaration(node) ||
    ts.isInterfaceDeclaration(node) ||
    ts.isTypeAliasDeclaration(node) ||
    ts.isFunctionDeclaration(node) ||
    ts.isClassDeclaration(node) ||
    ts.isVariableStatement(node)
  );
}

function mentions(tree: ts.Node, name: string): boolean {
  const visit = (node: ts.Node): boolean => (ts.isIdentifier(node) && node.text === name) || some(node, visit);
  return visit(tree);
}

function some(node: ts.Node, test: (child: ts.Node) => boolean): boolean {
  return ts.forEachChild(node, (child) => test(child) || undefined) ?? false;
}
