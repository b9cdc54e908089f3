"""Context features: figures of a group (district, kind of check, everybody …) at each as_of, by one sweep over days.

A version of a record counts from the day after it happened and was known until it leaves the window or is superseded.
So it adds its value on its first day and takes it back on the day after its last: sorted by day, the running sum is the
group's total at every as_of at once, whatever the number of dates.
Totals are whole numbers, so the result does not depend on the order of records.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from credit_tier.errors import FeatureError
from credit_tier.features.conditions import AS_OF, bind
from credit_tier.features.spine import register_columns
from credit_tier.features.values import numeric, scale_of
from credit_tier.features.visible import event_day, first_day
from credit_tier.specs.condition import Condition
from credit_tier.specs.feature import FeatureSpec
from credit_tier.temporal import FOREVER

if TYPE_CHECKING:
    import narwhals as nw

    from credit_tier.data.lake import Lake


@dataclass(frozen=True)
class Measure:
    """A running total: how many records of a table meet the conditions within the window, or the sum of a column over them."""

    table: str
    group: tuple[str, ...]
    days: int | None
    conditions: tuple[Condition, ...]
    column: str | None
    is_count_of_column: bool = False


def measures_of(feature: FeatureSpec, group: tuple[str, ...]) -> tuple[Measure, Measure]:
    """Return the running totals behind a feature in a group: numerator and denominator."""
    base = (feature.source, group, feature.window.days)
    number = Measure(*base, feature.filter, None)
    match feature.aggregate:
        case "share":
            return Measure(*base, (*feature.filter, *feature.numerator), None), number
        case "mean":
            return Measure(*base, feature.filter, feature.column), Measure(
                *base, feature.filter, feature.column, is_count_of_column=True
            )
        case "sum":
            return Measure(*base, feature.filter, feature.column), number
        case _:
            return number, number


def context_pass(lake: Lake, features: tuple[FeatureSpec, ...], spine: nw.DataFrame[Any]) -> nw.DataFrame[Any]:
    """Return `row` and one Float64 column per feature of a group, empty where the group has no record in the window.

    Raises
    ------
    FeatureError : CT-FEAT-001 a group column that neither the table nor the register has.
    """
    import narwhals as nw

    totals = _Totals(lake)
    values = []
    for feature in features:
        top, bottom = totals.of(feature, feature.group_by or ())
        value: nw.Expr
        if feature.aggregate in {"count", "sum"}:
            value = nw.when(bottom > 0).then(top)
        elif feature.shrink is None:
            value = nw.when(bottom > 0).then(top / bottom)
        else:
            weight, wider = feature.shrink.weight, totals.mean(feature, feature.shrink.towards)
            value = (top + weight * wider) / (bottom + weight)
        values.append(value.alias(feature.id))
    return totals.at(spine).select("row", *values)


def wider_pass(lake: Lake, features: tuple[FeatureSpec, ...], spine: nw.DataFrame[Any]) -> nw.DataFrame[Any]:
    """Return `row` and, per shrunken feature of the subject itself, the figure of the wider group towards which it leans."""
    totals = _Totals(lake)
    values = [totals.mean(f, f.shrink.towards).alias(f.id) for f in features if f.shrink is not None]
    return totals.at(spine).select("row", *values)


class _Totals:
    """The running totals that features ask for; each is computed once, by one sweep per table and group."""

    def __init__(self, lake: Lake) -> None:
        self.lake = lake
        self.wanted: dict[Measure, str] = {}

    def of(self, feature: FeatureSpec, group: tuple[str, ...]) -> tuple[nw.Expr, nw.Expr]:
        """Return numerator, in the column's own unit, and denominator of a feature in a group."""
        import narwhals as nw

        top, bottom = (
            nw.col(self.wanted.setdefault(m, f"m{len(self.wanted)}")).fill_null(0).cast(nw.Float64)
            for m in measures_of(feature, group)
        )
        return top * (scale_of(feature.column, self.lake.spec(feature.source)) if feature.column else 1.0), bottom

    def mean(self, feature: FeatureSpec, group: tuple[str, ...]) -> nw.Expr:
        """Return a group's mean or share, empty where it has no record."""
        import narwhals as nw

        top, bottom = self.of(feature, group)
        return nw.when(bottom > 0).then(top / bottom)

    def at(self, spine: nw.DataFrame[Any]) -> nw.DataFrame[Any]:
        """Return `row` and all totals at each spine row."""
        frame = spine.select("row")
        for table, group in dict.fromkeys((m.table, m.group) for m in self.wanted):
            chosen = {m: name for m, name in self.wanted.items() if (m.table, m.group) == (table, group)}
            frame = frame.join(_sweep(self.lake, table, group, chosen, spine), on="row", how="left")
        return frame


