"""How good a model is on rows it has not seen: discrimination, calibration, capture, by year; plain numbers only."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from credit_tier.errors import LearningError
from credit_tier.learning.calibrate import counts_of, effective, logistic_line
from credit_tier.learning.grade_tests import equal_groups, jeffreys_interval
from credit_tier.temporal import date_of

CAPTURE_SHARES = (0.01, 0.05, 0.10, 0.20)
CURVE_POINTS = 200
SCORE_BINS = 40
BLOCK = 4_000_000
"""Cells of the bootstrap's weight table held at once."""


@dataclass(frozen=True)
class Interval:
    """95 % interval of a metric from a bootstrap over subjects."""

    low: float
    high: float


@dataclass(frozen=True)
class Bin:
    """One row of the calibration table; `low` and `high` bound the observed share (Jeffreys, 95 %, of the effective rows)."""

    rows: int
    predicted: float
    observed: float
    low: float
    high: float


@dataclass(frozen=True)
class Capture:
    """Share of all positives among the rows with the highest probability, and its interval."""

    share: float
    captured: float
    interval: Interval


@dataclass(frozen=True)
class BrierParts:
    """The Brier score taken apart over the bins of the calibration table.

    reliability - resolution + uncertainty + within_variance - within_covariance is the score, exactly; without the two terms within
    bins it would be so only if a bin had one probability.

    Source: Murphy (1973); Stephenson, Coelho and Jolliffe, Two extra components in the Brier score decomposition (2008).
    """

    reliability: float
    resolution: float
    uncertainty: float
    within_variance: float
    within_covariance: float


@dataclass(frozen=True)
class Year:
    """Figures of the rows whose as_of lies in one calendar year, by weight; auc is None where only one outcome occurs."""

    year: int
    rows: int
    positives: int
    predicted: float
    observed: float
    brier: float
    auc: float | None


@dataclass(frozen=True)
class Curves:
    """Points for figures, at most some 200 each: ROC, gains, precision, and the share of rows by probability for both outcomes."""

    false_positive: tuple[float, ...]
    true_positive: tuple[float, ...]
    inspected: tuple[float, ...]
    found: tuple[float, ...]
    edges: tuple[float, ...]
    density_negative: tuple[float, ...]
    density_positive: tuple[float, ...]
    precision: tuple[float, ...]
    """Share of positives among the inspected, for each point of `inspected`; at 0 that of the first."""


@dataclass(frozen=True)
class Evaluation:
    """Figures of one model on one part; of weighted rows, estimates for the population that they stand for.

    Attributes
    ----------
    rows, positives : as they are, without weights. effective_rows : how many equally weighted rows would tell as much (Kish).
    rate : share of positives, and its interval.
    brier_ratio : Brier score divided by that of the part's own constant rate; below 1 is better than knowing the rate.
    predicted_to_observed : mean probability divided by the share of positives.
    calibration_slope, calibration_intercept : of outcome on predicted log-odds; 1 and 0 are ideal.
    """

    rows: int
    subjects: int
    positives: int
    effective_rows: float
    rate: float
    rate_interval: Interval
    auc: float
    auc_interval: Interval
    gini: float
    ks: float
    pr_auc: float
    brier: float
    brier_ratio: float
    brier_ratio_interval: Interval
    brier_parts: BrierParts
    log_loss: float
    predicted_to_observed: float
    predicted_to_observed_interval: Interval
    calibration_slope: float
    calibration_intercept: float
    replicates: int
    capture: tuple[Capture, ...]
    calibration: tuple[Bin, ...]
    years: tuple[Year, ...]
    curves: Curves

    def to_dict(self) -> dict[str, Any]:
        """Return all figures as JSON values."""
        return asdict(self)

    def metrics(self) -> dict[str, float]:
        """Return the single numbers, intervals as `_low` and `_high`, by name."""
        names = (
            "rows", "subjects", "positives", "effective_rows", "rate", "auc", "gini", "ks", "pr_auc", "brier", "brier_ratio", "log_loss",
            "predicted_to_observed", "calibration_slope", "calibration_intercept",
        )  # fmt: skip
        found = {name: float(getattr(self, name)) for name in names}
        for name in ("rate", "auc", "brier_ratio", "predicted_to_observed"):
            interval: Interval = getattr(self, f"{name}_interval")
            found |= {f"{name}_low": interval.low, f"{name}_high": interval.high}
        found |= {f"brier_{name}": value for name, value in asdict(self.brier_parts).items()}
        return found | {f"capture_top_{item.share * 100:.0f}_percent": item.captured for item in self.capture}


