"""Optima of networks whose hidden units have a slope for negative sums, over every pattern, by CVXPY and Clarabel.

min L(sum_i M_i X (v_i - w_i)) + beta sum_i (|v_i| + |w_i|),  (2 D_i - I) X v_i >= 0, (2 D_i - I) X w_i >= 0,  M_i = D_i + a (I - D_i)

Over K patches of a sample, M_i X is the mean of its rows. Run as: python3 leaky.py (writes leaky.json beside it).
"""
import json
import math
import pathlib

import cvxpy as cp
import numpy as np


def every_pattern(X, rng):
    """All sign patterns of rows in general position: drawn until there are as many as Cover's theorem says."""
    n, d = X.shape
    wanted = 2 * sum(math.comb(n - 1, k) for k in range(d))
    found = {}
    while len(found) < wanted:
        for g in rng.standard_normal((20000, d)):
            pattern = X @ g >= 0
            found.setdefault(pattern.tobytes(), pattern)
    assert len(found) == wanted
    return np.array(list(found.values()))


def loss_of(name, z, y):
    if name == "meanSquaredError":
        return cp.sum_squares(z - y) / y.size
    if name == "binaryCrossentropy":
        return cp.sum(cp.logistic(z) - cp.multiply(y, z)) / y.size
    return cp.sum(cp.pos(1 - cp.multiply(y, z))) / y.size


def optimum(X, y, slope, beta, loss, K, rng):
    patterns = every_pattern(X, rng)
    n, d = y.size, X.shape[1]
    z, size, cones = 0, 0, []
    for pattern in patterns:
        factor = np.where(pattern, 1.0, slope)
        M = (factor[:, None] * X).reshape(n, K, d).mean(axis=1)
        sign = np.where(pattern, 1.0, -1.0)[:, None] * X
        v, w = cp.Variable(d), cp.Variable(d)
        z = z + M @ (v - w)
        size = size + cp.norm(v) + cp.norm(w)
        cones += [sign @ v >= 0, sign @ w >= 0]
    problem = cp.Problem(cp.Minimize(loss_of(loss, z, y) + beta * size), cones)
    problem.solve(solver=cp.CLARABEL, tol_gap_rel=1e-10, tol_gap_abs=1e-12, tol_feas=1e-10)
    assert problem.status == "optimal", problem.status
    return problem.value, len(patterns)


def main():
    rng = np.random.default_rng(5)
    stored = []
    for slope in (0.3, 0.01, -1.0, -0.4, 1.7):
        for loss, n, d, K in (("meanSquaredError", 9, 2, 1), ("binaryCrossentropy", 8, 2, 1), ("hinge", 8, 2, 1), ("meanSquaredError", 4, 2, 2)):
            x = rng.standard_normal((n * K, d)).astype(np.float32).astype(float)
            X = np.hstack([x, np.ones((n * K, 1))])
            score = np.abs(x @ rng.standard_normal(d)).reshape(n, K).mean(axis=1) - 0.7
            y = {"meanSquaredError": score, "binaryCrossentropy": (score > 0).astype(float), "hinge": np.where(score > 0, 1.0, -1.0)}[loss]
            y = y.astype(np.float32).astype(float)
            beta = 0.01
            value, patterns = optimum(X, y, slope, beta, loss, K, rng)
            print(slope, loss, K, patterns, value)
            stored.append(dict(slope=slope, loss=loss, rows=n, features=d, patches=K, beta=beta, patterns=patterns,
                               x=x.ravel().tolist(), y=y.tolist(), optimum=value))
    path = pathlib.Path(__file__).with_name("leaky.json")
    path.write_text(json.dumps(dict(solver=f"cvxpy {cp.__version__}, Clarabel", problems=stored), indent=1) + "\n")


main()
