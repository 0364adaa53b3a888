/** Names of members that a minifier may shorten: those that are private in some class of src/ and nothing else anywhere, and a list. */

import { fileURLToPath } from "node:url";
import ts from "typescript";

const folder = fileURLToPath(new URL("../src", import.meta.url));

/** The longest and most used ones of internal types that are in no public type (a test looks), string or other library. */
export const internalNames = `
  addCurvature addMaskedGram addOuter adjointNorms adjointSplits advance blockStep centers cholesky
  coefficients combine consider corners dearest derivative diagonal emulated faceRows factors firstOrder forget
  forwardSplits gateOf gatesOf halves highest innerError iterate judge judged kernelL2 kernels lambda late leaving
  lengths lowest member moves multiplyTransposed normals orderColumns outputOf packPatterns placeOf poolPatches
  pooledOnHost precondition projectAll projections projector proxSlope rebase refuses relaxation resting reweigh rotations
  rowCount samplesPerTile scales secondDerivative shares shrunk signOf slots spans strips theta timesQ turned violation
  whileThere working
`
  .trim()
  .split(/\s+/);

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
  return [...internalNames, ...[...hidden].filter((name) => !open.has(name))];
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
