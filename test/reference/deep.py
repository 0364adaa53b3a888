"""Optima of deep networks and of generators for which closed forms are known, found without them.

Writes deep.json beside this file. The tests read the JSON; Python is needed only to make it again:

    pip install cvxpy==1.9.3 clarabel==0.11.1 numpy scipy && python test/reference/deep.py

`optimum` is of a conic program (CVXPY with Clarabel) where the problem is one: two layers, Schatten charges, and what a generator
must generate. Of more layers it is the least over a fine grid of |w| of conic programs in |w| <= r, then refined, or null where no
program is known; `lowest` is the lowest of 25 runs of L-BFGS over all weights, from random starts.
"""
import json
import pathlib

import cvxpy as cp
import numpy as np
from scipy.optimize import minimize, minimize_scalar

TIGHT = dict(solver="CLARABEL", tol_gap_abs=1e-11, tol_gap_rel=1e-11, tol_feas=1e-11, max_iter=500)
STARTS = 25


def solved(objective, rules=()):
    problem = cp.Problem(cp.Minimize(objective), list(rules))
    problem.solve(**TIGHT)
    assert problem.status.startswith("optimal"), problem.status
    return problem.value


def within(X, y, radius):
    """min |X w - y|^2 / n over |w| <= radius."""
    w = cp.Variable(X.shape[1])
    return solved(cp.sum_squares(X @ w - y) / len(y), [cp.norm(w) <= radius])


def scalar_optimum(X, y, L, g):
    if L == 2:
        w = cp.Variable(X.shape[1])
        return solved(cp.sum_squares(X @ w - y) / len(y) + 2 * g * cp.norm(w))
    total = lambda r: within(X, y, r) + L * g * r ** (2 / L)
    top = np.linalg.norm(np.linalg.lstsq(X, y, rcond=None)[0])
    grid = np.linspace(top / 200, top, 200)
    values = [total(r) for r in grid]
    k = int(np.argmin(values))
    fine = minimize_scalar(total, bounds=(grid[max(0, k - 1)], grid[min(199, k + 1)]), method="bounded", options=dict(xatol=1e-9))
    return min(y @ y / len(y), fine.fun)


def forward(theta, shapes, X, relu):
    H, layers, at = X, [], 0
    for l, (rows, cols) in enumerate(shapes):
        W = theta[at : at + rows * cols].reshape(rows, cols)
        at += rows * cols
        layers.append((H, W))
        H = H @ W
        if relu and l < len(shapes) - 1:
            H = np.maximum(H, 0)
    return H, layers


def objective(theta, shapes, X, Y, charges, relu):
    F, layers = forward(theta, shapes, X, relu)
    value = np.sum((F - Y) ** 2) / Y.size
    back, parts = 2 * (F - Y) / Y.size, []
    for l in reversed(range(len(layers))):
        H, W = layers[l]
        value += charges[l] * np.sum(W**2)
        parts.append((H.T @ back + 2 * charges[l] * W).ravel())
        back = back @ W.T
        if relu and l > 0:
            back = back * (H > 0)
    return value, np.concatenate(parts[::-1])


def lowest(X, Y, widths, charges, relu, seed):
    sizes = [X.shape[1], *widths, Y.shape[1]]
    shapes = list(zip(sizes[:-1], sizes[1:]))
    rng = np.random.default_rng(seed)
    best = np.sum(Y**2) / Y.size
    for _ in range(STARTS):
        start = 0.7 * rng.standard_normal(sum(a * b for a, b in shapes))
        run = minimize(objective, start, args=(shapes, X, Y, charges, relu), jac=True, method="L-BFGS-B", options=dict(maxiter=5000, maxfun=50000, ftol=1e-15, gtol=1e-10))
        best = min(best, run.fun)
    return best


def single(values):
    return np.asarray(values).astype(np.float32).astype(float)


def network(kind, X, Y, widths, charges, relu, optimum, seed):
    X, Y = single(X), single(Y)
    found = optimum(X, Y) if optimum is not None else None
    low = lowest(X, Y, widths, charges, relu, seed)
    print(kind, len(charges), charges, found, low, flush=True)
    return dict(kind=kind, relu=relu, widths=widths, charges=charges, x=X.tolist(), y=Y.tolist(), optimum=found, lowest=low)


def geometric(charges):
    return float(np.exp(np.mean(np.log(charges))))


def nuclear(X, Y, g):
    """Two linear layers under decay g: |W_1|^2 + |W_2|^2 is twice the nuclear norm of their product."""
    W = cp.Variable((X.shape[1], Y.shape[1]))
    return solved(cp.sum_squares(X @ W - Y) / Y.size + 2 * g * cp.normNuc(W))


