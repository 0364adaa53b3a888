"""Bounds of a convex program's optimum from both sides, by two conic programs posed one by one.

The dual is max -L*(N) - |N'1|^2 / (4 ridge) with dualNorm(s_i X'D_i N - X'(2 D_i - I) M_i) <= beta and M_i >= 0. The primal and
the dual solution are made exactly feasible and valued by plain numpy, so the bounds hold whatever the solver says of itself.
"""
import cvxpy as cp
import numpy as np
from scipy.special import entr, logsumexp


def entry_weights(p):
    n, C = p["Y"].shape
    return np.outer(p["w"], np.ones(C)) / (n * (1 if p["loss"] == "categoricalCrossentropy" else C))


def loss_of(p, Z):
    """L(Z), for the solver."""
    Y, W = p["Y"], entry_weights(p)
    match p["loss"]:
        case "meanSquaredError":
            terms = cp.square(Z - Y)
        case "binaryCrossentropy":
            terms = cp.logistic(Z) - cp.multiply(Y, Z)
        case "categoricalCrossentropy":
            return cp.sum(cp.multiply(W[:, 0], cp.log_sum_exp(Z, axis=1) - cp.sum(cp.multiply(Y, Z), axis=1)))
        case "hinge":
            terms = cp.pos(1 - cp.multiply(Y, Z))
        case "squaredHinge":
            terms = cp.square(cp.pos(1 - cp.multiply(Y, Z)))
        case "huberLoss":
            terms = cp.huber(Z - Y, 1) / 2  # cp.huber is twice tf.losses.huberLoss
    return cp.sum(cp.multiply(W, terms))


def loss_value(p, Z):
    """L(Z) once more, without the solver."""
    Y, W = p["Y"], entry_weights(p)
    e = np.abs(Z - Y)
    return {
        "meanSquaredError": lambda: (W * e**2).sum(),
        "binaryCrossentropy": lambda: (W * (np.logaddexp(0, Z) - Y * Z)).sum(),
        "categoricalCrossentropy": lambda: (W[:, 0] * (logsumexp(Z, axis=1) - (Y * Z).sum(axis=1))).sum(),
        "hinge": lambda: (W * np.maximum(0, 1 - Y * Z)).sum(),
        "squaredHinge": lambda: (W * np.maximum(0, 1 - Y * Z) ** 2).sum(),
        "huberLoss": lambda: (W * np.where(e <= 1, e**2 / 2, e - 0.5)).sum(),
    }[p["loss"]]()


# The dual point is N = W (a - Y) for cross entropies, N = W a for residual losses and N = -W Y a for margins, so that its
# domain is a box (or the simplex) in a. -L* in terms of a:
def offset_and_scale(p):
    Y, W = p["Y"], entry_weights(p)
    if p["loss"].endswith("Crossentropy"):
        return -W * Y, W
    return 0 * Y, (-W * Y if p["loss"].lower().endswith("hinge") else W)


def domain_of(loss):
    return {"hinge": (0, 1), "squaredHinge": (0, np.inf), "huberLoss": (-1, 1), "meanSquaredError": (-np.inf, np.inf)}.get(
        loss, (0, 1))


def negative_conjugate(p, a, entropy, square):
    Y = p["Y"]
    match p["loss"]:
        case "meanSquaredError":
            return -a_times(a, Y) - square(a) / 4
        case "binaryCrossentropy":
            return entropy(a) + entropy(1 - a)
        case "categoricalCrossentropy":
            return entropy(a)
        case "hinge":
            return a
        case "squaredHinge":
            return a - square(a) / 4
        case "huberLoss":
            return -a_times(a, Y) - square(a) / 2


def a_times(a, Y):
    return cp.multiply(a, Y) if isinstance(a, cp.Expression) else a * Y


def blocks_of(p):
    """(gate, sign) of each block."""
    P = range(len(p["D"]))
    return [(i, 1) for i in P] + ([(i, -1) for i in P] if p["cones"] else [])


