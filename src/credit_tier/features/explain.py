"""The very records behind one value of one enterprise, in the words of the doors: dates as dates, money in 元, nothing personal."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from credit_tier.errors import FeatureError, UsageError
from credit_tier.features import build, spine
from credit_tier.features.conditions import AS_OF, bind
from credit_tier.features.own import edges
from credit_tier.features.visible import event_day, is_visible
from credit_tier.specs.dataset import Column
from credit_tier.specs.feature import FeatureSpec
from credit_tier.temporal import AsOf, date_of

if TYPE_CHECKING:
    from credit_tier.data.lake import Lake

MEETS = "meets_numerator"


@dataclass(frozen=True)
class Explained:
    """A value and the records that made it.

    Attributes
    ----------
    value : as a model sees it, None if unknown.
    is_of_group : the value is a figure of a group; the records are then only those of the enterprise itself.
    records : those that count, in the lake's order: `record_id`, `event_on`, `known_on`, the columns that the feature reads, and
        `meets_numerator` where it has one.
    """

    value: float | None
    is_of_group: bool
    records: list[dict[str, object]]


def records_behind(lake: Lake, feature: FeatureSpec, code: str, as_of: AsOf) -> Explained:
    """Return the value of a feature for one enterprise at an as_of, and the records that count for it.

    Raises
    ------
    UsageError (CT-FEAT-022) if the register does not know the enterprise before as_of; FeatureError if the lake lacks the table,
    CT-FEAT-021 if the feature belongs to a planned event.
    """
    import narwhals as nw

    if feature.source == "spine":
        raise FeatureError.of(
            "CT-FEAT-021",
            where=feature.id,
            what="the feature is an attribute of the planned event, no table holds it.",
            advice="See the cohort of the model that uses it.",
        )
    number = lake.number_of(code)
    everybody = spine.grid(lake, (), [as_of.on])
    row = everybody.filter(nw.col("enterprise_no") == (-1 if number is None else number))
    if number is None or len(row) == 0:
        raise UsageError.of(
            "CT-FEAT-022",
            where=str(lake.path),
            what=f"the register does not know this enterprise before {as_of}.",
            advice="Check the code and --as-of.",
        )
    value = float(build.build(lake, (feature,), row.with_columns(nw.lit(0).alias("row"))).values[0, 0])
    counted = _counted(lake, feature, number, as_of)
    return Explained(None if value != value else value, feature.group_by is not None, counted)  # noqa: PLR0124 - NaN


def _counted(lake: Lake, feature: FeatureSpec, number: int, as_of: AsOf) -> list[dict[str, object]]:
    import narwhals as nw

    spec, at = lake.spec(feature.source), nw.lit(as_of.day)
    happened = event_day()
    found = lake.frame(feature.source).with_columns(at.cast(nw.Int32).alias(AS_OF))
    if feature.via is None:
        found = found.filter(nw.col("enterprise_no") == number)
    else:
        reached = edges(lake, feature.via).filter(
            nw.col("_subject") == number, nw.col("_from") < at, nw.col("_until") >= at
        )
        found = found.join(reached.select("enterprise_no").unique(), on="enterprise_no", how="inner")
    found = found.filter(is_visible(at), happened < at, bind(feature.filter, spec, knows_as_of=True))
    if feature.window.days is not None:
        found = found.filter(happened >= as_of.day - feature.window.days)
    read = [feature.column, *(c.column for c in (*feature.filter, *feature.numerator))]
    columns = [
        name
        for name in dict.fromkeys(read)
        if name is not None and name != spec.key and spec.columns[name].sensitivity != "personal"
    ]
    numerator = [bind(feature.numerator, spec, knows_as_of=True).alias(MEETS)] if feature.numerator else []
    order = ["enterprise_no", "event_day", "record_id", "known_day"]
    shown = found.sort(*order).select("record_id", "known_day", happened.alias("event_day"), *columns, *numerator)
    record = spec.record_id.column
    hides_record = record == spec.key or (record is not None and spec.columns[record].sensitivity == "personal")
    return [
        _in_words(line, {name: spec.columns[name] for name in columns}, hides_record=hides_record)
        for line in shown.collect().rows(named=True)
    ]


def _in_words(line: dict[str, Any], columns: dict[str, Column], *, hides_record: bool) -> dict[str, object]:
    told: dict[str, object] = {} if hides_record else {"record_id": line["record_id"]}
    told |= {"event_on": date_of(line["event_day"]), "known_on": date_of(line["known_day"])}
    told |= {name: _word(line[name], column) for name, column in columns.items()}
    return told | ({MEETS: line[MEETS]} if MEETS in line else {})


def _word(value: Any, column: Column) -> object:
    if value is None:
        return None
    if column.type == "date":
        return date_of(value)
    return Decimal(value) / 100 if column.type == "money" else value
