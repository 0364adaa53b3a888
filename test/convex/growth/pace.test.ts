import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Pace, secondsToJudge, secondsToSolve } from "../../../src/convex/growth/pace.js";
import { bindLoss } from "../../../src/convex/losses/index.js";

const [ROWS, COST] = [300, 0.01];
const SOLVE = secondsToSolve(ROWS, COST); // a second

/** After rounds of so many seconds with these gains; the first only says when it ended. */
function paceAfter(...rounds: readonly { readonly rough: boolean; readonly gain: number; readonly seconds: number }[]) {
  const pace = new Pace();
  pace.note(true, 1, 0);
  let now = 0;
  for (const { rough, gain, seconds } of rounds) {
    now += seconds;
    pace.note(rough, gain, now);
  }
  return pace;
}

describe("the pace of a growth", () => {
  test("begins with moves", () => {
    expect(paceAfter().movesPay(ROWS, COST)).toBe(true);
  });

  test("solves where moves bring less in the time of a solve than that is foretold to, and goes on moving where they bring more", () => {
    const moved = (gain: number) => paceAfter({ rough: true, gain, seconds: 0.1 }).movesPay(ROWS, COST);
    expect(moved((0.012 * 0.1) / SOLVE)).toBe(true);
    expect(moved((0.008 * 0.1) / SOLVE)).toBe(false);
  });

  test("takes of the two kinds the one that brought more a second when it was last there, unless both bring next to nothing", () => {
    const gains = fc.double({ min: 1e-5, max: 0.1, noNaN: true });
    const times = fc.double({ min: 0.01, max: 2, noNaN: true });
    fc.assert(
      fc.property(gains, times, gains, times, fc.boolean(), (a, s, b, t, first) => {
        const rounds = [
          { rough: true, gain: a, seconds: s },
          { rough: false, gain: b, seconds: t },
        ];
        const pace = paceAfter(...(first ? rounds : [...rounds].reverse()));
        const [moves, solves] = [a / s, b / t];
        fc.pre(Math.abs(moves / solves - 1) > 1e-9);
        expect(pace.movesPay(ROWS, COST)).toBe(moves > solves && moves * SOLVE > 2e-3);
      }),
    );
  });

  test("foretells judgements that take longer of more gates, rows and outputs", () => {
    const seconds = (n: number, C: number, gates: number) => {
      const made = (cols: number) => ({ rows: n, cols, data: new Float64Array(n * cols) });
      return secondsToJudge({ X: made(10), loss: bindLoss("meanSquaredError", made(C)) }, gates);
    };
    expect(seconds(20, 1, 7)).toBeCloseTo(2 * seconds(10, 1, 7), 12);
    expect(seconds(10, 3, 14)).toBeCloseTo(6 * seconds(10, 1, 7), 12);
  });
});
