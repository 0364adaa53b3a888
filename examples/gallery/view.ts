/** Facts and tables of the runs, as text in the page. */

/** What is shown of one finished or running method. */
export interface RunRow {
  readonly method: string;
  readonly kind: "convex" | "gradient";
  readonly objective: number;
  readonly accuracy: number | null;
  readonly seconds: number;
}

export function byId<T extends Element = HTMLElement>(id: string): T {
  const found = document.getElementById(id);
  if (found === null) throw new Error(`The page has no element "${id}".`);
  return found as unknown as T;
}

export function showFacts(list: HTMLElement, facts: readonly (readonly [string, string])[]): void {
  list.replaceChildren(
    ...facts.flatMap(([name, value]) => {
      const [term, description] = [document.createElement("dt"), document.createElement("dd")];
      term.textContent = name;
      description.textContent = value;
      description.dataset.fact = name;
      return [term, description];
    }),
  );
}

/** Rows with the excess over a lower bound, where there is one. */
export function showRuns(table: HTMLTableElement, rows: readonly RunRow[], bound: number | null): void {
  table.tBodies[0].replaceChildren(
    ...rows.map((run) => {
      const row = document.createElement("tr");
      row.dataset.kind = run.kind;
      const cells = [
        run.method,
        number(run.objective),
        bound === null || !(bound > 0) ? "" : percent(run.objective / bound - 1),
        run.accuracy === null ? "" : percent(run.accuracy),
        run.seconds.toFixed(2),
      ];
      row.append(
        ...cells.map((text, k) => {
          const cell = document.createElement(k === 0 ? "th" : "td");
          if (k === 0) cell.setAttribute("scope", "row");
          cell.textContent = text;
          return cell;
        }),
      );
      return row;
    }),
  );
}

export function number(value: number): string {
  return Number.isFinite(value) ? value.toPrecision(6) : "none";
}

export function percent(share: number): string {
  const value = 100 * share;
  return `${Math.abs(value) < 0.1 && value !== 0 ? value.toPrecision(2) : value.toFixed(1)} %`;
}

/** Offers a file for download. */
export function offer(name: string, content: Blob | string): void {
  const blob = typeof content === "string" ? new Blob([content], { type: "text/plain" }) : content;
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}
