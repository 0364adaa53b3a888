/** A WebGL context that goes away: fences of a lost one never signal, so that the loss itself must be heard. */

import { ConvexError } from "../../../errors.js";

/** Listens to a context until `dispose`. */
export class ContextWatch {
  private readonly gone: Promise<never>;
  readonly dispose: () => void;

  constructor(private readonly gl: WebGL2RenderingContext) {
    const { canvas } = gl;
    let lose: () => void = () => undefined;
    this.gone = new Promise((_, reject) => {
      lose = () => reject(lostError());
    });
    this.gone.catch(() => undefined); // heard where it is raced
    const listener = () => lose();
    canvas.addEventListener("webglcontextlost", listener);
    this.dispose = () => canvas.removeEventListener("webglcontextlost", listener);
  }

  /** @throws ConvexError "engine/lost". */
  check(): void {
    if (this.gl.isContextLost()) throw lostError();
  }

  /** What is read, unless the context is lost meanwhile: then it rejects with ConvexError "engine/lost". */
  async whileThere<T>(read: Promise<T>): Promise<T> {
    const values = await Promise.race([read, this.gone]);
    this.check();
    return values;
  }
}

function lostError(): ConvexError {
  return new ConvexError(
    "engine/lost",
    `engine: expected the WebGL context of tfjs to stay, got a lost one. The model's weights are as they were, on the host: ` +
      `go on with tf.setBackend("cpu"), or load the page again; engine: "wasm" needs no GPU.`,
  );
}
