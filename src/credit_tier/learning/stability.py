"""Is the population still the one the model learned from, and do its predictions hold over time?

The population stability index (PSI; of a feature: CSI) grows with noise as well as with change. Its verdict therefore depends on the
size of the samples: a change is told only where chance does not explain it, and called large only where it is. The size of a sample is
the number of figures in it that chance drew by themselves: enterprises, or fewer where enterprises of a group share a figure.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from credit_tier.learning.outturn import Outturn
from credit_tier.specs.feature import FeatureSpec
from credit_tier.temporal import date_of

BINS, PER_BIN = 10, 5
"""Bins at most, and of how many independent figures each one at least: with fewer the index is not as chi-square says."""

MODERATE, LARGE = 0.1, 0.25
"""The customary marks of the index (Siddiqi, Credit Risk Scorecards, 2006); here a change must be beyond chance as well."""

LEVEL = 0.001
"""Chance of telling a change where there is none, for one feature: a model with 50 gives a false alarm in one of 20 looks."""

Verdict = Literal["none", "small", "moderate", "large"]
Unit = Literal["month", "quarter", "year"]


@dataclass(frozen=True)
class Shift:
    """How the distribution of one number changed.

    Attributes
    ----------
    bins : bins in which either sample has a row; degrees of freedom are one less.
    psi : the index. expected : its mean if nothing changed. limit : what it exceeds by chance once in a thousand times.
    missing_before, missing_now : shares of rows without a value.
    verdict : `none` up to the limit; above it `small`, `moderate` from 0.1, `large` from 0.25.
    """

    name: str
    title_zh: str
    bins: int
    psi: float
    expected: float
    limit: float
    missing_before: float
    missing_now: float
    verdict: Verdict


def edges_of(reference: NDArray[np.float64], *, most: int = BINS) -> NDArray[np.float64]:
    """Return the upper edges of all bins but the last, at the reference's quantiles; frozen, to be used for every later sample.

    Bins are (previous edge, edge]. Where the reference has one value only, what lies below and above it gets a bin of its own.

    >>> edges_of(np.array([1.0, 2.0, 3.0, 4.0]), most=2).tolist()
    [2.0]
    """
    known = reference[~np.isnan(reference)]
    if len(known) == 0:
        return np.empty(0)
    edges = np.unique(np.quantile(known, np.arange(1, most) / most, method="inverted_cdf"))
    if known.min() == known.max():
        return np.array([np.nextafter(known[0], -np.inf), known[0]])
    return np.asarray(edges[edges < known.max()])


def counts_of(values: NDArray[np.float64], edges: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return rows by bin, the last one for missing values; shape (edges + 2,)."""
    missing = np.isnan(values)
    bins = np.where(missing, len(edges) + 1, np.searchsorted(edges, values, side="left"))
    return np.bincount(bins, minlength=len(edges) + 2)


def shift(
    name: tuple[str, str],
    before: NDArray[np.int64],
    now: NDArray[np.int64],
    *,
    sizes: tuple[float, float],
) -> Shift:
    """Compare two samples by their counts in the same bins.

    Parameters
    ----------
    name : id and Chinese title.
    before, now : rows by bin, the last one for missing values.
    sizes : independent figures in each sample: enterprises, whose rows repeat each other, or what :func:`size_of` says. By these, not
        the rows, chance is judged; half of one is added to every bin that either sample has, so that an empty one does not make the
        index infinite.

    Source: Yurdakul, Statistical properties of population stability index (2018): without a change the index divided by
    (1/n + 1/m) is nearly chi-square with (bins - 1) degrees of freedom.
    """
    from scipy.stats import chi2

    used = (before + now) > 0
    bins = int(used.sum())
    a, b = (counts[used] * (size / counts.sum()) + 0.5 for counts, size in zip((before, now), sizes, strict=True))
    a, b = a / a.sum(), b / b.sum()
    psi = float(np.sum((b - a) * np.log(b / a)))
    noise = 1 / sizes[0] + 1 / sizes[1]
    limit = float(chi2.isf(LEVEL, bins - 1)) * noise if bins > 1 else 0.0
    verdict: Verdict = "none"
    if psi > limit:
        verdict = "large" if psi >= LARGE else "moderate" if psi >= MODERATE else "small"
    return Shift(
        *name,
        bins,
        psi,
        (bins - 1) * noise,
        limit,
        float(before[-1] / before.sum()),
        float(now[-1] / now.sum()),
        verdict,
    )


