/** How a worker is started: Node, and the module that serves a shard. */

/** What runs on the machines where shards are. */
export interface ShardProgram {
  /** The `node` to run; default the one that runs this. */
  readonly node?: string;
  /** URL of a module that exports `serveShard`; default the one of this package. On other machines the package has to lie at the same place. */
  readonly module?: string;
  /** Words for `node` before the program, such as ["--max-old-space-size=8000"]. */
  readonly execArgv?: readonly string[];
}

export function commandOf({ node, module, execArgv }: ShardProgram): string[] {
  const url = module ?? new URL("./shard.js", import.meta.url).href;
  const script = `import(${JSON.stringify(url)}).then(({ serveShard }) => serveShard());`;
  return [node ?? process.execPath, ...(execArgv ?? []), "--input-type=module", "--eval", script];
}
