"""Programs of parallel three-layer branches, every block of them, by an independent conic solver (CVXPY with Clarabel).

Writes parallel.json beside this file. The tests read the JSON; Python is needed only to make it again:

    pip install cvxpy==1.9.3 clarabel==0.11.1 numpy && python test/reference/parallel.py

A block: patterns D_11 .. D_1m of the hidden neurons (multisets of the arrangements of the rows), signs s that are not all -1, a
pattern D_2 other than zero, a sign q (Ergen and Pilanci 2021, with all combinations of patterns). Charges: the sum of |z_j|, and the
norm of all z_j together. Losses as TensorFlow.js scales them.
"""
import itertools
import json
import pathlib

import cvxpy as cp
import numpy as np

from matrices import TIGHT, loss_of


def arrangements(X, draws=200000, seed=0):
    """Nonzero patterns 1[X g >= 0] of many directions: all that tiny data have."""
    G = np.random.default_rng(seed).standard_normal((X.shape[1], draws))
    found = np.unique((X @ G >= 0).astype(int).T, axis=0)
    return [p for p in found if p.any()]


def optimum(loss, X, y, beta, m, charge, bias):
    n, d = X.shape
    P = arrangements(X)
    c = cp.Variable() if bias else 0
    f, total, rules, blocks = c * np.ones(n), 0, [], 0
    for tuple_ in itertools.combinations_with_replacement(P, m):
        for s in itertools.product([1, -1], repeat=m):
            if all(sign == -1 for sign in s):
                continue
            for E in itertools.product([0, 1], repeat=n):
                if not any(E):
                    continue
                E = np.array(E)
                for q in (1, -1):
                    blocks += 1
                    Z = cp.Variable((m, d))
                    # One constraint a block keeps the problem small.
                    cones = np.vstack([
                        np.hstack([(2 * D - 1)[:, None] * X if i == j else np.zeros((n, d)) for i in range(m)])
                        for j, D in enumerate(tuple_)
                    ])
                    A = np.hstack([sign * D[:, None] * X for sign, D in zip(s, tuple_)])
                    z = cp.reshape(Z, (m * d,), order="C")
                    rules.append(np.vstack([cones, (2 * E - 1)[:, None] * A]) @ z >= 0)
                    f = f + (q * E[:, None] * A) @ z
                    total = total + (cp.sum(cp.norm(Z, 2, axis=1)) if charge == "sum" else cp.norm(z))
    problem = cp.Problem(cp.Minimize(loss_of(loss, cp.reshape(f, (n, 1), order="C"), y[:, None]) + beta * total), rules)
    for loosen in (1, 10, 100, 1000, 10000):  # thousands of cones: the tightest tolerance is not always met
        try:
            problem.solve(**{key: value * loosen if key.startswith("tol") else value for key, value in TIGHT.items()})
            if problem.status.startswith("optimal"):
                return problem.value, blocks
        except cp.error.SolverError:
            pass
    raise RuntimeError((loss, n, d, m, charge))


def case(loss, n, d, m, beta, seed, charge, hidden_bias=False, bias=False):
    rng = np.random.default_rng(seed)
    X, y = rng.standard_normal((n, d)), 1.5 * rng.standard_normal(n)
    if loss == "binaryCrossentropy":
        y = (y > 0).astype(float)
    rows = np.hstack([X, np.ones((n, 1))]) if hidden_bias else X
    value, blocks = optimum(loss, rows, y, beta, m, charge, bias)
    print(loss, n, d, m, beta, charge, hidden_bias, bias, blocks, value, flush=True)
    return dict(loss=loss, x=X.tolist(), y=y.tolist(), beta=beta, hidden=m, charge=charge, hiddenBias=hidden_bias, outputBias=bias, blocks=blocks, optimum=value)


def printed(charge):
    """The one of the check, whose loss is half a sum of squares: here as a mean."""
    rng = np.random.default_rng(3)
    X, y = rng.standard_normal((3, 2)), np.array([1.5, -1.0, 1.2])
    value, blocks = optimum("meanSquaredError", X, y, 0.4 / 3, 2, charge, False)
    print("printed", charge, blocks, value * 1.5, flush=True)
    return dict(loss="meanSquaredError", x=X.tolist(), y=y.tolist(), beta=0.4 / 3, hidden=2, charge=charge, hiddenBias=False, outputBias=False, blocks=blocks, optimum=value)


if __name__ == "__main__":
    found = [printed("sum"), printed("frobenius")]
    for charge in ("sum", "frobenius"):
        found += [
            case("meanSquaredError", 4, 2, 2, 0.05, 11, charge),
            case("meanSquaredError", 4, 1, 2, 0.02, 12, charge, hidden_bias=True),
            case("meanSquaredError", 3, 2, 3, 0.03, 13, charge),
            case("meanSquaredError", 3, 3, 2, 0.1, 14, charge),
            case("meanSquaredError", 4, 2, 1, 0.05, 15, charge),
            case("meanSquaredError", 4, 2, 2, 0.05, 16, charge, bias=True),
            case("huberLoss", 4, 2, 2, 0.05, 18, charge),
        ]
    found.append(case("binaryCrossentropy", 4, 2, 2, 0.05, 17, "sum"))  # Clarabel fails on the other charge
    path = pathlib.Path(__file__).with_name("parallel.json")
    path.write_text(json.dumps(found, indent=None, separators=(",", ":")) + "\n")
