/** What programs over the same rows and gates share: their products, and the faces of cones that were found before. */

import { bindProducts } from "../kernels/index.js";
import type { GatedProducts, Kernels } from "../kernels/types.js";
import { type ConeProjector, coneProjector } from "../operators/coneProjection.js";
import type { ConvexProgram } from "../types.js";
import { FaceSpans } from "./faceSpans.js";

/** What one run remembers; solves of the same rows and gates with another beta, loss or start may take it over. */
export interface PartMemory {
  readonly judge: ConeProjector | null;
  readonly run: ConeProjector | null;
  readonly spans: FaceSpans;
}

/** Made for a program, shared by programs that differ in beta only; the maker disposes. */
export class Workbench {
  readonly products: GatedProducts;
  private readonly parts = new Map<number, PartMemory>();

  constructor(program: Pick<ConvexProgram, "X" | "gates" | "pooling">, kernels: Kernels) {
    this.products = bindProducts(program, kernels);
  }

  /** The memory of one of the programs into which outputs that do not see each other separate. */
  part(number: number, program: ConvexProgram): PartMemory {
    const projector = () => (program.cones ? coneProjector(program, this.products) : null);
    const memory = this.parts.get(number) ?? { judge: projector(), run: projector(), spans: new FaceSpans() };
    this.parts.set(number, memory);
    return memory;
  }

  dispose(): void {
    this.products.dispose();
  }
}
