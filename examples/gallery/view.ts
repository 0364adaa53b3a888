/** Facts and tables of the runs, as text in the page. */

/** What is shown of one finished or running method. */
export interface RunRow {
  readonly method: string;
  readonly kind: "convex" | "gradient";
  readonly objective: number;
  readonly accuracies: { readonly training: number | null; readonly held: number | null };
  readonly seconds: number;
}

export function byId<T extends Element = HTMLElement>(id: string): T {
  const found = document.getElementById(id);
  if (found === null) throw new Error(`The page has no element "${id}".`);
  return found as unknown as T;
}

/** A fact by its name in the field; `exact` is what stands behind the words, shown on hover. */
export interface Fact {
  readonly name: string;
  readonly value: string;
  readonly exact?: string;
}

/** Words for people who do not know the field's names. */
const WORDS: Readonly<Record<string, string>> = {
  "dual bound": "no network is below",
  "relative gap": "above the best, at most",
  engine: "computed by",
};

export function showFacts(list: HTMLElement, facts: readonly Fact[]): void {
  list.replaceChildren(
    ...facts.flatMap(({ name, value, exact }) => {
      const [term, description] = [document.createElement("dt"), document.createElement("dd")];
      term.textContent = WORDS[name] ?? name;
      if (name in WORDS) term.title = name;
      description.textContent = value;
      description.dataset.fact = name;
      if (exact !== undefined) description.title = exact;
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
        run.accuracies.training === null ? "" : percent(run.accuracies.training),
        run.accuracies.held === null ? "" : percent(run.accuracies.held),
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
