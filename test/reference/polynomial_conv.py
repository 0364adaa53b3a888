"""Quadratic convolutional networks by an independent conic solver (CVXPY with Clarabel).

Writes polynomial_conv.json beside this file. The tests read the JSON; Python is needed only to make it again:

    pip install cvxpy==1.9.3 clarabel==0.11.1 numpy && python test/reference/polynomial_conv.py

Filters u of length one, a t^2 + b t + c on each patch, averaged over the patches of each window, a dense layer with an l1 charge (Bartan and
Pilanci 2021, neural spectrahedra, the section on convolutions): for each window and output a pair Z, Z' [f+1 x f+1] with tr Z_11 = Z_22.
Losses as TensorFlow.js scales them; patches in the order of a tfjs kernel (rows, columns, channels).
"""
import json
import pathlib

import cvxpy as cp
import numpy as np

from matrices import TIGHT, loss_of
from solving import targets


def windows_of(images, size, stride, pool):
    """[window][patch in it] -> [n x f]; pool None: one window with all, 0: each patch a window, else squares of that side."""
    n, h, w, channels = images.shape
    rows, cols = (h - size) // stride + 1, (w - size) // stride + 1
    at = lambda i, j: images[:, i * stride : i * stride + size, j * stride : j * stride + size, :].reshape(n, -1)
    if pool is None:
        return [[at(i, j) for i in range(rows) for j in range(cols)]]
    side = max(pool, 1)
    return [
        [at(i * side + y, j * side + x) for y in range(side) for x in range(side)]
        for i in range(rows // side)
        for j in range(cols // side)
    ]


def solve(name, abc, images, Y, size, stride, pool, beta, bias):
    a, b, c = abc
    windows = windows_of(images, size, stride, pool)
    f = windows[0][0].shape[1]
    charge, columns, rules = 0, [], []
    for _ in range(Y.shape[1]):
        column = cp.Variable() if bias else 0
        for patches in windows:
            pair = [cp.Variable((f + 1, f + 1), PSD=True) for _ in range(2)]
            M = pair[0] - pair[1]
            second = np.mean([np.einsum("ki,kj->kij", P, P) for P in patches], axis=0).reshape(len(Y), -1)
            first = np.mean(patches, axis=0)
            column = column + a * (second @ cp.vec(M[:f, :f], order="C")) + b * (first @ M[:f, f]) + c * M[f, f]
            charge = charge + pair[0][f, f] + pair[1][f, f]
            rules += [cp.trace(Z[:f, :f]) == Z[f, f] for Z in pair]
        columns.append(column)
    problem = cp.Problem(cp.Minimize(loss_of(name, cp.vstack(columns).T, Y) + beta * charge), rules)
    problem.solve(**TIGHT)
    assert problem.status.startswith("optimal"), (name, problem.status)
    return problem.value


CASES = [  # loss, a b c, images, filter, stride, pool, outputs, beta, bias
    ("meanSquaredError", (1, 0, 0), (12, 4, 4, 1), 2, 1, None, 1, 0.05, False),
    ("meanSquaredError", (0.09, 0.5, 0.47), (12, 5, 5, 1), 2, 1, 2, 2, 0.02, True),
    ("binaryCrossentropy", (0.09, 0.5, 0.47), (12, 4, 4, 2), 2, 2, 0, 1, 0.02, True),
    ("hinge", (1, 1, 0), (10, 4, 4, 1), 2, 1, None, 1, 0.1, False),
    ("huberLoss", (0.5, -0.3, 0.1), (10, 5, 5, 1), 3, 1, None, 1, 0.03, True),
    ("categoricalCrossentropy", (1, 0, 0), (12, 4, 4, 1), 2, 2, 0, 3, 0.02, True),
]

if __name__ == "__main__":
    rng = np.random.default_rng(18)
    out = []
    for name, abc, shape, size, stride, pool, outputs, beta, bias in CASES:
        images = np.round(rng.standard_normal(shape), 4)
        Y = np.round(targets(name, images.reshape(shape[0], -1), outputs, rng), 4)
        value = solve(name, abc, images, Y, size, stride, pool, beta, bias)
        print(name, abc, pool, value)
        out.append(
            dict(loss=name, a=abc[0], b=abc[1], c=abc[2], images=images.tolist(), y=Y.tolist(), size=size, stride=stride, pool=pool)
            | dict(beta=beta, bias=bias, optimum=value)
        )
    pathlib.Path(__file__).with_name("polynomial_conv.json").write_text(json.dumps(out) + "\n")
