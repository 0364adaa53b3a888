"""Trains scikit-learn's usual models on tables that bench/ordinary.ts wrote; called by it, not by hand.

    python sklearn_models.py FOLDER

FOLDER/tables.json lists name, task ("numbers", "labels" or "classes"), n, d, C, metric ("error", "rmse" or "mae") and splits (lists of
test rows); NAME.x.f64 [n x d] and NAME.y.f64 [n x C] hold the data as little-endian float64. Written is results.json: for each table,
split and model the error on the test rows and the seconds of processor time that fitting took, with the search for its settings.
"""

import json
import os
import sys
import time
import warnings

warnings.filterwarnings("ignore")

import numpy as np  # noqa: E402
import sklearn  # noqa: E402
from sklearn.ensemble import (  # noqa: E402
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.model_selection import GridSearchCV  # noqa: E402
from sklearn.multioutput import MultiOutputClassifier, MultiOutputRegressor  # noqa: E402
from sklearn.neural_network import MLPClassifier, MLPRegressor  # noqa: E402
from sklearn.pipeline import make_pipeline  # noqa: E402
from sklearn.preprocessing import StandardScaler  # noqa: E402

WIDTH = 64  # as the models of the bench
ALPHAS = [1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0]


class Scaled:
    """A regressor whose targets are standardised, as its users are told to do."""

    def __init__(self, model):
        self.model = model

    def fit(self, x, y):
        self.scaler = StandardScaler().fit(y)
        scaled = self.scaler.transform(y)
        self.model.fit(x, scaled[:, 0] if scaled.shape[1] == 1 else scaled)
        return self

    def predict(self, x):
        z = self.model.predict(x)
        return self.scaler.inverse_transform(z.reshape(len(x), -1))


def network(task, **settings):
    kind = MLPRegressor if task == "numbers" else MLPClassifier
    return make_pipeline(StandardScaler(), kind(hidden_layer_sizes=(WIDTH,), random_state=0, **settings))


def tuned(task):
    """The better of L-BFGS and Adam at the best decay, by five folds."""
    name = "mlpregressor" if task == "numbers" else "mlpclassifier"
    grid = [
        {f"{name}__alpha": ALPHAS, f"{name}__solver": ["lbfgs"], f"{name}__max_iter": [1000]},
        {f"{name}__alpha": ALPHAS, f"{name}__solver": ["adam"], f"{name}__max_iter": [500]},
    ]
    return GridSearchCV(network(task), grid, cv=5)


def models(task, outputs):
    if task == "numbers":
        boosting = HistGradientBoostingRegressor(random_state=0)
        yield "boosting", MultiOutputRegressor(boosting) if outputs > 1 else boosting
        yield "forest", RandomForestRegressor(random_state=0)
    else:
        boosting = HistGradientBoostingClassifier(random_state=0)
        several = task == "labels" and outputs > 1
        yield "boosting", MultiOutputClassifier(boosting) if several else boosting
        yield "forest", RandomForestClassifier(random_state=0)
    yield "MLP, L-BFGS", network(task, solver="lbfgs")
    yield "MLP, Adam", network(task)
    yield "MLP, tuned", tuned(task)


def error(metric, y, z):
    if metric == "error":
        return float(np.mean(y != z.reshape(y.shape)))
    off = y - z.reshape(y.shape)
    return float(np.sqrt(np.mean(off**2)) if metric == "rmse" else np.mean(np.abs(off)))


def measure(table, folder):
    task, metric = table["task"], table["metric"]
    shape = (table["n"], table["d"])
    x = np.fromfile(os.path.join(folder, f"{table['name']}.x.f64"), dtype="<f8").reshape(shape)
    y = np.fromfile(os.path.join(folder, f"{table['name']}.y.f64"), dtype="<f8").reshape(table["n"], table["C"])
    if task == "classes":
        y = y.argmax(axis=1)
    elif task == "labels":
        y = (y > 0).astype(int)
        y = y[:, 0] if table["C"] == 1 else y
    for number, test in enumerate(table["splits"]):
        held = np.zeros(len(x), dtype=bool)
        held[test] = True
        for name, model in models(task, table["C"]):
            model = Scaled(model) if task == "numbers" else model
            began = time.process_time()
            model.fit(x[~held], y[~held])
            spent = time.process_time() - began
            yield {
                "table": table["name"],
                "split": number,
                "model": name,
                "error": error(metric, y[held], np.asarray(model.predict(x[held]))),
                "seconds": spent,
            }


def main(folder):
    with open(os.path.join(folder, "tables.json")) as file:
        tables = json.load(file)
    results = []
    for table in tables:
        try:
            results += list(measure(table, folder))
        except Exception as trouble:  # noqa: BLE001
            results.append({"table": table["name"], "failed": str(trouble)})
        print(table["name"], file=sys.stderr, flush=True)
    with open(os.path.join(folder, "results.json"), "w") as file:
        json.dump({"version": sklearn.__version__, "results": results}, file)


main(sys.argv[1])
