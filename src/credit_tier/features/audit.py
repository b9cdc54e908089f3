"""The leak guard: searches observations and their lake for features that know the future.

Three searches. A feature that almost tells the outcome by itself (separators); values that change once everything that became known on or
after as_of, the outcome with it, is really taken out of the lake (cut test); and dates that a record could not yet have held
on the day on which it is said to have been known (early knowledge).
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from credit_tier.data.lake import Lake
from credit_tier.features import build
from credit_tier.features.conditions import AS_OF
from credit_tier.specs.condition import Condition
from credit_tier.specs.dataset import DatasetSpec
from credit_tier.specs.feature import FeatureSpec
from credit_tier.temporal import FOREVER

if TYPE_CHECKING:
    import narwhals as nw
    from numpy.typing import NDArray

SEPARATES_FROM = 0.95
"""Lower limit of a single feature's AUC from which it is taken to know the outcome; honest features of inspections stay below 0.8."""
ERRORS_BELOW = 3.0
"""Standard errors between an AUC and its lower limit: one feature in a thousand lies below it by chance."""
TOO_MANY = 0.01
"""Share of a column's dates after the day of knowledge that is no longer a matter of slips of the pen."""
ENOUGH_ROWS = 100
"""Rows of a table from which on its days of knowledge are judged."""

Reason = Literal["separates", "knows_later", "sees_outcome", "known_too_early", "never_late"]


@dataclass(frozen=True)
class Finding:
    """Something that a search found.

    Attributes
    ----------
    feature : id of the feature. reason : which search, and what. rests_on : rows behind the figure.
    what_zh, what_en : the finding in words, without any row value.
    is_leak : False for a warning, which does not fail a run.
    """

    feature: str
    reason: Reason
    rests_on: int
    what_zh: str
    what_en: str
    is_leak: bool = True


class CutLake(Lake):
    """A lake as it stood on the eve of a day: versions known on or after it are gone, and those they replaced stand again."""

    def __init__(self, lake: Lake, day: int) -> None:
        super().__init__(lake.path, lake.manifest)
        self.day = day

    def frame(self, table: str) -> nw.LazyFrame[Any]:
        """Return a table as it stood, in the lake's order."""
        import narwhals as nw

        until = nw.when(nw.col("superseded_day") < self.day).then(nw.col("superseded_day")).otherwise(nw.lit(FOREVER))
        kept = super().frame(table).filter(nw.col("known_day") < self.day)
        return kept.with_columns(until.cast(nw.Int32).alias("superseded_day"))


def auc(values: NDArray[np.float32], y: NDArray[np.int8]) -> float:
    """Return the chance that a positive row has a higher value than a negative one, ties counting half; empty values stand lowest.

    Source: Mann-Whitney; Hanley & McNeil (1982).

    >>> auc(np.array([0, 1, 1, 2], np.float32), np.array([0, 0, 1, 1], np.int8))
    0.875
    """
    ranked = np.where(np.isnan(values), -np.inf, values)
    _, place = np.unique(ranked, return_inverse=True)
    positive = np.bincount(place, weights=y)
    negative = np.bincount(place) - positive
    below = np.cumsum(negative) - negative
    return float((positive * (below + negative / 2)).sum() / (positive.sum() * negative.sum()))


def lower_limit(area: float, positives: int, negatives: int) -> float:
    """Return the area three standard errors below; half a pair is added on either side, so that a perfect area of few rows is no proof.

    Source: Hanley & McNeil (1982), The meaning and use of the area under a ROC curve, eq. 1.

    >>> round(lower_limit(1.0, 2, 10), 2), round(lower_limit(1.0, 30, 300), 2)
    (0.74, 1.0)
    """
    pairs = positives * negatives
    a = (area * pairs + 0.5) / (pairs + 1)
    both_positive, both_negative = a / (2 - a) - a * a, 2 * a * a / (1 + a) - a * a
    variance = (a * (1 - a) + (positives - 1) * both_positive + (negatives - 1) * both_negative) / pairs
    return a - ERRORS_BELOW * math.sqrt(variance)


def separators(x: NDArray[np.float32], y: NDArray[np.int8], features: tuple[FeatureSpec, ...]) -> list[Finding]:
    """Return the features that almost tell the outcome alone, in either direction or by being empty.

    Parameters
    ----------
    x : rows × features, NaN where empty. y : mature outcomes, 0 or 1.
    """
    positives = int(y.sum())
    negatives = len(y) - positives
    if not positives or not negatives:
        return []
    found = []
    for column, feature in zip(x.T, features, strict=True):
        areas = [auc(column, y), auc(-column, y), auc(np.isnan(column).astype(np.float32), y)]
        area = max([*areas, *(1 - one for one in areas)])
        if lower_limit(area, positives, negatives) >= SEPARATES_FROM:
            found.append(
                Finding(
                    feature.id,
                    "separates",
                    len(y),
                    f"单独一个指标几乎判定结果:AUC {area:.3f}({positives} 正例,{negatives} 反例)",
                    f"almost tells the outcome by itself: AUC {area:.3f} over {positives} positive and {negatives} negative rows",
                )
            )
    return found


