"""Solves and differentiates batches of convex programs by cvxpylayers; called by bench/layers.ts, not by hand.

    python cvxpylayers_run.py FOLDER

FOLDER/batches.json lists batches: n, m, B, cones, P [n x n], q [B x n], G [m x n], h [m] (h - G z >= 0, its last rows in second-order
cones), dz [B x n], and repeats. Written is results.json: for each the processor seconds of setting up the layer, the medians of a forward
pass and of both passes over the batch, z, z of the first programs by Clarabel at 1e-9, the gradients by q, G and h of sum(z dz), and the versions. One thread.
"""

import json
import os
import statistics
import sys
import time

for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "RAYON_NUM_THREADS"):
    os.environ[name] = "1"

import cvxpy as cp  # noqa: E402
import cvxpylayers  # noqa: E402
import diffcp  # noqa: E402
import numpy as np  # noqa: E402
import torch  # noqa: E402
from cvxpylayers.torch import CvxpyLayer  # noqa: E402

EXACT = 8  # programs of a batch that are solved once more

torch.set_num_threads(1)
torch.set_default_dtype(torch.float64)


def layer_of(n, m, cones, P):
    z = cp.Variable(n)
    q, G, h = cp.Parameter(n), cp.Parameter((m, n)), cp.Parameter(m)
    left = h - G @ z
    numbers = m - sum(cones)
    rules = [left[:numbers] >= 0] if numbers > 0 else []
    at = numbers
    for size in cones:
        rules.append(cp.SOC(left[at], left[at + 1 : at + size]))
        at += size
    root = np.linalg.cholesky(P).T
    problem = cp.Problem(cp.Minimize(cp.sum_squares(root @ z) / 2 + q @ z), rules)
    return CvxpyLayer(problem, parameters=[q, G, h], variables=[z]), problem, (q, G, h), z


def spent(run):
    began = time.process_time()
    out = run()
    return out, time.process_time() - began


def exact(problem, given, variable, batch):
    """The first programs of the batch by Clarabel, to a tolerance that it reaches on all of these."""
    n, m = batch["n"], batch["m"]
    given[1].value, given[2].value = np.array(batch["G"]).reshape(m, n), np.array(batch["h"])
    found = []
    for q in np.array(batch["q"]).reshape(-1, n)[:EXACT]:
        given[0].value = q
        problem.solve(solver="CLARABEL", tol_gap_abs=1e-9, tol_gap_rel=1e-9, tol_feas=1e-9)
        found += variable.value.tolist()
    return found


def measure(batch):
    n, m, B, cones, repeats = (batch[key] for key in ("n", "m", "B", "cones", "repeats"))
    P = np.array(batch["P"]).reshape(n, n)
    (layer, problem, given, variable), setup = spent(lambda: layer_of(n, m, cones, P))
    dz = torch.tensor(batch["dz"], dtype=torch.float64).reshape(B, n)
    forward, both = [], []
    for turn in range(repeats + 1):
        q = torch.tensor(batch["q"], dtype=torch.float64).reshape(B, n).requires_grad_()
        G = torch.tensor(batch["G"], dtype=torch.float64).reshape(m, n).requires_grad_()
        h = torch.tensor(batch["h"], dtype=torch.float64).requires_grad_()
        (z,), ahead = spent(lambda: layer(q, G, h))
        _, back = spent(lambda: (z * dz).sum().backward())
        if turn > 0:  # the first compiles
            forward.append(ahead)
            both.append(ahead + back)
    return {
        "exact": exact(problem, given, variable, batch),
        "setup": setup,
        "forward": statistics.median(forward),
        "both": statistics.median(both),
        "z": z.detach().numpy().ravel().tolist(),
        "q": q.grad.numpy().ravel().tolist(),
        "G": G.grad.numpy().ravel().tolist(),
        "h": h.grad.numpy().ravel().tolist(),
    }


def main(folder):
    with open(os.path.join(folder, "batches.json")) as file:
        batches = json.load(file)
    version = getattr(cvxpylayers, "__version__", None)
    if version is None:
        from importlib.metadata import version as of

        version = of("cvxpylayers")
    versions = {"cvxpylayers": version, "torch": torch.__version__, "cvxpy": cp.__version__, "diffcp": getattr(diffcp, "__version__", "")}
    with open(os.path.join(folder, "results.json"), "w") as file:
        json.dump({"versions": versions, "results": [measure(batch) for batch in batches]}, file)


main(sys.argv[1])
