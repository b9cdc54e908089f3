"""Features of the subject's own records and of those of its related subjects, from the lake through the kernel.

A table is read once per range of subjects, whatever the number of features and as_of dates, and the kernel walks through records and
spine rows side by side.
"""

from __future__ import annotations

from threading import RLock
from typing import TYPE_CHECKING, Any

import numpy as np

from credit_tier.features.conditions import bind, split
from credit_tier.features.kernel import KINDS, Features, Records, Rows, Tests, fold
from credit_tier.features.prepare import Prepared, Selection, Value
from credit_tier.features.values import scale_of
from credit_tier.features.visible import event_day
from credit_tier.specs.feature import FeatureSpec, Related

if TYPE_CHECKING:
    import narwhals as nw
    from numpy.typing import NDArray

    from credit_tier.data.lake import Lake
    from credit_tier.features.context import Context
    from credit_tier.specs.dataset import DatasetSpec


def selections_of(feature: FeatureSpec) -> tuple[Selection, Selection]:
    """Return the records that count and those of them that a share, a trend's later half or a streak is about."""
    days = feature.window.days
    if feature.aggregate == "trend":
        return Selection(feature.filter, days), Selection(feature.filter, (days or 0) // 2)
    return Selection(feature.filter, days), Selection((*feature.filter, *feature.numerator), days)


def value_of(feature: FeatureSpec) -> Value | None:
    """Return the column that a feature aggregates."""
    return None if feature.column is None else Value(feature.column, is_distinct=feature.aggregate == "n_unique")


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
    places : column of the result for each feature.

    Raises
    ------
    FeatureError : a feature that names a column that the table does not have, or one that has no numbers.
    """

    def __init__(
        self, spec: DatasetSpec, via: Related | None, features: tuple[FeatureSpec, ...], places: dict[str, int]
    ) -> None:
        self.via = via
        self.shrunken = [f for f in features if f.shrink is not None]
        main = {f.id: selections_of(f)[0] for f in features}
        narrower = {f.id: selections_of(f)[1] for f in features}
        selections = list(dict.fromkeys([*main.values(), *narrower.values()]))
        chosen = sorted(features, key=kind_of)
        values = list(dict.fromkeys(value for f in chosen if (value := value_of(f)) is not None))
        self.table = Prepared(spec, selections, values)
        rows = [-1 if (value := value_of(f)) is None else values.index(value) for f in chosen]
        scales = [1.0 if row < 0 or values[row].is_distinct else scale_of(values[row].column, spec) for row in rows]
        fills = [np.nan if f.missing.fill is None else f.missing.fill for f in chosen]
        kinds = np.array([kind_of(f) for f in chosen])
        self.features = Features(
            begin=np.searchsorted(kinds, np.arange(len(KINDS) + 1)),
            test=np.array([selections.index(main[f.id]) for f in chosen], np.int64),
            narrower=np.array([selections.index(narrower[f.id]) for f in chosen], np.int64),
            value=np.array(rows, np.int64),
            scale=np.array(scales, np.float64),
            fill=np.array(fills, np.float64),
            place=np.array([places[f.id] for f in chosen], np.int64),
            weight=np.array([f.shrink.weight if f.shrink else 0.0 for f in chosen], np.float64),
            wider=np.array([self.shrunken.index(f) if f.shrink else -1 for f in chosen], np.int64),
            stamp=np.zeros(len(chosen), np.int64),
        )

    def has_work(self, lake: Lake) -> bool:
        """Return whether there is anything to read, or a feature that leans towards a group even without records."""
        found = lake.rows(self.table.spec.table) > 0 and (self.via is None or lake.rows(self.via.table) > 0)
        return found or bool(self.shrunken)

    def run(
        self, reader: Reader, rows: Rows, origin: NDArray[np.int64], *, context: Context, out: NDArray[np.float32]
    ) -> None:
        """Compute the features of some rows into `out` (rows of the result × all features); `origin` is their place in the spine."""
        low, high = int(rows.subject[0]), int(rows.subject[-1]) + 1
        if self.via is None:
            frame = self.table.between(reader.lake, low, high)
        else:
            frame = reader.related(self.table, self.via)
            first, last = np.searchsorted(frame["enterprise_no"].to_numpy(), [low, high])
            frame = frame[int(first) : int(last)]
        self.fold(rows, origin, self.table.arrays(frame), self.table.tests, context=context, out=out)

    def fold(
        self,
        rows: Rows,
        origin: NDArray[np.int64],
        records: Records,
        tests: Tests,
        *,
        context: Context,
        out: NDArray[np.float32],
    ) -> None:
        """Compute the features of some rows from records of their subjects."""
        pairs = zip(records.values, self.table.values, strict=True)
        domains = [int(numbers.max(initial=0)) + 1 if value.is_distinct else 0 for numbers, value in pairs]
        sizes = [0 if row < 0 else domains[row] for row in self.features.value]
        ends = np.cumsum(sizes, dtype=np.int64)
        features = self.features._replace(stamp=ends - sizes)
        wide = np.empty((len(self.shrunken), len(rows.subject)), np.float64)
        for row, feature in enumerate(self.shrunken):
            wide[row] = context.wider(feature, origin)
        fold(rows, records, tests=tests, features=features, wide=wide, out=out, marks=int(ends[-1]))


class Reader:
    """A lake, and what is read of it once for all ranges of subjects: edges, and records of related subjects."""

    def __init__(self, lake: Lake) -> None:
        self.lake = lake
        self._lock = RLock()
        self._edges: dict[Related, nw.DataFrame[Any]] = {}
        self._related: dict[tuple[Prepared, Related], nw.DataFrame[Any]] = {}

    def related(self, table: Prepared, via: Related) -> nw.DataFrame[Any]:
        """Return records of related subjects under the subject whose they are, while the edge holds and is known, sorted by it."""
        with self._lock:
            if (table, via) not in self._related:
                self._related[table, via] = self._reached(table, via)
            return self._related[table, via]

    def _reached(self, table: Prepared, via: Related) -> nw.DataFrame[Any]:
        import narwhals as nw

        if via not in self._edges:
            self._edges[via] = edges(self.lake, via).collect()
        records = table.frame(self.lake)
        if not table.takes_all:
            flags = (f"c{i}" for i in range(len(table.fixed)))
            records = records.filter(nw.any_horizontal(*flags, ignore_nulls=True))
        found = records.join(self._edges[via].lazy(), on="enterprise_no", how="inner")
        return (
            found.with_columns(
                nw.col("_subject").alias("enterprise_no"),
                nw.max_horizontal("known_day", "_from").alias("known_day"),
                nw.min_horizontal("superseded_day", "_until").alias("superseded_day"),
            )
            .sort("enterprise_no")
            .collect()
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
    codes = lake.code_frame().select(nw.col("enterprise_no").alias("_related"), "code")
    return (
        lake.frame(via.table)
        .filter(bind(fixed, spec, knows_as_of=False))
        .select(nw.col("enterprise_no").alias("_subject"), start.alias("_from"), end.alias("_until"), via.column)
        .join(codes, left_on=via.column, right_on="code", how="inner")
        .filter(nw.col("_related") != nw.col("_subject"), nw.col("_from") < nw.col("_until"))
        .select(nw.col("_related").alias("enterprise_no"), "_subject", "_from", "_until")
    )
