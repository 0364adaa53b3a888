/**
 * Projection onto the cones K_i = {u : (2 D_i - I) X u >= 0} of a gate set, warm-started from gate to gate and call to call.
 *
 * Proj_K(z) = z + X_F' lambda_F, where F are the rows that hold the projection and lambda carries the sign of its row
 * (the dual non-negative least squares of Lawson and Hanson 1974, ch. 23, kept in the d-dimensional space).
 */

import type { FaceSearch, GatedProducts } from "../kernels/types.js";
import { dotAt } from "../linear/vectors.js";
import type { ConvexProgram } from "../types.js";
import { HostFaceSearch } from "./faceSearch.js";

/** Points that are projected together: enough to share out, few enough to stop between. */
const TOGETHER = 32;

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
  const search = apart === null ? (products.faceSearch?.() ?? null) : null;
  if (search !== null) return new ConeProjector(search);
  const gram = X.rows <= GRAM_ROWS ? products.gram() : null;
  const engine = products.times === undefined ? null : products;
  return new ConeProjector(new HostFaceSearch(X, gates, gram, apart?.positions ?? 1, engine), apart);
}

/** Points that are to be projected: row k of Z [count x d] onto the cone of a gate; `slots` name the memories of their faces. */
export interface ProjectionList {
  readonly gates: readonly number[]; // [count]
  readonly slots: readonly number[]; // [count], each once: one a block
  readonly Z: Float64Array; // [count x d]
}

/** Projects onto K_i for every gate i; remembers the face of each slot, so that the next projection starts there. */
export class ConeProjector {
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
    const norm = this.projectAll({ gates: [gate], slots: [slot], Z: z }, threshold).norms[0];
    return { norm, below: norm <= threshold };
  }

  /**
   * Projects all points of a list in place, each as `project` does, and answers their norms, or upper bounds that are at most
   * `threshold`. When `late` says so the rest is left as it is, with upper bounds, and `done` is false.
   */
  projectAll(
    { gates, slots, Z }: ProjectionList,
    threshold: number,
    late = () => false,
  ): { readonly norms: Float64Array; readonly done: boolean } {
    const d = Z.length / Math.max(1, slots.length);
    const norms = new Float64Array(slots.length);
    const open: number[] = [];
    for (let k = 0; k < slots.length; k++) {
      norms[k] = this.boundFromMemory(slots[k], Z.subarray(k * d, (k + 1) * d));
      if (norms[k] > threshold) open.push(k);
    }
    for (let from = 0; from < open.length; from += TOGETHER) {
      if (late()) return { norms, done: false };
      const some = open.slice(from, from + TOGETHER);
      const points = {
        count: some.length,
        gates: Int32Array.from(some, (k) => gates[k]),
        slots: Int32Array.from(some, (k) => slots[k]),
        positions: Int32Array.from(some, (k) => this.positionOf(slots[k])),
        Z: new Float64Array(some.length * d),
        norms: new Float64Array(some.length),
      };
      some.forEach((k, to) => {
        points.Z.set(Z.subarray(k * d, (k + 1) * d), to * d);
      });
      this.search.project(points, threshold);
      some.forEach((k, to) => {
        norms[k] = points.norms[to];
        this.moveTo(slots[k], points.Z.subarray(to * d, (to + 1) * d), Z.subarray(k * d, (k + 1) * d));
      });
    }
    return { norms, done: true };
  }

  /** The rows that the last projection of this slot rests on. */
  face(slot: number): Int32Array {
    return this.search.face(slot);
  }

  /** Forgets the faces of all slots. */
  reset(): void {
    this.search.forget();
    this.directions.clear();
  }

  private positionOf(slot: number): number {
    return this.apart === null ? 0 : Math.floor(slot / this.apart.outputs) % this.apart.positions;
  }

  /** z := the projection; remembers the way there. */
  private moveTo(slot: number, projection: Float64Array, z: Float64Array): void {
    const direction = this.directions.get(slot) ?? new Float64Array(z.length);
    for (let p = 0; p < z.length; p++) direction[p] = projection[p] - z[p];
    z.set(projection);
    this.directions.set(slot, direction);
  }

  /**
   * min over a >= 0 of |z + a u|, u = X_F' lambda of the slot's last projection: an upper bound of the projection's norm for
   * the price of two scalar products, since a lambda is a multiplier for every a >= 0.
   */
  private boundFromMemory(slot: number, z: Float64Array): number {
    const scale = Math.sqrt(dotAt(z, 0, z, 0, z.length));
    const u = this.directions.get(slot);
    if (u === undefined) return scale;
    const along = dotAt(u, 0, z, 0, z.length);
    const square = dotAt(u, 0, u, 0, z.length);
    if (along >= 0 || square === 0) return scale;
    return Math.sqrt(Math.max(0, scale * scale - (along * along) / square));
  }
}
