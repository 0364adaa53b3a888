"""Optima of networks with a linear layer beside the hidden one, over every pattern, by CVXPY and Clarabel.

min L(sum_i D_i X (V_i - W_i) + x U + 1 c') + beta sum_i sum_o (|v_io| + |w_io|) + l2 |U|^2 + r |a|^2 + s |b|^2,  a + b = c,
    (2 D_i - I) X v_io >= 0, (2 D_i - I) X w_io >= 0,  X = [x, 1]

Gated: blocks V_i without cones, and no W_i. A bias that is null is absent. Run as: python3 skip.py (writes skip.json beside it).
"""
import itertools
import json
import math
import pathlib

import cvxpy as cp
import numpy as np


def every_pattern(X):
    """All sign patterns of rows in general position in three dimensions: every cone of them has an edge, on which two rows lie."""
    n = len(X)
    wanted = 2 * sum(math.comb(n - 1, k) for k in range(3))
    found = {}
    for i, j in itertools.combinations(range(n), 2):
        edge = np.cross(X[i], X[j])
        for side in (1, -1):
            pattern = side * (X @ edge) > 0
            for pattern[i], pattern[j] in itertools.product((False, True), repeat=2):
                found[pattern.tobytes()] = pattern.copy()
    assert len(found) == wanted
    return np.array(list(found.values()))


def loss_of(name, z, y):
    if name == "meanSquaredError":
        return cp.sum_squares(z - y) / y.size
    if name == "binaryCrossentropy":
        return cp.sum(cp.logistic(z) - cp.multiply(y, z)) / y.size
    if name == "squaredHinge":
        return cp.sum_squares(cp.pos(1 - cp.multiply(y, z))) / y.size
    if name == "categoricalCrossentropy":
        return cp.sum(cp.log_sum_exp(z, axis=1) - cp.sum(cp.multiply(y, z), axis=1)) / y.shape[0]
    raise ValueError(name)


def optimum(x, y, case):
    n, d = x.shape
    C = y.shape[1]
    X = np.hstack([x, np.ones((n, 1))])
    patterns = every_pattern(X)
    U = cp.Variable((d, C))
    z, size, cones = x @ U, 0, []
    charge = case["l2"] * cp.sum_squares(U)
    for ridge in (case["readOutBias"], case["skipBias"]):
        if ridge is None:
            continue
        c = cp.Variable((1, C))
        z = z + np.ones((n, 1)) @ c
        charge = charge + ridge * cp.sum_squares(c)
    for pattern in patterns:
        sign = np.where(pattern, 1.0, -1.0)[:, None] * X
        M = pattern[:, None] * X
        V = cp.Variable((d + 1, C))
        z = z + M @ V
        size = size + cp.sum(cp.norm(V, axis=0))
        if case["gated"]:
            continue
        W = cp.Variable((d + 1, C))
        z = z - M @ W
        size = size + cp.sum(cp.norm(W, axis=0))
        cones += [sign @ V >= 0, sign @ W >= 0]
    problem = cp.Problem(cp.Minimize(loss_of(case["loss"], z, y) + case["beta"] * size + charge), cones)
    # Exponential cones are solved less closely.
    tolerance = {"binaryCrossentropy": 1e-8, "categoricalCrossentropy": 1e-8}.get(case["loss"], 1e-10)
    problem.solve(solver=cp.CLARABEL, tol_gap_rel=tolerance, tol_gap_abs=tolerance, tol_feas=tolerance)
    assert problem.status == "optimal", problem.status
    return problem.value, len(patterns), max(1e-7, 30 * tolerance)


def case(loss, n, C=1, l2=0.0, readOutBias=None, skipBias=None, gated=False, beta=0.01):
    return dict(loss=loss, rows=n, outputs=C, l2=l2, readOutBias=readOutBias, skipBias=skipBias, gated=gated, beta=beta)


CASES = [
    case("meanSquaredError", 9, l2=0.02),
    case("meanSquaredError", 10, readOutBias=0.0),
    case("meanSquaredError", 10, l2=0.02, readOutBias=0.01, skipBias=0.03),
    case("meanSquaredError", 9, C=2, l2=0.03, skipBias=0.0),
    case("meanSquaredError", 9, C=2),
    case("meanSquaredError", 10, l2=0.02, readOutBias=0.0, gated=True),
    case("meanSquaredError", 10, skipBias=0.02, gated=True),
    case("binaryCrossentropy", 10, l2=0.01, readOutBias=0.0, skipBias=0.0),
    case("binaryCrossentropy", 12, readOutBias=0.0),
    case("squaredHinge", 10, l2=0.01),
    case("squaredHinge", 16, readOutBias=0.0),
    case("categoricalCrossentropy", 9, C=3, l2=0.01, readOutBias=0.0),
    case("categoricalCrossentropy", 10, C=3),
]


def main():

    d = 2
    stored = []
    for k, each in enumerate(CASES):
        rng = np.random.default_rng(8 + k)
        n, C = each["rows"], each["outputs"]
        x = rng.standard_normal((n, d)).astype(np.float32).astype(float)
        score = np.abs(x @ rng.standard_normal((d, C))) - 0.7 + 0.4 * x @ rng.standard_normal((d, C)) + 0.6 * rng.standard_normal((n, C))
        if each["loss"] == "meanSquaredError":
            y = score
        elif each["loss"] == "binaryCrossentropy":
            y = (score > 0).astype(float)
        elif each["loss"] == "squaredHinge":
            y = np.where(score > 0, 1.0, -1.0)
        else:
            y = (score == score.max(axis=1, keepdims=True)).astype(float)
        y = y.astype(np.float32).astype(float)
        value, patterns, within = optimum(x, y, each)
        print(each, patterns, value, flush=True)
        stored.append(dict(each, features=d, patterns=patterns, x=x.ravel().tolist(), y=y.ravel().tolist(), optimum=value, within=within))
    path = pathlib.Path(__file__).with_name("skip.json")
    path.write_text(json.dumps(dict(solver=f"cvxpy {cp.__version__}, Clarabel", problems=stored), indent=1) + "\n")


main()
