/** What a cell of a file is: a number, a day, a word, or nothing. */

const DAY_MS = 86_400_000;

export function isNumber(cell: string): boolean {
  return cell !== "" && Number.isFinite(Number(cell));
}

export function isMissing(cell: string): boolean {
  return cell === "" || /^(na|n\/a|nan|null|none|\?|-)$/i.test(cell);
}

/** Days since 1970 of 2024-05-31 (with or without a time), 31.5.2024 or 5/31/2024; null for anything else. */
export function dayOf(cell: string): number | null {
  const iso =
    /^(\d{4})-(\d{1,2})-(\d{1,2})(?:[T ](\d{1,2}):(\d{2})(?::(\d{2})(?:\.\d+)?)?(?:Z|[+-]\d{2}:?\d{2})?)?$/.exec(cell);
  if (iso !== null) return daysOf(iso.slice(1).map((part) => Number(part ?? 0)));
  const dots = /^(\d{1,2})\.(\d{1,2})\.(\d{4})$/.exec(cell);
  if (dots !== null) return daysOf([Number(dots[3]), Number(dots[2]), Number(dots[1])]);
  const strokes = /^(\d{1,2})\/(\d{1,2})\/(\d{4})$/.exec(cell);
  return strokes === null ? null : daysOf([Number(strokes[3]), Number(strokes[1]), Number(strokes[2])]);
}

function daysOf([year, month, day, hours = 0, minutes = 0, seconds = 0]: readonly number[]): number | null {
  const time = Date.UTC(year, month - 1, day, hours, minutes, seconds);
  const isDay = month >= 1 && month <= 12 && new Date(Date.UTC(year, month - 1, day)).getUTCDate() === day;
  return isDay ? time / DAY_MS : null;
}