def shift_of(
    name: tuple[str, str],
    before: NDArray[np.float64],
    now: NDArray[np.float64],
    *,
    sizes: tuple[float, float],
) -> Shift:
    """Compare two samples of one number, NaN where missing, in bins of the first."""
    edges = edges_of(before, most=int(np.clip(min(sizes) / PER_BIN, 2, BINS)))
    return shift(name, counts_of(before, edges), counts_of(now, edges), sizes=sizes)


Column = tuple[NDArray[np.float32], NDArray[np.int32], NDArray[np.int32]]
"""Values, as_of days and enterprises of the rows of a sample, each of shape (n,)."""


def shift_between(feature: FeatureSpec, before: Column, now: Column) -> Shift:
    """Compare a feature in two samples, each judged by how many independent figures it has."""
    (a, *rows_a), (b, *rows_b) = before, now
    sizes = size_of(feature, a, *rows_a), size_of(feature, b, *rows_b)
    return shift_of((feature.id, feature.title_zh), a.astype(np.float64), b.astype(np.float64), sizes=sizes)


def size_of(
    feature: FeatureSpec, values: NDArray[np.float32], as_of_day: NDArray[np.int32], subject: NDArray[np.int32]
) -> float:
    """Return how many independent figures of a feature a sample has; all arrays of shape (n,).

    As many as enterprises, unless the feature is a figure of a group or leans towards one: then what is drawn is one figure per group.
    Two rows of one day have the same figure if they are of the same group, so the share of pairs of a day that do is the chance c that
    two rows are of one group, and the share of rows in a bin varies as if there were 1 / (1/enterprises + c) of them. Values that
    enterprises share because there are few of them (counts, flags) are no reason to doubt, so only the declaration tells the two apart.
    Groups known by so few pairs count as larger: one shared pair is added.

    Source: Kish, Survey Sampling (1965), chapters 5 and 8: 1/c is the effective number of clusters of unequal size.
    """
    subjects = len(np.unique(subject))
    if feature.group_by is None and feature.shrink is None:
        return subjects
    figure = np.unique(values, return_inverse=True)[1]  # missing is a figure, too
    day = np.unique(as_of_day, return_inverse=True)[1]
    shared, pairs = (
        np.sum(rows * (rows - 1)) / 2
        for rows in (np.unique(parts, return_counts=True)[1] for parts in (day * len(values) + figure, day))
    )
    return float(1 / (1 / subjects + (shared + 1) / (pairs + 1)))


@dataclass(frozen=True, kw_only=True)
class Period(Outturn):
    """Figures of the rows of one calendar month, quarter or year."""

    name: str


def unit_of(as_of_day: NDArray[np.int32]) -> Unit:
    """Return the calendar unit that divides these days into some 4 to 16 periods."""
    days = int(as_of_day.max() - as_of_day.min())
    return "month" if days < 300 else "quarter" if days < 1300 else "year"


def periods(
    y: NDArray[np.int8],
    probability: NDArray[np.float64],
    subject: NDArray[np.int32],
    as_of_day: NDArray[np.int32],
    *,
    weight: NDArray[np.float64] | None = None,
    fold: NDArray[np.int32] | None = None,
    seed: int,
    replicates: int = 200,
) -> tuple[Period, ...]:
    """Return the figures of each month, quarter or year that has a row, in order of time; all arrays of shape (n,)."""
    unit = unit_of(as_of_day)
    days, at = np.unique(as_of_day, return_inverse=True)
    names = np.array([_period_name(int(day), unit) for day in days])[at]
    found = []
    for name in np.unique(names):
        rows = names == name
        some = y[rows], probability[rows], subject[rows]
        own = None if weight is None else weight[rows]
        one = None if fold is None else fold[rows]
        found.append(Period.of(*some, own, fold=one, seed=seed, replicates=replicates, name=str(name)))
    return tuple(found)


def _period_name(day: int, unit: Unit) -> str:
    on = date_of(day)
    if unit == "year":
        return f"{on.year}"
    return f"{on.year}-{on.month:02d}" if unit == "month" else f"{on.year}-Q{(on.month + 2) // 3}"
