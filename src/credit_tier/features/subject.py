"""Features of the subject itself: one aggregation pass per source table, whatever the number of features and windows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from credit_tier.features.conditions import AS_OF, bind
from credit_tier.features.values import numeric, scale_of
from credit_tier.features.visible import event_day, is_visible
from credit_tier.specs.dataset import DatasetSpec
from credit_tier.specs.feature import FeatureSpec

if TYPE_CHECKING:
    import narwhals as nw

    from credit_tier.data.lake import Lake

ORDER = ["event_day", "record_id"]
"""Order of records of one subject: `last` is the latest event, ties by record identity."""


def columns_of(features: tuple[FeatureSpec, ...], spec: DatasetSpec) -> list[str]:
    """Return the table's columns that the features read, in declared order."""
    used = {f.column for f in features} | {c.column for f in features for c in (*f.filter, *f.numerator)}
    return [name for name in spec.columns if name in used and name != spec.key]


def subject_pass(
    lake: Lake, table: str, features: tuple[FeatureSpec, ...], spine: nw.DataFrame[Any]
) -> nw.DataFrame[Any]:
    """Return `row` and one Float64 column per feature for the spine rows that have at least one record in reach.

    A feature is empty where no record lies in its window; the caller applies the missing policy.
    """
    import narwhals as nw

    spec = lake.spec(table)
    records = lake.frame(table).select(
        "enterprise_no",
        "record_id",
        event_day().alias("event_day"),
        "known_day",
        "superseded_day",
        *columns_of(features, spec),
    )
    reach = None if any(f.window.days is None for f in features) else max(f.window.days or 0 for f in features)
    seen = spine.lazy().select("row", "enterprise_no", AS_OF).join(records, on="enterprise_no", how="inner")
    seen = seen.filter(is_visible(nw.col(AS_OF)), nw.col("event_day") < nw.col(AS_OF))
    if reach is not None:
        seen = seen.filter(nw.col("event_day") >= nw.col(AS_OF) - reach)

    compiled = [_Compiled(feature, spec, index) for index, feature in enumerate(features)]
    seen = seen.with_columns(**{name: expr for item in compiled for name, expr in item.masks().items()})
    values = {name: expr for item in compiled for name, expr in item.masked().items()}
    if values:
        seen = seen.with_columns(**values)
    totals = seen.group_by("row", AS_OF).agg(*(expr for item in compiled for expr in item.totals()))
    return totals.select("row", *(item.result() for item in compiled)).collect()


class _Compiled:
    """One feature as four steps: which records count, their values, the totals of a row, the feature's value."""

    def __init__(self, feature: FeatureSpec, spec: DatasetSpec, index: int) -> None:
        self.feature, self.spec = feature, spec
        self.mask, self.half, self.value, self.total, self.number = (
            f"{kind}{index}" for kind in ("c", "h", "v", "t", "n")
        )

    def masks(self) -> dict[str, nw.Expr]:
        """Return the test whether a record counts, and the narrower one that share and trend need."""
        import narwhals as nw

        days = self.feature.window.days
        counts = bind(self.feature.filter, self.spec, knows_as_of=True)
        if days is not None:
            counts = counts & (nw.col("event_day") >= nw.col(AS_OF) - days)
        steps = {self.mask: counts}
        if self.feature.aggregate == "share":
            steps[self.half] = counts & bind(self.feature.numerator, self.spec, knows_as_of=True)
        elif self.feature.aggregate == "trend":
            steps[self.half] = counts & (nw.col("event_day") >= nw.col(AS_OF) - (days or 0) // 2)
        return steps

    def masked(self) -> dict[str, nw.Expr]:
        """Return the values of counting records, empty elsewhere."""
        import narwhals as nw

        column = self.feature.column
        if column is None:
            return (
                {self.value: nw.when(nw.col(self.mask)).then(nw.col("event_day"))}
                if self.feature.aggregate == "days_since"
                else {}
            )
        source = nw.col(column) if self.feature.aggregate == "n_unique" else numeric(column, self.spec)
        return {self.value: nw.when(nw.col(self.mask)).then(source)}

    def totals(self) -> list[nw.Expr]:
        """Return the aggregations of one row's records; the number of counting records is always among them."""
        import narwhals as nw

        value = nw.col(self.value)
        totals = [nw.col(self.mask).cast(nw.Int64).sum().alias(self.number)]
        match self.feature.aggregate:
            case "sum":
                totals.append(value.sum().alias(self.total))
            case "mean":
                totals += [value.sum().alias(self.total), value.count().alias(self.half)]
            case "max":
                totals.append(value.max().alias(self.total))
            case "min":
                totals.append(value.min().alias(self.total))
            case "last":
                totals.append(value.last(order_by=[self.mask, *ORDER]).alias(self.total))
            case "days_since":
                latest = value.max() if self.feature.column is None else value.last(order_by=[self.mask, *ORDER])
                totals.append(latest.alias(self.total))
            case "n_unique":
                totals += [value.n_unique().alias(self.total), value.is_null().cast(nw.Int64).max().alias(self.half)]
            case "share" | "trend":
                totals.append(nw.col(self.half).cast(nw.Int64).sum().alias(self.total))
        return totals

    def result(self) -> nw.Expr:
        """Return the feature's value from the totals; empty where no record counts."""
        import narwhals as nw

        total, number, half = (nw.col(name).cast(nw.Float64) for name in (self.total, self.number, self.half))
        scale = 1.0 if self.feature.column is None else scale_of(self.feature.column, self.spec)
        match self.feature.aggregate:
            case "count":
                value = number
            case "exists":
                value = (number > 0).cast(nw.Float64)
            case "mean":
                value = nw.when(half > 0).then(total / half * scale)
            case "share":
                value = total / number
            case "trend":
                value = total + total - number
            case "n_unique":
                value = total - half
            case "days_since":
                value = nw.col(AS_OF).cast(nw.Float64) - total
            case _:
                value = total * scale
        return nw.when(nw.col(self.number) > 0).then(value).alias(self.feature.id)
