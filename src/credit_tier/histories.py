"""Columns that a sampling plan counts from a lake: earlier visits, days since an event, fields of the register. Point in time.

Only versions of records that were known before the plan's as_of are read, and only events before it are counted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from credit_tier.errors import DrawError, LakeError
from credit_tier.features.conditions import AS_OF, bind
from credit_tier.features.visible import event_day, is_visible
from credit_tier.specs.plan import History, PlanSpec
from credit_tier.temporal import AsOf, date_of, day_number

if TYPE_CHECKING:
    import narwhals as nw
    import numpy as np
    from numpy.typing import NDArray

    from credit_tier.data.lake import Lake


def add_history(units: nw.DataFrame[Any], spec: PlanSpec, lake: Lake, as_of: AsOf) -> nw.DataFrame[Any]:
    """Return the units with the plan's history columns, in the units' order; a column of that name is replaced.

    Parameters
    ----------
    units : one row per enterprise, with `code`.

    Raises
    ------
    DrawError : CT-DRAW-001 no column `code`, 022 codes that the lake does not know.
    LakeError : CT-LAKE-004 no such table, 011 a column that the table does not have.
    FeatureError if a condition does not fit its column.
    """
    import narwhals as nw
    import numpy as np

    if "code" not in units.columns:
        raise DrawError.of("CT-DRAW-001", where="units", what="缺少列 · the column code is missing.", advice="Add it.")
    codes = lake.codes()["code"].to_list()
    number = dict(zip(codes, range(len(codes)), strict=True))
    places = np.fromiter((number.get(code, -1) for code in units["code"].to_list()), np.int64, len(units))
    unknown = int((places < 0).sum())
    if unknown:
        raise DrawError.of(
            "CT-DRAW-022",
            where="units.code",
            what=f"数据湖中没有 {unknown} 个主体 · the lake does not know {unknown} of the codes.",
            advice="Give the lake from which these units were scored.",
        )
    columns = []
    for item in spec.history:
        values, known = _column(item, lake, as_of)
        cells = [
            value if has else None for value, has in zip(values[places].tolist(), known[places].tolist(), strict=True)
        ]
        columns.append(nw.new_series(item.column, cells, nw.Int64, backend=units.implementation))
    return units.with_columns(*columns)


def _column(item: History, lake: Lake, as_of: AsOf) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Return a column's values for all enterprises of the lake, and where it is not empty."""
    import narwhals as nw
    import numpy as np

    spec = lake.spec(item.table)
    if item.days_since is not None and (
        item.days_since not in spec.columns or spec.columns[item.days_since].type != "date"
    ):
        raise LakeError.of(
            "CT-LAKE-011",
            where=f"{lake.path}/{item.table}",
            what=f"the table has no date column {item.days_since}.",
            advice=f"It has: {', '.join(name for name, column in spec.columns.items() if column.type == 'date')}.",
        )
    day = event_day() if item.days_since is None else nw.col(item.days_since)
    first = -(10**6)
    if item.count_within_days is not None:
        first = as_of.day - item.count_within_days
    elif item.count_in_year:
        first = day_number(date_of(as_of.day).replace(month=1, day=1))
    rows = lake.frame(item.table).filter(is_visible(nw.lit(as_of.day))).with_columns(nw.lit(as_of.day).alias(AS_OF))
    if item.where:
        rows = rows.filter(bind(item.where, spec, knows_as_of=True))
    rows = rows.with_columns(day.alias("__day")).filter(nw.col("__day") >= first, nw.col("__day") < as_of.day)
    found = (
        rows.group_by("enterprise_no").agg(nw.col("__day").max().alias("__last"), nw.len().alias("__count")).collect()
    )
    owner = found["enterprise_no"].to_numpy()
    values, known = np.zeros(lake.enterprises, np.int64), np.ones(lake.enterprises, bool)
    if item.days_since is None:
        values[owner] = found["__count"].to_numpy()
    else:
        values[owner] = as_of.day - found["__last"].to_numpy().astype(np.int64)
        known[:] = False
        known[owner] = True
    return values, known