def _sweep(
    lake: Lake, table: str, group: tuple[str, ...], measures: dict[Measure, str], spine: Any
) -> nw.DataFrame[Any]:
    import narwhals as nw

    spec = lake.spec(table)
    keys = [f"g{i}" for i in range(len(group))] or ["g"]
    probes = _spine_groups(lake, group, keys, spine)
    records = _record_groups(lake, table, group, keys, measures)

    changes: list[nw.LazyFrame[Any]] = [probes.lazy().select(*keys, nw.col(AS_OF).alias("day")).unique()]
    for measure, name in measures.items():
        counted = records.filter(bind(measure.conditions, spec, knows_as_of=False))
        value = nw.lit(1).cast(nw.Int64)
        if measure.column is not None:
            counted = counted.filter(~nw.col(measure.column).is_null())
            if not measure.is_count_of_column:
                value = numeric(measure.column, spec)
        leaves = nw.col("superseded_day")
        if measure.days is not None:
            leaves = nw.min_horizontal("superseded_day", nw.col("event_day") + measure.days)
        counted = counted.with_columns(value.alias(name), leaves.alias("leaves")).filter(
            nw.col("leaves") >= nw.col("day")
        )
        changes.append(counted.select(*keys, "day", name))
        changes.append(
            counted.filter(nw.col("leaves") < FOREVER).select(
                *keys, (nw.col("leaves") + 1).cast(nw.Int32).alias("day"), -nw.col(name)
            )
        )
    names = list(measures.values())
    daily = (
        nw.concat(changes, how="diagonal").group_by(*keys, "day").agg(*(nw.col(n).fill_null(0).sum() for n in names))
    )
    running = daily.with_columns(*(nw.col(n).cum_sum().over(*keys, order_by="day") for n in names))
    found = probes.lazy().join(running, left_on=[*keys, AS_OF], right_on=[*keys, "day"], how="left")
    return found.select("row", *names).collect()


def _spine_groups(lake: Lake, group: tuple[str, ...], keys: list[str], spine: nw.DataFrame[Any]) -> nw.DataFrame[Any]:
    """Return row, as_of_day and the group columns of each spine row as text."""
    import narwhals as nw

    from_register = [name for name in group if name not in spine.columns]
    frame = spine
    if from_register:
        frame = frame.join(register_columns(lake, spine, from_register), on="row", how="left")
    named = [_as_text(name).alias(key) for name, key in zip(group, keys, strict=False)]
    return frame.select("row", AS_OF, *(named or [nw.lit("").alias("g")]))


def _record_groups(
    lake: Lake, table: str, group: tuple[str, ...], keys: list[str], measures: dict[Measure, str]
) -> nw.LazyFrame[Any]:
    """Return the versions of a table with the day they begin to count and their group columns as text."""
    import narwhals as nw

    spec = lake.spec(table)
    needed = {m.column for m in measures} | {c.column for m in measures for c in m.conditions}
    own = [name for name in group if name in spec.columns]
    foreign = [name for name in group if name not in own]
    columns = [name for name in spec.columns if (name in needed or name in own) and name != spec.key]
    records = lake.frame(table).select(
        "enterprise_no", "record_id", event_day().alias("event_day"), "known_day", "superseded_day", *columns
    )
    records = records.with_columns(first_day().cast(nw.Int32).alias("day")).filter(
        nw.col("superseded_day") >= nw.col("day")
    )
    if foreign:
        records = _with_register(lake, records, foreign)
    named = [_as_text(name).alias(key) for name, key in zip(group, keys, strict=False)]
    return records.with_columns(*(named or [nw.lit("").alias("g")]))


def _with_register(lake: Lake, records: nw.LazyFrame[Any], names: list[str]) -> nw.LazyFrame[Any]:
    """Add columns of the subject's register record as it was known on the day a version begins to count."""
    spec = lake.spec(lake.register)
    absent = [name for name in names if name not in spec.columns]
    if absent:
        raise FeatureError.of(
            "CT-FEAT-001",
            where=absent[0],
            what="a group column is neither in the feature's table nor in the register.",
            advice=f"The register has: {', '.join(spec.columns)}.",
        )
    import narwhals as nw

    versions = lake.frame(lake.register).select(
        "enterprise_no", nw.col("known_day").alias("rk"), nw.col("superseded_day").alias("rs"), *names
    )
    identity = ["record_id", "known_day"]
    found = (
        records.join(versions, on="enterprise_no", how="inner")
        .filter(nw.col("rk") < nw.col("day"), nw.col("rs") >= nw.col("day"))
        .drop("rk", "rs")
    )
    unknown = records.join(found.select(*identity), on=identity, how="anti")
    return nw.concat([found, unknown], how="diagonal")


def _as_text(column: str) -> nw.Expr:
    import narwhals as nw

    return nw.col(column).cast(nw.String).fill_null("")
