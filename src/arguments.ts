/** Readers of what a user passes: each answers with the value or refuses it in one sentence, whatever it is. */

import { ConvexError, type ErrorCode } from "./errors.js";

/** Relative gaps of float64 numbers are multiples of about this. */
export const LEAST_TOLERANCE = Number.EPSILON;
/** Searches begun at random hold a vector each, and take turns: beyond this a search is no longer one. */
export const MOST_STARTS = 1e5;
/** Networks of a way or points of a path: each is kept. */
export const MOST_POINTS = 1e4;

const LEAVE_OUT = "Change it or leave it out.";

/** Every refusal is one sentence and a half: where - what was expected - what came, in words - what to do. */
export function refuseAs(
  where: string,
  expected: string,
  came: string,
  todo = LEAVE_OUT,
  code: ErrorCode = "options/value",
): never {
  throw new ConvexError(code, sentenceOf(where, expected, came, todo));
}

export function sentenceOf(where: string, expected: string, came: string, todo: string): string {
  return `${where}: expected ${expected}, got ${came}. ${todo}`;
}

/** The same of a value, which is shown. */
export function refuse(where: string, expected: string, got: unknown, todo?: string, code?: ErrorCode): never {
  refuseAs(where, expected, shown(got), todo, code);
}

/** So many of what is named: "1 row", "2 rows", "2 entries", "2 branches". */
export function counted(count: number, one: string): string {
  return count === 1 ? `1 ${one}` : `${count} ${pluralOf(one)}`;
}

/** The same of those at hand: "this gate", "these 2 gates". */
export function these(count: number, one: string): string {
  return count === 1 ? `this ${one}` : `these ${counted(count, one)}`;
}

function pluralOf(one: string): string {
  if (/[^aeiou]y$/.test(one)) return `${one.slice(0, -1)}ies`;
  return /(s|x|(?<!epo)ch|sh)$/.test(one) ? `${one}es` : `${one}s`;
}

/** A value in a few words; never throws, whatever the value is. */
export function shown(value: unknown): string {
  if (typeof value === "string") return `"${value.length > 40 ? `${value.slice(0, 40)}...` : value}"`;
  if (typeof value === "function") return `the function ${value.name || "without a name"}`;
  if (typeof value === "bigint") return `the bigint ${value}`;
  if (typeof value !== "object" || value === null) return String(value);
  return Array.isArray(value) ? `an array of ${value.length}` : `an object of class ${className(value)}`;
}

function className(value: object): string {
  const maker: unknown = value.constructor;
  return typeof maker === "function" && maker.name !== "" ? maker.name : "unknown";
}

/** What model.fit takes for its descent, and a convex program has no use for. */
const DESCENT = ["epochs", "batchSize", "shuffle", "initialEpoch", "stepsPerEpoch", "validationSteps", "yieldEvery"];

/** Throws unless the record is an object whose names are all in the list. */
export function refuseUnknown(where: string, record: unknown, names: readonly string[]): void {
  if (!isRecord(record)) refuse(where, "an object of options", record);
  for (const name of Object.keys(record)) {
    if (names.includes(name)) continue;
    const advice = DESCENT.includes(name)
      ? "Leave it out: that is for gradient descent; the solver stops at the trainer's tolerance, maxIterations or timeLimit."
      : "Check the spelling or leave it out.";
    refuseAs(where, `options among ${names.join(", ")}`, `"${name}"`, advice, "options/unknown");
  }
}

