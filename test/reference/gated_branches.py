"""Gated branches of three layers by an independent conic solver (CVXPY with Clarabel), their masks made here from the gates.

Writes gated_branches.json beside this file. The tests read the JSON; Python is needed only to make it again:

    pip install cvxpy==1.9.3 clarabel==0.11.1 numpy && python test/reference/gated_branches.py

Branch k has gates D_1kj = 1[X g_kj >= 0] and D_2k = 1[sum_j (X g_kj)_+ a_kj >= 0] and gives D_2k sum_j D_1kj X Z_kj, Z_kj [d x C]. Charges: the
sum over neurons of |Z_kj|_*, and the sum over branches of the nuclear norm of all that a branch has, [m d x C]. Losses as TensorFlow.js
scales them. Gates are multiples of 1/8, which float32 holds.
"""
import json
import pathlib

import cvxpy as cp
import numpy as np

from matrices import TIGHT, loss_of


def optimum(loss, X, Y, beta, G, a, charge, bias):
    (n, d), C = X.shape, Y.shape[1]
    K, m = a.shape
    c = cp.Variable((1, C)) if bias else np.zeros((1, C))
    f, total = np.ones((n, 1)) @ c, 0
    for k in range(K):
        sums = X @ G[k]  # [n x m]
        outer = (np.maximum(sums, 0) @ a[k] >= 0).astype(float)
        Z = cp.Variable((m * d, C))
        for j in range(m):
            mask = outer * (sums[:, j] >= 0)
            f = f + (mask[:, None] * X) @ Z[j * d : (j + 1) * d]
        pieces = [Z[j * d : (j + 1) * d] for j in range(m)] if charge == "sum" else [Z]
        total = total + sum(cp.norm(piece, "fro") if C == 1 else cp.normNuc(piece) for piece in pieces)
    problem = cp.Problem(cp.Minimize(loss_of(loss, f, Y) + beta * total))
    for loosen in (1, 10, 100, 1000, 10000):
        try:
            problem.solve(**{key: value * loosen if key.startswith("tol") else value for key, value in TIGHT.items()})
            if problem.status.startswith("optimal"):
                return problem.value
        except cp.error.SolverError:
            pass
    raise RuntimeError(problem.status)


def targets(loss, rng, n, C):
    if loss == "meanSquaredError":
        return rng.standard_normal((n, C)).round(3)
    if loss == "binaryCrossentropy":
        return rng.integers(0, 2, (n, C)).astype(float)
    if loss == "hinge":
        return 2.0 * rng.integers(0, 2, (n, C)) - 1
    return np.eye(C)[rng.integers(0, C, n)]


cases = [
    # loss, n, d, outputs, hidden, branches, beta, charge, output bias
    ("meanSquaredError", 10, 3, 1, 2, 4, 0.05, "sum", False),
    ("meanSquaredError", 10, 3, 1, 2, 4, 0.05, "frobenius", False),
    ("meanSquaredError", 12, 2, 3, 3, 4, 0.04, "sum", True),
    ("meanSquaredError", 12, 2, 3, 3, 4, 0.04, "frobenius", True),
    ("binaryCrossentropy", 14, 3, 1, 3, 3, 0.03, "sum", True),
    ("binaryCrossentropy", 14, 3, 1, 3, 3, 0.03, "frobenius", True),
    ("hinge", 12, 3, 1, 2, 4, 0.05, "sum", True),
    ("categoricalCrossentropy", 12, 3, 3, 2, 4, 0.03, "sum", True),
    ("categoricalCrossentropy", 12, 3, 3, 2, 4, 0.03, "frobenius", True),
]

written = []
for seed, (loss, n, d, C, m, K, beta, charge, bias) in enumerate(cases):
    rng = np.random.default_rng(seed // 2)
    X = rng.standard_normal((n, d)).round(3)
    Y = targets(loss, rng, n, C)
    G = (8 * rng.standard_normal((K, d, m))).round() / 8
    a = (8 * rng.standard_normal((K, m))).round() / 8
    value = optimum(loss, X, Y, beta, G, a, charge, bias)
    print(loss, charge, value)
    written.append({
        "loss": loss, "x": X.tolist(), "y": Y.tolist(), "beta": beta, "charge": charge, "outputBias": bias,
        "first": G.tolist(), "second": a.tolist(), "optimum": value,
    })
pathlib.Path(__file__).with_suffix(".json").write_text(json.dumps(written) + "\n")
