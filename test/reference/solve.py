"""Reference optima of small convex programs by an independent conic solver (CVXPY with Clarabel).

Writes optima.json beside this file. The tests read the JSON; Python is needed only to make it again:

    pip install cvxpy==1.7.* clarabel numpy && python test/reference/solve.py

The program is min L(sum_i s_i D_i X V_i + 1 c') + beta * penalty(V) + ridge |c|^2, with (2 D_i - I) X V_i >= 0 for ReLU, and
tfjs's scaling of the losses (mean over samples and outputs; softmax cross entropy: over samples).
"""
import json
import pathlib

import cvxpy as cp
import numpy as np


def patterns(X, count, rng):
    """Distinct nonzero sign patterns 1[X g >= 0] of Gaussian g, with their g."""
    seen, bits, gens = set(), [], []
    for _ in range(200000):
        if len(bits) == count:
            break
        g = rng.standard_normal(X.shape[1])
        d = (X @ g >= 0).astype(int)
        if d.sum() == 0 or d.tobytes() in seen:
            continue
        seen.add(d.tobytes())
        bits.append(d)
        gens.append(g)
    return np.array(bits), np.array(gens)


def loss_of(name, Z, Y, w):
    n, C = Y.shape
    W = np.outer(w, np.ones(C)) / (n * C)
    if name == "meanSquaredError":
        return cp.sum(cp.multiply(W, cp.square(Z - Y)))
    if name == "binaryCrossentropy":
        return cp.sum(cp.multiply(W, cp.logistic(Z) - cp.multiply(Y, Z)))
    if name == "categoricalCrossentropy":
        return cp.sum(cp.multiply(w / n, cp.log_sum_exp(Z, axis=1) - cp.sum(cp.multiply(Y, Z), axis=1)))
    if name == "hinge":
        return cp.sum(cp.multiply(W, cp.pos(1 - cp.multiply(Y, Z))))
    if name == "squaredHinge":
        return cp.sum(cp.multiply(W, cp.square(cp.pos(1 - cp.multiply(Y, Z)))))
    if name == "huberLoss":
        return cp.sum(cp.multiply(W, cp.huber(Z - Y, 1))) / 2  # cp.huber is twice tf.losses.huberLoss
    raise ValueError(name)


def solve(p):
    X, Y, D, w = p["X"], p["Y"], p["D"], p["w"]
    n, d = X.shape
    C = Y.shape[1]
    relu = p["formulation"] == "relu"
    signs = [(i, 1) for i in range(len(D))] + ([(i, -1) for i in range(len(D))] if relu else [])
    V = [cp.Variable((d, C)) for _ in signs]
    Z = sum(s * (D[i][:, None] * X) @ v for (i, s), v in zip(signs, V))
    penalty = sum(cp.normNuc(v) if p["penalty"] == "nuclear" else cp.sum(cp.norm(v, axis=0)) for v in V)
    objective = p["beta"] * penalty
    if p["ridge"] is not None:
        c = cp.Variable((1, C))
        Z = Z + np.ones((n, 1)) @ c
        objective = objective + p["ridge"] * cp.sum_squares(c)
    objective = objective + loss_of(p["loss"], Z, Y, w)
    cones = [((2 * D[i] - 1)[:, None] * X) @ v >= 0 for (i, _), v in zip(signs, V)] if relu else []
    problem = cp.Problem(cp.Minimize(objective), cones)
    data, chain, inverse = problem.get_problem_data(cp.CLARABEL, solver_opts={})
    options = dict(tol_gap_abs=1e-11, tol_gap_rel=1e-11, tol_feas=1e-11, max_iter=500)
    raw = chain.solve_via_data(problem, data, solver_opts=options)
    problem.unpack_results(raw, chain, inverse)
    return problem.value, problem.status, abs(raw.obj_val - raw.obj_val_dual) / max(1e-12, abs(problem.value))


def targets(name, X, C, rng):
    n, d = X.shape
    score = np.abs(X @ rng.standard_normal((d, C))) - np.abs(X @ rng.standard_normal((d, C)))
    if name in ("meanSquaredError", "huberLoss"):
        return 2 * score
    if name == "binaryCrossentropy":
        return (score > 0).astype(float)
    if name == "categoricalCrossentropy":
        return np.eye(C)[score.argmax(axis=1)]
    return np.where(score > 0, 1.0, -1.0)


