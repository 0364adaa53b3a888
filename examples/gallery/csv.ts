/** A CSV file -> a task: numbers standardised, words one-hot, the target as classes or values. */

import type { Task } from "./task.js";

const MOST_ROWS = 1000;
/** A column of words with more values than this is a name, not a feature. */
const MOST_WORDS = 12;
/** A target of whole numbers with at most this many values is a class. */
const MOST_CLASSES = 10;

export interface Table {
  readonly name: string;
  readonly columns: readonly string[];
  readonly rows: readonly (readonly string[])[];
}

/** Splits a text into rows and cells: commas, semicolons or tabs; quotes as RFC 4180 has them; a first row of names. */
export function parseCsv(name: string, text: string): Table {
  const firstLine = text.slice(0, text.search(/\r?\n|$/));
  const counts = [",", ";", "\t"].map((mark) => ({ mark, count: firstLine.split(mark).length }));
  const { mark } = counts.reduce((best, next) => (next.count > best.count ? next : best));
  const records = split(text, mark).filter((cells) => cells.some((cell) => cell !== ""));
  if (records.length < 3) throw new Error("The file needs at least three rows.");
  const header = records[0].some((cell) => cell !== "" && !isNumber(cell));
  const columns = header ? records[0] : records[0].map((_, k) => `column ${k + 1}`);
  const rows = records.slice(header ? 1 : 0).filter((cells) => cells.length === columns.length);
  if (columns.length < 2 || rows.length < 3) throw new Error("The file needs two columns and three whole rows.");
  return { name, columns, rows };
}

function split(text: string, mark: string): string[][] {
  const records: string[][] = [];
  let cells: string[] = [];
  let cell = "";
  let quoted = false;
  for (let k = 0; k <= text.length; k++) {
    const character = text[k];
    if (quoted) {
      if (character === undefined) throw new Error("A quotation mark is not closed.");
      if (character !== '"') cell += character;
      else if (text[k + 1] === '"') {
        cell += '"';
        k += 1;
      } else quoted = false;
    } else if (character === '"' && cell === "") {
      quoted = true;
    } else if (character === mark || character === "\n" || character === undefined) {
      cells.push(cell.trim());
      cell = "";
      if (character !== mark) {
        records.push(cells);
        cells = [];
      }
    } else {
      cell += character;
    }
  }
  return records;
}

/** Features and target of a table, with sentences on what was left out. */
export function taskOf(table: Table, target: string): { task: Task; notes: string[] } {
  const notes: string[] = [];
  const at = table.columns.indexOf(target);
  let rows = table.rows.filter((cells) => !cells.some(isMissing));
  if (rows.length < table.rows.length) notes.push(`${table.rows.length - rows.length} rows with gaps left out.`);
  if (rows.length > MOST_ROWS) {
    notes.push(`The first ${MOST_ROWS} of ${rows.length} rows.`);
    rows = rows.slice(0, MOST_ROWS);
  }
  if (rows.length < 3) throw new Error("Fewer than three rows are whole.");
  const features = table.columns.flatMap((name, column) => {
    if (column === at) return [];
    const cells = rows.map((row) => row[column]);
    if (cells.every(isNumber)) return standardised(cells.map(Number));
    const words = [...new Set(cells)];
    if (words.length <= MOST_WORDS) return words.map((word) => cells.map((cell) => Number(cell === word)));
    notes.push(`Column "${name}" left out: ${words.length} different words.`);
    return [];
  });
  if (features.length === 0) throw new Error("No column can be used as a feature.");
  const x = Float32Array.from({ length: rows.length * features.length }, (_, k) => {
    return features[k % features.length][Math.floor(k / features.length)];
  });
  const given = rows.map((row) => row[at]);
  const classes = classesOf(given);
  const y = Float32Array.from(
    classes.length > 0 ? given.map((cell) => classes.indexOf(cell)) : (standardised(given.map(Number))[0] ?? [0]),
  );
  if (classes.length === 0) notes.push("The target is standardised.");
  if (classes.length === 1 || y.length !== rows.length) throw new Error(`Column "${target}" is constant.`);
  return { task: { name: table.name, rows: rows.length, cols: features.length, x, y, classes }, notes };
}

/** The classes of a target, or none when it is a number to predict. */
function classesOf(cells: readonly string[]): string[] {
  const values = [...new Set(cells)].sort((a, b) =>
    isNumber(a) && isNumber(b) ? Number(a) - Number(b) : a < b ? -1 : 1,
  );
  if (!cells.every(isNumber)) {
    if (values.length > 2 * MOST_CLASSES) throw new Error(`The target has ${values.length} different words.`);
    return values;
  }
  return values.length <= MOST_CLASSES && values.every((value) => Number.isInteger(Number(value))) ? values : [];
}

/** Mean 0 and deviation 1; nothing for a constant column. */
function standardised(values: readonly number[]): number[][] {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  const deviation = Math.sqrt(values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length);
  return deviation > 1e-12 * Math.abs(mean) ? [values.map((value) => (value - mean) / deviation)] : [];
}

function isNumber(cell: string): boolean {
  return cell !== "" && Number.isFinite(Number(cell));
}

function isMissing(cell: string): boolean {
  return cell === "" || /^(na|nan|null|\?)$/i.test(cell);
}
