"""The same features as expressions over frames, for an engine other than the embedded one: a city that outgrew one machine.

Conditions, values and visibility are the expressions that the kernel's arrays are made with; what the kernel does in one walk is here
a join of spine and records and one aggregation per table. A test holds both to equal results for every feature of the catalogue.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from credit_tier.features.conditions import AS_OF, bind
from credit_tier.features.context import groups_of
from credit_tier.features.own import edges, selections_of
from credit_tier.features.prepare import Selection
from credit_tier.features.values import from_spine, numeric, register_column, scale_of
from credit_tier.features.visible import event_day, is_visible
from credit_tier.specs.dataset import DatasetSpec
from credit_tier.specs.feature import FeatureSpec, Related

if TYPE_CHECKING:
    import narwhals as nw

    from credit_tier.data.lake import Lake

ROW = ["enterprise_no", AS_OF]
"""What a row of the spine is known by."""

ORDER = ["event_day", "record_id", "known_day"]
"""Order of records of one subject: `last` is the latest event, ties by record identity."""


def compute(lake: Lake, features: tuple[FeatureSpec, ...], spine: nw.LazyFrame[Any]) -> nw.LazyFrame[Any]:
    """Return features of a spine as a lazy frame of the lake's engine.

    Parameters
    ----------
    spine : lazy frame of the same engine with `enterprise_no` and `as_of_day` (each pair once) and the cohort's attributes.

    Returns
    -------
    lazy frame without order: `enterprise_no`, `as_of_day`, one Float32 column per feature, null where a value is unknown.

    Raises
    ------
    FeatureError : as :func:`credit_tier.features.build.build`.
    """
    import narwhals as nw

    result = spine
    own = [f for f in features if f.source != "spine" and f.group_by is None]
    for table, via in dict.fromkeys((f.source, f.via) for f in own):
        chosen = [f for f in own if (f.source, f.via) == (table, via)]
        result = result.join(_own(lake, table, via, chosen, spine.select(ROW)), on=ROW, how="left")
    context = [f for f in features if f.group_by is not None or f.shrink is not None]
    if context:
        result = _with_context(lake, context, result)
    values = []
    for f in features:
        value = from_spine(f) if f.source == "spine" else nw.col(f.id)
        if f.missing.fill is not None:
            value = value.fill_null(f.missing.fill)
        values.append(value.cast(nw.Float32).alias(f.id))
    return result.select(*ROW, *values)


# --------------------------------------------------------------------------------------------------- records of the subject


def _own(
    lake: Lake, table: str, via: Related | None, features: list[FeatureSpec], spine: nw.LazyFrame[Any]
) -> nw.LazyFrame[Any]:
    """Return the row and one Float64 column per feature, empty where no record lies in its window."""
    import narwhals as nw

    spec = lake.spec(table)
    used = {f.column for f in features} | {c.column for f in features for c in (*f.filter, *f.numerator)}
    columns = [name for name in spec.columns if name in used and name != spec.key]
    records = lake.frame(table).select(
        "enterprise_no", "record_id", event_day().alias("event_day"), "known_day", "superseded_day", *columns
    )
    if via is None:
        seen = spine.join(records, on="enterprise_no", how="inner").with_columns(_owner=nw.col("enterprise_no"))
    else:
        leading = edges(lake, via).select(nw.col("enterprise_no").alias("_owner"), "_subject", "_from", "_until")
        reached = spine.join(leading, left_on="enterprise_no", right_on="_subject", how="inner")
        reached = reached.filter(nw.col("_from") < nw.col(AS_OF), nw.col("_until") >= nw.col(AS_OF))
        reached = reached.select(*ROW, "_owner").unique()
        seen = reached.join(records.rename({"enterprise_no": "_owner"}), on="_owner", how="inner")
    seen = seen.filter(is_visible(nw.col(AS_OF)), nw.col("event_day") < nw.col(AS_OF))
    compiled = [_Compiled(feature, spec, index) for index, feature in enumerate(features)]
    for step in ("masks", "masked"):
        added = {name: expr for item in compiled for name, expr in getattr(item, step)().items()}
        if added:
            seen = seen.with_columns(**added)
    totals = seen.group_by(ROW).agg(*(expr for item in compiled for expr in item.totals()))
    return totals.select(*ROW, *(expr for item in compiled for expr in item.result()))


def _meets(selection: Selection, spec: DatasetSpec) -> nw.Expr:
    """Return the test whether a record is selected at the row's as_of."""
    import narwhals as nw

    counts = bind(selection.conditions, spec, knows_as_of=True)
    return counts if selection.days is None else counts & (nw.col("event_day") >= nw.col(AS_OF) - selection.days)


