"""A gated program as a group lasso, by adelie, skglm or celer; bench/peers/groups.ts calls it, not a person.

    python groups_solve.py FOLDER

FOLDER/problem.json says n, d, P, beta, solver, tolerances and cap (seconds); x.f64 [n x d] and y.f64 [n] are little-endian float64,
gates.u8 [P x n] zeros and ones. For each tolerance, loosest first, a run from zero; none begins after one that took longer than the
cap. Written are weights.f64, for every run V [P x d], and run.json with the seconds of processor time of each.

The objective is mean((sum_i D_i X v_i - y)^2) + beta sum_i |v_i|; these packages halve the squares, and so beta.
"""

import json
import os
import sys
import time
import warnings
from importlib.metadata import version

import numpy as np

warnings.filterwarnings("ignore")

PATH = 50


def adelie_runner(X, y, gates, lmda):
    import adelie as ad

    d, P = X.shape[1], len(gates)
    X, mask = np.asfortranarray(X), np.asfortranarray(gates.T.astype(bool))
    most = max(np.linalg.norm(X[gate == 1].T @ y[gate == 1]) for gate in gates) / len(y)
    path = np.geomspace(most, lmda, PATH)  # one step alone takes it longer

    def run(tol):
        matrix = ad.matrix.convex_relu(X, mask, gated=True, n_threads=1)
        state = ad.grpnet(
            matrix, ad.glm.gaussian(y), groups=np.arange(0, P * d, d), penalty=np.ones(P), lmda_path=path,
            tol=tol, intercept=False, early_exit=False, progress_bar=False, n_threads=1,
        )
        return state.betas.toarray()[-1].reshape(P, d)

    return run


def explicit(X, gates):
    """[D_1 X, ..., D_P X], which these packages want as a matrix."""
    n, d = X.shape
    out = np.empty((n, len(gates) * d), order="F")
    for i, gate in enumerate(gates):
        out[:, i * d : (i + 1) * d] = X * gate[:, None]
    return out


def skglm_runner(X, y, gates, lmda):
    from skglm import GroupLasso
    from skglm.solvers import GroupBCD
    import skglm.penalties as penalties, skglm.datafits as datafits
    from skglm.utils.data import grp_converter

    d, P = X.shape[1], len(gates)
    A = explicit(X, gates)
    indices, ptr = grp_converter(d, P * d)
    penalty = penalties.WeightedGroupL2(lmda, np.ones(P), ptr, indices)
    datafit = datafits.QuadraticGroup(ptr, indices)

    def run(tol):
        from skglm.utils.jit_compilation import compiled_clone

        solver = GroupBCD(max_iter=10_000, tol=tol, fit_intercept=False)
        return solver.solve(A, y, compiled_clone(datafit), compiled_clone(penalty))[0].reshape(P, d)

    run(1e-1)  # compiles
    return run


def celer_runner(X, y, gates, lmda):
    from celer import GroupLasso

    d, P = X.shape[1], len(gates)
    A = explicit(X, gates)

    def run(tol):
        model = GroupLasso(groups=d, alpha=lmda, tol=tol, fit_intercept=False, weights=np.ones(P), max_iter=1000)
        return model.fit(A, y).coef_.reshape(P, d)

    return run


RUNNERS = {"adelie": adelie_runner, "skglm": skglm_runner, "celer": celer_runner}


def main(folder):
    problem = json.load(open(os.path.join(folder, "problem.json")))
    n, d, P = problem["n"], problem["d"], problem["P"]
    X = np.fromfile(os.path.join(folder, "x.f64"), dtype="<f8").reshape(n, d)
    y = np.fromfile(os.path.join(folder, "y.f64"), dtype="<f8")
    gates = np.fromfile(os.path.join(folder, "gates.u8"), dtype=np.uint8).reshape(P, n)
    run = RUNNERS[problem["solver"]](X, y, gates, problem["beta"] / 2)
    seconds, found = [], []
    for tol in problem["tolerances"]:
        began = time.process_time()
        found.append(np.asarray(run(tol), dtype="<f8"))
        seconds.append(time.process_time() - began)
        if seconds[-1] > problem["cap"]:
            break
    np.concatenate([V.ravel() for V in found]).tofile(os.path.join(folder, "weights.f64"))
    report = {"seconds": seconds, "version": version(problem["solver"])}
    json.dump(report, open(os.path.join(folder, "run.json"), "w"))


if __name__ == "__main__":
    main(sys.argv[1])