export function isRecord(value: unknown): value is object {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

export function optional<T>(value: T | undefined, check: (value: T) => T): T | null {
  return value === undefined ? null : check(value);
}

export function positive(name: string, value: unknown): number {
  if (!(typeof value === "number" && value > 0 && Number.isFinite(value)))
    refuse(name, "a finite number above 0", value);
  return value;
}

/** A relative gap at which to stop. */
export function tolerance(name: string, value: unknown): number {
  const given = positive(name, value);
  if (given < LEAST_TOLERANCE) {
    refuse(name, `at least ${LEAST_TOLERANCE.toPrecision(2)}, the relative rounding of float64`, given);
  }
  return given;
}

export function count(name: string, value: unknown, most = Number.MAX_SAFE_INTEGER, least = 1): number {
  if (typeof value === "number" && Number.isInteger(value) && value >= least && value <= most) return value;
  return refuse(
    name,
    most === Number.MAX_SAFE_INTEGER ? `an integer of at least ${least}` : `an integer of ${least} to ${most}`,
    value,
  );
}

/** A list is short enough that its product is not beyond the numbers. */
const MOST_COUNTS = 16;

/** A count, or a list of them whose product is no more than `most`. */
export function counts(name: string, value: unknown, most: number): readonly number[] {
  if (!Array.isArray(value)) return [count(name, value, most)];
  if (value.length === 0 || value.length > MOST_COUNTS) {
    refuse(name, `an integer or a list of 1 to ${MOST_COUNTS}`, value);
  }
  const given = Array.from(value, (entry, k) => count(`${name}[${k}]`, entry, most));
  const product = given.reduce((all, entry) => all * entry, 1);
  if (product > most) refuse(name, `numbers whose product is at most ${most}`, product);
  return given;
}

export function integer(name: string, value: unknown): number {
  if (!Number.isSafeInteger(value)) refuse(name, "an integer", value);
  return value as number;
}

export function oneOf<T>(name: string, value: T, known: readonly T[]): T {
  if (!known.includes(value)) refuse(name, known.map((entry) => `"${entry}"`).join(" or "), value);
  return value;
}

export function abortSignal(name: string, value: unknown): AbortSignal {
  if (!(isRecord(value) && "aborted" in value && "addEventListener" in value)) refuse(name, "an AbortSignal", value);
  return value as AbortSignal;
}

export function flag(name: string, value: unknown): boolean {
  if (typeof value !== "boolean") refuse(name, "true or false", value);
  return value;
}

/** The URL of a module: what is none is a path, and counts from the current folder, whatever signs are in it. */
export function urlOf(name: string, given: unknown): string {
  if (given instanceof URL) return given.href;
  if (typeof given !== "string" || given === "")
    return refuse(name, "the path or URL of a module", given, 'Name it, as in load: "./rows.mjs".');
  // Of two letters at least: one is a drive of Windows.
  if (/^[a-z][a-z\d+.-]+:/i.test(given)) {
    if (URL.canParse(given)) return new URL(given).href;
    return refuse(name, "the path or URL of a module", given, "Check how the URL is spelled.");
  }
  return new URL(asPath(given), `file:///${asPath(process.cwd()).replace(/^\/+/, "")}/`).href;
}

/** With the signs escaped that mean something else in a URL. */
function asPath(path: string): string {
  const signs = path.replaceAll("%", "%25").replaceAll("#", "%23").replaceAll("?", "%3F");
  return /^[a-z]:/i.test(signs) ? `/${signs.replaceAll("\\", "/")}` : signs;
}

/** What JSON says and reads again as it was, for those who are elsewhere: what it would lose is refused with its place. */
export function sendable<T>(name: string, given: T): T {
  refuseUnsendable(name, given, []);
  return given;
}

function refuseUnsendable(place: string, value: unknown, around: readonly object[]): void {
  const todo = "Send numbers that are finite, strings, true, false, null, and arrays and plain objects of them.";
  const expected = "what JSON can say and read again as it was";
  if (value === null || typeof value === "string" || typeof value === "boolean") return;
  if (typeof value === "number" && Number.isFinite(value)) return;
  if (typeof value !== "object") refuse(place, expected, value, todo);
  if (around.includes(value)) refuseAs(place, expected, "an object that is around it", todo);
  const inside = [...around, value];
  if (Array.isArray(value)) {
    for (let k = 0; k < value.length; k++) refuseUnsendable(`${place}[${k}]`, value[k], inside);
    return;
  }
  const maker: unknown = Object.getPrototypeOf(value);
  // An object of another realm is plain where its own maker is the root of all.
  if (maker !== null && Object.getPrototypeOf(maker) !== null) refuse(place, expected, value, todo);
  for (const [key, entry] of Object.entries(value)) refuseUnsendable(`${place}.${key}`, entry, inside);
}
