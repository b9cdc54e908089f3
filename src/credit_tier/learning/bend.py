"""Bends: increasing maps from log-odds to log-odds, for a calibration that is not straight.

Points and dimensions stay on the straight scale, where they add up exactly; a bend stands between that scale and the probability.
It is strictly increasing and defined everywhere, so it parts what the trees part: no tie is made, no order changes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from math import isfinite

import numpy as np
from numpy.typing import NDArray

from credit_tier.learning.grade_tests import equal_groups

GROUPS = 20
"""Groups of the calibration part that isotonic regression pools; it follows chance where it may look at single rows."""

LEAST = 0.05
"""Slope below which beta calibration may not fall: flatter ends would tie what the trees part."""

APART = 1e-9
"""Shares of groups nearer than this are equal."""


@dataclass(frozen=True)
class Beta:
    """Beta calibration: z = intercept - low * log(1 + exp(-x)) + high * log(1 + exp(x)), x = (log-odds - shift) / scale.

    `low` and `high`, at least :data:`LEAST`, are the slopes far down and far up; equal, they make a straight line. The result is
    shift + scale * z.
    """

    intercept: float
    low: float
    high: float
    shift: float = 0.0
    scale: float = 1.0

    def __post_init__(self) -> None:
        """Refuse what does not increase (ValueError)."""
        numbers = (self.intercept, self.low, self.high, self.shift, self.scale)
        if not (all(isfinite(v) for v in numbers) and min(self.low, self.high) >= LEAST and self.scale > 0):
            raise ValueError(f"the slopes of a beta calibration are not above {LEAST}")

    def __call__(self, log_odds: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return bent log-odds."""
        x = (log_odds - self.shift) / self.scale
        bent = self.intercept - self.low * np.logaddexp(0, -x) + self.high * np.logaddexp(0, x)
        return np.asarray(self.shift + self.scale * bent)

    def moved(self, shift: float, scale: float) -> Beta:
        """Return the same bend on the scale shift + scale * log-odds, at both ends."""
        return replace(self, shift=shift + scale * self.shift, scale=scale * self.scale)


@dataclass(frozen=True)
class Knots:
    """Isotonic calibration: straight between knots (x, z), both strictly rising, and of slope 1 outside them."""

    x: tuple[float, ...]
    z: tuple[float, ...]

    def __post_init__(self) -> None:
        """Refuse what does not increase (ValueError)."""
        if len(self.x) != len(self.z) or not self.x or len(self.x) > GROUPS:
            raise ValueError(f"a bend has 1 to {GROUPS} knots")
        if not all(isfinite(v) for v in (*self.x, *self.z)):
            raise ValueError("a knot is not finite")
        if any(a >= b for values in (self.x, self.z) for a, b in pairwise(values)):
            raise ValueError("the knots of a bend do not rise")

    def __call__(self, log_odds: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return bent log-odds."""
        outside = np.minimum(log_odds - self.x[0], 0) + np.maximum(log_odds - self.x[-1], 0)
        return np.asarray(np.interp(log_odds, self.x, self.z) + outside)

    def moved(self, shift: float, scale: float) -> Knots:
        """Return the same bend on the scale shift + scale * log-odds, at both ends."""
        return Knots(tuple(shift + scale * v for v in self.x), tuple(shift + scale * v for v in self.z))


Bend = Beta | Knots


def logistic_fit(
    columns: Sequence[NDArray[np.float64]],
    target: NDArray[np.float64],
    offset: NDArray[np.float64] | float = 0.0,
    count: NDArray[np.float64] | float = 1.0,
) -> list[float]:
    """Return the weights that minimise the log loss of expit(offset + sum of weighted columns) against targets in [0, 1].

    `count` says how often each row counts; its mean is 1.

    Newton steps, halved until the loss falls; the loss is convex. Sums are numpy's own: no result depends on a number of threads.
    """
    rows = np.vstack(columns)
    weights = np.zeros(len(rows))

    def log_odds(at: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(offset + (at[:, None] * rows).sum(axis=0))

    def loss(at: NDArray[np.float64]) -> float:
        eta = log_odds(at)
        return float((count * (np.logaddexp(0.0, eta) - target * eta)).mean())

    value = loss(weights)
    for _ in range(100):
        p = 1 / (1 + np.exp(-log_odds(weights)))
        gradient = (count * (p - target) * rows).mean(axis=1)
        hessian = np.array([[(count * p * (1 - p) * a * b).mean() for b in rows] for a in rows]) + 1e-12 * np.eye(
            len(rows)
        )
        step = np.linalg.solve(hessian, gradient)
        size = 1.0
        while size > 1e-10 and loss(weights - size * step) > value + 1e-14:
            size /= 2
        weights = weights - size * step
        value = loss(weights)
        if np.abs(step).max() < 1e-10:
            break
    return [float(weight) for weight in weights]


def fit_beta(
    log_odds: NDArray[np.float64], target: NDArray[np.float64], count: NDArray[np.float64] | float = 1.0
) -> Beta | None:
    """Return the beta calibration of maximum likelihood; None if it would not increase. `count` as in :func:`logistic_fit`.

    Source: Kull, Silva Filho and Flach, Beyond sigmoids (2017), equation 10. Where they set a falling slope to zero and fit the rest
    anew, :data:`LEAST` stands for zero.
    """
    one, down, up = np.ones_like(log_odds), -np.logaddexp(0, -log_odds), np.logaddexp(0, log_odds)
    intercept, low, high = logistic_fit([one, down, up], target, 0.0, count)
    if low < LEAST:
        (intercept, high), low = logistic_fit([one, up], target, LEAST * down, count), LEAST
    elif high < LEAST:
        (intercept, low), high = logistic_fit([one, down], target, LEAST * up, count), LEAST
    return Beta(intercept, low, high) if min(low, high) >= LEAST else None


def fit_knots(
    log_odds: NDArray[np.float64], target: NDArray[np.float64], count: NDArray[np.float64] | float = 1.0
) -> Knots:
    """Return isotonic regression of the targets, strictly within (0, 1), on groups of about as many rows; `count` as before.

    A knot is the centre of a pooled block at the log-odds of its mean target.

    Source: Zadrozny and Elkan (2002) for isotonic calibration; Oron and Flournoy, Centered isotonic regression (2017), for centres in
    place of steps, so that different scores stay different.
    """
    group = equal_groups(log_odds, most=GROUPS)
    each = np.broadcast_to(count, log_odds.shape)
    facts = (np.bincount(group, each), np.bincount(group, each * log_odds), np.bincount(group, each * target))
    blocks: list[tuple[float, float, float]] = []
    for rows, centre, hits in zip(*(values.tolist() for values in facts), strict=True):
        block = (float(rows), float(centre), float(hits))
        while blocks and blocks[-1][2] / blocks[-1][0] >= block[2] / block[0] - APART:
            before = blocks.pop()
            block = (before[0] + block[0], before[1] + block[1], before[2] + block[2])
        blocks.append(block)
    share = np.array([hits / rows for rows, _, hits in blocks])
    z = np.log(share) - np.log1p(-share)
    return Knots(tuple(centre / rows for rows, centre, _ in blocks), tuple(z.tolist()))
