/** The package gpu.js as far as it is used: where it comes from, and its textures. */

/** The part of gpu.js that is used. */
export interface GpuJs {
  readonly GPU: new (settings?: { mode?: string }) => GpuInstance;
  readonly input: (values: Float32Array, size: [number, number]) => object;
}
export interface GpuInstance {
  readonly mode: string;
  createKernel(source: string, settings: object): KernelCall;
}
export interface KernelCall {
  (...values: unknown[]): Texture;
  readonly context?: { isContextLost?: () => boolean } | null; // of WebGL
  destroy(removeCanvas?: boolean): void;
}
/** A texture, or rows of numbers where there is no device. */
export type Texture = { toArray(): Rows; delete(): void } | Rows;
export type Rows = readonly Float32Array[];

/** The package, or what its script has set in a page: the only way for webpack, which warns of all that it cannot find. */
export async function loadGpujs(): Promise<GpuJs> {
  try {
    const module: unknown = await import(/* webpackIgnore: true */ "gpu.js");
    return ((module as { default?: unknown }).default ?? module) as GpuJs;
  } catch {
    // The script of gpu.js sets a global GPU, beside the browser's own of that name, which has no input.
    const script = (globalThis as { GPU?: { GPU?: unknown; input?: unknown } }).GPU;
    if (script?.input !== undefined && script.GPU !== undefined) return script as unknown as GpuJs;
    throw new Error('the package "gpu.js" is not installed');
  }
}

export function isTexture(value: unknown): value is Texture {
  return (
    Array.isArray(value) || (typeof value === "object" && value !== null && "toArray" in value && "delete" in value)
  );
}

export function rowsOf(texture: Texture): Rows {
  return "toArray" in texture ? texture.toArray() : texture;
}

export function free(texture: Texture): void {
  if ("delete" in texture) texture.delete();
}

export function flat(rows: Rows, width: number): Float32Array {
  const values = new Float32Array(rows.length * width);
  rows.forEach((row, k) => {
    values.set(row, k * width);
  });
  return values;
}
