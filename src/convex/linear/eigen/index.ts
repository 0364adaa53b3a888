/** Eigenvalues and singular values: of a library, of our own in pieces, by rotations that allocate nothing, and by a tridiagonal form. */

export { eigenSymmetric, type SingularVectors, type SymmetricEigen, singularVectors } from "./eigen.js";
export { eigenInPieces } from "./eigenPieces.js";
export { orthogonaliseRows, orthogonalisingRows } from "./jacobi.js";
export { eigenvaluesOf, stepped, type Tridiagonal, tridiagonalise, turnedBy } from "./tridiagonal.js";