def sample(as_of: NDArray[np.int32], *, rows: int, dates: int) -> NDArray[np.int64]:
    """Return at most `rows` rows of the spine, evenly over at most `dates` as_of days, the middle ones of as many equal spans.

    >>> sample(np.array([1, 1, 1, 2, 3], np.int32), rows=4, dates=2).tolist()
    [0, 2, 4]
    """
    days = np.unique(as_of)
    count = min(dates, len(days))
    chosen = days[(np.arange(count) * 2 + 1) * len(days) // (2 * count)]
    each = max(1, rows // len(chosen))
    parts = []
    for day in chosen:
        (found,) = np.nonzero(as_of == day)
        parts.append(found[np.unique(np.linspace(0, len(found) - 1, min(each, len(found))).astype(np.int64))])
    return np.concatenate(parts)


def cut_test(
    lake: Lake,
    features: tuple[FeatureSpec, ...],
    spine: nw.DataFrame[Any],
    x: NDArray[np.float32],
    *,
    outcome: str,
    rows: int,
    dates: int,
) -> list[Finding]:
    """Return the features whose values change when the tail of the lake is cut off at as_of.

    The records of the outcome lie in that tail: none is known before it happened, which ingestion sees to.

    Parameters
    ----------
    spine : rows in the order of `x` (rows × features), the values that are examined.
    outcome : table of the label. rows, dates : how much is computed again, see :func:`sample`.
    """
    import narwhals as nw

    chosen = sample(spine[AS_OF].to_numpy(), rows=rows, dates=dates)
    part, seen = spine[chosen.tolist()], x[chosen]
    days = part[AS_OF].to_numpy()
    changed = np.zeros(len(features), np.int64)
    for day in np.unique(days):
        cut = build.build(CutLake(lake, int(day)), features, part.filter(nw.col(AS_OF) == int(day))).matrix()
        changed += _differs(seen[days == day], cut)
    return [
        Finding(
            feature.id,
            "sees_outcome" if feature.source == outcome else "knows_later",
            len(chosen),
            f"去掉截止时点当日及以后才可知的{'结果' if feature.source == outcome else ''}记录后,{len(chosen)} 行中有 {count} 行的值变了",
            f"{count} of {len(chosen)} rows change once {'outcomes' if feature.source == outcome else 'records'}"
            " that became known on or after as_of are taken out",
        )
        for feature, count in zip(features, changed.tolist(), strict=True)
        if count
    ]


def _differs(a: NDArray[np.float32], b: NDArray[np.float32]) -> NDArray[np.int64]:
    """Return per column in how many rows two matrices are not the same, two empty values being the same."""
    same = (a == b) | (np.isnan(a) & np.isnan(b))
    counts: NDArray[np.int64] = (~same).sum(axis=0)
    return counts


def early_knowledge(lake: Lake, features: tuple[FeatureSpec, ...]) -> list[Finding]:
    """Return the features that rest on records said to be known before they could be.

    A date that tells an end (a condition asks whether it is empty) and lies after the version's day of knowledge was written in later:
    known_at is too early, and the record was corrected in place. A table of which every record is known on the day it happens is a warning: nobody is that quick.
    """
    found = []
    for table in dict.fromkeys(f.source for f in features if f.source != "spine"):
        users = [f for f in features if f.source == table]
        ends = {name for f in users for name in _ends(f, lake.spec(table))}
        figures = _Dates(lake, table, ends)
        for feature in users:
            for name in sorted(_ends(feature, lake.spec(table))):
                dated, late = figures.of(name)
                if late:
                    found.append(_early(feature, f"{table}.{name}", dated, late))
            if figures.rows >= ENOUGH_ROWS and figures.on_the_day == figures.rows:
                found.append(
                    Finding(
                        feature.id,
                        "never_late",
                        figures.rows,
                        f"{table} 全部记录的可知日等于发生日,疑为回填",
                        f"every record of {table} is known on the day it happens: probably filled in afterwards",
                        is_leak=False,
                    )
                )
    return found


class _Dates:
    """Counts over the versions of a table: how its dates lie to the day of knowledge."""

    def __init__(self, lake: Lake, table: str, ends: Iterable[str]) -> None:
        import narwhals as nw

        known, event = nw.col("known_day"), nw.col("event_day")
        counts = [known.len().alias("rows"), (event == known).sum().alias("on_the_day")]
        for name in sorted(ends):
            counts += [
                nw.col(name).count().alias(f"dated_{name}"),
                (nw.col(name) > known).sum().alias(f"late_{name}"),
            ]
        (row,) = lake.frame(table).select(*counts).collect().rows(named=True)
        self._counts = {name: int(value or 0) for name, value in row.items()}
        self.rows, self.on_the_day = self._counts["rows"], self._counts["on_the_day"]

    def of(self, name: str) -> tuple[int, int]:
        """Return how many versions have a date in the column, and how many of these lie after the day of knowledge."""
        return self._counts[f"dated_{name}"], self._counts[f"late_{name}"]


def _ends(feature: FeatureSpec, spec: DatasetSpec) -> set[str]:
    """Return the date columns that tell a feature that something has happened."""
    tested: tuple[Condition, ...] = (*feature.filter, *feature.numerator)
    named = {c.column for c in tested if c.is_null is not None}
    return {name for name in named if name in spec.columns and spec.columns[name].type == "date"}


def _early(feature: FeatureSpec, where: str, dated: int, late: int) -> Finding:
    return Finding(
        feature.id,
        "known_too_early",
        dated,
        f"{where}:{dated} 个日期中有 {late} 个晚于可知日,可知日报得过早",
        f"{late} of {dated} dates in {where} lie after the day on which their record is said to be known",
        is_leak=late > TOO_MANY * dated,
    )
