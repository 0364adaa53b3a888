"""Gates and targets that the scripts of the reference problems draw, and the bounds that they store."""
import warnings

import numpy as np

from bounds import lower_bound, upper_bound

warnings.filterwarnings("ignore", message="Solution may be inaccurate")  # the bounds tell how accurate
WIDEST = 5e-9  # a problem whose bounds lie further apart, relatively, is not stored


def sampled_patterns(X, count, rng):
    """Distinct nonzero sign patterns 1[X g >= 0] of Gaussian g, with their g."""
    seen, bits, gens = set(), [], []
    while len(bits) < count:
        g = rng.standard_normal(X.shape[1])
        d = (X @ g >= 0).astype(int)
        if d.sum() == 0 or d.tobytes() in seen:
            continue
        seen.add(d.tobytes())
        bits.append(d)
        gens.append(g)
    return np.array(bits), np.array(gens)


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


def bounded(p):
    """What is stored of a problem's optimum: between bounds that lie close together, or it is an error."""
    upper, signs, optimum = upper_bound(p)
    lower = lower_bound(p, upper)
    gap = (upper - lower) / upper
    print(f"{p['name']}: {optimum:.12g}, between bounds {gap:.1e} apart, {signs} signs")
    assert -1e-13 < gap < WIDEST and abs(optimum / upper - 1) < WIDEST, p["name"]
    return dict(signs=signs, optimum=optimum, lower=lower, upper=upper)
