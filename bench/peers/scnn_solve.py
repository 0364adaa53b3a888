"""Runs scnn (PyPI pyscnn) on one problem that bench/scnn.ts wrote; called by it, not by hand.

    python scnn_solve.py FOLDER

FOLDER/problem.json says n, d, P, lam, formulation ("gated" or "relu"), dtype, backend, device ("cpu" or "cuda"), tol, constraint_tol, max_iters and
cap (seconds), and x.f64 [n x d], y.f64 [n], gates.f64 [d x P] hold the data as little-endian float64. Written are
trace.json, what happened when, and weights.f64 [(2 x) p x d] with gates_used.f64 [d x p], the point at the end and its gates.

scnn's own solvers run as its `optimize_model` builds them (R-FISTA for gated ReLU, AL for ReLU; unitize_data=False, which
would change the penalty), with two differences that are in scnn's favour: no metrics are recorded while it runs, and the
clock stands still in the callback that looks at the point. The objective is scnn's: |f - y|^2 / (2 n) + lam sum |v_i|.
"""

import json
import os
import sys
import time
import warnings

warnings.filterwarnings("ignore")

import numpy as np  # noqa: E402

GROWTH = 1.03  # of the clock from one look at the point to the next


class Ended(Exception):
    """Time is up."""


def read(folder, name, shape):
    return np.fromfile(os.path.join(folder, name), dtype="<f8").reshape(shape)


class Watch:
    """Looks at the point in float64, now and then, with the clock standing still."""

    def __init__(self, problem, X, y, to_numpy):
        self.problem, self.X, self.y, self.to_numpy = problem, X, y, to_numpy
        self.trace = []
        self.steps = 0
        self.hidden = 0.0  # seconds spent looking
        self.next = 0.0
        self.began = time.perf_counter()

    def seconds(self):
        return time.perf_counter() - self.began - self.hidden

    def __call__(self, model, X, y):
        self.steps += 1
        now = self.seconds()
        if now >= self.next or now >= self.problem["cap"]:
            self.look(model, now)
            self.next = max(now * GROWTH, now + 1e-3)
        if now >= self.problem["cap"]:
            raise Ended
        return model

    def look(self, model, now):
        entered = time.perf_counter()
        weights = np.asarray(self.to_numpy(model.weights), dtype=np.float64)
        D = np.asarray(self.to_numpy(model.D), dtype=np.float64)
        seen = {"seconds": now, "steps": self.steps}
        seen.update(self.judge(weights, D))
        self.trace.append(seen)
        self.hidden += time.perf_counter() - entered

    def judge(self, weights, D):
        """The objective of the program; for ReLU also that of the network, and how far the cones are missed."""
        relu = self.problem["formulation"] == "relu"
        blocks = weights.reshape(2 if relu else 1, -1, self.X.shape[1])
        signs = [1.0, -1.0][: blocks.shape[0]]
        penalty = self.problem["lam"] * np.linalg.norm(blocks, axis=2).sum()
        masked = np.zeros(len(self.y))
        network = np.zeros(len(self.y))
        missed = 0.0
        for sign, V in zip(signs, blocks):
            used = np.any(V != 0, axis=1)  # the others add nothing
            XV = self.X @ V[used].T
            masked += sign * (XV * D[:, used]).sum(axis=1)
            if relu:
                network += sign * np.maximum(XV, 0).sum(axis=1)
                missed += (np.minimum((2 * D[:, used] - 1) * XV, 0) ** 2).sum()
        value = lambda f: float(((f - self.y) ** 2).sum() / (2 * len(self.y)) + penalty)
        seen = {"program": value(masked)}
        if relu:
            seen.update({"network": value(network), "violation": float(np.sqrt(missed))})
        return seen


def main(folder):
    problem = json.load(open(os.path.join(folder, "problem.json")))
    n, d, P = problem["n"], problem["d"], problem["P"]
    X, y = read(folder, "x.f64", (n, d)), read(folder, "y.f64", (n,))
    G = read(folder, "gates.f64", (d, P))

    import lab
    from scnn.models import ConvexGatedReLU, ConvexReLU
    from scnn.private.interface import build_internal_model, build_optimizer, get_logger, process_data, set_device
    from scnn.metrics import Metrics
    from scnn.regularizers import NeuronGL1
    from scnn.solvers import AL, RFISTA

    relu = problem["formulation"] == "relu"
    set_device(problem["device"], problem["dtype"])
    if problem["device"] == "cpu" and problem["backend"] != "numpy":
        lab.set_backend(problem["backend"])  # scnn itself takes numpy on the CPU
    regularizer = NeuronGL1(problem["lam"])
    model = (ConvexReLU if relu else ConvexGatedReLU)(G, c=1, bias=False)
    stop = {"tol": problem["tol"]}
    solver = (
        AL(model, max_primal_iters=problem["max_iters"], constraint_tol=problem["constraint_tol"], **stop)
        if relu
        else RFISTA(model, max_iters=problem["max_iters"], **stop)
    )
    began = time.perf_counter()
    train, test, _ = process_data(X, y[:, None], None, None, False, False)
    internal = build_internal_model(model, regularizer, train[0])
    setup = time.perf_counter() - began
    procedure = build_optimizer(solver, regularizer, Metrics())
    watch = Watch(problem, X, y, lab.to_np)
    status = {}
    try:
        status, internal, _ = procedure(
            get_logger("scnn"), internal, lambda m: m, train, test, ([], [], []), callback=watch
        )
        ended = "its own stop" if status.get("success") else "its iterations"
    except Ended:
        ended = "time"
    watch.look(internal, watch.seconds())
    np.asarray(lab.to_np(internal.weights), dtype="<f8").tofile(os.path.join(folder, "weights.f64"))
    np.asarray(lab.to_np(internal.U), dtype="<f8").tofile(os.path.join(folder, "gates_used.f64"))
    report = {
        "ended": ended,
        "seconds": watch.trace[-1]["seconds"],
        "setupSeconds": setup,
        "steps": watch.steps,
        "patterns": int(internal.D.shape[1]),
        "trace": watch.trace,
        "versions": versions(),
    }
    json.dump(report, open(os.path.join(folder, "trace.json"), "w"))


def versions():
    from importlib.metadata import version

    return {
        "python": sys.version.split()[0],
        **{name: version(name) for name in ("pyscnn", "numpy", "torch", "linalg_backends")},
    }


if __name__ == "__main__":
    main(sys.argv[1])
