/** A text -> a table: rows of cells, and the names of the columns. */

import { isNumber } from "./cells.js";

export interface Table {
  readonly name: string;
  readonly columns: readonly string[];
  readonly rows: readonly (readonly string[])[];
  /** Rows left out because they have more or fewer cells than there are columns. */
  readonly ragged: number;
}

/** Splits a text into rows and cells: commas, semicolons or tabs; quotes as RFC 4180 has them; a first row of names. */
export function parseCsv(name: string, text: string): Table {
  const firstLine = text.slice(0, text.search(/\r?\n|$/));
  const counts = [",", ";", "\t"].map((mark) => ({ mark, count: firstLine.split(mark).length }));
  const { mark } = counts.reduce((best, next) => (next.count > best.count ? next : best));
  const records = split(text, mark).filter((cells) => cells.some((cell) => cell !== ""));
  if (records.length < 3) throw new Error(`"${name}" has ${records.length} rows: the file needs at least three rows.`);
  const header = records[0].some((cell) => cell !== "" && !isNumber(cell));
  const columns = header ? records[0] : records[0].map((_, k) => `column ${k + 1}`);
  const given = records.slice(header ? 1 : 0);
  const rows = given.filter((cells) => cells.length === columns.length);
  if (columns.length < 2) {
    throw new Error(`"${name}" has one column, "${columns[0]}": two are needed, parted by commas, semicolons or tabs.`);
  }
  if (rows.length < 3) {
    throw new Error(`"${name}" has ${rows.length} rows with all of its ${columns.length} columns: three are needed.`);
  }
  return { name, columns, rows, ragged: given.length - rows.length };
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