def resampled(subject: NDArray[np.int32], *, seed: int, replicates: int) -> Iterator[NDArray[np.float64]]:
    """Yield weights of rows, shape (k, n), until `replicates` of them are made: how often a row's subject was drawn.

    Subjects are drawn with replacement, as many as there are; equal arguments give equal draws, so that two models can be compared
    on the same ones.

    Source: Field and Welsh, Bootstrapping clustered data (2007).
    """
    _, cluster = np.unique(subject, return_inverse=True)
    clusters = int(cluster.max()) + 1
    generator = np.random.default_rng(seed)
    step = max(1, BLOCK // len(subject))
    for at in range(0, replicates, step):
        size = min(step, replicates - at)
        drawn = generator.integers(0, clusters, (size, clusters))
        offset = np.arange(size)[:, None] * clusters
        times = np.bincount((drawn + offset).ravel(), minlength=size * clusters).reshape(size, clusters)
        yield times[:, cluster].astype(np.float64)


def interval_of(values: NDArray[np.float64]) -> Interval:
    """Return the middle 95 % of a bootstrap's values; those that are no number (a draw without an outcome) are left out."""
    kept = values[np.isfinite(values)]
    if len(kept) == 0:
        return Interval(-math.inf, math.inf)
    low, high = np.quantile(kept, [0.025, 0.975])
    return Interval(float(low), float(high))


def auc_draws(
    y: NDArray[np.int8],
    score: NDArray[np.float64],
    subject: NDArray[np.int32],
    *,
    seed: int,
    replicates: int,
    weight: NDArray[np.float64] | None = None,
    fold: NDArray[np.int32] | None = None,
) -> NDArray[np.float64]:
    """Return the AUC in each draw of a bootstrap over subjects, shape (replicates,); NaN in a draw with one outcome only."""
    ranking, count = _Ranking(y, score, fold), counts_of(weight)
    draws = resampled(subject, seed=seed, replicates=replicates)
    return np.concatenate([ranking.auc(times * count) for times in draws])


def auc_of(
    y: NDArray[np.int8],
    score: NDArray[np.float64],
    weight: NDArray[np.float64] | None = None,
    fold: NDArray[np.int32] | None = None,
) -> float:
    """Return the chance that a positive row scores above a negative one, ties counted half, both drawn by weight.

    Parameters
    ----------
    fold : which rows were scored by one model; only these are compared. Models of different folds put the same rank at different
        scores, and a fold that lacks a positive row has learned from one more: pairs across folds make any model look worse than it is.

    Source: Forman and Scholz, Apples-to-apples in cross-validation studies (2010), on folds.

    >>> y, score = np.array([0, 0, 1, 1], np.int8), np.array([0.1, 0.4, 0.35, 0.8])
    >>> auc_of(y, score), auc_of(y, score, fold=np.array([0, 1, 0, 1], np.int32))
    (0.75, 1.0)
    """
    return float(_Ranking(y, score, fold).auc(np.full((1, len(y)), counts_of(weight)))[0])


class _Ranking:
    """Rows of each fold in order of falling score, tied rows together; weighted AUC of many weightings at once."""

    def __init__(self, y: NDArray[np.int8], score: NDArray[np.float64], fold: NDArray[np.int32] | None = None) -> None:
        of = np.zeros(len(y), np.int32) if fold is None else fold
        self.order = np.lexsort((-score, of))
        self.y = y[self.order].astype(np.float64)
        falling, of = score[self.order], of[self.order]
        self.starts = np.flatnonzero(np.concatenate(([True], (falling[1:] != falling[:-1]) | (of[1:] != of[:-1]))))
        # The first group of ties of each fold, and of each group the fold.
        _, self.firsts, self.folds = np.unique(of[self.starts], return_index=True, return_inverse=True)

    def counts(self, weights: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return weight of positives and negatives by group of ties, shapes (k, groups), highest score first."""
        ordered = weights[:, self.order]
        positive = np.add.reduceat(ordered * self.y, self.starts, axis=1)
        return positive, np.add.reduceat(ordered, self.starts, axis=1) - positive

    def auc(self, weights: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the weighted AUC of each row of weights, NaN where no fold has weight of both outcomes."""
        positive, negative = self.counts(weights)
        positives, negatives = (np.add.reduceat(side, self.firsts, axis=1) for side in (positive, negative))
        before = (np.cumsum(positives, axis=1) - positives)[:, self.folds]
        above = np.cumsum(positive, axis=1) - before - positive / 2
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.asarray((above * negative).sum(axis=1) / (positives * negatives).sum(axis=1))


def evaluate(
    y: NDArray[np.int8],
    probability: NDArray[np.float64],
    subject: NDArray[np.int32],
    as_of_day: NDArray[np.int32],
    weight: NDArray[np.float64] | None = None,
    *,
    fold: NDArray[np.int32] | None = None,
    seed: int = 0,
    replicates: int = 500,
) -> Evaluation:
    """Evaluate probabilities against outcomes.

    Parameters
    ----------
    y : 0/1, both present; shape (n,), as the other arrays.
    probability : calibrated, strictly between 0 and 1 or equal to them.
    subject : rows of one enterprise are drawn together in the bootstrap, since they resemble each other.
    weight : how many units of the population each row stands for, up to a factor, or None for equal rows. With 1 / inclusion
        probability every figure is a Hájek estimate for all who could have been drawn.
    fold : which rows were scored by one model, for the AUC; see :func:`auc_of`. All other figures are of probabilities, which are on
        one scale.
    seed, replicates : of the bootstrap; nothing published depends on it.

    Raises
    ------
    LearningError (CT-LEARN-030) if an outcome is missing or a probability is not one.

    Source: `peers.md` section 4; BCBS Working Paper 14 (2005); Cox (1958) for slope and intercept.
    """
    n, positives = len(y), int(y.sum())
    if not 0 < positives < n or not ((probability >= 0) & (probability <= 1)).all():
        raise LearningError.of(
            "CT-LEARN-030",
            where="evaluate",
            what=f"{n} rows with {positives} positive, or a value that is no probability, cannot be evaluated.",
            advice="Both outcomes are needed, and probabilities between 0 and 1.",
        )
    count = np.full(n, counts_of(weight))
    rate = float(count @ y) / n
    ranking = _Ranking(y, probability)
    positive, negative = (side[0] for side in ranking.counts(count[None]))
    tp, fp = np.cumsum(positive), np.cumsum(negative)
    pairs = ranking if fold is None else _Ranking(y, probability, fold)
    auc = float(pairs.auc(count[None])[0])
    brier = float(np.mean(count * (probability - y) ** 2))
    inside = np.clip(probability, 1e-15, 1 - 1e-15)
    log_odds = np.log(inside) - np.log1p(-inside)
    intercept, slope = logistic_line(log_odds, y.astype(np.float64), weight)
    intervals = _bootstrap(y, probability, subject, count, (ranking, pairs), seed=seed, replicates=replicates)
    group = equal_groups(probability)
    return Evaluation(
        rows=n,
        subjects=len(np.unique(subject)),
        positives=positives,
        effective_rows=effective(weight, n),
        rate=rate,
        rate_interval=intervals["rate"],
        auc=auc,
        auc_interval=intervals["auc"],
        gini=2 * auc - 1,
        ks=float(np.max(np.abs(tp / tp[-1] - fp / fp[-1]))),
        pr_auc=float(np.sum(positive * tp / (tp + fp)) / tp[-1]),
        brier=brier,
        brier_ratio=brier / (rate * (1 - rate)),
        brier_ratio_interval=intervals["brier_ratio"],
        brier_parts=_brier_parts(y, probability, group, count),
        log_loss=float(-np.mean(count * np.where(y == 1, np.log(inside), np.log1p(-inside)))),
        predicted_to_observed=float((count * probability).mean() / rate),
        predicted_to_observed_interval=intervals["predicted_to_observed"],
        calibration_slope=slope,
        calibration_intercept=intercept,
        replicates=replicates,
        capture=tuple(
            Capture(share, _captured(tp, tp + fp, share), intervals[f"capture_{share}"]) for share in CAPTURE_SHARES
        ),
        calibration=_calibration_table(y, probability, group, count),
        years=_by_year(y, probability, as_of_day, count, np.zeros(n, np.int32) if fold is None else fold),
        curves=_curves(y, probability, count, tp, fp),
    )


def _captured(tp: NDArray[np.float64], taken: NDArray[np.float64], share: float) -> float:
    """Return the share of positives in the top rows; a tie at the border counts in proportion."""
    if tp[-1] == 0:
        return math.nan
    return float(np.interp(share * taken[-1], np.concatenate(([0.0], taken)), np.concatenate(([0.0], tp))) / tp[-1])


def _bootstrap(
    y: NDArray[np.int8],
    probability: NDArray[np.float64],
    subject: NDArray[np.int32],
    count: NDArray[np.float64],
    rankings: tuple[_Ranking, _Ranking],
    *,
    seed: int,
    replicates: int,
) -> dict[str, Interval]:
    """Return intervals by name; of the rankings the first is over all rows, the second, for the AUC, within folds."""
    ranking, pairs = rankings
    outcome = y.astype(np.float64)
    error = (probability - y) ** 2
    drawn: dict[str, list[NDArray[np.float64]]] = {}

    def keep(name: str, values: NDArray[np.float64]) -> None:
        drawn.setdefault(name, []).append(values)

    for times in resampled(subject, seed=seed, replicates=replicates):
        weights = times * count
        rate = weights @ outcome / weights.sum(axis=1)
        keep("rate", rate)
        keep("auc", pairs.auc(weights))
        with np.errstate(invalid="ignore", divide="ignore"):
            keep("predicted_to_observed", (weights @ probability) / (weights @ outcome))
            keep("brier_ratio", (weights @ error) / weights.sum(axis=1) / (rate * (1 - rate)))
        positive, negative = (np.cumsum(side, axis=1) for side in ranking.counts(weights))
        for share in CAPTURE_SHARES:
            found = [_captured(tp, taken, share) for tp, taken in zip(positive, positive + negative, strict=True)]
            keep(f"capture_{share}", np.array(found))
    return {name: interval_of(np.concatenate(values)) for name, values in drawn.items()}


def _brier_parts(
    y: NDArray[np.int8], probability: NDArray[np.float64], group: NDArray[np.intp], count: NDArray[np.float64]
) -> BrierParts:
    rows, rate, n = np.bincount(group, count), float(count @ y) / len(y), len(y)
    observed, predicted = np.bincount(group, count * y) / rows, np.bincount(group, count * probability) / rows
    apart = probability - predicted[group]
    return BrierParts(
        reliability=float(np.sum(rows * (predicted - observed) ** 2) / n),
        resolution=float(np.sum(rows * (observed - rate) ** 2) / n),
        uncertainty=rate * (1 - rate),
        within_variance=float(np.mean(count * apart**2)),
        within_covariance=float(2 * np.mean(count * (y - observed[group]) * apart)),
    )


def _calibration_table(
    y: NDArray[np.int8], probability: NDArray[np.float64], group: NDArray[np.intp], count: NDArray[np.float64]
) -> tuple[Bin, ...]:
    found = []
    for number in range(int(group.max()) + 1):
        inside = group == number
        share = count[inside] / count[inside].sum()
        observed, rows = float(share @ y[inside]), effective(count[inside], int(inside.sum()))
        bounds = jeffreys_interval(observed * rows, rows)
        found.append(Bin(int(inside.sum()), float(share @ probability[inside]), observed, *bounds))
    return tuple(found)


def _by_year(
    y: NDArray[np.int8],
    probability: NDArray[np.float64],
    as_of_day: NDArray[np.int32],
    count: NDArray[np.float64],
    fold: NDArray[np.int32],
) -> tuple[Year, ...]:
    days, at = np.unique(as_of_day, return_inverse=True)
    years = np.array([date_of(int(day)).year for day in days])[at]
    found = []
    for year in np.unique(years):
        rows = years == year
        outcome, p, share = y[rows], probability[rows], count[rows] / count[rows].sum()
        hits = int(outcome.sum())
        auc = auc_of(outcome, p, share, fold[rows])
        brier = float(share @ (p - outcome) ** 2)
        told = (float(share @ p), float(share @ outcome), brier, None if math.isnan(auc) else auc)
        found.append(Year(int(year), len(outcome), hits, *told))
    return tuple(found)


def _curves(
    y: NDArray[np.int8],
    probability: NDArray[np.float64],
    count: NDArray[np.float64],
    tp: NDArray[np.float64],
    fp: NDArray[np.float64],
) -> Curves:
    keep = np.unique(np.linspace(0, len(tp), CURVE_POINTS + 1).round().astype(int))
    tp0, fp0 = np.concatenate(([0.0], tp))[keep], np.concatenate(([0.0], fp))[keep]
    edges = np.linspace(0.0, float(probability.max()) or 1.0, SCORE_BINS + 1)
    shares = [
        np.histogram(probability[y == outcome], edges, weights=count[y == outcome])[0] / count[y == outcome].sum()
        for outcome in (0, 1)
    ]
    taken = (tp0 + fp0) / (tp[-1] + fp[-1])
    false_positive, true_positive = fp0 / fp[-1], tp0 / tp[-1]
    precision = tp / (tp + fp)
    return Curves(
        false_positive=_numbers(false_positive),
        true_positive=_numbers(true_positive),
        inspected=_numbers(taken),
        found=_numbers(true_positive),
        edges=_numbers(edges),
        density_negative=_numbers(shares[0]),
        density_positive=_numbers(shares[1]),
        precision=_numbers(np.concatenate((precision[:1], precision))[keep]),
    )


def _numbers(values: NDArray[np.float64]) -> tuple[float, ...]:
    return tuple(float(value) for value in values)
