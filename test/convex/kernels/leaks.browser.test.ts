/** Many fits on each engine leave no tensor, texture or buffer behind. */

import * as tf from "@tensorflow/tfjs";
import { expect, test } from "vitest";
import { findDevice } from "../../../src/convex/kernels/webgpu/device.js";
import { ConvexReLUTrainer } from "../../../src/index.js";
import { makeData } from "../../helpers/models.js";

/** Fewer where a fit takes long: gpu.js compiles its kernels anew in each. */
const FITS = { tfjs: 100, webgl: 100, webgpu: 40, gpujs: 12 };

/** What lives after each of the first and the last of some fits, counted by `living`; ReLU networks where the engine keeps cones. */
async function livingAfter(engine: keyof typeof FITS, living: () => number): Promise<number[]> {
  await tf.setBackend("webgl");
  const formulation = engine === "gpujs" ? "gated" : "relu";
  const { x, y } = makeData("meanSquaredError", 8, 2);
  const arrangements = { kind: "sample", count: 3 } as const;
  const counts: number[] = [];
  for (let fit = 0; fit < FITS[engine]; fit++) {
    const trainer = new ConvexReLUTrainer({ engine, formulation, arrangements, tolerance: 0.05, regularization: 0.3 });
    const result = await trainer.train(x, y, { loss: "meanSquaredError" });
    expect(result.solver).toBe(formulation === "relu" ? "splitting" : "fista");
    expect(result.engine).toMatch(new RegExp(`^${engine}: asked for`));
    result.model.dispose();
    counts.push(living());
  }
  tf.dispose([x, y]);
  return counts;
}

/** How many of what `make` makes live, until `restore`; `takesBack` is a method of the same object, or of what was made. */
function counted<T extends object, K extends keyof T & string>(
  object: T,
  make: K,
  takesBack: (keyof T & string) | null,
) {
  type Method = (...args: unknown[]) => object;
  const methods = object as unknown as Record<string, Method>;
  const alive = new Set<object>();
  let made = 0;
  const [create, remove] = [methods[make], takesBack === null ? null : methods[takesBack]];
  methods[make] = function (this: T, ...args) {
    const thing = create.apply(this, args) as object & { destroy?: () => void };
    alive.add(thing);
    made += 1;
    if (remove === null) {
      const destroy = thing.destroy;
      thing.destroy = () => {
        alive.delete(thing);
        destroy?.call(thing);
      };
    }
    return thing;
  };
  if (remove !== null && takesBack !== null)
    methods[takesBack] = function (this: T, ...args) {
      alive.delete(args[0] as object);
      return remove.apply(this, args);
    };
  const restore = () => {
    methods[make] = create;
    if (remove !== null && takesBack !== null) methods[takesBack] = remove;
  };
  return { living: () => alive.size, made: () => made, restore };
}

test.each(["tfjs", "webgl"] as const)("%s: as many tensors and data live as after one fit", async (engine) => {
  await tf.ready();
  await tf.setBackend("webgl");
  const { numTensors } = tf.memory();
  const backend = tf.backend() as unknown as { numDataIds(): number };
  const counts = await livingAfter(engine, () => backend.numDataIds());
  expect(counts[FITS[engine] - 1]).toBe(counts[0]);
  expect(tf.memory().numTensors).toBe(numTensors);
});

test("webgpu: every buffer that fits make is given back", async () => {
  const { device } = await findDevice();
  const buffers = counted(device, "createBuffer", null);
  const counts = await livingAfter("webgpu", buffers.living);
  buffers.restore();
  expect(buffers.made()).toBeGreaterThan(10 * FITS.webgpu);
  expect(new Set(counts)).toEqual(new Set([0]));
});

test("gpujs: no more textures, programs and shaders live than after one fit", async () => {
  const { prototype } = WebGL2RenderingContext;
  const kinds = [
    counted(prototype, "createTexture", "deleteTexture"),
    counted(prototype, "createProgram", "deleteProgram"),
    counted(prototype, "createShader", "deleteShader"),
  ];
  const counts = await livingAfter("gpujs", () => kinds.reduce((sum, { living }) => sum + living(), 0));
  for (const { made, restore } of kinds) {
    restore();
    expect(made()).toBeGreaterThan(FITS.gpujs);
  }
  expect(counts[FITS.gpujs - 1]).toBe(counts[0]);
});
