/** Names of members that the file for script tags shortens: nobody outside may know them. */

import { join } from "node:path";
import { fileURLToPath } from "node:url";
import ts from "typescript";
import { beforeAll, expect, test } from "vitest";
import { internalNames, privateNames } from "../../scripts/private-names.mjs";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const OURS = join(ROOT, "src/");

let sources: readonly ts.SourceFile[];
let checker: ts.TypeChecker;
let root: ts.SourceFile;

beforeAll(() => {
  const { config } = ts.readConfigFile(join(ROOT, "tsconfig.json"), ts.sys.readFile);
  const { options } = ts.parseJsonConfigFileContent(config, ts.sys, ROOT);
  const program = ts.createProgram(ts.sys.readDirectory(OURS, [".ts"]), options);
  checker = program.getTypeChecker();
  sources = program.getSourceFiles().filter(isOurs);
  root = sourceOf("index.ts");
}, 60_000);

test("none is a member of a public type, or of a message to a worker", () => {
  const members = publicMembers();
  for (const name of ["relativeGap", "blocks", "vectors", "timeLimit", "weightSpecs"]) expect(members).toContain(name);
  expect(privateNames().filter((name) => members.has(name))).toEqual([]);
});

test("none is read of, or given to, what others wrote: a host, a package, the compiled module", () => {
  const foreign = new Map<string, string>();
  for (const source of sources) eachMember(source, (name, place) => foreign.set(name, place));
  for (const name of ["adapterInfo", "getConfig", "maskedGram", "subarray", "userCode"])
    expect([...foreign.keys()]).toContain(name);
  expect(shortenedOf(foreign)).toEqual([]);
});

test("none is looked up by a text, or a word of a program in one", () => {
  const texts = new Map<string, string>();
  for (const source of sources) eachText(source, (name, place) => texts.set(name, place));
  for (const name of ["factored", "Instance", "workspace"]) expect([...texts.keys()]).toContain(name);
  expect(shortenedOf(texts)).toEqual([]);
});

test("each name of the list stands for something", () => {
  const text = sources.map((source) => source.text).join("\n");
  expect(internalNames.filter((name) => !new RegExp(`\\b${name}\\b`).test(text))).toEqual([]);
});

/** Those that are shortened, with a place of each. */
function shortenedOf(places: ReadonlyMap<string, string>): string[] {
  return privateNames()
    .filter((name) => places.has(name))
    .map((name) => `${name}: ${places.get(name)}`);
}

function isOurs(node: ts.Node): boolean {
  return node.getSourceFile().fileName.startsWith(OURS);
}

function sourceOf(name: string): ts.SourceFile {
  const source = sources.find(({ fileName }) => fileName === OURS + name);
  if (source === undefined) throw new Error(`there is no src/${name}`);
  return source;
}

/** Members of all types of src/ that src/index.ts and the workers' messages lead to. */
function publicMembers(): Set<string> {
  const members = new Set<string>();
  const visit = collector(members);
  for (const file of [root, sourceOf("worker/protocol.ts")]) {
    const module = checker.getSymbolAtLocation(file);
    for (const name of module ? checker.getExportsOfModule(module) : []) {
      const symbol = name.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(name) : name;
      visit(checker.getDeclaredTypeOfSymbol(symbol));
      visit(checker.getTypeOfSymbolAtLocation(symbol, root));
    }
  }
  return members;
}

/** Adds the members of a type that src/ declares, and those of the types of these. */
function collector(members: Set<string>): (type: ts.Type) => void {
  const seen = new Set<ts.Type>();
  const isOpen = ({ declarations }: ts.Symbol) =>
    declarations?.every(
      (node) => isOurs(node) && (ts.getCombinedModifierFlags(node) & ts.ModifierFlags.Private) === 0,
    ) === true;
  const visit = (type: ts.Type): void => {
    if (seen.has(type)) return;
    seen.add(type);
    if (type.isUnionOrIntersection()) for (const part of type.types) visit(part);
    for (const signature of [...type.getCallSignatures(), ...type.getConstructSignatures()]) {
      visit(signature.getReturnType());
      for (const parameter of signature.parameters) visit(checker.getTypeOfSymbolAtLocation(parameter, root));
    }
    for (const part of checker.getTypeArguments(type as ts.TypeReference) ?? []) visit(part);
    for (const property of type.getProperties().filter(isOpen)) {
      members.add(property.name);
      visit(checker.getTypeOfSymbolAtLocation(property, root));
    }
  };
  return visit;
}

