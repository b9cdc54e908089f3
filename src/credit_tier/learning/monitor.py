"""Is a model in use still what it was: the population it scores, the level of its predictions, the order it puts enterprises in?

A verdict asks for two things at once: a change that matters, and one that chance does not explain. So a quiet city stays quiet: of a
hundred monthly looks at one where nothing changed, at most one tells a shift of scores or features. A wrong level is told whatever made it
wrong, and be it a model that was off from the first day (`benchmarks/monitor.py` counts both).

What chance explains depends on what it drew. The own records of enterprises differ by chance as enterprises do, thousands of times. Figures
of a group, and those that lean towards one, are drawn once for everybody in it: a rate of the whole city that rests on some hundred
positive outcomes moves by a twentieth from year to year, and takes everybody's score along. No sample of enterprises, however large, tells
such a move from a change. Scores are therefore compared by what own records add to them; what figures of groups added is told, and
whether they are right, the outcomes say.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from credit_tier.learning.evaluate import Interval
from credit_tier.learning.outturn import FEWEST, Outturn
from credit_tier.learning.stability import Period, periods

LEVEL = 0.001
"""Chance of telling a wrong level where there is none."""

MODERATE, LARGE = 0.1, 0.25
"""Distances, in standard deviations, from which a change matters."""

MISSING_MODERATE, MISSING_LARGE = 0.05, 0.2
"""Changes of the share of missing values from which they matter."""

ERRORS = 4.0
"""Times the distance to be expected by chance, up to which a change is no change."""

Verdict = Literal["none", "moderate", "large"]
Kind = Literal["score_shift", "group_shift", "feature_shift", "level", "ranking", "too_few"]


@dataclass(frozen=True)
class Drift:
    """How far the distribution of one number moved.

    Attributes
    ----------
    distance : earth mover's distance over the standard deviation of both samples together. That a value which most enterprises share
        moves a little counts for little, where an index over bins would count it as a change of everything.
    limit : what the distance may reach by chance.
    mean_before, mean_now : NaN where no value is known. missing_before, missing_now : shares of rows without a value.
    effect : points by which the change moved the average enterprise.
    """

    name: str
    title_zh: str
    distance: float
    limit: float
    mean_before: float
    mean_now: float
    missing_before: float
    missing_now: float
    effect: float
    verdict: Verdict


def drift_of(
    name: tuple[str, str],
    before: NDArray[np.float64],
    now: NDArray[np.float64],
    *,
    effect: float,
    sizes: tuple[float, float] | None = None,
) -> Drift:
    """Compare two samples of one number, NaN where missing.

    Parameters
    ----------
    name : id and Chinese title.
    effect : points by which it moved the average enterprise.
    sizes : how many of the values chance drew by themselves, see :func:`credit_tier.learning.stability.size_of`; None for all.

    Source: the mean distance of two samples of one distribution is at most J sqrt(1/n + 1/m), J the integral of sqrt(F (1 - F))
    (Bobkov and Ledoux, One-dimensional empirical measures, order statistics and Kantorovich transport distances, 2019, theorem 3.2).
    """
    from scipy.stats import wasserstein_distance

    a, b = before[~np.isnan(before)], now[~np.isnan(now)]
    missing = 1 - len(a) / max(len(before), 1), 1 - len(b) / max(len(now), 1)
    n, m = sizes or (len(before), len(now))
    distance = limit = 0.0
    if len(a) and len(b):
        pooled = np.sort(np.concatenate([a, b]))
        spread = float(pooled.std())
        if spread > 0:
            share = np.arange(1, len(pooled)) / len(pooled)
            integral = float(np.sum(np.sqrt(share * (1 - share)) * np.diff(pooled)))
            distance = float(wasserstein_distance(a, b)) / spread
            limit = ERRORS * integral * np.sqrt(1 / n + 1 / m) / spread
    moved = abs(missing[1] - missing[0])
    both = (missing[0] * n + missing[1] * m) / (n + m)
    is_beyond_chance = moved > ERRORS * np.sqrt(both * (1 - both) * (1 / n + 1 / m))
    lost = moved if is_beyond_chance or missing[1] == 1.0 else 0.0
    verdict: Verdict = "none"
    if (distance > limit and distance >= MODERATE) or lost >= MISSING_MODERATE:
        verdict = "large" if (distance > limit and distance >= LARGE) or lost >= MISSING_LARGE else "moderate"
    mean_before, mean_now = (float(values.mean()) if len(values) else np.nan for values in (a, b))
    return Drift(*name, distance, float(limit), mean_before, mean_now, *missing, effect, verdict)


@dataclass(frozen=True, kw_only=True)
class Outcomes(Outturn):
    """Predictions against outcomes that became mature since the model was tested, together and by period."""

    periods: tuple[Period, ...]


@dataclass(frozen=True)
class Finding:
    """Something to know; an alarm asks somebody to act."""

    kind: Kind
    subject: str
    what_zh: str
    what_en: str
    is_alarm: bool


@dataclass(frozen=True)
class Watch:
    """What a look at a model in use found.

    Attributes
    ----------
    score : points by own records of the population now against those at the reference day; features : the same for each feature.
    by_groups : points by which figures of groups moved the average enterprise.
    outcomes : None if no outcome has become mature since.
    """

    score: Drift
    features: tuple[Drift, ...]
    by_groups: float
    outcomes: Outcomes | None
    findings: tuple[Finding, ...]

    @property
    def has_alarm(self) -> bool:
        """Return whether somebody should act."""
        return any(finding.is_alarm for finding in self.findings)

    def to_dict(self) -> dict[str, Any]:
        """Return all of it as JSON values."""
        return {**asdict(self), "has_alarm": self.has_alarm}


def outcomes_of(
    y: NDArray[np.int8],
    probability: NDArray[np.float64],
    subject: NDArray[np.int32],
    as_of_day: NDArray[np.int32],
    *,
    weight: NDArray[np.float64] | None = None,
    seed: int,
    replicates: int = 200,
) -> Outcomes:
    """Return the figures of matured rows, all arrays of shape (n,), n at least 1. `seed` is that of the bootstrap."""
    drawn: dict[str, Any] = {"weight": weight, "seed": seed, "replicates": replicates}
    by_period = periods(y, probability, subject, as_of_day, **drawn)
    return Outcomes.of(y, probability, subject, **drawn, periods=by_period)


def watch(
    score: Drift,
    features: Sequence[Drift],
    outcomes: Outcomes | None,
    *,
    by_groups: float,
    spread: float,
    trained_auc: Interval,
) -> Watch:
    """Put the figures together and say what to do.

    A feature that changed is an alarm only if that moved the scores: some figures drift by themselves as records grow older.

    Parameters
    ----------
    by_groups, spread : points by figures of groups; standard deviation of all points at the reference day.
    trained_auc : interval of the model's AUC on its test part.
    """
    found = [*_shifts(score, by_groups, features, spread), *_outcomes(outcomes, trained_auc)]
    return Watch(score, tuple(features), by_groups, outcomes, tuple(found))


def _shifts(score: Drift, by_groups: float, features: Sequence[Drift], spread: float) -> list[Finding]:
    found = []
    if score.verdict != "none":
        found.append(
            Finding(
                "score_shift",
                score.name,
                f"由自身记录所得的分总体移动 {score.distance:.2f} 个标准差(偶然不超过 {score.limit:.2f}):查明哪些指标变了;属实则重新训练",
                f"what own records add to the scores moved by {score.distance:.2f} standard deviations (by chance up to {score.limit:.2f}): find which features did; if it is real, train again",
                is_alarm=True,
            )
        )
    if abs(by_groups) >= MODERATE * spread:
        found.append(
            Finding(
                "group_shift",
                "groups",
                f"行业、地区、全市等群体指标使评分平均变动 {by_groups:+.1f} 分:群体指标本有起伏,是否属实看预测水平",
                f"figures of groups and of the whole city moved the scores by {by_groups:+.1f} points on average: they move by chance, too; the level of the outcomes tells whether they are right",
                is_alarm=False,
            )
        )
    for item in features:
        if item.verdict == "none":
            continue
        found.append(
            Finding(
                "feature_shift",
                item.name,
                f"{item.title_zh}:移动 {item.distance:.2f} 个标准差(偶然不超过 {item.limit:.2f}),均值 {item.mean_before:.4g} → {item.mean_now:.4g},"
                f"缺失 {item.missing_before:.1%} → {item.missing_now:.1%},平均影响 {item.effect:+.1f} 分:先查数据源与口径",
                f"moved by {item.distance:.2f} standard deviations (by chance up to {item.limit:.2f}), mean {item.mean_before:.4g} → {item.mean_now:.4g},"
                f" missing {item.missing_before:.1%} → {item.missing_now:.1%}, {item.effect:+.1f} points on average: look at the source and its definitions first",
                is_alarm=abs(item.effect) >= MODERATE * spread,
            )
        )
    return found


def _outcomes(found: Outcomes | None, trained: Interval) -> list[Finding]:
    if found is None or min(found.positives, found.rows - found.positives) < FEWEST:
        rows, hits = (0, 0) if found is None else (found.rows, found.positives)
        return [
            Finding(
                "too_few",
                "outcomes",
                f"检验之后表现期已满的观测 {rows} 条、正例 {hits} 条,不足以判断",
                f"{rows} rows with {hits} positive matured since the test: too few to judge by",
                is_alarm=False,
            )
        ]
    told = []
    if found.p < LEVEL:
        told.append(
            Finding(
                "level",
                "outcomes",
                f"预测水平偏离:预测 {found.predicted:.2%},实际 {found.observed:.2%}({found.low:.2%}–{found.high:.2%}):用近期表现重新校准",
                f"the level is off: predicted {found.predicted:.2%}, observed {found.observed:.2%} ({found.low:.2%}–{found.high:.2%}): recalibrate on recent outcomes",
                is_alarm=True,
            )
        )
    if found.auc is not None and found.auc_interval is not None and found.auc_interval.high < trained.low:
        told.append(
            Finding(
                "ranking",
                "outcomes",
                f"排序能力下降:AUC {found.auc:.3f}({found.auc_interval.low:.3f}–{found.auc_interval.high:.3f}),检验时 {trained.low:.3f}–{trained.high:.3f}:重新训练",
                f"it ranks worse: AUC {found.auc:.3f} ({found.auc_interval.low:.3f}–{found.auc_interval.high:.3f}) against {trained.low:.3f}–{trained.high:.3f} when tested: train again",
                is_alarm=True,
            )
        )
    return told
