import * as tf from "@tensorflow/tfjs";
import { beforeAll, expect, test } from "vitest";
import { sampleGates } from "../../../src/convex/arrangements/index.js";
import { eachBlock } from "../../../src/convex/linear/rowBlock.js";
import { outputSize, type PatchShape, patchGeometry, patchMatrix } from "../../../src/convex/operators/patches.js";
import { gaussianMatrix } from "../../helpers/problems.js";

beforeAll(async () => {
  await tf.setBackend("cpu");
});

interface Case {
  readonly size: readonly [number, number];
  readonly channels: number;
  readonly filter: readonly [number, number];
  readonly stride?: readonly [number, number];
  readonly dilation?: readonly [number, number];
}

const cases: Case[] = [
  { size: [1, 1], channels: 1, filter: [1, 1] },
  { size: [5, 7], channels: 2, filter: [3, 2] },
  { size: [8, 6], channels: 3, filter: [3, 3], stride: [2, 2] },
  { size: [7, 9], channels: 1, filter: [2, 4], stride: [3, 1] },
  { size: [9, 9], channels: 2, filter: [3, 3], dilation: [2, 2] },
  { size: [9, 8], channels: 1, filter: [2, 3], dilation: [3, 2] },
  { size: [1, 12], channels: 2, filter: [1, 5], stride: [1, 2] },
  { size: [4, 4], channels: 1, filter: [4, 4] },
];
const every = cases.flatMap((layout) =>
  (["valid", "same"] as const).flatMap((padding) =>
    (["channelsLast", "channelsFirst"] as const).map((dataFormat) => ({ ...layout, padding, dataFormat })),
  ),
);

function shapeOf(layout: Case, padding: PatchShape["padding"], dataFormat: PatchShape["dataFormat"]): PatchShape {
  const { size, filter, stride = [1, 1], dilation = [1, 1], channels } = layout;
  const axis = (k: 0 | 1) => ({ size: size[k], filter: filter[k], stride: stride[k], dilation: dilation[k] });
  return { height: axis(0), width: axis(1), channels, padding, dataFormat };
}

test.each(every)("patches times a kernel are the layer conv2d: %o", ({ padding, dataFormat, ...layout }) => {
  const { size, channels, filter, stride = [1, 1], dilation = [1, 1] } = layout;
  const first = dataFormat === "channelsFirst";
  const inputShape = first ? [channels, ...size] : [...size, channels];
  const geometry = patchGeometry(shapeOf(layout, padding, dataFormat));
  const images = gaussianMatrix(3, geometry.pixels, 1);
  const X = patchMatrix(images, geometry);
  const filters = 2;
  const layer = tf.layers.conv2d({
    inputShape,
    filters,
    kernelSize: [...filter],
    strides: [...stride],
    dilationRate: [...dilation] as [number, number],
    padding,
    dataFormat,
    useBias: false,
  });
  const model = tf.sequential({ layers: [layer] });
  const kernel = layer.getWeights()[0].dataSync();
  const x = tf.tensor(Float32Array.from(images.data), [3, ...inputShape]);
  const output = model.predict(x) as tf.Tensor4D;
  const last = first ? tf.transpose(output, [0, 2, 3, 1]) : output;
  expect(last.shape).toEqual([3, geometry.outHeight, geometry.outWidth, filters]);
  const wanted = last.dataSync();
  for (let row = 0; row < X.rows; row++) {
    for (let f = 0; f < filters; f++) {
      let sum = 0;
      for (let p = 0; p < X.cols; p++) sum += X.data[row * X.cols + p] * kernel[p * filters + f];
      expect(Math.abs(sum - wanted[row * filters + f])).toBeLessThan(1e-5);
    }
  }
  tf.dispose(last === output ? [x, output] : [x, output, last]);
  model.dispose();
});

test("a filter that is larger than the image has no patch, unless the image is padded", () => {
  const axis = { size: 3, filter: 4, stride: 1, dilation: 1 };
  expect(outputSize(axis, "valid").size).toBe(0);
  expect(outputSize({ ...axis, filter: 2, dilation: 3 }, "valid").size).toBe(0);
  expect(outputSize(axis, "same")).toEqual({ size: 3, before: 1 });
});

test("large patch matrices are made in blocks that agree with the whole, bias column included", () => {
  const side = 90;
  const geometry = patchGeometry(shapeOf({ size: [side, side], channels: 3, filter: [5, 5] }, "same", "channelsLast"));
  const images = gaussianMatrix(31, geometry.pixels, 2);
  const X = patchMatrix(images, geometry, 7);
  expect(8 * X.rows * X.cols).toBeGreaterThan(2 ** 27);
  expect([X.rows, X.cols]).toEqual([31 * side * side, 76]);
  const sums: number[] = [];
  eachBlock(X, 4099, (rows) => {
    sums.push(rows.reduce((sum, value, at) => sum + value * Math.cos(at), 0));
  });
  const { data } = X;
  for (let k = 0; k < sums.length; k++) {
    const rows = data.subarray(k * 4099 * X.cols, (k + 1) * 4099 * X.cols);
    expect(rows.reduce((sum, value, at) => sum + value * Math.cos(at), 0)).toBe(sums[k]);
    expect(rows[X.cols - 1]).toBe(7);
  }
});

test.each([Number.NaN, Number.POSITIVE_INFINITY])(
  "a pixel or a bias of %o is refused by the first patch that has it",
  (bad) => {
    const axis = { size: 4, filter: 2, stride: 1, dilation: 1 };
    const geometry = patchGeometry({
      height: axis,
      width: axis,
      channels: 1,
      padding: "valid",
      dataFormat: "channelsLast",
    });
    const images = gaussianMatrix(2, geometry.pixels, 3);
    const sampled = (data: Float64Array, bias: number) => () =>
      sampleGates(patchMatrix({ ...images, data }, geometry, bias), { count: 3 });
    expect(sampled(images.data, 1)().count).toBe(3);
    const spoilt = images.data.map((value, k) => (k === geometry.pixels + 6 ? bad : value)); // of the second image, whose second patch has it first
    expect(sampled(spoilt, 1)).toThrow(new RegExp(`got ${bad} at row ${geometry.patches + 1}, column 3`));
    if (bad > 0) expect(sampled(images.data, bad)).toThrow(/got Infinity at row 0, column 4/);
  },
);
