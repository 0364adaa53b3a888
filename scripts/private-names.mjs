/** Names of members that a minifier may shorten: those that are private in some class of src/ and nothing else anywhere, and a list. */

import { fileURLToPath } from "node:url";
import ts from "typescript";

const folder = fileURLToPath(new URL("../src", import.meta.url));

/** The longest and most used ones of internal types; a test says which are in a public type, or somebody else's too. */
export const internalNames = `
  accept acceptShader active addAll addCurvature added addMaskedGram addOuter adjointItems adjointNorms adjointPatches
  adjointPatchProgram adjointPatchShader adjointProgram adjointShader adjointSplits admit advance append ask backward before
  begun bench biasL2 blockStep bound boundNear budget bytes ceiling centers centre channels cholesky clock coefficients columns
  combine combineProgram combineShader cone consider corners dear dearest decay decrement derivative diagonal dilation direct
  draw drop due empty emulated ended enter entryProgram exact extrapolate face faceRows faceSearch factors failure filled
  firstOrder fits follow forget forwardItems forwardPatches forwardPatchProgram forwardPatchShader forwardProgram forwardShader
  forwardSplits gaps gateOf gateSet gatesOf gateWords gradientOfLoss gram gramProgram grams gramShader halves heap height
  helpers highest image innerError integers iterate joined joint judge judged kernelL2 kernels key lambda late learn least
  leaving left lengths live liveShader lower lowest make member mixed move moveCenter moved moves multiplyTransposed names
  normals norms note often onFailure open orderColumns outputOf outside over own packPatterns part pattern placeOf pooledOnHost
  poolPatches posed position precondition prepare price product progress projectAll projections projector proxSlope pulls
  radius ran rebase rebaseShader record refuses relaxation relaxed release report reportProgram reportShader resting result
  reweigh rightCombine rightCombineProgram rightCombineShader rightGramProgram rightGrams rightGramShader room roomForCones
  roomForNorms rotations rowCount rowWords run samplesInTile samplesPerTile scales secondDerivative settings share sharedAt
  sharedRound sharedValue shares sharpen shrink shrinkProgram shrinkShader shrunk side sigma signOf slot slots solution spans
  split spread squaresProgram stale stopped stretch strips suits sumAdjointShader sumForwardShader sumProgram take tall target
  terms theta tileQuads tileVectors timesQ top transfer turned upload vector vertices view violation weightsOf whileThere words
  work working worn
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
