/** An engine with another function in one place, or without any there. */

import type { Kernels } from "../../src/convex/kernels/index.js";

export function withKernel<N extends keyof Kernels>(kernels: Kernels, name: N, made: Kernels[N] | null): Kernels {
  return new Proxy(kernels, {
    get(target, asked) {
      if (asked === name) return made ?? undefined;
      const value: unknown = Reflect.get(target, asked, target);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}
