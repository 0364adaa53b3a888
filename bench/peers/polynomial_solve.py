"""Solves the semidefinite program of polynomial units by CVXPY; called by bench/polynomial.ts, not by hand.

    python polynomial_solve.py FOLDER

FOLDER/problem.json says x [n x d], y [n], a, b, c, beta, solver ("CLARABEL" or "SCS") and eps; printed is JSON with seconds of the
solver alone (as it reports them), seconds of problem.solve with CVXPY's compilation, and the objective
|f - y|^2 / n + beta sum |alpha| of the solution.
"""

import json
import os
import sys
import time

import cvxpy as cp
import numpy as np

problem = json.load(open(os.path.join(sys.argv[1], "problem.json")))
X, y = np.array(problem["x"]), np.array(problem["y"])
a, b, c, beta = (problem[key] for key in ("a", "b", "c", "beta"))
n, d = X.shape
pair = [cp.Variable((d + 1, d + 1), PSD=True) for _ in range(2)]
M = pair[0] - pair[1]
f = a * cp.sum(cp.multiply(X @ M[:d, :d], X), axis=1) + b * (X @ M[:d, d]) + c * M[d, d]
rules = [cp.trace(Z[:d, :d]) == Z[d, d] for Z in pair]
program = cp.Problem(cp.Minimize(cp.sum_squares(f - y) / n + beta * (pair[0][d, d] + pair[1][d, d])), rules)
options = (
    dict(tol_gap_abs=problem["eps"], tol_gap_rel=problem["eps"], tol_feas=problem["eps"])
    if problem["solver"] == "CLARABEL"
    else dict(eps_abs=problem["eps"], eps_rel=problem["eps"], max_iters=100000)
)
began = time.perf_counter()
program.solve(solver=problem["solver"], **options)
total = time.perf_counter() - began
from importlib.metadata import version  # noqa: E402

names = ("cvxpy", "clarabel", "scs", "numpy")
print(json.dumps({
    "solverSeconds": program.solver_stats.solve_time, "totalSeconds": total, "objective": program.value,
    "status": program.status, "versions": {name: version(name) for name in names},
}))