class _Compiled:
    """One feature as steps: which records count, their values, the totals of a row, the feature's value."""

    def __init__(self, feature: FeatureSpec, spec: DatasetSpec, index: int) -> None:
        self.feature, self.spec = feature, spec
        self.mask, self.narrower, self.value, self.total, self.number = (
            f"_{kind}{index}" for kind in ("mask", "narrower", "value", "total", "number")
        )

    def masks(self) -> dict[str, nw.Expr]:
        """Return the test whether a record counts, and the narrower one that a share, a trend and a streak need."""
        main, narrower = selections_of(self.feature)
        steps = {self.mask: _meets(main, self.spec)}
        if narrower != main:
            steps[self.narrower] = _meets(narrower, self.spec)
        return steps

    def masked(self) -> dict[str, nw.Expr]:
        """Return the values of counting records, empty elsewhere (`last`: of the last one only); of a streak, how often it breaks later on."""
        import narwhals as nw

        feature, column = self.feature, self.feature.column
        if feature.aggregate == "streak":
            breaks = (nw.col(self.mask) & ~nw.col(self.narrower)).cast(nw.Int64)
            return {self.value: breaks.cum_sum(reverse=True).over(*ROW, order_by=ORDER)}
        if feature.aggregate == "days_since" and column is None:
            return {self.value: nw.when(nw.col(self.mask)).then(nw.col("event_day"))}
        if column is None:
            return {}
        if feature.aggregate == "n_unique":
            source = nw.col("_owner" if column == self.spec.key else column)
        else:
            source = numeric(column, self.spec)
        counts = nw.col(self.mask)
        if feature.aggregate in {"last", "days_since"}:
            counts = counts & (counts.cast(nw.Int64).cum_sum(reverse=True).over(*ROW, order_by=ORDER) == 1)
        return {self.value: nw.when(counts).then(source)}

    def totals(self) -> list[nw.Expr]:
        """Return the aggregations of one row's records; the number of counting records is always among them."""
        import narwhals as nw

        value, mask = nw.col(self.value), nw.col(self.mask)
        totals = [mask.cast(nw.Int64).sum().alias(self.number)]
        match self.feature.aggregate:
            case "sum":
                totals.append(value.sum().alias(self.total))
            case "mean":
                totals += [value.sum().alias(self.total), value.count().alias(self.narrower)]
            case "max" | "last" | "days_since":
                totals.append(value.max().alias(self.total))
            case "min":
                totals.append(value.min().alias(self.total))
            case "n_unique":
                totals += [
                    value.n_unique().alias(self.total),
                    value.is_null().cast(nw.Int64).max().alias(self.narrower),
                ]
            case "share" | "trend":
                totals.append(nw.col(self.narrower).cast(nw.Int64).sum().alias(self.total))
            case "streak":
                unbroken = nw.col(self.narrower) & (value == 0)
                totals.append(unbroken.cast(nw.Int64).sum().alias(self.total))
        return totals

    def result(self) -> list[nw.Expr]:
        """Return the feature's value from the totals, empty where no record counts; for a shrunken one its two totals."""
        import narwhals as nw

        total, number, half = (nw.col(name).cast(nw.Float64) for name in (self.total, self.number, self.narrower))
        column = self.feature.column
        scale = 1.0 if column is None or self.feature.aggregate == "n_unique" else scale_of(column, self.spec)
        if self.feature.shrink is not None:
            bottom = half if self.feature.aggregate == "mean" else number
            return [(total * scale).alias(f"_top_{self.feature.id}"), bottom.alias(f"_bottom_{self.feature.id}")]
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
        return [nw.when(number > 0).then(value).alias(self.feature.id)]


# -------------------------------------------------------------------------------------------------------------- groups


