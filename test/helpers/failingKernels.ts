/** The reference engine where one of the things that it does fails. */

import { referenceKernels } from "../../src/convex/kernels/index.js";
import type { GatedProducts, Kernels } from "../../src/convex/kernels/types.js";

/** Throws a RangeError on call `call` of `what`, and counts the products that live. */
export function failingKernels(
  what: "cholesky" | "bind" | keyof GatedProducts,
  call = 1,
): { kernels: Kernels; living: () => number } {
  let living = 0;
  let calls = 0;
  const guarded = <T extends object>(engine: T): T =>
    new Proxy(engine, {
      get(target, name) {
        const member = Reflect.get(target, name);
        if (name !== what || typeof member !== "function") return member;
        return (...args: unknown[]) => {
          if (++calls === call) throw new RangeError("no memory");
          return member.apply(target, args);
        };
      },
    });
  const bind: Kernels["bind"] = (...args) => {
    const products = referenceKernels.bind(...args);
    const dispose = products.dispose.bind(products);
    living++;
    products.dispose = () => {
      living--;
      dispose();
    };
    return guarded(products);
  };
  return { kernels: guarded({ ...referenceKernels, bind }), living: () => living };
}
