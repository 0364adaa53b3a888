/** A progress bar of Node's terminal. */

/** A line that draws itself again; made by cli-progress in Node. */
export interface Bar {
  start(total: number, at: number, payload: Record<string, string>): void;
  update(at: number, payload: Record<string, string>): void;
  stop(): void;
}

/** Milliseconds between lines where there is no terminal to draw in. */
const LINE_SCHEDULE = 2000;

/** A bar in a Node terminal, lines where output goes elsewhere; none in a browser, and none where cli-progress is not there. */
export async function makeBar(format: string): Promise<Bar | null> {
  if (typeof process === "undefined" || process.versions?.node === undefined) return null;
  const name = "cli-progress"; // a variable, so that bundlers for browsers leave it alone
  const { default: progress } = (await import(/* @vite-ignore */ /* webpackIgnore: true */ name)) as {
    default: { SingleBar: new (options: object, preset: object) => Bar; Presets: { shades_classic: object } };
  };
  return new progress.SingleBar(
    { format, hideCursor: true, noTTYOutput: true, notTTYSchedule: LINE_SCHEDULE },
    progress.Presets.shades_classic,
  );
}
