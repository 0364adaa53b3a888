"""Optimal sets of small convex programs by other means: CVXPY for the least norm, all supports for the fewest neurons.

Writes optimal_set.json beside this file. The tests read the JSON; Python is needed only to make it again:

    pip install cvxpy==1.9.3 clarabel==0.11.1 numpy scipy && python test/reference/optimal_set.py

The program is min |sum_i s_i D_i X v_i - y|^2 / n + beta sum_i |v_i|, with (2 D_i - I) X v_i >= 0 for ReLU, over all patterns of a
symmetric grid, on which it has many optima. Stored: the optimum; the least Euclidean norm of an optimum, from a second program
that keeps the predictions; and the fewest active blocks, by trying every support with nonnegative least squares.
"""
import itertools
import json
import pathlib

import cvxpy as cp
import numpy as np
from scipy.linalg import null_space
from scipy.optimize import nnls

TIGHT = dict(solver="CLARABEL", tol_gap_abs=1e-13, tol_gap_rel=1e-13, tol_feas=1e-13, max_iter=500)


def grid():
    X = np.array([[i, j] for i in range(-2, 3) for j in range(-2, 3)], float)
    y = np.abs(X[:, 0] * X[:, 1]) - np.abs(X[:, 0]) + 0.5 * X[:, 1] ** 2
    return X, y


def patterns(X):
    """The open arrangements of rows in the plane: one direction between each two neighbouring boundaries."""
    normals = [np.arctan2(x[1], x[0]) for x in X if x.any()]
    angles = sorted({round((a + s * np.pi / 2) % (2 * np.pi), 9) for a in normals for s in (-1, 1)})
    middles = [(a + b) / 2 for a, b in zip(angles, angles[1:] + [angles[0] + 2 * np.pi])]
    found = {}
    for m in middles:
        d = (X @ [np.cos(m), np.sin(m)] >= 0).astype(float)
        found[d.tobytes()] = d
    return list(found.values())


def solve(formulation, beta):
    X, y = grid()
    masks = patterns(X)
    blocks = [(d, s) for s in ((1, -1) if formulation == "relu" else (1,)) for d in masks]
    V = [cp.Variable(2) for _ in blocks]
    fit = sum(s * cp.multiply(d, X @ v) for (d, s), v in zip(blocks, V))
    size = sum(cp.norm(v) for v in V)
    cones = [cp.multiply(2 * d - 1, X @ v) >= 0 for (d, _), v in zip(blocks, V)] if formulation == "relu" else []
    first = cp.Problem(cp.Minimize(cp.sum_squares(fit - y) / len(y) + beta * size), cones)
    first.solve(**TIGHT)
    Z, R = fit.value, size.value
    # On the rays of the active blocks the optima are a polytope: directions from the dual point.
    N = 2 * (Z - y) / len(y)
    rays = []
    for d, s in blocks:
        u = cp.Variable(2)
        g = -s * X.T @ (d * N)
        cone = [cp.multiply(2 * d - 1, X @ u) >= 0] if formulation == "relu" else []
        priced = cp.Problem(cp.Maximize(g @ u), [cp.norm(u) <= 1] + cone)
        priced.solve(**TIGHT)
        if priced.value > beta * (1 - 1e-5):
            unit = u.value / np.linalg.norm(u.value)
            rays.append((s * d * (X @ unit), unit, d))
    distinct = []
    for column, unit, d in rays:
        gated = formulation == "gated"
        if not any(np.linalg.norm(unit - v) + gated * np.linalg.norm(d - e) < 1e-4 for _, v, e in distinct):
            distinct.append((column, unit, d))
    A = np.array([column for column, _, _ in distinct]).T
    W = null_space(A, rcond=1e-4)
    a = nnls(A, Z)[0] + (W @ cp.Variable(W.shape[1]) if W.size else 0)
    least = cp.Problem(cp.Minimize(cp.sum_squares(a)), [a >= 0]).solve(**TIGHT) if W.size else a @ a
    fewest = next(
        count
        for count in range(1, A.shape[1] + 1)
        if any(nnls(A[:, list(s)], Z)[1] < 1e-5 * np.linalg.norm(Z) for s in itertools.combinations(range(A.shape[1]), count))
    )
    return dict(
        formulation=formulation, beta=beta, X=X.tolist(), y=y.tolist(), patterns=len(masks), optimum=first.value, size=R,
        candidates=len(distinct), dimension=W.shape[1],
        least_norm=float(np.sqrt(least)), fewest=fewest,
    )


if __name__ == "__main__":
    found = [solve(formulation, beta) for formulation in ("relu", "gated") for beta in (0.05, 0.3)]
    for one in found:
        print({k: v for k, v in one.items() if k not in ("X", "y")})
    path = pathlib.Path(__file__).with_name("optimal_set.json")
    path.write_text(json.dumps(dict(problems=found), indent=1) + "\n")