def operators(p, i):
    """(A_i, rows of its cone) for each position that is read out: without pooling one, D_i X and (2 D_i - I) X."""
    X, D = p["X"], p["D"][i]
    K, positions, scale = p.get("pooling", (1, 1, 1.0))
    masked, signed = ((weight[:, None] * X).reshape(-1, K, X.shape[1]) for weight in (D, 2 * D - 1))
    if positions == 1:
        return [(scale * masked.sum(axis=1), signed.reshape(X.shape))]
    return [(scale * masked[:, k], signed[:, k]) for k in range(K)]


def columns(C, position):
    """Of a block [d x A C]: the columns of one position."""
    return slice(position * C, (position + 1) * C)


# No one setting gets closest on every problem, so each is tried and the best bound is kept.
TIGHT = dict(tol_gap_abs=1e-11, tol_gap_rel=1e-11, tol_feas=1e-11, max_iter=500)
SETTINGS = [
    TIGHT,
    TIGHT | dict(equilibrate_enable=False),
    TIGHT | dict(static_regularization_constant=1e-12, iterative_refinement_max_iter=50,
                 iterative_refinement_reltol=1e-15, iterative_refinement_abstol=1e-15),
]


def solutions(problem):
    """Solves once for each setting; the variables hold the solution of the moment."""
    for settings in SETTINGS:
        try:
            problem.solve(solver=cp.CLARABEL, **settings)
        except cp.error.SolverError:
            continue
        if problem.status in ("optimal", "optimal_inaccurate"):  # inaccurate: short of 1e-11, as the bounds tell
            yield problem.value


def upper_bound(p):
    """The value of the solver's point, moved into the cones along the gates' generators; how many signs it uses; its own value."""
    X, G = p["X"], p["G"]
    n, C = p["Y"].shape
    blocks = blocks_of(p)
    parts = [operators(p, i) for i, _ in blocks]
    V = [cp.Variable((X.shape[1], len(part) * C)) for part in parts]
    c = cp.Variable((1, C))
    nuclear = p["penalty"] == "nuclear"
    pieces = [(s, A, rows, v[:, columns(C, a)]) for (_, s), v, part in zip(blocks, V, parts) for a, (A, rows) in enumerate(part)]
    Z = sum(s * A @ v for s, A, _, v in pieces)
    objective = p["beta"] * sum(cp.normNuc(v) if nuclear else cp.sum(cp.norm(v, axis=0)) for v in V)
    if p["ridge"] is not None:
        Z = Z + np.ones((n, 1)) @ c
        objective = objective + p["ridge"] * cp.sum_squares(c)
    cones = [rows @ v >= 0 for _, _, rows, v in pieces] if p["cones"] else []
    problem = cp.Problem(cp.Minimize(objective + loss_of(p, Z)), cones)

    def value(cut):
        Z, charged, used = np.zeros((n, C)), 0.0, set()
        for (i, s), part, variable in zip(blocks, parts, V):
            v = variable.value.copy()
            if np.linalg.norm(v) < cut:
                continue
            for a, (A, rows) in enumerate(part):
                mine = columns(C, a)
                if p["cones"]:
                    inside = rows @ G[i]  # positive, but for zero rows of X
                    short = np.where(inside[:, None] > 0, -(rows @ v[:, mine]) / np.where(inside > 0, inside, 1)[:, None], 0)
                    v[:, mine] += np.outer(G[i], np.maximum(0, short.max(axis=0)))
                Z += s * A @ v[:, mine]
            charged += np.linalg.norm(v, "nuc") if nuclear else np.linalg.norm(v, axis=0).sum()
            used.add(s)
        total = p["beta"] * charged
        if p["ridge"] is not None:
            Z += c.value
            total += p["ridge"] * (c.value**2).sum()
        return total + loss_value(p, Z), len(used)

    return min((*value(cut), optimum) for optimum in solutions(problem) for cut in (0, 1e-9, 1e-8, 1e-7, 1e-6))