def _with_context(lake: Lake, features: list[FeatureSpec], rows: nw.LazyFrame[Any]) -> nw.LazyFrame[Any]:
    """Add features of groups, and finish those of the subject that lean towards a group."""
    import narwhals as nw

    subject = lake.spec(lake.register).key
    names = {name for f in features for group in groups_of(f) for name in group}
    from_register = sorted(names - set(rows.collect_schema().names()) - {subject})
    if from_register:
        rows = _with_register(lake, rows, from_register, day=AS_OF)
    added: list[nw.Expr] = []
    pairs = list(dict.fromkeys((f.source, group) for f in features for group in groups_of(f)))
    for number, (table, group) in enumerate(pairs):
        chosen = [f for f in features if f.source == table and group in groups_of(f)]
        keys = [f"_g{number}_{i}" for i in range(len(group))] or [f"_g{number}"]
        rows = rows.with_columns(*_keys(group, keys, subject))
        dates = rows.select(AS_OF).unique()
        totals = _totals(lake, table, group, keys=keys, features=chosen, dates=dates, prefix=f"_t{number}_")
        rows = rows.join(totals, on=[*keys, AS_OF], how="left")

    def figures(f: FeatureSpec, group: tuple[str, ...]) -> tuple[nw.Expr, nw.Expr]:
        prefix = f"_t{pairs.index((f.source, group))}_{f.id}"
        return (nw.col(f"{prefix}_{part}").fill_null(0).cast(nw.Float64) for part in ("top", "bottom"))  # type: ignore[return-value]

    for f in features:
        scale = scale_of(f.column, lake.spec(f.source)) if f.column else 1.0
        value: nw.Expr
        if f.group_by is not None:
            top, bottom = figures(f, f.group_by)
            top = top * scale
        else:
            top, bottom = (nw.col(f"_{part}_{f.id}").fill_null(0.0) for part in ("top", "bottom"))
        if f.shrink is not None:
            wide_top, wide_bottom = figures(f, f.shrink.towards)
            leaning = (top + f.shrink.weight * (wide_top * scale / wide_bottom)) / (bottom + f.shrink.weight)
            value = nw.when(wide_bottom > 0).then(leaning)
        else:
            value = nw.when(bottom > 0).then(top if f.aggregate in {"count", "sum"} else top / bottom)
        added.append(value.alias(f.id))
    return rows.with_columns(*added)


def _totals(
    lake: Lake,
    table: str,
    group: tuple[str, ...],
    *,
    keys: list[str],
    features: list[FeatureSpec],
    dates: nw.LazyFrame[Any],
    prefix: str,
) -> nw.LazyFrame[Any]:
    """Return keys, as_of_day and each feature's numerator and denominator in the group, from the records that count at each date."""
    import narwhals as nw

    spec = lake.spec(table)
    usable = nw.max_horizontal(event_day(), nw.col("known_day")) + 1
    records = lake.frame(table).with_columns(event_day().alias("event_day"), usable.cast(nw.Int32).alias("_usable"))
    subject = lake.spec(lake.register).key
    foreign = [name for name in group if name not in spec.columns and name != subject]
    if foreign:
        records = _with_register(lake, records, foreign, day="_usable")
    records = records.with_columns(*_keys(group, keys, subject))
    seen = records.join(dates, how="cross").filter(
        nw.col("_usable") <= nw.col(AS_OF), nw.col("superseded_day") >= nw.col(AS_OF)
    )
    steps: dict[str, nw.Expr] = {}
    for f in features:
        main, narrower = selections_of(f)
        counts = _meets(main, spec)
        bottom = top = counts.cast(nw.Int64)
        if f.aggregate == "share":
            top = _meets(narrower, spec).cast(nw.Int64)
        elif f.column is not None:
            top = nw.when(counts).then(numeric(f.column, spec))
            if f.aggregate == "mean":
                bottom = (~top.is_null()).cast(nw.Int64)
        steps |= {f"{prefix}{f.id}_top": top, f"{prefix}{f.id}_bottom": bottom}
    seen = seen.with_columns(**steps)
    return seen.group_by(*keys, AS_OF).agg(*(nw.col(name).sum() for name in steps))


def _with_register(lake: Lake, rows: nw.LazyFrame[Any], names: list[str], *, day: str) -> nw.LazyFrame[Any]:
    """Add columns of the register's version visible on each row's `day`, empty where none is."""
    import narwhals as nw

    for name in names:
        register_column(name, lake)
    versions = lake.frame(lake.register).select(
        "enterprise_no", nw.col("known_day").alias("_rk"), nw.col("superseded_day").alias("_rs"), *names
    )
    places = rows.select("enterprise_no", nw.col(day).alias("_day")).unique()
    found = places.join(versions, on="enterprise_no", how="inner")
    found = found.filter(nw.col("_rk") < nw.col("_day"), nw.col("_rs") >= nw.col("_day"))
    found = found.select("enterprise_no", nw.col("_day").alias(day), *names)
    return rows.join(found, on=["enterprise_no", day], how="left")


def _keys(group: tuple[str, ...], keys: list[str], subject: str | None) -> list[nw.Expr]:
    """Return the columns of a group as text under the names of keys; everybody is in the group of no column."""
    import narwhals as nw

    columns = ("enterprise_no" if name == subject else name for name in group)
    named = [nw.col(name).cast(nw.String).fill_null("") for name in columns] or [nw.lit("")]
    return [value.alias(key) for value, key in zip(named, keys, strict=True)]
