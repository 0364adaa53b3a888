/** A table -> a task: numbers and days standardised, words one-hot, the target as classes or values, some rows held out. */

import { dayOf, isMissing, isNumber } from "./cells.js";
import type { Table } from "./csv.js";
import type { Rows, Task } from "./task.js";

const MOST_ROWS = 1000;
/** A column of words with more values than this is a name, not a feature. */
const MOST_WORDS = 12;
/** A target of whole numbers with at most this many values is a class. */
const MOST_CLASSES = 10;
/** Every so-manieth row is held out, where there are at least FEWEST_TO_HOLD. */
const HELD_EVERY = 5;
const FEWEST_TO_HOLD = 30;
/** A column is one of numbers when at least this share of its cells are; the others count as gaps. */
const MOSTLY = 0.8;

/** Features and target of a table, with sentences on what was left out. Throws an Error that names the column. */
export function taskOf(table: Table, target: string): { task: Task; notes: string[] } {
  const notes: string[] = [];
  const at = table.columns.indexOf(target);
  if (table.ragged > 0) notes.push(`${table.ragged} rows with too many or too few cells left out.`);
  const columns = table.columns.map((name, k) =>
    readColumn(
      name,
      table.rows.map((row) => row[k]),
      notes,
    ),
  );
  let kept = table.rows.flatMap((_, row) => (columns.every(({ cells }) => !isMissing(cells[row])) ? [row] : []));
  const gaps = table.rows.length - kept.length;
  if (gaps > 0) notes.push(`${gaps} rows with gaps left out.`);
  if (kept.length < 3) throw new Error(`Only ${kept.length} rows have no gap; ${emptiest(columns)}`);
  if (kept.length > MOST_ROWS) {
    notes.push(`The first ${MOST_ROWS} of ${kept.length} rows.`);
    kept = kept.slice(0, MOST_ROWS);
  }
  const isHeld = (row: number) => kept.length >= FEWEST_TO_HOLD && row % HELD_EVERY === HELD_EVERY - 1;
  const cellsOf = (column: number) => kept.map((row) => columns[column].cells[row]);
  const features = columns.flatMap(({ name }, column) =>
    column === at ? [] : featuresOf(name, cellsOf(column), isHeld, notes),
  );
  if (features.length === 0) throw new Error(`No column beside "${target}" can be used. ${notes.join(" ")}`);
  const given = cellsOf(at);
  const classes = classesOf(target, given);
  const values =
    classes.length > 0 ? given.map((cell) => classes.indexOf(cell)) : standardised(given.map(Number), isHeld);
  if (classes.length === 1 || values === null) {
    throw new Error(`Column "${target}" cannot be the target: every row has "${given[0]}".`);
  }
  if (classes.length === 0) notes.push("The target is standardised.");
  const rows = (wanted: boolean): Rows => {
    const chosen = kept.flatMap((_, row) => (isHeld(row) === wanted ? [row] : []));
    return {
      rows: chosen.length,
      x: Float32Array.from(chosen.flatMap((row) => features.map((feature) => feature[row]))),
      y: Float32Array.from(chosen, (row) => values[row]),
    };
  };
  const held = rows(true);
  const task = { name: table.name, cols: features.length, classes, ...rows(false), held: held.rows > 0 ? held : null };
  return { task, notes };
}

interface Column {
  readonly name: string;
  readonly cells: readonly string[];
}

/** Days become numbers, and stray words among numbers become gaps. */
function readColumn(name: string, given: readonly string[], notes: string[]): Column {
  const present = given.filter((cell) => !isMissing(cell));
  if (present.length > 0 && present.every((cell) => dayOf(cell) !== null)) {
    notes.push(`Column "${name}" is read as dates.`);
    return { name, cells: given.map((cell) => (isMissing(cell) ? cell : String(dayOf(cell)))) };
  }
  const numbers = present.filter(isNumber).length;
  if (numbers === present.length || numbers < MOSTLY * present.length) return { name, cells: given };
  const stray = given.findIndex((cell) => !isMissing(cell) && !isNumber(cell));
  notes.push(
    `Column "${name}" is one of numbers: ${present.length - numbers} other cells, such as "${given[stray]}" in row ${stray + 1}, count as gaps.`,
  );
  return { name, cells: given.map((cell) => (isNumber(cell) ? cell : "")) };
}

function emptiest(columns: readonly Column[]): string {
  const gaps = ({ cells }: Column) => cells.filter(isMissing).length;
  const worst = columns.reduce((most, next) => (gaps(next) > gaps(most) ? next : most));
  return `column "${worst.name}" has a gap in ${gaps(worst)} of ${worst.cells.length}. Fill it or take it out of the file.`;
}

/** What a column gives to learn from, [features][rows]. */
function featuresOf(
  name: string,
  cells: readonly string[],
  isHeld: (row: number) => boolean,
  notes: string[],
): readonly (readonly number[])[] {
  const words = [...new Set(cells)];
  if (words.length === 1) {
    notes.push(`Column "${name}" left out: every row has "${cells[0]}".`);
    return [];
  }
  if (cells.every(isNumber)) return [standardised(cells.map(Number), isHeld) ?? cells.map(() => 0)];
  if (words.length <= MOST_WORDS) return words.map((word) => cells.map((cell) => Number(cell === word)));
  notes.push(`Column "${name}" left out: ${words.length} different words.`);
  return [];
}

/** The classes of a target, or none when it is a number to predict. */
function classesOf(name: string, cells: readonly string[]): string[] {
  const values = [...new Set(cells)].sort((a, b) =>
    isNumber(a) && isNumber(b) ? Number(a) - Number(b) : a < b ? -1 : 1,
  );
  if (!cells.every(isNumber)) {
    if (values.length > 2 * MOST_CLASSES) {
      throw new Error(
        `Column "${name}" cannot be the target: it has ${values.length} different words, such as "${values[0]}"; ` +
          `at most ${2 * MOST_CLASSES} can be classes. Choose another target column.`,
      );
    }
    return values;
  }
  return values.length <= MOST_CLASSES && values.every((value) => Number.isInteger(Number(value))) ? values : [];
}

/** Mean 0 and deviation 1 of the rows that are trained on; null for a constant column. */
function standardised(values: readonly number[], isHeld: (row: number) => boolean): number[] | null {
  const seen = values.filter((_, row) => !isHeld(row));
  const mean = seen.reduce((sum, value) => sum + value, 0) / seen.length;
  const deviation = Math.sqrt(seen.reduce((sum, value) => sum + (value - mean) ** 2, 0) / seen.length);
  return deviation > 1e-12 * Math.abs(mean) ? values.map((value) => (value - mean) / deviation) : null;
}