def linear():
    """Two layers on rows that are not whitened, with several outputs."""
    rng = np.random.default_rng(5)
    X, Y = rng.standard_normal((15, 5)) * [3, 1, 1, 0.5, 0.2], rng.standard_normal((15, 4))
    for charges in ([0.02, 0.02], [0.1, 0.01]):
        yield network("general", X, Y, [4], charges, False, lambda X, Y: nuclear(X, Y, geometric(charges)), 9)


def networks():
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((10, 4)), 2 * rng.standard_normal((10, 1))
    for charges in ([0.2, 0.2], [0.1, 0.05, 0.02], [0.05] * 3, [0.05] * 4, [0.6] * 3, [0.02] * 5):
        L = len(charges)
        yield network("scalar", X, y, [3] * (L - 1), charges, False, lambda X, Y: scalar_optimum(X, Y[:, 0], L, geometric(charges)), L)
    Q = np.linalg.qr(rng.standard_normal((8, 4)))[0] * 3
    Y = 1.5 * rng.standard_normal((8, 3))

    yield network("whitened", Q, Y, [4], [0.1, 0.03], False, lambda X, Y: nuclear(X, Y, geometric([0.1, 0.03])), 1)
    yield network("whitened", Q, Y, [4, 4], [0.03] * 3, False, None, 2)
    yield network("whitened", Q, Y, [4, 1], [0.03] * 3, False, None, 3)
    yield network("whitened", Q[:4].T @ np.linalg.inv(np.linalg.cholesky(Q[:4] @ Q[:4].T)).T, Y[:4], [4, 4, 4], [0.02] * 4, False, None, 4)
    c, a = np.abs(rng.standard_normal(6)) + 0.2, rng.standard_normal(3)
    for L in (2, 3, 4):
        yield network("rank one", np.outer(c, a), rng.standard_normal((6, 2)) + 1, [3] * (L - 1), [0.02] * L, True, None, L)
    rows = np.linalg.qr(rng.standard_normal((8, 6)))[0].T
    hot = np.zeros((6, 2))
    hot[:4, 0] = hot[4:, 1] = 1
    yield network("one-hot", rows, hot, [4], [0.025] * 2, True, lambda X, Y: nuclear(X, Y, 0.025), 5)
    yield network("one-hot", rows, hot, [4, 4], [0.0125] * 3, True, None, 6)
    yield network("one-hot", rows, np.ones((6, 1)), [2, 2], [0.05] * 3, True, None, 7)


def schatten():
    rng = np.random.default_rng(3)
    X, Y = single(rng.standard_normal((12, 5))), single(rng.standard_normal((12, 4)))
    for gamma in (0.01, 0.05):
        W = cp.Variable((5, 4))
        value = solved(cp.sum_squares(X @ W - Y) / Y.size + gamma * cp.normNuc(X @ W))
        print("schatten", gamma, value, flush=True)
        yield dict(gamma=gamma, x=X.tolist(), y=Y.tolist(), optimum=value)


def generators():
    rng = np.random.default_rng(0)
    X = single(rng.standard_normal((30, 4)) @ np.diag([2.0, 1.0, 0.5, 0.2]) + 1)
    Z = single(rng.standard_normal((20, 3)) + 0.5)
    centred = X - X.mean(0)
    S = centred.T @ centred / 30
    for beta in (0.35, 0.9):
        V = cp.Variable((4, 4), PSD=True)
        trace = solved(cp.trace(V), [cp.norm(S - V, 2) <= beta])
        R = Z - Z.mean(0)

        def penalised(t):
            """|W|^2 and 1e5 times the squares of what the constraint is exceeded by; at most 1e-4 below the constrained optimum."""
            W = t.reshape(3, 4)
            G = R @ W
            values, vectors = np.linalg.eigh(S - G.T @ G / 20)
            over = np.sign(values) * np.maximum(np.abs(values) - beta, 0)
            slope = 2e5 * (vectors * over) @ vectors.T
            return np.sum(W**2) + 1e5 * np.sum(over**2), (2 * W - 2 * R.T @ G @ slope / 20).ravel()

        best = np.inf
        for _ in range(STARTS):
            run = minimize(penalised, rng.standard_normal(12), jac=True, method="L-BFGS-B", options=dict(maxiter=20000, maxfun=40000, ftol=1e-16, gtol=1e-10))
            best = min(best, run.fun)
        rank = int(np.sum(np.linalg.eigvalsh(S) > beta))
        print("generator", beta, trace, best, flush=True)
        yield dict(images=X.tolist(), latents=Z.tolist(), beta=beta, trace=trace, weights=best, rank=rank)


if __name__ == "__main__":
    path = pathlib.Path(__file__).with_name("deep.json")
    found = dict(networks=[*networks()], linear=[*linear()], schatten=[*schatten()], generators=[*generators()])
    path.write_text(json.dumps(found, separators=(",", ":")) + "\n")
