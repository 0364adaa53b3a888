/** Names of members that are private in some class of src/ and nothing else anywhere, which a minifier may shorten. */

import { fileURLToPath } from "node:url";
import ts from "typescript";

const folder = fileURLToPath(new URL("../src", import.meta.url));

export function privateNames() {
  const hidden = new Set();
  const open = new Set();
  const visit = (node) => {
    const [names, into] = isPrivate(node) ? [[node.name], hidden] : [openNames(node), open];
    for (const name of names) if (name !== undefined) into.add(name.text);
    ts.forEachChild(node, visit);
  };
  for (const path of ts.sys.readDirectory(folder, [".ts"])) {
    visit(ts.createSourceFile(path, ts.sys.readFile(path), ts.ScriptTarget.ES2022, true));
  }
  return [...hidden].filter((name) => !open.has(name));
}

function isPrivate(node) {
  return (
    ts.canHaveModifiers(node) &&
    ts.getModifiers(node)?.some(({ kind }) => kind === ts.SyntaxKind.PrivateKeyword) === true
  );
}

/** Members of anything else that the node declares or reads; what is read of `this` is declared somewhere. */
function openNames(node) {
  if (ts.isPropertyAccessExpression(node)) return isThis(node.expression) ? [] : [node.name];
  if (ts.isObjectBindingPattern(node)) {
    return isThis(node.parent.initializer) ? [] : node.elements.map((one) => one.propertyName ?? one.name);
  }
  const declares = ts.isParameter(node) ? ts.isParameterPropertyDeclaration(node, node.parent) : isMember(node);
  return declares ? [node.name] : [];
}

function isMember(node) {
  return ts.isClassElement(node) || ts.isTypeElement(node) || ts.isObjectLiteralElement(node);
}

function isThis(node) {
  return node?.kind === ts.SyntaxKind.ThisKeyword;
}
