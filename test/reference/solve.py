"""Reference optima of small convex programs by an independent conic solver (CVXPY with Clarabel).

Writes optima.json beside this file. The tests read the JSON; Python is needed only to make it again:

    pip install cvxpy==1.9.3 clarabel==0.11.1 numpy scipy && python test/reference/solve.py

The program is min L(sum_i s_i D_i X V_i + 1 c') + beta * penalty(V) + ridge |c|^2, with (2 D_i - I) X V_i >= 0 for ReLU, and
tfjs's scaling of the losses (mean over samples and outputs; softmax cross entropy: over samples). "lower" and "upper" come
from bounds.py; "optimum" is what the solver says.
"""
import itertools
import json
import pathlib

import cvxpy as cp
import numpy as np
from scipy.optimize import linprog

from solving import bounded, sampled_patterns, targets


def all_patterns(X):
    """Every pattern of the rows of X (none zero): one linear program for each of the 2^n sign vectors, for its widest g."""
    n, d = X.shape
    bits, gens = [], []
    for pattern in itertools.product((0, 1), repeat=n):
        rows = (2 * np.array(pattern) - 1)[:, None] * X
        found = linprog(np.r_[np.zeros(d), -1], A_ub=np.c_[-rows, np.ones(n)], b_ub=np.zeros(n), bounds=[(-1, 1)] * (d + 1))
        if found.status == 0 and found.x[-1] > 1e-7:
            bits.append(np.array(pattern))
            gens.append(found.x[:d])
    return np.array(bits), np.array(gens)


def specifications():
    """What to solve; problem k draws its data with seed 100 + k, so new ones go to the end."""
    for loss in ("meanSquaredError", "binaryCrossentropy", "categoricalCrossentropy", "hinge", "squaredHinge", "huberLoss"):
        for formulation in ("relu", "gated"):
            yield dict(loss=loss, formulation=formulation, C=3 if loss.startswith("cat") else 1, n=9, d=3, P=14, beta=0.02)
    relu, gated = dict(formulation="relu", C=1), dict(formulation="gated", C=1)
    mse, softmax = dict(loss="meanSquaredError"), dict(loss="categoricalCrossentropy", C=3)
    yield relu | mse | dict(C=2, n=8, d=3, P=12, beta=0.03)
    yield relu | mse | dict(n=5, d=3, P=22, beta=0.01, note="all 22 arrangements")
    yield relu | mse | dict(n=8, d=2, P=16, beta=0.01, ridge=0.0)
    yield relu | dict(loss="hinge", n=10, d=3, P=15, beta=0.02, ridge=0.0)
    yield relu | dict(loss="binaryCrossentropy", C=2, n=8, d=3, P=12, beta=0.01, ridge=0.05)
    yield relu | softmax | dict(n=10, d=3, P=12, beta=0.01, ridge=0.0, seed=204)
    yield gated | dict(loss="squaredHinge", C=2, n=9, d=3, P=12, beta=0.02, weighted=True)
    yield relu | mse | dict(n=9, d=3, P=12, beta=0.02, weighted=True, ridge=0.1)
    yield gated | mse | dict(C=3, n=9, d=4, P=10, beta=0.03, penalty="nuclear")
    yield gated | softmax | dict(n=10, d=4, P=8, beta=0.02, penalty="nuclear", ridge=0.0, note="a class never seen")
    yield gated | dict(loss="squaredHinge", C=2, n=9, d=3, P=8, beta=0.02, penalty="nuclear")
    yield relu | mse | dict(n=9, d=3, P=12, beta=50.0, note="zero")
    yield gated | mse | dict(n=9, d=3, P=12, beta=1e-5, note="interpolating")
    yield relu | mse | dict(n=9, d=3, P=14, beta=0.02, note="repeated")
    yield relu | dict(loss="hinge", n=6, d=2, P=12, beta=0.03, note="all 12 arrangements")
    yield relu | dict(loss="binaryCrossentropy", n=36, d=3, P=12, beta=0.005, note="36 rows")
    yield gated | softmax | dict(n=12, d=3, P=12, beta=0.01, weighted=True)
    yield relu | dict(loss="huberLoss", C=2, n=9, d=3, P=12, beta=0.02, weighted=True, ridge=0.0)
    yield relu | dict(loss="hinge", C=2, n=10, d=3, P=12, beta=0.01, weighted=True)
    yield gated | dict(loss="hinge", C=2, n=9, d=3, P=8, beta=0.03, penalty="nuclear", ridge=0.02)
    yield gated | dict(loss="binaryCrossentropy", n=12, d=4, P=16, beta=10.0, note="zero", ridge=0.0)
    yield relu | mse | dict(n=9, d=4, P=22, beta=1e-4, note="interpolating")


def problem_of(k, spec):
    rng = np.random.default_rng(spec.get("seed", 100 + k))
    X = rng.standard_normal((spec["n"], spec["d"]))
    if spec.get("note") == "repeated":
        X[3] = X[2]
        X[5] = 0
        X[6] = -2 * X[7]
    X = np.round(X, 6)
    Y = np.round(targets(spec["loss"], X, spec["C"], rng), 6)
    if spec["loss"] == "categoricalCrossentropy":
        assert (Y.sum(axis=0) > 0).all() != (spec.get("note") == "a class never seen")
    complete = spec.get("note", "").startswith("all")
    D, G = all_patterns(X) if complete else sampled_patterns(X, spec["P"], rng)
    G = np.round(G, 9)
    assert len(D) == spec["P"] and ((X @ G.T >= 0) == D.T).all()
    w = np.round(rng.uniform(0.2, 2, spec["n"]), 6) if spec.get("weighted") else np.ones(spec["n"])
    ridge = spec.get("ridge")
    bias = "" if ridge is None else f", output bias with ridge {ridge}"
    penalty = spec.get("penalty", "perOutput")
    name = f"{spec['loss']}, {spec['formulation']}, C = {spec['C']}, {penalty}{bias}"
    name += (f", {spec['note']}" if "note" in spec else "") + (", weighted" if spec.get("weighted") else "")
    return dict(name=name, X=X, Y=Y, D=D, G=G, w=w, loss=spec["loss"], beta=spec["beta"], ridge=ridge, penalty=penalty,
                cones=spec["formulation"] == "relu", complete=complete, weighted=bool(spec.get("weighted")))


def main():
    stored = []
    for k, spec in enumerate(specifications()):
        p = problem_of(k, spec)
        stored.append(dict(
            name=p["name"], formulation=spec["formulation"], loss=p["loss"], penalty=p["penalty"], beta=p["beta"],
            ridge=p["ridge"], rows=spec["n"], features=spec["d"], outputs=spec["C"], X=p["X"].ravel().tolist(),
            Y=p["Y"].ravel().tolist(), weights=p["w"].tolist() if p["weighted"] else None,
            generators=p["G"].ravel().tolist(), gates=["".join(map(str, row)) for row in p["D"]], complete=p["complete"],
            **bounded(p)))
    assert len({problem["name"] for problem in stored}) == len(stored)
    path = pathlib.Path(__file__).with_name("optima.json")
    path.write_text(json.dumps(dict(solver=f"cvxpy {cp.__version__}, Clarabel", problems=stored), indent=1) + "\n")


main()
