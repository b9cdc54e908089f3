"""What is behind one value of one enterprise, in the words of the doors: its records with dates as dates and money in 元, the totals of
its group, nothing personal.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from credit_tier.errors import FeatureError, UsageError
from credit_tier.features import build, spine
from credit_tier.features.conditions import AS_OF, bind
from credit_tier.features.context import GroupFigures
from credit_tier.features.own import edges
from credit_tier.features.visible import event_day, is_visible
from credit_tier.specs.dataset import Column
from credit_tier.specs.feature import FeatureSpec
from credit_tier.temporal import AsOf, date_of

if TYPE_CHECKING:
    from credit_tier.data.lake import Lake

MEETS = "meets_numerator"


@dataclass(frozen=True)
class Totals:
    """What the figure of a group is made of, in the feature's unit.

    Attributes
    ----------
    of : the columns that form the group and the enterprise's own values, empty where the register has none, None where the value is
        personal; no column at all for everybody.
    total : sum over the group's records, or how many of them meet the numerator of a share.
    records : how many count; of a mean those that have a value.
    """

    of: dict[str, str | None]
    total: float
    records: int

    @property
    def figure(self) -> float | None:
        """Return the share or mean, None without a record.

        >>> Totals({"area": "x"}, total=3.0, records=12).figure
        0.25
        """
        return self.total / self.records if self.records else None


@dataclass(frozen=True)
class Explained:
    """A value and the records that made it.

    Attributes
    ----------
    value : as a model sees it, None if unknown.
    is_of_group : the value is a figure of a group; the records are then only those of the enterprise itself.
    records : those that count, in the lake's order: `record_id`, `event_on`, `known_on`, the columns that the feature reads, and
        `meets_numerator` where it has one.
    group : totals of the group, or of the enterprise itself where its own share or mean leans towards a group; else None.
    wider, weight : totals of the group towards which the figure leans, and how strongly:
        ``(group.total + weight * wider.figure) / (group.records + weight)``; else None.
    """

    value: float | None
    is_of_group: bool
    records: list[dict[str, object]]
    group: Totals | None = None
    wider: Totals | None = None
    weight: float | None = None


@dataclass(frozen=True)
class Counted:
    """The records that count in a feature of one enterprise.

    Attributes
    ----------
    table : the table of the records, which for a feature of related enterprises are theirs.
    count : how many there are.
    newest : the last to have happened, newest first: `record_id`, left out where it is personal, and `event_on`.
    """

    table: str
    count: int
    newest: list[dict[str, object]]


def newest_behind(lake: Lake, feature: FeatureSpec, code: str, as_of: AsOf, *, most: int = 5) -> Counted | None:
    """Return the newest records that count in a feature at an as_of, None for a figure of a group or of a planned event.

    Cheap: only the enterprise's records are read, and no value is computed.

    Raises
    ------
    UsageError (CT-FEAT-022) if the register does not hold the code; LakeError if the lake lacks the table.
    """
    if feature.source == "spine" or feature.group_by is not None:
        return None
    number = lake.number_of(code)
    if number is None:
        raise _unknown(lake, as_of)
    found = _counted(lake, feature, number, as_of)
    newest = sorted(found, key=lambda line: (str(line["event_on"]), str(line.get("record_id", ""))), reverse=True)
    shown: list[dict[str, object]] = [
        {name: value for name, value in line.items() if name in {"record_id", "event_on"}} for line in newest[:most]
    ]
    return Counted(feature.source, len(found), shown)


def _unknown(lake: Lake, as_of: AsOf) -> UsageError:
    return UsageError.of(
        "CT-FEAT-022",
        where=str(lake.path),
        what=f"the register does not know this enterprise before {as_of}.",
        advice="Check the code and --as-of.",
    )


def records_behind(
    lake: Lake, feature: FeatureSpec, code: str, as_of: AsOf, *, planned: Mapping[str, str] | None = None
) -> Explained:
    """Return the value of a feature for one enterprise at an as_of, and the records that count for it.

    Parameters
    ----------
    planned : attributes of the planned event, where the feature groups by some.

    Raises
    ------
    UsageError (CT-FEAT-022) if the register does not know the enterprise before as_of; FeatureError if the lake lacks the table,
    CT-FEAT-021 if the feature is an attribute of a planned event, CT-FEAT-025 if it groups by one that is not given.
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
        raise _unknown(lake, as_of)
    given = planned or {}
    groups = {*(feature.group_by or ()), *(feature.shrink.towards if feature.shrink else ())}
    absent = sorted(groups - {*given, *lake.spec(lake.register).columns})
    if absent:
        raise UsageError.of(
            "CT-FEAT-025",
            where=feature.id,
            what=f"the feature compares by {', '.join(absent)} of the planned event.",
            advice=f"Give {' '.join(f'--planned {name}=VALUE' for name in absent)}.",
        )
    attributes = [nw.lit(value).alias(name) for name, value in given.items()]
    row = row.with_columns(nw.lit(0).alias("row"), *attributes)
    value = float(build.build(lake, (feature,), row).values[0, 0])
    told = Explained(
        None if value != value else value,  # noqa: PLR0124 - NaN
        feature.group_by is not None,
        _counted(lake, feature, number, as_of),
    )
    if feature.group_by is None and feature.shrink is None:
        return told
    grouped = feature
    if feature.group_by is None:  # the enterprise itself is the group
        grouped = feature.model_copy(update={"group_by": (lake.spec(lake.register).key,)})
    figures = GroupFigures.of(lake, (grouped,), row)
    group = _totals(lake, grouped, grouped.group_by or (), figures)
    if feature.shrink is None:
        return replace(told, group=group)
    wider = _totals(lake, grouped, feature.shrink.towards, figures)
    return replace(told, group=group, wider=wider, weight=feature.shrink.weight)


def _totals(lake: Lake, feature: FeatureSpec, group: tuple[str, ...], figures: GroupFigures) -> Totals:
    """Return the totals of the only group of a spine of one row."""
    ((values, (total, records)),) = figures.totals[feature.id, group].items()
    tables = (lake.spec(feature.source).columns, lake.spec(lake.register).columns)
    personal = {name for columns in tables for name, column in columns.items() if column.sensitivity == "personal"}
    of = {name: None if name in personal else value for name, value in zip(group, values, strict=True)}
    return Totals(of, total, int(records))


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
