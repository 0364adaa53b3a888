"""Programs of parallel four-layer branches, every block of them priced, by an independent conic solver (CVXPY with Clarabel).

Writes deepParallel.json beside this file. The tests read the JSON; Python is needed only to make it again:

    pip install cvxpy==1.9.3 clarabel==0.11.1 numpy scipy && python test/reference/deepParallel.py

A branch is q (sum_i s_i (sum_j s_ij (X z_ij)_+)_+)_+, charged |Z|_F. A neuron of the second layer: patterns D_i1 .. D_im (multisets of the
arrangements of the rows) with signs that are not all -1, and a pattern D_i other than zero; a block: a multiset of these with signs s that are not
all -1, a pattern D of their sum other than zero, and q. The program over some blocks is solved, all blocks are priced at its dual point by
non-negative least squares, and the dearest come in, until none is worth more than it costs. Losses as TensorFlow.js scales them.
"""
import itertools
import json
import pathlib

import cvxpy as cp
import numpy as np
from scipy.optimize import nnls

from matrices import TIGHT, loss_of
from parallel import arrangements

WORTH = 1e-8  # beyond its charge, relatively: what is worth more comes in
ENOUGH = 1000  # dearer blocks: the others wait for a later round


def neurons(X, m):
    """Second-layer neurons: (walls, the map of Z onto its output), those whose cone has more than zero in it."""
    n, d = X.shape
    found = []
    signed = [(D, s) for D in arrangements(X) for s in (1, -1)]
    for pieces in itertools.combinations_with_replacement(range(len(signed)), m):
        pieces = [signed[p] for p in pieces]
        if all(s == -1 for _, s in pieces):
            continue
        h = np.hstack([s * D[:, None] * X for D, s in pieces])
        own = [np.kron(np.eye(m)[j], (2 * D - 1)[:, None] * X) for j, (D, _) in enumerate(pieces)]
        for E in itertools.product([0, 1], repeat=n):
            E = np.array(E)
            walls = np.vstack([*own, (2 * E - 1)[:, None] * h])
            walls = walls[np.abs(walls).sum(axis=1) > 0]
            if E.any() and inside(walls):
                found.append((walls, E[:, None] * h))
    return found


def inside(walls):
    """Whether some Z is strictly inside all walls."""
    Z, slack = cp.Variable(walls.shape[1]), cp.Variable()
    cp.Problem(cp.Maximize(slack), [walls @ Z >= slack, cp.norm(Z, "inf") <= 1]).solve(solver="CLARABEL")
    return slack.value > 1e-6


def worth(walls, g):
    """max g'Z over the cone, |Z| = 1."""
    return nnls(walls.T, -g, maxiter=1000)[1]


def priced(units, X, w, beta):
    """Blocks that are worth more than beta, (worth, walls, map): what two cones are worth alone bounds a pair."""
    n = X.shape[0]
    found = []
    for E in itertools.product([1, 0], repeat=n):
        E = np.array(E)
        if not E.any():
            continue
        for q in (1, -1):
            alone = [[worth(walls, s * q * (w * E) @ A) for s in (1, -1)] for walls, A in units]
            signed = [(u, s) for u in range(len(units)) for s in (1, -1)]
            for (i, (u, s)), (k, (v, t)) in itertools.combinations_with_replacement(list(enumerate(signed)), 2):
                if s == t == -1 or np.hypot(alone[u][s < 0], alone[v][t < 0]) <= beta * (1 + WORTH):
                    continue
                (F, A), (G, B) = units[u], units[v]
                h = np.hstack([s * A, t * B])
                zero = np.zeros((len(F), G.shape[1])), np.zeros((len(G), F.shape[1]))
                walls = np.vstack([np.hstack([F, zero[0]]), np.hstack([zero[1], G]), (2 * E - 1)[:, None] * h])
                value = worth(walls, q * (w * E) @ h)
                if value > beta * (1 + WORTH):
                    found.append((value, walls, q * E[:, None] * h))
            if len(found) > ENOUGH:
                return sorted(found, key=lambda block: -block[0])
    return sorted(found, key=lambda block: -block[0])


def over(blocks, loss, y, beta, bias):
    """The program over some blocks: value, outputs."""
    n = len(y)
    c = cp.Variable() if bias else 0
    f, total, rules = c * np.ones(n), 0, []
    for _, walls, A in blocks:
        z = cp.Variable(A.shape[1])
        rules.append(walls @ z >= 0)
        f = f + A @ z
        total = total + cp.norm(z)
    outputs = cp.Variable(n)
    rules.append(outputs == f)
    problem = cp.Problem(cp.Minimize(loss_of(loss, cp.reshape(outputs, (n, 1), order="C"), y[:, None]) + beta * total), rules)
    for loosen in (1, 10, 100, 1000):
        try:
            problem.solve(**{key: value * loosen if key.startswith("tol") else value for key, value in TIGHT.items()})
            if problem.status.startswith("optimal"):
                return problem.value, outputs.value
        except cp.error.SolverError:
            pass
    raise RuntimeError("no solution")


def slope(loss, f, y):
    n = len(y)
    if loss == "huberLoss":
        return np.clip(f - y, -1, 1) / n
    return 2 * (f - y) / n


def case(loss, n, d, m, beta, seed, hidden_bias=False, bias=False):
    rng = np.random.default_rng(seed)
    X, y = rng.standard_normal((n, d)), 1.5 * rng.standard_normal(n)
    rows = np.hstack([X, np.ones((n, 1))]) if hidden_bias else X
    units = neurons(rows, m)
    blocks = []
    while True:
        value, f = over(blocks, loss, y, beta, bias)
        dearer = priced(units, rows, -slope(loss, f, y), beta)
        print(loss, n, d, m, len(units), len(blocks), value, len(dearer), dearer[0][0] / beta if dearer else 1, flush=True)
        if not dearer or dearer[0][0] <= beta * (1 + 1e-6):
            break
        blocks += dearer[:40]
    return dict(loss=loss, x=X.tolist(), y=y.tolist(), beta=beta, hidden=[m, 2], charge="frobenius", hiddenBias=hidden_bias, outputBias=bias, optimum=value)


if __name__ == "__main__":
    found = [
        case("meanSquaredError", 3, 2, 2, 0.05, 21),
        case("meanSquaredError", 3, 1, 2, 0.02, 22, hidden_bias=True, bias=True),
        case("huberLoss", 3, 2, 2, 0.05, 23),
        case("meanSquaredError", 4, 1, 2, 0.02, 24, hidden_bias=True),
    ]
    path = pathlib.Path(__file__).with_name("deepParallel.json")
    path.write_text(json.dumps(found, indent=None, separators=(",", ":")) + "\n")
