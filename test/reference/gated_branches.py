"""Gated branches of three layers and more by an independent conic solver (CVXPY with Clarabel), their masks made here from the gates.

Writes gated_branches.json beside this file. The tests read the JSON; Python is needed only to make it again:

    pip install cvxpy==1.9.3 clarabel==0.11.1 numpy && python test/reference/gated_branches.py

Branch k has the patterns of a ReLU branch of weights G_1k [d x m_1], G_2k [m_1 x m_2], .., G_L-1,k [m_L-2 x 1] as gates and gives the sum over its
paths p = (j_1, .., j_L-2) of D_p X Z_p, D_p the product of the path's gates and the last one, Z_p [d x C]. Charges: the sum over paths of |Z_p|_*,
and of three layers the sum over branches of the nuclear norm of all that a branch has, [m d x C]. Losses as TensorFlow.js scales them. Gates
are multiples of 1/8, which float32 holds.
"""
import itertools
import json
import pathlib

import cvxpy as cp
import numpy as np

from matrices import TIGHT, loss_of


def optimum(loss, X, Y, beta, G, behind, charge, bias):
    (n, d), C = X.shape, Y.shape[1]
    c = cp.Variable((1, C)) if bias else np.zeros((1, C))
    f, total = np.ones((n, 1)) @ c, 0
    for k in range(len(G)):
        layers = [X @ G[k]]  # [n x m_l]
        for weights in behind:
            layers.append(np.maximum(layers[-1], 0) @ weights[k])
        paths = list(itertools.product(*(range(layer.shape[1]) for layer in layers)))
        Z = cp.Variable((len(paths) * d, C))
        pieces = []
        for p, path in enumerate(paths):
            mask = np.prod([layer[:, j] >= 0 for layer, j in zip(layers, path)], axis=0)
            pieces.append(Z[p * d : (p + 1) * d])
            f = f + (mask[:, None] * X) @ pieces[-1]
        pieces = pieces if charge == "sum" else [Z]
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
    ("meanSquaredError", 10, 3, 1, [2], 4, 0.05, "sum", False),
    ("meanSquaredError", 10, 3, 1, [2], 4, 0.05, "frobenius", False),
    ("meanSquaredError", 12, 2, 3, [3], 4, 0.04, "sum", True),
    ("meanSquaredError", 12, 2, 3, [3], 4, 0.04, "frobenius", True),
    ("binaryCrossentropy", 14, 3, 1, [3], 3, 0.03, "sum", True),
    ("binaryCrossentropy", 14, 3, 1, [3], 3, 0.03, "frobenius", True),
    ("hinge", 12, 3, 1, [2], 4, 0.05, "sum", True),
    ("categoricalCrossentropy", 12, 3, 3, [2], 4, 0.03, "sum", True),
    ("categoricalCrossentropy", 12, 3, 3, [2], 4, 0.03, "frobenius", True),
    ("meanSquaredError", 12, 3, 1, [2, 3], 4, 0.03, "sum", False),
    ("meanSquaredError", 12, 2, 2, [3, 2], 4, 0.02, "sum", True),
    ("binaryCrossentropy", 14, 3, 1, [3, 2], 4, 0.02, "sum", True),
    ("hinge", 14, 3, 1, [2, 2], 5, 0.03, "sum", True),
    ("categoricalCrossentropy", 14, 3, 3, [2, 3], 4, 0.02, "sum", True),
    ("meanSquaredError", 12, 3, 1, [2, 3, 2], 4, 0.02, "sum", True),
]

written = []
for seed, (loss, n, d, C, hidden, K, beta, charge, bias) in enumerate(cases):
    rng = np.random.default_rng(seed // 2)
    X = rng.standard_normal((n, d)).round(3)
    Y = targets(loss, rng, n, C)
    shapes = [(K, m, after) for m, after in zip([d, *hidden], [*hidden, 1])]
    G, *behind = [(8 * rng.standard_normal(shape)).round() / 8 for shape in shapes]
    value = optimum(loss, X, Y, beta, G, behind, charge, bias)
    print(loss, hidden, charge, value)
    written.append({
        "loss": loss, "x": X.tolist(), "y": Y.tolist(), "beta": beta, "charge": charge, "outputBias": bias,
        "hidden": hidden, "first": G.tolist(), "behind": [weights.tolist() for weights in behind], "optimum": value,
    })
pathlib.Path(__file__).with_suffix(".json").write_text(json.dumps(written) + "\n")
