/**
 * Projection onto the cones K_i = {u : (2 D_i - I) X u >= 0} of a gate set, warm-started from gate to gate and call to call.
 *
 * Proj_K(z) = z + X_F' lambda_F, where F are the rows that hold the projection and lambda carries the sign of its row
 * (the dual non-negative least squares of Lawson and Hanson 1974, ch. 23, kept in the d-dimensional space).
 */

import type { FaceSearch, GatedProducts, KeptFace } from "../kernels/types.js";
import type { ConvexProgram } from "../types.js";
import { dotAt } from "../vectors.js";
import { HostFaceSearch } from "./faceSearch.js";

/** Doubles of factors that are kept with the faces: 64 MB. */
const MAX_KEPT = 2 ** 23;

export interface ConeProjection {
  /** Euclidean norm of the projection, or of an upper bound of it that is already below the threshold asked for. */
  readonly norm: number;
  /** True when the search ended early because the norm is below the threshold. */
  readonly below: boolean;
}

/** Largest n for which the projector asks for the n x n Gram matrix. */
const GRAM_ROWS = 3000;

/** A projector for a program's cones. */
export function coneProjector(
  program: Pick<ConvexProgram, "X" | "gates" | "loss" | "pooling">,
  products: GatedProducts,
): ConeProjector {
  const { X, gates, loss, pooling } = program;
  const apart = pooling == null || pooling.positions === 1 ? null : { ...pooling, outputs: loss.outputs };
  const search = apart === null ? products.faceSearch?.() : undefined;
  if (search !== undefined) return new ConeProjector(search);
  const gram = X.rows <= GRAM_ROWS ? products.gram() : null;
  const engine = products.times === undefined ? null : products;
  return new ConeProjector(new HostFaceSearch(X, gates, gram, apart?.positions ?? 1, engine), apart);
}

/** Projects onto K_i for every gate i; remembers the face of each slot, so that the next projection starts there. */
export class ConeProjector {
  private readonly faces = new Map<number, KeptFace>();
  private kept = 0; // doubles of their factors
  private readonly directions = new Map<number, Float64Array>(); // X_F' lambda of the last projection of a slot

  constructor(
    private readonly search: FaceSearch,
    private readonly apart: { readonly positions: number; readonly outputs: number } | null = null, // of pooled patches
  ) {}

  /**
   * Projects z [d] onto the cone of a gate, in place. `slot` names the memory of its face (one per block).
   * Ends early once the norm is known to be at most `threshold`: z is then spoilt. A negative threshold asks for the projection.
   */
  project(gate: number, slot: number, z: Float64Array, threshold: number): ConeProjection {
    const scale = Math.sqrt(dotAt(z, 0, z, 0, z.length));
    if (scale <= threshold) return { norm: scale, below: true };
    const bound = this.boundFromMemory(slot, z, scale);
    if (bound <= threshold) return { norm: bound, below: true };
    const position = this.apart === null ? 0 : Math.floor(slot / this.apart.outputs) % this.apart.positions;
    const direction = this.directions.get(slot) ?? new Float64Array(z.length);
    for (let p = 0; p < z.length; p++) direction[p] = -z[p];
    const before = this.faces.get(slot);
    this.kept -= before?.factor?.length ?? 0;
    const { norm, face } = this.search.project(gate, position, z, threshold, before, MAX_KEPT - this.kept);
    this.kept += face.factor?.length ?? 0;
    this.faces.set(slot, face);
    for (let p = 0; p < z.length; p++) direction[p] += z[p];
    this.directions.set(slot, direction);
    return { norm, below: norm <= threshold };
  }

  /** The rows that the last projection of this slot rests on. */
  face(slot: number): Int32Array {
    return this.faces.get(slot)?.rows ?? new Int32Array(0);
  }

  /** Forgets the faces of all slots. */
  reset(): void {
    this.faces.clear();
    this.kept = 0;
  }

  /**
   * min over a >= 0 of |z + a u|, u = X_F' lambda of the slot's last projection: an upper bound of the projection's norm for
   * the price of two scalar products, since a lambda is a multiplier for every a >= 0.
   */
  private boundFromMemory(slot: number, z: Float64Array, scale: number): number {
    const u = this.directions.get(slot);
    if (u === undefined) return scale;
    const along = dotAt(u, 0, z, 0, z.length);
    const square = dotAt(u, 0, u, 0, z.length);
    if (along >= 0 || square === 0) return scale;
    return Math.sqrt(Math.max(0, scale * scale - (along * along) / square));
  }
}