def main():
    out = []
    losses = ["meanSquaredError", "binaryCrossentropy", "categoricalCrossentropy", "hinge", "squaredHinge", "huberLoss"]
    specs = []
    for loss in losses:
        for formulation in ("relu", "gated"):
            C = 3 if loss == "categoricalCrossentropy" else 1
            specs.append(dict(loss=loss, formulation=formulation, C=C, n=9, d=3, P=14, beta=0.02))
    specs += [
        dict(loss="meanSquaredError", formulation="relu", C=2, n=8, d=3, P=12, beta=0.03),
        dict(loss="meanSquaredError", formulation="relu", C=1, n=5, d=3, P=22, beta=0.01, note="complete"),
        dict(loss="meanSquaredError", formulation="relu", C=1, n=8, d=2, P=16, beta=0.01, ridge=0.0),
        dict(loss="hinge", formulation="relu", C=1, n=10, d=3, P=15, beta=0.02, ridge=0.0),
        dict(loss="binaryCrossentropy", formulation="relu", C=2, n=8, d=3, P=12, beta=0.01, ridge=0.05),
        dict(loss="categoricalCrossentropy", formulation="relu", C=3, n=10, d=3, P=12, beta=0.01, ridge=0.0),
        dict(loss="squaredHinge", formulation="gated", C=2, n=9, d=3, P=12, beta=0.02, weighted=True),
        dict(loss="meanSquaredError", formulation="relu", C=1, n=9, d=3, P=12, beta=0.02, weighted=True, ridge=0.1),
        dict(loss="meanSquaredError", formulation="gated", C=3, n=9, d=4, P=10, beta=0.03, penalty="nuclear"),
        dict(loss="categoricalCrossentropy", formulation="gated", C=3, n=10, d=4, P=8, beta=0.02, penalty="nuclear", ridge=0.0),
        dict(loss="squaredHinge", formulation="gated", C=2, n=9, d=3, P=8, beta=0.02, penalty="nuclear"),
        dict(loss="meanSquaredError", formulation="relu", C=1, n=9, d=3, P=12, beta=50.0, note="zero"),
        dict(loss="meanSquaredError", formulation="gated", C=1, n=9, d=3, P=12, beta=1e-5, note="interpolating"),
        dict(loss="meanSquaredError", formulation="relu", C=1, n=9, d=3, P=14, beta=0.02, note="repeated"),
    ]
    for k, spec in enumerate(specs):
        rng = np.random.default_rng(100 + k)
        X = rng.standard_normal((spec["n"], spec["d"]))
        if spec.get("note") == "repeated":
            X[3] = X[2]
            X[5] = 0
            X[6] = -2 * X[7]
        X = np.round(X, 6)
        Y = np.round(targets(spec["loss"], X, spec["C"], rng), 6)
        D, G = patterns(X, spec["P"], rng)
        w = np.round(rng.uniform(0.2, 2, spec["n"]), 6) if spec.get("weighted") else np.ones(spec["n"])
        p = dict(X=X, Y=Y, D=D, w=w, formulation=spec["formulation"], loss=spec["loss"], beta=spec["beta"],
                 ridge=spec.get("ridge"), penalty=spec.get("penalty", "perOutput"))
        value, status, gap = solve(p)
        bias = "" if p["ridge"] is None else f", output bias with ridge {p['ridge']}"
        extra = "".join(f", {spec[key]}" for key in ("note",) if key in spec) + (", weighted" if spec.get("weighted") else "")
        name = f"{p['loss']}, {p['formulation']}, C = {spec['C']}, {p['penalty']}{bias}{extra}"
        print(f"{name}: {value:.12g} ({status}, gap {gap:.1e}, P {len(D)})")
        assert status.startswith("optimal") and gap < 1e-8, name  # "inaccurate": short of 1e-11, as the gap tells
        out.append(dict(name=name, formulation=p["formulation"], loss=p["loss"], penalty=p["penalty"], beta=p["beta"],
                        ridge=p["ridge"], rows=spec["n"], features=spec["d"], outputs=spec["C"], X=X.ravel().tolist(),
                        Y=Y.ravel().tolist(), weights=w.tolist() if spec.get("weighted") else None,
                        generators=np.round(G, 9).ravel().tolist(), gates=["".join(map(str, row)) for row in D],
                        optimum=value, gap=gap))
    path = pathlib.Path(__file__).with_name("optima.json")
    path.write_text(json.dumps(dict(solver=f"cvxpy {cp.__version__}, Clarabel", problems=out), indent=1) + "\n")


main()
