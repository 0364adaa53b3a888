"""Gates and targets that the scripts of the reference problems draw."""
import numpy as np


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
