/** The loop of a recurrent layer over times, and back through them (Werbos 1990). */

import { addTo, type Make, Scratch, type Values } from "../operation.js";
import type { MakeCell } from "./cells.js";

/** How a layer goes through times, and which of its outputs are asked for. */
export interface Order {
  readonly times: number;
  /** From the last time to the first. */
  readonly backwards: boolean;
  /** The last; all in the order in which they come; all in the order of times. */
  readonly outputs: "last" | "inTurn" | "inTime";
}

/**
 * What units make, turn by turn, of a time's inputs and of their outputs at the turn before, which are zero at first. The inputs
 * [times inputs x n] are products with the layer's kernel and its bias; those with its recurrent kernel are the cell's own.
 */
export function recurrence(makeCell: MakeCell, { times, backwards, outputs }: Order): Make {
  const all = outputs !== "last";
  const timeOf = (turn: number) => (backwards ? times - 1 - turn : turn);
  return (kernels) => {
    const cell = makeCell(kernels, times);
    const { size, inputs } = cell;
    const [kept, carried, unread] = [new Scratch(), new Scratch(), new Scratch()];
    const blockAt = (at: number, length: number, values: Values) => values.subarray(at * length, (at + 1) * length);
    const given = (turn: number, n: number, values: Values) => blockAt(timeOf(turn), inputs * n, values);
    const made = (turn: number, n: number, values: Values) =>
      blockAt(outputs === "inTime" ? timeOf(turn) : turn, size * n, values);
    return {
      size: all ? times * size : size,
      work: times * cell.work,
      room: times * (cell.room + size),
      forward(n, [z], weights, out) {
        const H = all ? out : kept.take(times * size * n);
        cell.begin?.(weights);
        for (let turn = 0; turn < times; turn++) {
          const before = turn === 0 ? null : made(turn - 1, n, H);
          cell.forward(turn, n, given(turn, n, z), before, weights, made(turn, n, H));
        }
        if (!all) out.set(made(times - 1, n, H));
      },
      backward(n, _inputs, weights, out, pull, [below], gradient) {
        const H = all ? out : kept.take(times * size * n);
        const later = carried.take(size * n); // the pull of an output by the turns after it
        later.fill(0);
        for (let turn = times - 1; turn >= 0; turn--) {
          if (all) addTo(later, made(turn, n, pull));
          else if (turn === times - 1) later.set(pull);
          const before = turn === 0 ? null : made(turn - 1, n, H);
          const z = below === null ? unread.take(inputs * n) : given(turn, n, below);
          cell.backward(turn, n, before, made(turn, n, H), later, weights, z, later, gradient);
        }
        cell.end?.(gradient);
      },
    };
  };
}