def lower_bound(p, unit):
    """The value of the dual program's solution, balanced where the output bias is free and scaled into the dual balls.

    The program is solved in units of `unit`, since the solver's tolerances are in part absolute.
    """
    beta = p["beta"]
    n, C = p["Y"].shape
    blocks, softmax = blocks_of(p), p["loss"] == "categoricalCrossentropy"
    offset, scale = offset_and_scale(p)
    lowest, highest = domain_of(p["loss"])
    W = entry_weights(p)
    a = cp.Variable((n, C))
    parts = [operators(p, i) for i, _ in blocks]
    M = [[cp.Variable((len(rows), C), nonneg=True) if p["cones"] else None for _, rows in part] for part in parts]
    N = offset + cp.multiply(scale, a)
    objective = cp.sum(cp.multiply(W, negative_conjugate(p, a, cp.entr, cp.square)))
    given = [a >= lowest] if np.isfinite(lowest) else []
    given += [a <= highest] if np.isfinite(highest) else []
    given += [cp.sum(a, axis=1) == 1] if softmax else []
    if p["ridge"] is not None:
        if p["ridge"] > 0:
            objective = objective - cp.sum_squares(cp.sum(N, axis=0)) / (4 * p["ridge"])
        else:
            given.append(cp.sum(N, axis=0) == 0)

    def price(s, A, rows, N, m):
        return s * A.T @ N if m is None else s * A.T @ N - rows.T @ m

    def prices(k, N, multipliers, join):
        pieces = [price(blocks[k][1], A, rows, N, m) for (A, rows), m in zip(parts[k], multipliers)]
        return pieces[0] if len(pieces) == 1 else join(pieces)

    for k in range(len(blocks)):
        g = prices(k, N, M[k], cp.hstack)
        given.append(cp.sigma_max(g) <= beta if p["penalty"] == "nuclear" else cp.norm(g, axis=0) <= beta)
    problem = cp.Problem(cp.Maximize(objective / unit), given)

    def value():
        point = np.clip(a.value, lowest, highest)
        if softmax and p["ridge"] == 0:
            point[:, p["Y"].sum(axis=0) == 0] = 0  # a class never seen: its bias goes to minus infinity
        if softmax:
            point /= point.sum(axis=1, keepdims=True)
        if p["ridge"] == 0:
            point = balanced(p, point, offset, scale)
        N = offset + scale * point
        worst = 1.0
        for k in range(len(blocks)):
            g = prices(k, N, [None if m is None else np.maximum(0, m.value) for m in M[k]], np.hstack)
            norm = np.linalg.norm(g, 2) if p["penalty"] == "nuclear" else np.linalg.norm(g, axis=0).max()
            worst = max(worst, norm / beta)
        N = N / worst  # N = 0 is in every domain, so N / worst is
        point = np.clip((N - offset) / scale, lowest, highest)  # but for rounding
        charged = (N.sum(axis=0) ** 2).sum() / (4 * p["ridge"]) if p["ridge"] else 0
        return (W * negative_conjugate(p, point, entr, np.square)).sum() - charged

    return max(value() for _ in solutions(problem))


def balanced(p, point, offset, scale):
    """Moves `point` least where it is near the ends of its domain, so that the columns of N sum to zero."""
    excess = (offset + scale * point).sum(axis=0)
    if p["loss"] == "categoricalCrossentropy":  # along rows of diag(p) - p p': their sums stay 1
        slopes = [w * (np.diag(row) - np.outer(row, row)) for w, row in zip(scale[:, 0], point)]
        t = np.linalg.lstsq(sum(slopes), excess, rcond=1e-12)[0]
        point = point - np.array([slope @ t for slope in slopes]) / scale
    else:
        lowest, highest = domain_of(p["loss"])
        room = np.minimum(1, np.minimum(point - lowest, highest - point)) * np.abs(scale)
        point = point - excess * room / room.sum(axis=0) / scale
    assert np.abs((offset + scale * point).sum(axis=0)).max() < 1e-15 and domain_of(p["loss"])[0] <= point.min()
    return point