/** All nodes under `source`, with their places. */
function eachNode(source: ts.SourceFile, use: (node: ts.Node, place: string) => void): void {
  const visit = (node: ts.Node): void => {
    const { line } = source.getLineAndCharacterOfPosition(node.getStart(source));
    use(node, `${source.fileName.slice(OURS.length)}:${line + 1}`);
    ts.forEachChild(node, visit);
  };
  visit(source);
}

/** Tells of each name under `source` that a declaration elsewhere has, or one here that a foreign value is said to be of. */
function eachMember(source: ts.SourceFile, tell: (name: string, place: string) => void): void {
  eachNode(source, (node, place) => {
    const claimed = new Set<string>();
    for (const type of claims(node)) collector(claimed)(checker.getTypeFromTypeNode(type));
    for (const name of claimed) tell(name, place);
    const { name, symbols } = memberAt(node) ?? { name: "", symbols: [] };
    const known = symbols.length > 0 && symbols.every(({ declarations }) => declarations?.every(isOurs));
    if (name !== "" && !known) tell(name, place);
  });
}

/** Tells of each name that `source` looks up by its text, x[text] or { [text]: y }, and of each word of programs in texts. */
function eachText(source: ts.SourceFile, tell: (name: string, place: string) => void): void {
  eachNode(source, (node, place) => {
    const names: string[] = [];
    if (ts.isElementAccessExpression(node)) names.push(...literalsOf(node.argumentExpression));
    else if (ts.isComputedPropertyName(node)) names.push(...literalsOf(node.expression));
    else if (ts.isBinaryExpression(node) && node.operatorToken.kind === ts.SyntaxKind.InKeyword) {
      names.push(...literalsOf(node.left));
    } else if (ts.isStringLiteralLike(node) || ts.isTemplateHead(node) || ts.isTemplateMiddleOrTemplateTail(node)) {
      if (/=>\s/.test(node.text)) names.push(...(node.text.match(/\w+/g) ?? []));
    }
    for (const name of names) tell(name, place);
  });
}

/** The texts that an expression may be, as far as its type says. */
function literalsOf(node: ts.Expression): string[] {
  const type = checker.getTypeAtLocation(node);
  const constraint = checker.getBaseConstraintOfType(type) ?? type;
  return (constraint.isUnion() ? constraint.types : [constraint])
    .filter((part) => part.isStringLiteral())
    .map((part) => part.value);
}

/** Types that somebody else's value is said to be of: `x as unknown as T`, `(await import(x)) as T`, `nodeModule<T>(x)`. */
function claims(node: ts.Node): readonly ts.TypeNode[] {
  if (ts.isCallExpression(node)) return node.expression.getText() === "nodeModule" ? (node.typeArguments ?? []) : [];
  if (!ts.isAsExpression(node)) return [];
  const vague = ts.TypeFlags.Any | ts.TypeFlags.Unknown;
  return (checker.getTypeAtLocation(node.expression).flags & vague) === 0 ? [] : [node.type];
}

interface Named {
  readonly name: string;
  readonly symbols: readonly ts.Symbol[]; // what it may be declared as; none: nobody knows
}

function memberAt(node: ts.Node): Named | null {
  if (ts.isPropertyAccessExpression(node)) {
    const symbol = checker.getSymbolAtLocation(node.name);
    return { name: node.name.text, symbols: symbol ? [symbol] : [] };
  }
  if (ts.isBindingElement(node) && ts.isObjectBindingPattern(node.parent)) {
    return declared(checker.getTypeAtLocation(node.parent), node.propertyName ?? node.name);
  }
  if (ts.isObjectLiteralElement(node)) {
    const type = ts.isObjectLiteralExpression(node.parent) ? checker.getContextualType(node.parent) : undefined;
    return type ? declared(type, node.name) : null;
  }
  if (ts.isClassElement(node) && ts.isClassLike(node.parent)) {
    const bases = node.parent.heritageClauses?.flatMap(({ types }) => [...types]) ?? [];
    const found = bases.map((base) => declared(checker.getTypeAtLocation(base), node.name));
    return found.find((one) => one !== null && one.symbols.length > 0) ?? null;
  }
  return null;
}

function declared(type: ts.Type, name: ts.Node | undefined): Named | null {
  if (name === undefined || !ts.isIdentifier(name)) return null;
  const parts = type.isUnion() ? type.types : [type];
  return { name: name.text, symbols: parts.flatMap((part) => part.getProperty(name.text) ?? []) };
}
