import * as tf from "@tensorflow/tfjs";
import * as tfvis from "@tensorflow/tfjs-vis";
import { afterAll, beforeAll, expect, test } from "vitest";
import { ConvexReLUTrainer, certify, show, WorkerTrainer } from "../../src/index.js";
import { makeData, makeModel } from "../helpers/models.js";
import { startWorker, type TestWorker } from "../helpers/workers.js";

let worker: TestWorker;

beforeAll(async () => {
  await tf.setBackend("cpu");
  worker = await startWorker();
});

afterAll(() => worker.terminate());

function makeSurface(): HTMLElement {
  const surface = document.createElement("div");
  document.body.append(surface);
  return surface;
}

test.each(["the page", "a worker"])("fitCallbacks of tfjs-vis draw the rounds of a solver in %s", async (where) => {
  const surface = makeSurface();
  const { x, y } = makeData();
  const model = makeModel({ l2: 1e-3, metrics: ["mse"] });
  const trainer = where === "the page" ? new ConvexReLUTrainer() : new WorkerTrainer(worker);
  const callbacks = tfvis.show.fitCallbacks(surface, ["loss", "mse", "relativeGap"], { callbacks: ["onEpochEnd"] });
  await trainer.fit(model, x, y, { callbacks });
  await expect.poll(() => surface.querySelectorAll("canvas, svg").length).toBeGreaterThan(0);
  expect(surface.textContent).toContain("onEpochEnd");
  tf.dispose([x, y]);
  model.dispose();
  surface.remove();
});

test("show.certificate writes what is proven of a fit, and of a model that was certified", async () => {
  const surface = makeSurface();
  const { x, y } = makeData();
  const model = makeModel({ l2: 1e-3 });
  const result = await new ConvexReLUTrainer().fit(model, x, y);
  await show.certificate(tfvis, surface, result);
  expect(surface.textContent).toContain(result.certificate.claim);
  expect(surface.textContent).toContain(result.certificate.dual.toPrecision(8));
  expect(surface.textContent).toContain("status");
  const certified = await certify(model, x, y);
  await show.certificate(tfvis, surface, certified);
  expect(surface.textContent).toContain(certified.certificate.claim);
  expect(surface.textContent).not.toContain("status");
  tf.dispose([x, y]);
  model.dispose();
  surface.remove();
});
