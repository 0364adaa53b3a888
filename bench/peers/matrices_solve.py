"""Solves a program whose variable is a matrix by CVXPY; called by bench/matrices.ts, not by hand.

    python matrices_solve.py FOLDER

FOLDER/problem.json says which `program`, its data, solver ("CLARABEL" or "SCS"), eps and repeats. Printed is JSON with the median processor
seconds of the solver alone (its call through CVXPY's chain, from a cold start each time), those of CVXPY's compilation, the objective,
and the versions. One thread.
"""

import json
import os
import sys
import time

for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "RAYON_NUM_THREADS"):
    os.environ[name] = "1"

import cvxpy as cp  # noqa: E402
import numpy as np  # noqa: E402

given = json.load(open(os.path.join(sys.argv[1], "problem.json")))
array = lambda key: np.array(given[key])  # noqa: E731


def polynomial():
    X, y, n, d = array("x"), array("y"), *array("x").shape
    a, b, c, beta = (given[key] for key in ("a", "b", "c", "beta"))
    pair = [cp.Variable((d + 1, d + 1), PSD=True) for _ in range(2)]
    M = pair[0] - pair[1]
    f = a * cp.sum(cp.multiply(X @ M[:d, :d], X), axis=1) + b * (X @ M[:d, d]) + c * M[d, d]
    rules = [cp.trace(Z[:d, :d]) == Z[d, d] for Z in pair]
    return cp.Problem(cp.Minimize(cp.sum_squares(f - y) / n + beta * (pair[0][d, d] + pair[1][d, d])), rules)


def quantized():
    X, y, n, d = array("x"), array("y"), *array("x").shape
    Q, rho = cp.Variable((2 * d, 2 * d), PSD=True), cp.Variable()
    f = cp.sum(cp.multiply(X @ Q[:d, d:], X), axis=1)
    return cp.Problem(cp.Minimize(cp.sum_squares(f - y) / n + given["beta"] * rho), [cp.diag(Q) == rho])


def linear():
    """|XW - Y|^2 / (n C) + beta |W|_*: two linear layers, decay beta / 2."""
    X, Y = array("x"), array("y")
    W = cp.Variable((X.shape[1], Y.shape[1]))
    return cp.Problem(cp.Minimize(cp.sum_squares(X @ W - Y) / Y.size + given["beta"] * cp.normNuc(W)))


def schatten():
    """|XW - Y|^2 / (n C) + beta |XW|_*: what a Schatten charge on L linear layers is; X = QR, and |XW|_* = |RW|_* is smaller to state."""
    X, Y = array("x"), array("y")
    R = np.linalg.qr(X)[1]
    W = cp.Variable((X.shape[1], Y.shape[1]))
    return cp.Problem(cp.Minimize(cp.sum_squares(X @ W - Y) / Y.size + given["beta"] * cp.normNuc(R @ W)))


def generator():
    """The least second moment of generated rows that a quadratic discriminator gains nothing from."""
    X = array("x")
    X = X - X.mean(axis=0)
    S = X.T @ X / len(X)
    M = cp.Variable(S.shape, PSD=True)
    return cp.Problem(cp.Minimize(cp.trace(M)), [cp.sigma_max(S - M) <= given["beta"]])


eps, solver = given["eps"], given["solver"]
options = (
    dict(tol_gap_abs=eps, tol_gap_rel=eps, tol_feas=eps)
    if solver == "CLARABEL"
    else dict(eps_abs=eps, eps_rel=eps, max_iters=100000)
)
compiled, solved, value, status = [], [], None, None
for _ in range(given["repeats"]):
    problem = globals()[given["program"]]()
    began = time.process_time()
    data, chain, inverse = problem.get_problem_data(getattr(cp, solver), solver_opts=options)
    ready = time.process_time()
    raw = chain.solve_via_data(problem, data, False, False, dict(options))
    solved.append(time.process_time() - ready)
    compiled.append(ready - began)
    problem.unpack_results(raw, chain, inverse)
    value, status = problem.value, problem.status
from importlib.metadata import version  # noqa: E402

names = ("cvxpy", "clarabel", "scs", "numpy")
print(json.dumps({
    "solverSeconds": float(np.median(solved)), "compileSeconds": float(np.median(compiled)), "objective": float(value),
    "status": status, "versions": {name: version(name) for name in names},
}))
