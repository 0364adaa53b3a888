"""Minimum-norm interpolation and max-margin networks by an independent conic solver (CVXPY with Clarabel).

Writes constrained.json beside this file. The tests read the JSON; Python is needed only to make it again:

    pip install cvxpy==1.9.3 clarabel==0.11.1 numpy && python test/reference/constrained.py

The programs are min sum_i |v_i| subject to Z = y, or y_k z_k >= 1, with Z = sum_i s_i D_i X v_i (+ a free output bias) and
(2 D_i - I) X v_i >= 0 for ReLU, over sampled patterns.
"""
import json
import pathlib

import cvxpy as cp
import numpy as np

TIGHT = dict(solver="CLARABEL", tol_gap_abs=1e-12, tol_gap_rel=1e-12, tol_feas=1e-12, max_iter=500)


def sampled_patterns(X, count, rng):
    """Distinct nonzero sign patterns 1[X g >= 0] of Gaussian g, with their g."""
    seen, bits, gens = set(), [], []
    while len(bits) < count:
        g = rng.standard_normal(X.shape[1])
        b = (X @ g >= 0).astype(float)
        if b.sum() > 0 and b.tobytes() not in seen:
            seen.add(b.tobytes())
            bits.append(b)
            gens.append(g)
    return np.array(bits), np.array(gens)


def solve(constraint, formulation, bias, seed, n=10, d=3, P=40):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, d))
    score = np.abs(X @ rng.standard_normal(d)) - np.abs(X @ rng.standard_normal(d))
    y = score if constraint == "interpolate" else np.where(score > np.median(score), 1.0, -1.0)
    bits, gens = sampled_patterns(X, P, rng)
    signs = (1, -1) if formulation == "relu" else (1,)
    blocks = [(b, s, cp.Variable(d)) for b in bits for s in signs]
    Z = sum(s * cp.multiply(b, X @ v) for b, s, v in blocks) + (cp.Variable() if bias else 0)
    rules = [Z == y] if constraint == "interpolate" else [cp.multiply(y, Z) >= 1]
    if formulation == "relu":
        rules += [cp.multiply(2 * b - 1, X @ v) >= 0 for b, _, v in blocks]
    problem = cp.Problem(cp.Minimize(sum(cp.norm(v) for _, _, v in blocks)), rules)
    problem.solve(**TIGHT)
    assert problem.status.startswith("optimal")
    return dict(
        constraint=constraint, formulation=formulation, bias=bias, X=X.tolist(), y=y.tolist(), generators=gens.tolist(),
        optimum=problem.value,
    )


if __name__ == "__main__":
    cases = [(c, f, b) for c in ("interpolate", "max-margin") for f in ("relu", "gated") for b in (False, True)]
    found = [solve(*case, seed=300 + k) for k, case in enumerate(cases)]
    for one in found:
        print(one["constraint"], one["formulation"], one["bias"], one["optimum"])
    path = pathlib.Path(__file__).with_name("constrained.json")
    path.write_text(json.dumps(dict(problems=found), indent=1) + "\n")
