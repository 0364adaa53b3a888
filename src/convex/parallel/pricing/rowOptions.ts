/**
 * All that the neurons above the first layer can do on one row, as few linear maps of what the second layer has there.
 *
 * Where a ReLU makes a branch dearer it is the larger of two linear maps: either is chosen, and its cone can be left out. Where it makes a branch
 * cheaper, -(h)_+ is the least of -x h, 0 <= x <= 1: a range, and nothing to choose. Where such a neuron sums up both kinds, its pattern and those
 * of what it adds are chosen, with their cones as walls.
 */

import { power } from "../../linear/elementary.js";
import type { Sign } from "../branch.js";
import type { Coefficients, Move } from "./coefficients.js";

/** A neuron above the first layer with those that feed it; none where the first layer does. */
export interface Tree {
  readonly sign: Sign;
  readonly children: readonly Tree[];
}

/** Factors of what the tree's neurons of the second layer have. */
export interface RowOption {
  readonly base: readonly number[];
  readonly moves: readonly { readonly factors: readonly number[]; readonly upper: number }[];
}

const WALL = Number.POSITIVE_INFINITY;

/** Multisets of so many of the given. */
function multisets<T>(given: readonly T[], count: number): T[][] {
  if (count === 0) return [[]];
  return given.flatMap((first, i) => multisets(given.slice(i), count - 1).map((rest) => [first, ...rest]));
}

/** Every tree of signs of layers 2, .., L - 1, but for those in which a neuron adds nothing: it is never on. */
export function treesOf(hidden: readonly number[]): Tree[] {
  const tops = hidden.slice(1).reduce<Tree[]>(
    (below, m) => {
      const signed = below.flatMap(({ children }) => ([1, -1] as const).map((sign) => ({ sign, children })));
      return multisets(signed, m)
        .filter((children) => children.some(({ sign }) => sign === 1))
        .map((children) => ({ sign: 1, children }));
    },
    [{ sign: 1, children: [] }],
  );
  return tops;
}

/** The neuron's output on a row, or minus it: of every branch one of these is what it has, and none is more than that. */
export function rowOptions(tree: Tree, sign: Sign): RowOption[] {
  return sign === 1 ? rising(tree) : falling(tree);
}

/** The number of choices on so many rows, at most. */
export function choicesOf(trees: readonly Tree[], rows: number): number {
  return trees.reduce((sum, tree) => sum + power(Math.max(rising(tree).length, falling(tree).length), rows), 0);
}

/** Coefficients of rows of weights w, an option chosen for each. */
export function chosenOptions(options: readonly RowOption[], w: Float64Array): Coefficients {
  const base = options[0].base.map((_, i) => w.map((value, k) => Math.abs(value) * options[k].base[i]));
  const moves = options.flatMap((option, row): Move[] =>
    option.moves.map(({ factors, upper }) => ({ row, factors, upper: upper * Math.abs(w[row]) })),
  );
  return { base, moves };
}

/** (h)_+ */
function rising({ children }: Tree): RowOption[] {
  if (children.length === 0) return [number(0), number(1)];
  const sums = together(children.map((child) => (child.sign === 1 ? rising(child) : falling(child))));
  const zero = sums[0].base.map(() => 0);
  // A sum of ReLUs is never negative, and what adds nothing is worth no more than nothing.
  return [{ base: zero, moves: [] }, ...sums.filter(({ base }) => base.some((factor) => factor > 0))];
}

/** -(h)_+ */
function falling({ children }: Tree): RowOption[] {
  if (children.length === 0) return [{ base: [-1], moves: [{ factors: [1], upper: 1 }] }];
  const less = children.map((child) => [nothing(child)]);
  const alone = together(children.map((child, i) => (child.sign === 1 ? falling(child) : less[i])));
  if (children.every(({ sign }) => sign === 1)) return alone;
  const added = together(children.map((child, i) => (child.sign === 1 ? held(child) : less[i])));
  const taken = together(
    children.map((child, i) => {
      if (child.sign === 1) return less[i];
      return child.children.length === 0 ? rising(child) : held(child);
    }),
  );
  const mixed = added.filter(isOn).flatMap((sum) =>
    taken.filter(isOn).flatMap((rest) => {
      const h = sum.base.map((factor, i) => factor - rest.base[i]);
      const less = h.map((factor) => -factor);
      const moves = [...sum.moves, ...rest.moves];
      return [
        { base: h.map(() => 0), moves: [...moves, { factors: less, upper: WALL }] },
        { base: less, moves: [...moves, { factors: h, upper: WALL }] },
      ];
    }),
  );
  return [...alone, ...mixed];
}

/** (h)_+ by every pattern of the tree, on its cone. */
function held({ children }: Tree): RowOption[] {
  if (children.length === 0) {
    return [-1, 1].map((side) => ({ base: [Number(side > 0)], moves: [{ factors: [side], upper: WALL }] }));
  }
  return together(children.map((child) => signed(held(child), child.sign))).flatMap(({ base, moves }) => {
    const less = base.map((factor) => -factor);
    const off = { base: base.map(() => 0), moves: [...moves, { factors: less, upper: WALL }] };
    const on = { base, moves: [...moves, { factors: base, upper: WALL }] };
    // What is summed up is not negative, each on its cone.
    if (base.every((factor) => factor >= 0)) return [{ base, moves }];
    return base.every((factor) => factor <= 0) ? [{ base: off.base, moves }] : [off, on];
  });
}

function number(factor: number): RowOption {
  return { base: [factor], moves: [] };
}

function nothing(tree: Tree): RowOption {
  const leaves = (at: Tree): number => at.children.reduce((sum, child) => sum + leaves(child), 0) || 1;
  return { base: new Array<number>(leaves(tree)).fill(0), moves: [] };
}

function isOn({ base }: RowOption): boolean {
  return base.some((factor) => factor !== 0);
}

function signed(options: readonly RowOption[], sign: Sign): RowOption[] {
  return options.map(({ base, moves }) => ({ base: base.map((factor) => sign * factor), moves }));
}

/** An option of each child, side by side. */
function together(children: readonly (readonly RowOption[])[]): RowOption[] {
  return children.reduce<RowOption[]>(
    (all, options) =>
      all.flatMap((left) =>
        options.map((right) => {
          const [before, after] = [left.base.map(() => 0), right.base.map(() => 0)];
          const base = [...left.base, ...right.base];
          const moves = [
            ...left.moves.map(({ factors, upper }) => ({ factors: [...factors, ...after], upper })),
            ...right.moves.map(({ factors, upper }) => ({ factors: [...before, ...factors], upper })),
          ];
          return { base, moves };
        }),
      ),
    [{ base: [], moves: [] }],
  );
}
