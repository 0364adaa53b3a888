/** The products of a program: an engine's own, or those over patches and of units with slopes that are made from them. */

import { packPattern, wordsPerGate } from "../linear/bits.js";
import { PlainProducts } from "../linear/plainProducts.js";
import { transpose } from "../linear/vectors.js";
import { type RowProducts, slopeOf } from "../network.js";
import type { ConvexProgram, GateSet, Matrix, Pooling } from "../types.js";
import { PatchwiseProducts } from "./patches/patchwise.js";
import { PooledProducts, roomForPooled } from "./patches/pooled.js";
import { SlopedProducts } from "./sloped.js";
import type { GatedProducts, Kernels } from "./types.js";

/** The products of a program: an engine's own, or those over patches where there is pooling. The caller disposes. */
export function bindProducts(
  { X, gates, pooling }: Pick<ConvexProgram, "X" | "gates" | "pooling">,
  kernels: Kernels,
): GatedProducts {
  if (pooling == null) return kernels.bind(X, gates);
  if (slopeOf(pooling) !== 0) return slopedProducts({ X, gates, pooling }, kernels);
  if (readApart(pooling)) return new PatchwiseProducts(kernels, X, gates, pooling);
  const onHost = kernels.iterate === undefined;
  return new PooledProducts(kernels, X, gates, pooling, onHost ? () => kernels.bind(X, gates) : null);
}

/** Products of units with a slope for negative sums, from those of ReLU and those of the one gate that is open on every row. */
function slopedProducts(
  { X, gates, pooling }: { readonly X: Matrix; readonly gates: GateSet; readonly pooling: Pooling },
  kernels: Kernels,
): GatedProducts {
  const { patches, positions, scale } = pooling;
  const plain = patches === 1 && scale === 1 ? null : { patches, positions, scale };
  const bits = new Uint32Array(wordsPerGate(X.rows));
  const generators = { rows: 1, cols: X.cols, data: new Float64Array(X.cols) };
  packPattern(X, generators.data, bits);
  const all: GateSet = { count: 1, rows: X.rows, bits, generators, complete: false };
  const gated = bindProducts({ X, gates, pooling: plain }, kernels);
  const open = bindProducts({ X, gates: all, pooling: plain }, kernels);
  return new SlopedProducts(
    gated,
    open,
    kernels,
    { slope: slopeOf(pooling), positions, n: X.rows / patches, d: X.cols },
    gates.count,
  );
}

/** Pooled matrices of this size make the host faster than a device. */
const POOLED_BYTES = 2 ** 28;

/** Whether the host keeps the pooled matrices of all gates in little room, so that its products are K / A times smaller than a device's. */
export function keepsPooled({ X, gates, pooling }: Pick<ConvexProgram, "X" | "gates" | "pooling">): boolean {
  if (pooling == null || readApart(pooling)) return false;
  return roomForPooled(X, pooling, POOLED_BYTES) >= gates.count;
}

function readApart({ positions, patches }: Pooling): boolean {
  return positions > 1 && positions === patches;
}

/** Multiplications from which on an engine's are worth asking for. */
const MANY_PRODUCTS = 2 ** 24;

/** Rows of X times the columns of a kernel [d x m], by the engine where they are many; undefined: plain sums are as well. */
export function rowProductsFor(kernels: Pick<Kernels, "multiplyTransposed">, X: Matrix) {
  return (kernel: Matrix): RowProducts => {
    const { cols: m, rows: d } = kernel;
    if (X.rows * d * m < MANY_PRODUCTS) return new PlainProducts(kernel);
    const columns = new Float64Array(m * d);
    transpose(kernel.data, d, m, columns);
    return { of: (rows, count, out) => kernels.multiplyTransposed(rows, columns, out, count, d, m) };
  };
}
