"""Calibration: an increasing affine map from the raw score to log-odds (ADR 0004), and if declared a bend from there to the probability."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from credit_tier.errors import LearningError
from credit_tier.learning.bend import Bend, Beta, Knots, fit_beta, fit_knots

Method = Literal["platt", "beta", "isotonic", "none"]
METHODS: tuple[Method, ...] = ("platt", "beta", "isotonic")
"""What :func:`choose` compares, the plainest first."""

EARLIER = 0.6
"""Share of the calibration part's rows on which methods are fitted before the later rows choose between them."""

FEWEST = 20
"""Rows of either outcome below which nothing is chosen or refitted."""


@dataclass(frozen=True)
class Calibration:
    """log-odds = intercept + slope * raw score, slope > 0; probability = expit(bend(log-odds)).

    Points and dimensions are made of the log-odds before the bend, which is increasing; None is no bend.
    """

    method: Method
    intercept: float
    slope: float
    bend: Bend | None = None

    def log_odds(self, raw: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the log-odds of raw scores before the bend, on the scale of the points."""
        return self.intercept + self.slope * raw

    def bent(self, log_odds: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the log-odds of the probability."""
        return log_odds if self.bend is None else self.bend(log_odds)

    def probability(self, log_odds: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return probabilities for log-odds before the bend."""
        with np.errstate(over="ignore"):
            return np.asarray(1 / (1 + np.exp(-self.bent(log_odds))))

    def to_dict(self) -> dict[str, Any]:
        """Return JSON values; without a bend there is no word of one."""
        facts: dict[str, Any] = {"method": self.method, "intercept": self.intercept, "slope": self.slope}
        if self.bend is None:
            return facts
        bend = {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self.bend).items()}
        return facts | {"bend": bend}

    @classmethod
    def from_dict(cls, facts: dict[str, Any]) -> Calibration:
        """Return the calibration of JSON values that nobody has checked.

        Raises
        ------
        TypeError, ValueError, KeyError if they are not those of an increasing map.
        """
        kinds: dict[str, type[Beta | Knots] | None] = {"none": None, "platt": None, "beta": Beta, "isotonic": Knots}
        kind = kinds[facts["method"]]
        bend: Bend | None = None
        if kind is Beta:
            bend = Beta(**{name: _number(value) for name, value in facts["bend"].items()})
        elif kind is Knots:
            bend = Knots(**{name: tuple(map(_number, values)) for name, values in facts["bend"].items()})
        found = cls(facts["method"], _number(facts["intercept"]), _number(facts["slope"]), bend)
        if found.to_dict() != facts or not found.slope > 0:
            raise ValueError("the facts are not those of an increasing calibration")
        return found


def _number(value: object) -> float:
    if type(value) is not float or not np.isfinite(value):
        raise TypeError("a number of the calibration is not a finite float")
    return value


def counts_of(weight: NDArray[np.float64] | None) -> NDArray[np.float64] | float:
    """Return how often each row counts, with mean 1: weights divided by their mean, or 1 for all."""
    return 1.0 if weight is None else weight / weight.mean()


def effective(weight: NDArray[np.float64] | None, rows: int) -> float:
    """Return how many equally weighted rows tell as much as these (Kish): (sum of w)^2 / (sum of w^2).

    >>> effective(np.array([1.0, 1.0, 2.0]), 3)
    2.6666666666666665
    """
    return float(rows) if weight is None else float(weight.sum() ** 2 / np.sum(weight**2))


def logistic_line(
    x: NDArray[np.float64], target: NDArray[np.float64], weight: NDArray[np.float64] | None = None
) -> tuple[float, float]:
    """Return (a, b) that minimise the log loss of expit(a + b x) against targets in [0, 1], rows counting by weight.

    Newton steps, halved until the loss falls; the loss is convex, so the minimum is unique unless x is constant,
    in which case b is 0.

    >>> a, b = logistic_line(np.array([0.0, 0.0, 1.0, 1.0]), np.array([0.2, 0.2, 0.6, 0.6]))
    >>> round(a, 6), round(a + b, 6)
    (-1.386294, 0.405465)
    """
    count = counts_of(weight)
    centre, scale = float(x.mean()), float(x.std())
    mean = float((count * target).mean())
    if scale == 0 or not 0 < mean < 1:
        mean = min(max(mean, 1e-12), 1 - 1e-12)
        return float(np.log(mean / (1 - mean))), 0.0
    z = (x - centre) / scale

    def loss(a: float, b: float) -> float:
        eta = a + b * z
        return float((count * (np.logaddexp(0.0, eta) - target * eta)).mean())

    a, b = float(np.log(mean / (1 - mean))), 0.0
    value = loss(a, b)
    for _ in range(100):
        eta = a + b * z
        p = 1 / (1 + np.exp(-eta))
        gradient = np.array([(count * (p - target)).mean(), (count * (p - target) * z).mean()])
        w = count * p * (1 - p)
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


def calibrate(
    raw: NDArray[np.float64], y: NDArray[np.int8], method: Method, weight: NDArray[np.float64] | None = None
) -> Calibration:
    """Fit the calibration on rows that come later than those that grew the trees.

    Parameters
    ----------
    raw : raw scores of the calibration part.
    y : 0/1, both present.
    method : `platt`; `beta` or `isotonic` for a bend after it; `none` for the identity.
    weight : of the rows, above 0, or None for equal ones; the probabilities are then those of the population that they stand for.

    Raises
    ------
    LearningError (CT-LEARN-020) if a higher raw score goes with less risk on this part: the model ranks the wrong way.

    Source: Platt, Probabilistic outputs for support vector machines (1999), with his smoothed targets
    (n1 + 1) / (n1 + 2) and 1 / (n0 + 2), which keep the slope finite when the classes do not overlap; of weighted rows n1 and n0 are
    effective numbers. Bends: :mod:`.bend`.
    """
    if method == "none":
        return Calibration("none", 0.0, 1.0)
    target = _smoothed(y, weight)
    intercept, slope = logistic_line(raw.astype(np.float64), target, weight)
    if not slope > 0:
        raise _wrong_way(y)
    straight = Calibration("platt", intercept, slope)
    if method == "platt":
        return straight
    log_odds = straight.log_odds(raw)
    bend = (fit_beta if method == "beta" else fit_knots)(log_odds, target, counts_of(weight))
    if bend is None:
        raise _wrong_way(y)
    return replace(straight, method=method, bend=bend)


@dataclass(frozen=True)
class Trial:
    """A method fitted on the earlier rows of the calibration part and measured on the later ones.

    Attributes
    ----------
    gain, error : by how much its log loss lies below that of the plainest method, and the standard error of this difference over
        subjects.
    """

    method: Method
    log_loss: float
    gain: float
    error: float


@dataclass(frozen=True)
class Choice:
    """The method chosen out of time, and what it was chosen by; no trials where there were too few outcomes to choose."""

    method: Method
    trials: tuple[Trial, ...]
    earlier: int
    later: int


def choose(
    raw: NDArray[np.float64],
    y: NDArray[np.int8],
    as_of_day: NDArray[np.int32],
    subject: NDArray[np.int32],
    weight: NDArray[np.float64] | None = None,
    *,
    gap_days: int,
) -> Choice:
    """Choose a method on the calibration part: fitted on its earlier rows, compared on its later ones.

    The method of least log loss is taken if it is better than `platt` by more than one standard error, else `platt`: a bend must
    earn its place. The test part is not looked at.

    Parameters
    ----------
    raw, y, as_of_day, subject, weight : of the calibration part, shape (n,).
    gap_days : label window and reporting delay; the earlier rows end so many days before the later ones begin.

    Source: the one-standard-error rule of Breiman, Friedman, Olshen and Stone (1984).
    """
    cut = int(np.quantile(as_of_day, EARLIER, method="inverted_cdf"))
    before, after = as_of_day <= cut - gap_days, as_of_day > cut
    counts = [int((y[rows] == outcome).sum()) for rows in (before, after) for outcome in (0, 1)]
    sizes = int(before.sum()), int(after.sum())
    if min(counts) < FEWEST:
        return Choice("platt", (), *sizes)
    losses: dict[Method, NDArray[np.float64]] = {}
    for method in METHODS:
        try:
            fitted = calibrate(raw[before], y[before], method, None if weight is None else weight[before])
        except LearningError:
            continue
        z = fitted.bent(fitted.log_odds(raw[after]))
        losses[method] = np.logaddexp(0.0, z) - y[after] * z
    if "platt" not in losses:
        return Choice("platt", (), *sizes)
    later = None if weight is None else weight[after]
    trials = tuple(
        Trial(
            method,
            float((counts_of(later) * loss).mean()),
            *difference(losses["platt"] - loss, subject[after], later),
        )
        for method, loss in losses.items()
    )
    best = min(trials, key=lambda trial: trial.log_loss)
    return Choice(best.method if best.gain > best.error else "platt", trials, *sizes)


def difference(
    values: NDArray[np.float64], subject: NDArray[np.int32], weight: NDArray[np.float64] | None = None
) -> tuple[float, float]:
    """Return the (weighted) mean of a value of each row and its standard error over subjects.

    >>> mean, error = difference(np.array([1.0, 1.0, 3.0, 3.0]), np.array([0, 0, 1, 1], np.int32))
    >>> mean, round(error, 4)
    (2.0, 0.7071)
    """
    count = counts_of(weight)
    mean = float((count * values).mean())
    sums = np.bincount(np.unique(subject, return_inverse=True)[1], count * (values - mean))
    return mean, float(np.sqrt(np.sum(sums**2)) / len(values))


def recalibrate(
    calibration: Calibration,
    raw: NDArray[np.float64],
    y: NDArray[np.int8],
    weight: NDArray[np.float64] | None = None,
    *,
    refit_slope: bool = False,
) -> Calibration:
    """Fit a calibration anew to recent mature outcomes, for a base rate that has drifted; the trees stay as they are.

    The log-odds of every probability move by one number, or along one line, and points and base move with them: dimensions keep
    their order and, with the intercept alone, their values.

    Parameters
    ----------
    raw, y, weight : raw scores, outcomes and weights of recent rows; at least :data:`FEWEST` of either outcome.
    refit_slope : fit the slope too; takes far more outcomes to be worth it.

    Raises
    ------
    LearningError : CT-LEARN-021 too few outcomes, CT-LEARN-020 the model ranks the wrong way on these rows.

    Source: Steyerberg and others, Validation and updating of predictive logistic regression models (2004), methods 1 and 2.
    """
    hits = int(y.sum())
    if min(hits, len(y) - hits) < FEWEST:
        raise LearningError.of(
            "CT-LEARN-021",
            where="recalibrate",
            what=f"成熟结果太少 · {len(y)} recent rows, {hits} positive, are too few to move a calibration.",
            advice=f"Take a longer time: at least {FEWEST} of either outcome.",
        )
    log_odds = calibration.bent(calibration.log_odds(raw))
    shift, scale = (
        logistic_line(log_odds, _smoothed(y, weight), weight) if refit_slope else (_offset(log_odds, y, weight), 1.0)
    )
    if not scale > 0:
        raise _wrong_way(y)
    return Calibration(
        calibration.method,
        shift + scale * calibration.intercept,
        scale * calibration.slope,
        None if calibration.bend is None else calibration.bend.moved(shift, scale),
    )


def _offset(log_odds: NDArray[np.float64], y: NDArray[np.int8], weight: NDArray[np.float64] | None) -> float:
    """Return the number which, added to log-odds, makes the mean probability the share of positives."""
    from scipy.optimize import brentq

    count = counts_of(weight)
    rate = float((count * y).mean())

    def excess(shift: float) -> float:
        return float((count / (1 + np.exp(-(log_odds + shift)))).mean()) - rate

    reach = float(np.abs(log_odds).max()) + abs(float(np.log(rate / (1 - rate)))) + 1
    return float(brentq(excess, -reach, reach, xtol=1e-13))


def _smoothed(y: NDArray[np.int8], weight: NDArray[np.float64] | None) -> NDArray[np.float64]:
    rows = effective(weight, len(y))
    n1 = rows * float((counts_of(weight) * y).mean())
    n0 = rows - n1
    return np.where(y == 1, (n1 + 1) / (n1 + 2), 1 / (n0 + 2))


def _wrong_way(y: NDArray[np.int8]) -> LearningError:
    return LearningError.of(
        "CT-LEARN-020",
        where="calibrate",
        what=f"原始分与结果方向相反 · on the calibration part ({len(y)} rows, {int(y.sum())} positive) a higher raw score does not go with more risk.",
        advice="Use more or later data, or fewer features; a model that ranks the wrong way must not be used.",
    )
