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

from credit_tier.data import engines
from credit_tier.data.lake import Lake
from credit_tier.features import build
from credit_tier.features.conditions import AS_OF, bind
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

        return _before(super().frame(table), nw.lit(self.day))


class CutPerSubject(Lake):
    """The records of some subjects, each as they stood on the eve of a day of its own; nothing of anybody else.

    Parameters
    ----------
    subject, day : int32, one day per subject.
    """

    def __init__(self, lake: Lake, subject: NDArray[np.int32], day: NDArray[np.int32]) -> None:
        super().__init__(lake.path, lake.manifest)
        self.days = engines.frame({"enterprise_no": subject, "_cut": day})

    def frame(self, table: str) -> nw.LazyFrame[Any]:
        """Return the subjects' records of a table, in the lake's order."""
        import narwhals as nw

        theirs = super().frame(table).join(self.days.lazy(), on="enterprise_no", how="inner")
        stood = _before(theirs, nw.col("_cut")).drop("_cut")
        return stood.sort("enterprise_no", "event_day", "record_id", "known_day")


def _before(frame: nw.LazyFrame[Any], day: nw.Expr) -> nw.LazyFrame[Any]:
    import narwhals as nw

    until = nw.when(nw.col("superseded_day") < day).then(nw.col("superseded_day")).otherwise(nw.lit(FOREVER))
    return frame.filter(nw.col("known_day") < day).with_columns(until.cast(nw.Int32).alias("superseded_day"))


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
    What rests on a subject's own records is computed again for many subjects at once, each from its own records before its own as_of,
    and besides as of days on which such a record became known: a leak of one day shows nowhere else.
    What looks at a group or at related subjects needs a cut for every day, so it is done on few days, those on which most records
    become known, and there also for subjects whose row is of another day.

    Parameters
    ----------
    spine : rows in the order of `x` (rows × features), the values that are examined.
    outcome : table of the label.
    rows : how many rows of each sort are computed again, at most. dates : on how many days those of groups and related subjects.
    """
    is_own = np.array([f.group_by is None and f.shrink is None and f.via is None for f in features], np.bool_)
    is_of_table = is_own & np.array([f.source != "spine" for f in features], np.bool_)
    changed, seen = np.zeros((2, len(features)), np.int64)

    def count(which: NDArray[np.bool_], found: tuple[NDArray[np.int64], int]) -> None:
        changed[which] += found[0]
        seen[which] += found[1]

    def of(which: NDArray[np.bool_]) -> tuple[FeatureSpec, ...]:
        return tuple(feature for feature, is_meant in zip(features, which, strict=True) if is_meant)

    if is_own.any():
        count(is_own, _again_per_subject(lake, of(is_own), spine, x[:, is_own], rows=rows))
    if is_of_table.any():
        count(is_of_table, _again_on_arrival(lake, of(is_of_table), rows=rows))
    if not is_own.all():
        count(~is_own, _again_per_day(lake, of(~is_own), spine, x[:, ~is_own], rows=rows, dates=dates))
    return [
        Finding(
            feature.id,
            "sees_outcome" if feature.source == outcome else "knows_later",
            among,
            f"去掉截止时点当日及以后才可知的{'结果' if feature.source == outcome else ''}记录后,{among} 行中有 {differing} 行的值变了",
            f"{differing} of {among} rows change once {'outcomes' if feature.source == outcome else 'records'}"
            " that became known on or after as_of are taken out",
        )
        for feature, differing, among in zip(features, changed.tolist(), seen.tolist(), strict=True)
        if differing
    ]


def _again_per_subject(
    lake: Lake, features: tuple[FeatureSpec, ...], spine: nw.DataFrame[Any], x: NDArray[np.float32], *, rows: int
) -> tuple[NDArray[np.int64], int]:
    """Return per feature in how many rows of different subjects its value changes, and how many were computed."""
    subject, as_of = spine["enterprise_no"].to_numpy(), spine[AS_OF].to_numpy()
    chosen = _one_each(subject, _evenly(len(spine), rows))
    cut = CutPerSubject(lake, subject[chosen], as_of[chosen])
    return _differs(x[chosen], build.build(cut, features, spine[chosen.tolist()]).matrix()), len(chosen)


def _again_on_arrival(lake: Lake, features: tuple[FeatureSpec, ...], *, rows: int) -> tuple[NDArray[np.int64], int]:
    """Return the same for subjects as of a day on which a record that the features count became known."""
    import narwhals as nw

    wanted = dict.fromkeys((f.source, f.filter) for f in features)
    parts = []
    for table, conditions in wanted:
        versions = lake.frame(table).with_columns(nw.col("known_day").alias(AS_OF))
        met = (
            versions.filter(bind(conditions, lake.spec(table), knows_as_of=True))
            .select("enterprise_no", AS_OF)
            .collect()
        )
        parts.append(met[_evenly(len(met), max(1, rows // len(wanted))).tolist()])
    arrived = nw.concat(parts)
    chosen = arrived[_one_each(arrived["enterprise_no"].to_numpy(), np.arange(len(arrived))).tolist()]
    on_arrival = chosen.with_row_index("row")
    cut = CutPerSubject(lake, chosen["enterprise_no"].to_numpy(), chosen[AS_OF].to_numpy())
    values, again = (build.build(each, features, on_arrival).matrix() for each in (lake, cut))
    return _differs(values, again), len(chosen)


def _again_per_day(
    lake: Lake,
    features: tuple[FeatureSpec, ...],
    spine: nw.DataFrame[Any],
    x: NDArray[np.float32],
    *,
    rows: int,
    dates: int,
) -> tuple[NDArray[np.int64], int]:
    """Return per feature in how many rows of some days its value changes, and how many were computed."""
    import narwhals as nw

    subject, as_of = spine["enterprise_no"].to_numpy(), spine[AS_OF].to_numpy()
    days = busiest(lake, features, np.unique(as_of), dates)
    each = max(1, rows // len(days))
    changed, seen = np.zeros(len(features), np.int64), 0
    for day in days.tolist():
        (of_day,) = np.nonzero(as_of == day)
        of_day = of_day[_evenly(len(of_day), each)]
        chosen = _one_each(subject, np.concatenate([of_day, _evenly(len(spine), each - len(of_day))]))
        moved = spine[chosen.tolist()].with_columns(nw.lit(day).cast(nw.Int32).alias(AS_OF))
        values = build.build(lake, features, moved).matrix()
        is_of_day = as_of[chosen] == day
        values[is_of_day] = x[chosen[is_of_day]]
        changed += _differs(values, build.build(CutLake(lake, day), features, moved).matrix())
        seen += len(chosen)
    return changed, seen


def busiest(lake: Lake, features: tuple[FeatureSpec, ...], days: NDArray[np.int32], count: int) -> NDArray[np.int32]:
    """Return `count` of the days, one of each of as many equal spans: the one on which the largest shares of the tables become known.

    A leak of one day shows only where a record becomes known on that day.
    """
    import narwhals as nw

    busy = np.zeros(len(days))
    for table in dict.fromkeys(f.source for f in features):
        arrived = lake.frame(table).group_by("known_day").agg(nw.len().alias("rows")).collect()
        known, rows = arrived["known_day"].to_numpy(), arrived["rows"].to_numpy()
        place = np.minimum(np.searchsorted(days, known), len(days) - 1)
        is_there = days[place] == known
        busy[place[is_there]] += rows[is_there] / rows.sum()
    spans = np.array_split(np.arange(len(days)), min(count, len(days)))
    return days[[span[np.argmax(busy[span])] for span in spans]]


def _evenly(length: int, count: int) -> NDArray[np.int64]:
    """Return at most `count` places of `length`, evenly."""
    places: NDArray[np.int64] = np.unique(np.linspace(0, length - 1, min(max(count, 0), length)).astype(np.int64))
    return places


def _one_each(subject: NDArray[np.int32], places: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the places, of every subject the first, in ascending order."""
    _, first = np.unique(subject[places], return_index=True)
    kept: NDArray[np.int64] = np.sort(places[first])
    return kept


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
