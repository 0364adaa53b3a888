/** The one error that the library throws: misuse, found before any work, with a stable code to test for. */

/** Stable codes of {@link ConvexError}; the part before the slash names the argument that is wrong. */
export type ErrorCode =
  | "options/unknown"
  | "options/value"
  | "model/kind"
  | "model/graph"
  | "model/layer"
  | "model/activation"
  | "model/depth"
  | "model/loss"
  | "model/regularizer"
  | "model/uncompiled"
  | "model/units"
  | "model/disposed"
  | "model/frozen"
  | "model/weights"
  | "data/shape"
  | "data/empty"
  | "data/nonFinite"
  | "data/disposed"
  | "data/constant"
  | "data/target"
  | "data/embedding"
  | "data/weight"
  | "data/infeasible"
  | "data/unbounded"
  | "data/size"
  | "gates/count"
  | "gates/mismatch"
  | "gates/empty"
  | "engine/unavailable"
  | "engine/lost"
  | "solver/none"
  | "worker/port"
  | "worker/transfer"
  | "worker/failed"
  | "worker/silent"
  | "cluster/unavailable"
  | "cluster/module"
  | "cluster/lost"
  | "cluster/stopped"
  | "cluster/silent";

/**
 * Misuse of the library, thrown before any work is done and before any weight is written.
 *
 * The message has four parts: where, what was expected, what came, what to do.
 *
 * @example
 * ```ts
 * try {
 *   await trainer.fit(model, x, y);
 * } catch (error) {
 *   if (error instanceof ConvexError && error.code === "model/units") enlarge(model);
 * }
 * ```
 */
export class ConvexError extends Error {
  override readonly name = "ConvexError";

  constructor(
    readonly code: ErrorCode,
    message: string,
  ) {
    super(message);
  }
}
