"""Reference optima of small convolutional programs by an independent conic solver (CVXPY with Clarabel).

Writes conv.json beside this file. The tests read the JSON; Python is needed only to make it again:

    pip install cvxpy==1.9.3 clarabel==0.11.1 numpy scipy && python test/reference/conv.py

Rows of X are patches of images, cut here by loops of their own. The program is that of solve.py with the pooled A_i of
bounds.py in place of D_i X: patches summed or averaged, or each with a read-out of its own ("flatten").
"""
import json
import pathlib

import cvxpy as cp
import numpy as np
from scipy.optimize import linprog

from solving import bounded, sampled_patterns, targets


def output_size(size, filter, stride, dilation, padding):
    """Size of the output and zeros before the first pixel, as TensorFlow pads."""
    reach = (filter - 1) * dilation + 1
    if padding == "valid":
        return (size - reach) // stride + 1, 0
    out = -(-size // stride)
    return out, max(0, (out - 1) * stride + reach - size) // 2


def patches_of(images, filter, stride, dilation, padding):
    """[n K x h] of images [n x height x width x channels]: out row, out column; filter row, filter column, channel."""
    n, height, width, channels = images.shape
    rows, top = output_size(height, filter[0], stride[0], dilation[0], padding)
    cols, left = output_size(width, filter[1], stride[1], dilation[1], padding)
    stacked = []
    for image in images:
        for row in range(rows):
            for col in range(cols):
                patch = np.zeros((*filter, channels))
                for dy in range(filter[0]):
                    for dx in range(filter[1]):
                        y, x = row * stride[0] - top + dy * dilation[0], col * stride[1] - left + dx * dilation[1]
                        if 0 <= y < height and 0 <= x < width:
                            patch[dy, dx] = image[y, x]
                stacked.append(patch.ravel())
    return np.array(stacked), rows * cols


def all_patterns(X):
    """Every pattern of the rows of X, row by row: a sign stays where a linear program finds a g strictly inside all rows so far."""
    n, d = X.shape
    kept = [((), np.ones(d))]
    for j in range(n):
        grown = []
        for pattern, g in kept:
            for sign in (0, 1):
                if not X[j].any():
                    if sign == 1:  # a zero row is active
                        grown.append((pattern + (1,), g))
                    continue
                longer = pattern + (sign,)
                used = [k for k in range(j + 1) if X[k].any()]
                rows = (2 * np.array(longer)[used] - 1)[:, None] * X[used]
                rows = rows / np.linalg.norm(rows, axis=1, keepdims=True)
                found = linprog(np.r_[np.zeros(d), -1], A_ub=np.c_[-rows, np.ones(len(rows))], b_ub=np.zeros(len(rows)),
                                bounds=[(-1, 1)] * (d + 1))
                if found.status == 0 and found.x[-1] > 1e-7:
                    grown.append((longer, found.x[:d]))
        kept = grown
    return np.array([pattern for pattern, _ in kept]), np.array([g for _, g in kept])


def specifications():
    """What to solve; problem k draws its data with seed 500 + k, so new ones go to the end."""
    signal = dict(size=(1, 5), channels=1, filter=(1, 2))
    relu, gated = dict(formulation="relu"), dict(formulation="gated")
    mse = dict(loss="meanSquaredError", beta=0.02)
    yield relu | mse | signal | dict(n=4, pool="mean", note="all arrangements")
    yield relu | mse | dict(size=(3, 3), channels=1, filter=(2, 2), n=3, pool="sum", note="all arrangements")
    yield relu | dict(size=(1, 4), channels=1, filter=(1, 3), padding="same", n=4, loss="hinge", beta=0.03, pool="mean",
                      note="all arrangements")
    yield relu | dict(size=(1, 4), channels=2, filter=(1, 1), n=5, loss="binaryCrossentropy", beta=0.02, pool="mean", ridge=0.0,
                      seed=602, note="all arrangements")
    yield relu | mse | signal | dict(size=(1, 4), n=4, pool="flatten", note="all arrangements")
    yield relu | mse | dict(size=(4, 4), channels=2, filter=(2, 2), stride=(2, 2), n=8, C=2, P=10, pool="mean", ridge=0.1,
                            weighted=True)
    yield relu | dict(size=(1, 6), channels=1, filter=(1, 3), n=8, C=2, P=8, loss="binaryCrossentropy", beta=0.01, pool="flatten",
                      ridge=0.05)
    yield gated | dict(size=(5, 4), channels=1, filter=(2, 3), stride=(2, 1), padding="same", n=10, C=3, P=8,
                       loss="categoricalCrossentropy", beta=0.01, pool="mean", penalty="nuclear", ridge=0.0)
    yield gated | mse | dict(size=(3, 4), channels=1, filter=(2, 2), n=9, P=6, pool="flatten", penalty="nuclear")
    yield gated | dict(size=(1, 5), channels=2, filter=(1, 2), n=8, C=2, P=6, loss="squaredHinge", beta=0.03, pool="flatten",
                       penalty="nuclear", ridge=0.02)
    yield gated | dict(size=(5, 5), channels=2, filter=(2, 2), dilation=(2, 3), n=10, C=2, P=9, loss="huberLoss", beta=0.02,
                       pool="sum")
    yield gated | dict(size=(4, 4), channels=1, filter=(2, 2), stride=(2, 2), n=9, P=7, loss="hinge", beta=0.02, pool="flatten",
                       ridge=0.0)


def problem_of(k, spec):
    rng = np.random.default_rng(spec.get("seed", 500 + k))
    C = spec.get("C", 1)
    images = np.round(rng.standard_normal((spec["n"], *spec["size"], spec["channels"])), 6)
    stride, dilation, padding = spec.get("stride", (1, 1)), spec.get("dilation", (1, 1)), spec.get("padding", "valid")
    X, K = patches_of(images, spec["filter"], stride, dilation, padding)
    Y = np.round(targets(spec["loss"], images.reshape(spec["n"], -1), C, rng), 6)
    assert spec["loss"] != "binaryCrossentropy" or 0 < Y.mean() < 1
    complete = spec.get("note") == "all arrangements"
    D, G = all_patterns(X) if complete else sampled_patterns(X, spec["P"], rng)
    G = np.round(G, 9)
    assert ((X @ G.T >= 0) == D.T).all()
    w = np.round(rng.uniform(0.2, 2, spec["n"]), 6) if spec.get("weighted") else np.ones(spec["n"])
    pooling = (K, K if spec["pool"] == "flatten" else 1, 1 / K if spec["pool"] == "mean" else 1.0)
    penalty, ridge = spec.get("penalty", "perOutput"), spec.get("ridge")
    name = f"{spec['formulation']}, {spec['pool']}, {spec['loss']}, C = {C}, {penalty}"
    name += f", {'x'.join(map(str, spec['size']))}x{spec['channels']} images, {'x'.join(map(str, spec['filter']))} filters"
    name += f", {len(D)} gates" + (", all arrangements" if complete else "")
    convolution = dict(size=spec["size"], channels=spec["channels"], filter=spec["filter"], stride=stride, dilation=dilation,
                       padding=padding)
    return dict(name=name, images=images, X=X, Y=Y, D=D, G=G, w=w, loss=spec["loss"], beta=spec["beta"], ridge=ridge,
                penalty=penalty, pooling=pooling, cones=spec["formulation"] == "relu", complete=complete,
                weighted=bool(spec.get("weighted")), convolution=convolution)


def main():
    stored = []
    for k, spec in enumerate(specifications()):
        p = problem_of(k, spec)
        stored.append(dict(
            name=p["name"], formulation=spec["formulation"], loss=p["loss"], penalty=p["penalty"], beta=p["beta"],
            ridge=p["ridge"], samples=spec["n"], outputs=p["Y"].shape[1], convolution=p["convolution"], pool=spec["pool"],
            images=p["images"].ravel().tolist(), X=p["X"].ravel().tolist(), Y=p["Y"].ravel().tolist(),
            weights=p["w"].tolist() if p["weighted"] else None, generators=p["G"].ravel().tolist(),
            gates=["".join(map(str, row)) for row in p["D"]], complete=p["complete"], **bounded(p)))
    assert len({problem["name"] for problem in stored}) == len(stored)
    path = pathlib.Path(__file__).with_name("conv.json")
    path.write_text(json.dumps(dict(solver=f"cvxpy {cp.__version__}, Clarabel", problems=stored)) + "\n")


main()
