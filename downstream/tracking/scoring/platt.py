"""A tracker's score made a probability, by a curve of two numbers that keeps the order of frames.

    p = sigmoid(a logit(s) + b),  a > 0

The score map is trained towards Gaussians, and a window takes from what moves: s says which frame
is better, not how often such a box is right. a and b are the maximum likelihood of "the box
overlaps the target by more than a half" on tracks of sequences that were neither trained on nor are
tested, with Platt's priors for few frames (Platt, Advances in Large Margin Classifiers, 1999).
"""

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit, log_expit, logit

from mim_backbones.errors import UserError

EDGE = 1e-6  # scores are written with six decimals; a logit of 0 or 1 is infinite
FLATTEST = 1e-3  # of the slopes: the order stays


def fit_confidence(score: NDArray, right: NDArray) -> tuple[float, float]:
    """a and b; score (T,) in [0, 1], right (T,) bool.

    Raises UserError when all frames are right, or none is.
    """
    right = np.asarray(right, bool)
    hits, misses = int(right.sum()), int((~right).sum())
    if not hits or not misses:
        raise UserError(
            f'{hits} of {hits + misses} frames have the target in their box; a confidence is '
            'fitted to sequences of both kinds'
        )
    wanted = np.where(right, (hits + 1) / (hits + 2), 1 / (misses + 2))
    place = logit(np.clip(score, EDGE, 1 - EDGE))

    def cost(line: NDArray) -> tuple[float, NDArray]:
        """Cross entropy, which is convex, and its slope."""
        value = line[0] * place + line[1]
        entropy = -(wanted * log_expit(value) + (1 - wanted) * log_expit(-value)).mean()
        wrong = expit(value) - wanted
        return float(entropy), np.array([(wrong * place).mean(), wrong.mean()])

    found = minimize(cost, [1.0, 0.0], jac=True, bounds=[(FLATTEST, None), (None, None)])
    slope, offset = found.x.tolist()
    return slope, offset


def calibrated(score: NDArray, line: tuple[float, float]) -> NDArray:
    """The probability of each score (T,), by what `fit_confidence` gave."""
    return expit(line[0] * logit(np.clip(score, EDGE, 1 - EDGE)) + line[1])
