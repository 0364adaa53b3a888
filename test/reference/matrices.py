"""Programs whose variable is a matrix, by an independent conic solver (CVXPY with Clarabel).

Writes matrices.json beside this file. The tests read the JSON; Python is needed only to make it again:

    pip install cvxpy==1.9.3 clarabel==0.11.1 numpy && python test/reference/matrices.py

Polynomial: units a t^2 + b t + c of length one with an l1 charge on the output weights (Bartan and Pilanci 2021), as the
semidefinite program over Z, Z' [d+1 x d+1] with tr Z_11 = Z_22, one pair an output; losses as TensorFlow.js scales them.
Quantized: units (x'u)(x'v) or (x'u)^2 with weights in {-1, 1}: the semidefinite bound, and the lasso over all units.
"""
import itertools
import json
import pathlib

import cvxpy as cp
import numpy as np

from solving import targets

TIGHT = dict(solver="CLARABEL", tol_gap_abs=1e-11, tol_gap_rel=1e-11, tol_feas=1e-11, max_iter=500)
KRIVINE = np.pi / (2 * np.log(1 + np.sqrt(2)))  # 1.7822


def loss_of(name, Z, Y):
    n, C = Y.shape
    if name == "meanSquaredError":
        return cp.sum_squares(Z - Y) / (n * C)
    if name == "huberLoss":
        return cp.sum(cp.huber(Z - Y)) / (2 * n * C)
    if name == "meanAbsoluteError":
        return cp.sum(cp.abs(Z - Y)) / (n * C)
    if name == "binaryCrossentropy":
        return cp.sum(cp.logistic(Z) - cp.multiply(Y, Z)) / (n * C)
    if name == "hinge":
        return cp.sum(cp.pos(1 - cp.multiply(Y, Z))) / (n * C)
    if name == "squaredHinge":
        return cp.sum(cp.square(cp.pos(1 - cp.multiply(Y, Z)))) / (n * C)
    return cp.sum(cp.log_sum_exp(Z, axis=1) - cp.sum(cp.multiply(Y, Z), axis=1)) / n


def polynomial(name, abc, X, Y, beta, bias):
    a, b, c = abc
    n, d = X.shape
    charge, columns, rules = 0, [], []
    for _ in range(Y.shape[1]):
        pair = [cp.Variable((d + 1, d + 1), PSD=True) for _ in range(2)]
        M = pair[0] - pair[1]
        f = a * cp.sum(cp.multiply(X @ M[:d, :d], X), axis=1) + b * (X @ M[:d, d]) + c * M[d, d]
        columns.append(f + (cp.Variable() if bias else 0))
        charge = charge + pair[0][d, d] + pair[1][d, d]
        rules += [cp.trace(Z[:d, :d]) == Z[d, d] for Z in pair]
    problem = cp.Problem(cp.Minimize(loss_of(name, cp.vstack(columns).T, Y) + beta * charge), rules)
    problem.solve(**TIGHT)
    assert problem.status.startswith("optimal"), (name, problem.status)
    return dict(loss=name, a=a, b=b, c=c, beta=beta, bias=bias, x=X.tolist(), y=Y.tolist(), optimum=problem.value)


def printed_polynomials():
    """The four of the check, losses halved sums of squares: here as means."""
    for abc, seed in (((1.0, 0.0, 0.0), 0), ((0.09, 0.5, 0.47), 1), ((1.0, 1.0, 0.0), 2), ((0.0, 1.0, 0.0), 3)):
        rng = np.random.default_rng(seed)
        n, d, beta = 12, 3, 0.3
        X, y = rng.standard_normal((n, d)), 2 * rng.standard_normal(n)
        yield polynomial("meanSquaredError", abc, X, y[:, None], 2 * beta / n, False)


def other_polynomials():
    names = ("meanSquaredError", "binaryCrossentropy", "categoricalCrossentropy", "hinge", "squaredHinge", "huberLoss", "meanAbsoluteError")
    for k, name in enumerate(names):
        rng = np.random.default_rng(70 + k)
        X = rng.standard_normal((20, 3))
        C = 3 if name == "categoricalCrossentropy" else 2 if name == "meanSquaredError" else 1
        beta = 0.01 if name in ("binaryCrossentropy", "hinge", "meanAbsoluteError") else 0.05
        yield polynomial(name, (0.09, 0.5, 0.47), X, targets(name, X, C, rng), beta, True)


def lasso(F, y, beta):
    alpha = cp.Variable(F.shape[1])
    problem = cp.Problem(cp.Minimize(0.5 * cp.sum_squares(F @ alpha - y) + beta * cp.norm1(alpha)))
    problem.solve(**TIGHT)
    return problem.value


def bilinear_bound(X, y, beta):
    n, d = X.shape
    Q, rho = cp.Variable((2 * d, 2 * d), PSD=True), cp.Variable()
    f = cp.sum(cp.multiply(X @ Q[:d, d:], X), axis=1)
    problem = cp.Problem(cp.Minimize(0.5 * cp.sum_squares(f - y) + beta * rho), [cp.diag(Q) == rho])
    problem.solve(**TIGHT)
    return problem.value


def quadratic_bound(X, y, beta):
    n, d = X.shape
    Q, rho = [cp.Variable((d, d), PSD=True) for _ in range(2)], cp.Variable(2)
    f = cp.sum(cp.multiply(X @ (Q[0] - Q[1]), X), axis=1)
    rules = [cp.diag(Q[i]) == rho[i] for i in range(2)]
    problem = cp.Problem(cp.Minimize(0.5 * cp.sum_squares(f - y) + beta * cp.sum(rho)), rules)
    problem.solve(**TIGHT)
    return problem.value


def quantized(d, n, seed, beta=2.0):
    rng = np.random.default_rng(seed)
    X, y = rng.standard_normal((n, d)), rng.standard_normal(n) * 3
    S = np.array(list(itertools.product([-1.0, 1.0], repeat=d)))
    U = S[S[:, 0] > 0]
    bilinear = np.stack([(X @ u) * (X @ v) for u in U for v in U], 1)
    return dict(
        x=X.tolist(), y=y.tolist(), beta=beta,
        bilinear=dict(bound=bilinear_bound(X, y, beta), exact=lasso(bilinear, y, beta), above=bilinear_bound(X, y, KRIVINE * beta)),
        quadratic=dict(bound=quadratic_bound(X, y, beta), exact=lasso(np.stack([(X @ u) ** 2 for u in U], 1), y, beta)),
    )


if __name__ == "__main__":
    found = dict(
        polynomial=[*printed_polynomials(), *other_polynomials()],
        quantized=[quantized(d, n, seed) for d, n, seed in ((3, 12, 0), (4, 20, 1), (5, 30, 2))],
    )
    for one in found["polynomial"]:
        print(one["loss"], one["a"], one["b"], one["c"], one["optimum"], one["optimum"] * len(one["x"]) / 2)
    for one in found["quantized"]:
        print(one["bilinear"], one["quadratic"])
    path = pathlib.Path(__file__).with_name("matrices.json")
    path.write_text(json.dumps(found, indent=None, separators=(",", ":")) + "\n")
