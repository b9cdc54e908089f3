"""Calibration: an increasing affine map from the raw score to the log-odds of the outcome (ADR 0004)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from credit_tier.errors import LearningError


@dataclass(frozen=True)
class Calibration:
    """log-odds = intercept + slope * raw score, slope > 0."""

    method: Literal["platt", "none"]
    intercept: float
    slope: float

    def log_odds(self, raw: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return calibrated log-odds of raw scores."""
        return self.intercept + self.slope * raw


def logistic_line(x: NDArray[np.float64], target: NDArray[np.float64]) -> tuple[float, float]:
    """Return (a, b) that minimise the log loss of expit(a + b x) against targets in [0, 1].

    Newton steps, halved until the loss falls; the loss is convex, so the minimum is unique unless x is constant,
    in which case b is 0.

    >>> a, b = logistic_line(np.array([0.0, 0.0, 1.0, 1.0]), np.array([0.2, 0.2, 0.6, 0.6]))
    >>> round(a, 6), round(a + b, 6)
    (-1.386294, 0.405465)
    """
    centre, scale = float(x.mean()), float(x.std())
    mean = float(target.mean())
    if scale == 0 or not 0 < mean < 1:
        mean = min(max(mean, 1e-12), 1 - 1e-12)
        return float(np.log(mean / (1 - mean))), 0.0
    z = (x - centre) / scale

    def loss(a: float, b: float) -> float:
        eta = a + b * z
        return float((np.logaddexp(0.0, eta) - target * eta).mean())

    a, b = float(np.log(mean / (1 - mean))), 0.0
    value = loss(a, b)
    for _ in range(100):
        eta = a + b * z
        p = 1 / (1 + np.exp(-eta))
        gradient = np.array([(p - target).mean(), ((p - target) * z).mean()])
        w = p * (1 - p)
        hessian = np.array([[w.mean(), (w * z).mean()], [(w * z).mean(), (w * z * z).mean()]]) + 1e-14 * np.eye(2)
        step = np.linalg.solve(hessian, gradient)
        size = 1.0
        while size > 1e-10 and loss(a - size * step[0], b - size * step[1]) > value + 1e-14:
            size /= 2
        a, b = float(a - size * step[0]), float(b - size * step[1])
        value = loss(a, b)
        if np.abs(step).max() < 1e-11:
            break
    return a - b * centre / scale, b / scale


def calibrate(raw: NDArray[np.float64], y: NDArray[np.int8], method: Literal["platt", "none"]) -> Calibration:
    """Fit the calibration on rows that come later than those that grew the trees.

    Parameters
    ----------
    raw : raw scores of the calibration part.
    y : 0/1, both present.
    method : `platt`, or `none` for the identity.

    Raises
    ------
    LearningError (CT-LEARN-020) if a higher raw score goes with less risk on this part: the model ranks the wrong way.

    Source: Platt, Probabilistic outputs for support vector machines (1999), with his smoothed targets
    (n1 + 1) / (n1 + 2) and 1 / (n0 + 2), which keep the slope finite when the classes do not overlap.
    """
    if method == "none":
        return Calibration("none", 0.0, 1.0)
    n1 = int(y.sum())
    n0 = len(y) - n1
    target = np.where(y == 1, (n1 + 1) / (n1 + 2), 1 / (n0 + 2))
    intercept, slope = logistic_line(raw.astype(np.float64), target)
    if not slope > 0:
        raise LearningError.of(
            "CT-LEARN-020",
            where="calibrate",
            what=f"原始分与结果方向相反 · on the calibration part ({len(y)} rows, {n1} positive) a higher raw score does not go with more risk.",
            advice="Use more or later data, or fewer features; a model that ranks the wrong way must not be used.",
        )
    return Calibration("platt", intercept, slope)
