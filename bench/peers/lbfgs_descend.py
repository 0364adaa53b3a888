"""Plain L-BFGS of scipy on the network objective of one contest that bench/peers.ts wrote; called by it, not by hand.

    python lbfgs_descend.py FOLDER

FOLDER/problem.json says n, patches (1 where rows are no images), d, C, loss, beta, and of the run width, dtype, memory, seed and
checkpoints (seconds), and x.f64 [n patches x d], y.f64 [n x C] hold the data as little-endian float64. Written is weights.f64, for every checkpoint the best network
that was met until then, W [m x d] and then A [m x C], and run.json with what it took. Seconds are of processor time.

The objective is loss((X W')_+ A) + beta / 2 (|W|^2 + |A|^2), with the mean over the patches of an image. Products are made in `dtype`; scipy's own vectors are float64.
"""

import json
import os
import sys
import time

import numpy as np
import scipy
from scipy.optimize import minimize
from scipy.special import expit


class Ended(Exception):
    """Time is up."""


def read(folder, name, shape):
    return np.fromfile(os.path.join(folder, name), dtype="<f8").reshape(shape)


def squared(Z, Y):
    """Mean over all entries, as tfjs has it."""
    R = Z - Y
    return float((R * R).sum(dtype=np.float64)) / R.size, R * R.dtype.type(2 / R.size)


def logistic(Z, Y):
    value = np.logaddexp(0, Z) - Y * Z
    return float(value.sum(dtype=np.float64)) / Z.size, (expit(Z) - Y) / Z.dtype.type(Z.size)


def softmax(Z, Y):
    top = Z.max(axis=1, keepdims=True)
    E = np.exp(Z - top)
    total = E.sum(axis=1, keepdims=True)
    value = (np.log(total) + top)[:, 0] - (Y * Z).sum(axis=1)
    return float(value.sum(dtype=np.float64)) / len(Z), (E / total - Y) / Z.dtype.type(len(Z))


LOSSES = {"meanSquaredError": squared, "binaryCrossentropy": logistic, "categoricalCrossentropy": softmax}


def main(folder):
    problem = json.load(open(os.path.join(folder, "problem.json")))
    n, K, d, C, m = (problem[name] for name in ("n", "patches", "d", "C", "width"))
    dtype = np.dtype(problem["dtype"])
    X = read(folder, "x.f64", (n * K, d)).astype(dtype)
    Y = read(folder, "y.f64", (n, C)).astype(dtype)
    beta, loss, checkpoints = problem["beta"], LOSSES[problem["loss"]], problem["checkpoints"]
    draw = np.random.default_rng(problem["seed"])
    W = draw.normal(size=(m, d)) / np.sqrt(d)
    A = draw.normal(size=(m, C)) / np.sqrt(m)
    best = {"value": np.inf, "x": None, "calls": 0}
    kept, values = [], []

    def keep(until):
        while len(kept) < len(checkpoints) and checkpoints[len(kept)] <= until:
            kept.append(best["x"].copy())
            values.append(best["value"])

    def objective(x):
        if best["x"] is not None:
            keep(time.process_time() - began)
            if len(kept) == len(checkpoints):
                raise Ended
        typed = x.astype(dtype, copy=False)
        W, A = typed[: m * d].reshape(m, d), typed[m * d :].reshape(m, C)
        H = X @ W.T
        np.maximum(H, 0, out=H)
        S = H if K == 1 else H.reshape(n, K, m).mean(axis=1)
        value, N = loss(S @ A, Y)
        value += 0.5 * beta * float(x @ x)
        gradient = beta * x
        gradient[m * d :] += (S.T @ N).ravel()
        pull = np.outer(N, A) if C == 1 else N @ A.T
        if K > 1:
            pull = np.repeat(pull / dtype.type(K), K, axis=0)
        pull *= H > 0
        gradient[: m * d] += (pull.T @ X).ravel()
        best["calls"] += 1
        if value < best["value"]:
            best["value"], best["x"] = value, x.copy()
        return value, gradient

    start = np.concatenate([W.ravel(), A.ravel()])
    options = {"maxcor": problem["memory"], "maxiter": 10**9, "maxfun": 10**9, "ftol": 0, "gtol": 0, "maxls": 50}
    began = time.process_time()
    try:
        minimize(objective, start, jac=True, method="L-BFGS-B", options=options)
        ended = time.process_time() - began  # at a point from which no step goes down
    except Ended:
        ended = None
    keep(np.inf)
    np.concatenate(kept).astype("<f8").tofile(os.path.join(folder, "weights.f64"))
    versions = {"python": sys.version.split()[0], "numpy": np.__version__, "scipy": scipy.__version__}
    report = {"ended": ended, "calls": best["calls"], "versions": versions}
    json.dump(report, open(os.path.join(folder, "run.json"), "w"))


if __name__ == "__main__":
    main(sys.argv[1])
