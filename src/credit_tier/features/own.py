"""Features of the subject's own records and of those of its related subjects, from the lake through the kernel.

A table is read once per range of subjects, whatever the number of features and as_of dates: the conditions become bits of a word per
record, the values whole numbers, and the kernel walks through records and spine rows side by side.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from credit_tier.features.conditions import bind, split
from credit_tier.features.kernel import KINDS, NONE, Features, Records, Rows, Tests, fold
from credit_tier.features.values import numeric, scale_of
from credit_tier.features.visible import event_day
from credit_tier.specs.condition import Condition
from credit_tier.specs.feature import FeatureSpec, Related
from credit_tier.temporal import FOREVER

if TYPE_CHECKING:
    import narwhals as nw
    from numpy.typing import NDArray

    from credit_tier.data.lake import Lake

WORD = 63
"""Conditions that fit into one word of flags."""


@dataclass(frozen=True)
class Selection:
    """Which records count: conditions and days of the window (None: all history)."""

    conditions: tuple[Condition, ...]
    days: int | None


def selections_of(feature: FeatureSpec) -> tuple[Selection, Selection]:
    """Return the records that count and those of them that a share, a trend's later half or a streak is about."""
    days = feature.window.days
    if feature.aggregate == "trend":
        return Selection(feature.filter, days), Selection(feature.filter, (days or 0) // 2)
    return Selection(feature.filter, days), Selection((*feature.filter, *feature.numerator), days)


def kind_of(feature: FeatureSpec) -> int:
    """Return the kernel's number for what a feature makes of its records."""
    name: str = feature.aggregate
    if feature.shrink is not None:
        name = f"shrunken_{name}"
    elif name == "days_since" and feature.column is not None:
        name = "days_since_value"
    return KINDS.index(name)


class TablePass:
    """All features that read one table directly (`via` None) or over one kind of edge.

    Parameters
    ----------
    places : column of the result for each feature. wider : row of the wider figures for each shrunken feature.

    Raises
    ------
    FeatureError : a feature that names a column that the table does not have, or one that has no numbers.
    """

    def __init__(
        self,
        lake: Lake,
        table: str,
        via: Related | None,
        features: tuple[FeatureSpec, ...],
        *,
        places: dict[str, int],
        wider: dict[str, int],
    ) -> None:
        self.lake, self.table, self.via, self.spec = lake, table, via, lake.spec(table)
        pairs = {f.id: selections_of(f) for f in features}
        first = dict.fromkeys(main for main, _ in pairs.values())
        selections = list(dict.fromkeys([*first, *(other for _, other in pairs.values())]))
        self.features = [f for main in first for f in features if pairs[f.id][0] == main]
        self.conditions = list(dict.fromkeys(s.conditions for s in selections if s.conditions))
        parts = {conditions: split(conditions, self.spec) for conditions in self.conditions}
        self.fixed = list(dict.fromkeys(fixed for fixed, _ in parts.values() if fixed))
        self.bounded = [conditions for conditions in self.conditions if parts[conditions][1] is not None]
        self.bounds = [bounds for conditions in self.bounded if (bounds := parts[conditions][1]) is not None]
        self.values = list(
            dict.fromkeys((f.column, f.aggregate == "n_unique") for f in self.features if f.column is not None)
        )
        self.tests = self._tests(selections, {c: fixed for c, (fixed, _) in parts.items()})
        number = {selection: place for place, selection in enumerate(selections)}
        counts = [sum(pairs[f.id][0] == s for f in self.features) for s in selections]
        self.made = Features(
            first=np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
            kind=np.array([kind_of(f) for f in self.features], np.int64),
            narrower=np.array([number[pairs[f.id][1]] for f in self.features], np.int64),
            value=np.array([self._value_row(f) for f in self.features], np.int64),
            scale=np.array([self._scale(f) for f in self.features], np.float64),
            fill=np.array([np.nan if f.missing.fill is None else f.missing.fill for f in self.features], np.float64),
            place=np.array([places[f.id] for f in self.features], np.int64),
            weight=np.array([f.shrink.weight if f.shrink else 0.0 for f in self.features], np.float64),
            wider=np.array([wider.get(f.id, -1) for f in self.features], np.int64),
            stamp=np.zeros(len(self.features), np.int64),
        )

    def _tests(self, selections: list[Selection], fixed: dict[tuple[Condition, ...], tuple[Condition, ...]]) -> Tests:
        bits = [1 + self.fixed.index(fixed[s.conditions]) if fixed.get(s.conditions) else 0 for s in selections]
        bounds = [self.bounded.index(s.conditions) if s.conditions in self.bounded else -1 for s in selections]
        return Tests(
            word=np.array([bit // WORD for bit in bits], np.int64),
            bit=np.array([1 << (bit % WORD) for bit in bits], np.int64),
            bound=np.array(bounds, np.int64),
            days=np.array([2 * FOREVER if s.days is None else s.days for s in selections], np.int32),
        )

    def _value_row(self, feature: FeatureSpec) -> int:
        return -1 if feature.column is None else self.values.index((feature.column, feature.aggregate == "n_unique"))

    def _scale(self, feature: FeatureSpec) -> float:
        return 1.0 if feature.column is None or feature.aggregate == "n_unique" else scale_of(feature.column, self.spec)

    # ------------------------------------------------------------------------------------------------------------- reading

    def prepared(self) -> nw.LazyFrame[Any]:
        """Return the table as the kernel wants it: subject, days, one boolean per set of conditions, bounds, whole numbers."""

        flags = {f"c{i}": bind(fixed, self.spec, knows_as_of=False) for i, fixed in enumerate(self.fixed)}
        bounds = {f"l{i}": item.lower for i, item in enumerate(self.bounds)} | {
            f"u{i}": item.upper for i, item in enumerate(self.bounds)
        }
        values = {f"v{i}": self._number(*value) for i, value in enumerate(self.values)}
        return self.lake.frame(self.table).select(
            "enterprise_no",
            event_day().alias("event_day"),
            "known_day",
            "superseded_day",
            **flags,
            **bounds,
            **values,
        )

    def _number(self, column: str, is_distinct: bool) -> nw.Expr:
        import narwhals as nw

        if column == self.spec.key:
            return nw.col("enterprise_no").cast(nw.Int64)
        value = numeric(column, self.spec) if not is_distinct else nw.col(column)
        return value.fill_null(NONE) if not is_distinct else value

    def records(self, low: int, high: int) -> tuple[Records, NDArray[np.int64], int]:
        """Read the records of the subjects low to high - 1.

        Returns
        -------
        the records, where each feature's marks begin, and the number of marks.
        """
        import narwhals as nw

        if self.via is None:
            own = nw.col("enterprise_no")
            frame = self.prepared().filter(own >= low, own < high).collect()
        else:
            frame = self._related(self.via)
            first, last = np.searchsorted(frame["enterprise_no"].to_numpy(), [low, high])
            frame = frame[int(first) : int(last)]
        return self._arrays(frame)

    def _arrays(self, frame: nw.DataFrame[Any]) -> tuple[Records, NDArray[np.int64], int]:
        height = len(frame)
        flags = np.ones(((len(self.fixed) + WORD) // WORD, height), np.int64)
        flags[1:] = 0
        for place in range(len(self.fixed)):
            word, bit = divmod(place + 1, WORD)
            flags[word] |= frame[f"c{place}"].to_numpy().astype(np.int64) << bit
        values = np.empty((len(self.values), height), np.int64)
        domains = []
        for place, (_, is_distinct) in enumerate(self.values):
            column = frame[f"v{place}"]
            if is_distinct:
                column = column.rank("dense").cast(_int64()).fill_null(NONE)
            values[place] = column.to_numpy()
            domains.append(int(values[place].max(initial=0)) + 1 if is_distinct else 0)
        sizes = [domains[row] if row >= 0 else 0 for row in self.made.value]
        ends = np.cumsum(sizes)
        bounds = range(len(self.bounds))
        names = ("enterprise_no", "event_day", "known_day", "superseded_day")
        subject, event, known, until = (frame[name].to_numpy() for name in names)
        lower, upper = (
            np.stack([frame[f"{side}{i}"].to_numpy() for i in bounds])
            if self.bounds
            else np.empty((0, height), np.int32)
            for side in "lu"
        )
        found = Records(subject, event, known, until, flags, lower, upper, values)
        return found, (ends - sizes).astype(np.int64), int(ends[-1])

    @cache  # noqa: B019  (lives as long as the one build that made it)
    def _related(self, via: Related) -> nw.DataFrame[Any]:
        """Return the records of related subjects under the subject whose they are, while the edge holds and is known."""
        import narwhals as nw

        records = self.prepared()
        if not np.any((self.tests.word == 0) & (self.tests.bit == 1)):  # no test takes every record
            records = records.filter(nw.any_horizontal(*(f"c{i}" for i in range(len(self.fixed))), ignore_nulls=True))
        found = records.join(edges(self.lake, via), on="enterprise_no", how="inner")
        return (
            found.with_columns(
                nw.col("_subject").alias("enterprise_no"),
                nw.max_horizontal("known_day", "_from").alias("known_day"),
                nw.min_horizontal("superseded_day", "_until").alias("superseded_day"),
            )
            .sort("enterprise_no")
            .collect()
        )

    # ----------------------------------------------------------------------------------------------------------- computing

    def run(self, rows: Rows, low: int, high: int, wide: NDArray[np.float64], out: NDArray[np.float32]) -> None:
        """Compute the features of the spine rows of subjects low to high - 1 into `out` (all columns × all rows)."""
        records, stamp, marks = self.records(low, high)
        fold(
            rows,
            records,
            tests=self.tests,
            features=self.made._replace(stamp=stamp),
            wide=wide,
            out=out,
            marks=marks,
        )


def edges(lake: Lake, via: Related) -> nw.LazyFrame[Any]:
    """Return edges as `enterprise_no` (the related subject), `_subject`, and the days `_from` < as_of <= `_until` on which they count."""
    import narwhals as nw

    spec = lake.spec(via.table)
    fixed, bounds = split(via.filter, spec)
    start = nw.max_horizontal(event_day(), nw.col("known_day"))
    end = nw.col("superseded_day")
    if bounds is not None:
        start, end = nw.max_horizontal(start, bounds.lower), nw.min_horizontal(end, bounds.upper)
    codes = lake.codes().lazy().select(nw.col("enterprise_no").alias("_related"), "code")
    return (
        lake.frame(via.table)
        .filter(bind(fixed, spec, knows_as_of=False))
        .select(nw.col("enterprise_no").alias("_subject"), start.alias("_from"), end.alias("_until"), via.column)
        .join(codes, left_on=via.column, right_on="code", how="inner")
        .filter(nw.col("_related") != nw.col("_subject"), nw.col("_from") < nw.col("_until"))
        .select(nw.col("_related").alias("enterprise_no"), "_subject", "_from", "_until")
    )


def _int64() -> Any:
    import narwhals as nw

    return nw.Int64
