"""Tests of calibration: do predicted probabilities agree with what happened, in one grade and over all of them?

All of them take the predictions as given, which holds out of sample only, and outcomes as independent given the predictions:
rows of one enterprise that resemble each other beyond what is predicted make them reject too often.
Each has a simulation of size and power as its test.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

Side = Literal["under", "over", "both"]
"""`under`: more happened than predicted (risk underestimated); `over`: less; `both`: either, twice the smaller of the two."""

LEVEL = 0.05


def binomial_p(hits: ArrayLike, rows: ArrayLike, rate: ArrayLike, *, side: Side) -> NDArray[np.float64]:
    """Return the exact binomial p value of `hits` among `rows` if each is a hit with probability `rate`.

    Never more than the stated size, often less: counts are whole. Where probabilities differ within a grade, the true spread is
    smaller than the binomial one at their mean, so the test stays on the safe side. Arrays are taken together, elementwise.

    Source: BCBS Working Paper 14 (2005), section IV; both sides by doubling, the counterpart of Clopper and Pearson (1934).

    >>> binomial_p(2, 60, 0.005, side="under").round(4).item()
    0.0365
    """
    from scipy.stats import binom

    k, n, p = np.asarray(hits), np.asarray(rows), np.asarray(rate)
    return _sided(np.asarray(binom.sf(k - 1, n, p)), np.asarray(binom.cdf(k, n, p)), side)


def jeffreys_p(hits: ArrayLike, rows: ArrayLike, rate: ArrayLike, *, side: Side) -> NDArray[np.float64]:
    """Return the Jeffreys p value: the posterior chance that the true rate lies on the other side of `rate`.

    One-sided as the supervisors state it (`under`), the test rewards whoever overestimates; look at `over` too.

    Source: ECB, Instructions for reporting the validation results of internal models (2019), section 2.5.3.1: distribution
    function of Beta(D + 1/2, N - D + 1/2) at the predicted rate. Brown, Cai and DasGupta (2001) for its size.

    >>> jeffreys_p(10, 100, 0.05, side="under").round(4).item()
    0.0182
    """
    from scipy.stats import beta

    k, n, p = np.asarray(hits), np.asarray(rows), np.asarray(rate)
    return _sided(np.asarray(beta.cdf(p, k + 0.5, n - k + 0.5)), np.asarray(beta.sf(p, k + 0.5, n - k + 0.5)), side)


def _sided(under: NDArray[np.float64], over: NDArray[np.float64], side: Side) -> NDArray[np.float64]:
    if side == "both":
        return np.asarray(np.minimum(1.0, 2 * np.minimum(under, over)))
    return under if side == "under" else over


@dataclass(frozen=True)
class ChiSquare:
    """A chi-square statistic, its degrees of freedom and p value.

    Attributes
    ----------
    smallest_expected : the fewest hits or misses expected in a group; below about 5 the p value is a rough guide.
    """

    statistic: float
    degrees: int
    p: float
    smallest_expected: float


def hosmer_lemeshow(
    hits: ArrayLike, rows: ArrayLike, predicted: ArrayLike, *, fitted_on_these_rows: bool = False
) -> ChiSquare:
    """Return the Hosmer-Lemeshow test over g groups.

    Parameters
    ----------
    hits, rows, predicted : shape (g,); hits, size and mean predicted probability of each group, strictly between 0 and 1.
        Groups are formed by the predictions, never by the outcomes.
    fitted_on_these_rows : two degrees of freedom fewer, for a model fitted on the very rows.

    Source: Hosmer and Lemeshow (1980); BCBS Working Paper 14 (2005). Out of sample nothing was fitted, so the degrees of freedom
    are g; g - 2 rejects too often there, and fewer or more groups than there are distort it too (`peers.md` section 4).

    >>> found = hosmer_lemeshow([5, 20], [100, 100], [0.05, 0.2])
    >>> found.degrees, found.p
    (2, 1.0)
    """
    from scipy.stats import chi2

    k, n, p = (np.asarray(values, np.float64) for values in (hits, rows, predicted))
    statistic = float(np.sum((k - n * p) ** 2 / (n * p * (1 - p))))
    degrees = len(k) - 2 * fitted_on_these_rows
    return ChiSquare(
        statistic, degrees, float(chi2.sf(statistic, degrees)), float(np.minimum(n * p, n * (1 - p)).min())
    )


@dataclass(frozen=True)
class Normal:
    """A standard normal statistic and its two-sided p value."""

    z: float
    p: float


def spiegelhalter(y: ArrayLike, probability: ArrayLike) -> Normal:
    """Return Spiegelhalter's test, row by row: is the Brier score what it should be if the probabilities are true?

    A positive z means a worse Brier score than promised. Averages of grades in place of rows leave it without any power
    (`peers.md` section 4). It is blind to errors at one half, and where outcomes are rare nearly so to log-odds that are too steep
    around the mean, whose errors cancel: read it beside Hosmer and Lemeshow's.

    Parameters
    ----------
    y, probability : shape (n,); not all probabilities 0, 1/2 or 1.

    Source: Spiegelhalter, Probabilistic prediction in patient management and clinical trials (1986).

    >>> spiegelhalter([0, 0, 0, 1], [0.25, 0.25, 0.25, 0.25]).z
    0.0
    """
    from scipy.stats import norm

    outcome, p = np.asarray(y, np.float64), np.asarray(probability, np.float64)
    lean = 1 - 2 * p
    z = float(np.sum((outcome - p) * lean) / np.sqrt(np.sum(lean**2 * p * (1 - p))))
    return Normal(z, float(2 * norm.sf(abs(z))))


@dataclass(frozen=True)
class Grade:
    """One grade on the test part: counts, mean prediction, share observed with its Jeffreys interval (95 %), p values by side."""

    name: str
    rows: int
    hits: int
    predicted: float
    observed: float
    low: float
    high: float
    binomial_under: float
    binomial_both: float
    jeffreys_under: float
    jeffreys_over: float

    @property
    def jeffreys_both(self) -> float:
        """Return the two-sided Jeffreys p value."""
        return min(1.0, 2 * min(self.jeffreys_under, self.jeffreys_over))


@dataclass(frozen=True)
class GradeTests:
    """Tests of calibration on one part.

    Attributes
    ----------
    grades : from the lowest risk upwards; grades without a row are left out.
    portfolio : all rows as one grade.
    hosmer_lemeshow : over groups of about equal size by rising probability.
    is_rising : whether the observed share never falls from one grade to the next.
    level : what a single grade's p value is compared with: :data:`LEVEL` divided by the number of grades (Bonferroni), so that
        a model without fault is suspected in one of twenty trainings at most.
    """

    grades: tuple[Grade, ...]
    portfolio: Grade
    hosmer_lemeshow: ChiSquare
    spiegelhalter: Normal
    is_rising: bool
    level: float

    @property
    def suspects(self) -> tuple[Grade, ...]:
        """Return the grades whose prediction the outcomes contradict, either way."""
        return tuple(grade for grade in self.grades if grade.jeffreys_both < self.level)


def calibration_tests(
    y: NDArray[np.int8], probability: NDArray[np.float64], grade: NDArray[np.int8], names: Sequence[str]
) -> GradeTests:
    """Test calibration in every grade and over all rows.

    Parameters
    ----------
    y, probability : outcomes and predictions of rows that no part of the model has seen; shape (n,).
    grade : the number of each row's grade, 0 for the lowest risk; shape (n,).
    names : of the grades.

    Source: `peers.md` section 4.
    """
    inside = np.clip(probability, 1e-12, 1 - 1e-12)
    group = equal_groups(inside)
    rows = np.bincount(group)
    grades = tuple(
        _grade(name, y[grade == number], inside[grade == number])
        for number, name in enumerate(names)
        if (grade == number).any()
    )
    observed = [item.observed for item in grades]
    return GradeTests(
        grades=grades,
        portfolio=_grade("all", y, inside),
        hosmer_lemeshow=hosmer_lemeshow(np.bincount(group, y), rows, np.bincount(group, inside) / rows),
        spiegelhalter=spiegelhalter(y, inside),
        is_rising=observed == sorted(observed),
        level=LEVEL / len(grades),
    )


def equal_groups(probability: NDArray[np.float64], *, most: int = 10) -> NDArray[np.intp]:
    """Return each row's group, 0 upwards: at most so many, of about equal size by rising probability; ties share a group.

    >>> equal_groups(np.array([0.3, 0.1, 0.1, 0.2]), most=2).tolist()
    [1, 0, 0, 1]
    """
    cuts = np.unique(np.quantile(probability, np.arange(1, most) / most, method="inverted_cdf"))
    found = np.unique(np.searchsorted(cuts, probability, side="left"), return_inverse=True)[1]
    return np.asarray(found)


def _grade(name: str, y: NDArray[np.int8], probability: NDArray[np.float64]) -> Grade:
    rows, hits, predicted = len(y), int(y.sum()), float(probability.mean())
    low, high = jeffreys_interval(hits, rows)
    return Grade(
        name,
        rows,
        hits,
        predicted,
        hits / rows,
        low,
        high,
        float(binomial_p(hits, rows, predicted, side="under")),
        float(binomial_p(hits, rows, predicted, side="both")),
        float(jeffreys_p(hits, rows, predicted, side="under")),
        float(jeffreys_p(hits, rows, predicted, side="over")),
    )


def jeffreys_interval(hits: float, rows: float) -> tuple[float, float]:
    """Return the 95 % Jeffreys interval of a share; 0 and 1 are in it where nothing or everything was hit.

    Of weighted rows give the effective number, and the share times it as hits.

    Source: Brown, Cai and DasGupta, Interval estimation for a binomial proportion (2001), section 4.1.2.

    >>> [round(v, 4) for v in jeffreys_interval(0, 10)], [round(v, 4) for v in jeffreys_interval(3, 10)]
    ([0.0, 0.2172], [0.0927, 0.6058])
    """
    from scipy.stats import beta

    low, high = (float(beta.ppf(q, hits + 0.5, rows - hits + 0.5)) for q in (0.025, 0.975))
    return (0.0 if hits == 0 else low), (1.0 if hits == rows else high)
