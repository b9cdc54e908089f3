"""Records as plain rows: the versions of a table visible at an as_of, for code that judges one record at a time.

Dates come back as `datetime.date`, money stays integer fen, the key comes back as the code.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import date
from typing import TYPE_CHECKING

from credit_tier.errors import LakeError
from credit_tier.features.visible import is_visible
from credit_tier.temporal import AsOf, date_of

if TYPE_CHECKING:
    from credit_tier.data.lake import Lake

RANGE = 200_000
"""Enterprises read at a time, so that a table larger than memory is worked through in key ranges."""


def visible_rows(
    lake: Lake, table: str, columns: Iterable[str], as_of: AsOf, *, code: str | None = None
) -> Iterator[dict[str, object]]:
    """Yield the records of a table that are known at as_of, sorted by enterprise number, event day and record.

    Parameters
    ----------
    columns : names of the table's contract; the key gives the enterprise's code.
    code : only this enterprise's records; none if the register does not hold it.

    Raises
    ------
    LakeError : CT-LAKE-004 no such table, CT-LAKE-011 a column that the table does not have.
    """
    import narwhals as nw

    spec = lake.spec(table)
    names = tuple(dict.fromkeys(columns))
    unknown = [name for name in names if name not in spec.columns]
    if unknown:
        raise LakeError.of(
            "CT-LAKE-011",
            where=f"{lake.path}/{table}",
            what=f"the table has no column {', '.join(unknown)}.",
            advice=f"It has: {', '.join(spec.columns)}. Build the lake again if the contract is newer than the lake.",
        )
    visible = lake.frame(table).filter(is_visible(nw.lit(as_of.day)))
    stored = [name for name in names if name != spec.key]
    numbers = range(0, lake.enterprises, RANGE)
    if code is not None:
        place = lake.number_of(code)
        numbers = range(place, place + 1) if place is not None else range(0)
    width = 1 if code is not None else RANGE
    codes = lake.codes()["code"]
    dates = [index for index, name in enumerate(stored) if spec.columns[name].type == "date"]
    known: dict[int, date] = {}
    for low in numbers:
        part = visible.filter((nw.col("enterprise_no") >= low) & (nw.col("enterprise_no") < low + width))
        found = part.select("enterprise_no", *stored).collect()
        owners = codes[found["enterprise_no"].to_numpy()].to_list()
        for owner, (_, *values) in zip(owners, found.iter_rows(), strict=True):
            for index in dates:
                day = values[index]
                if day is not None:
                    if day not in known:
                        known[day] = date_of(day)
                    values[index] = known[day]
            record = dict(zip(stored, values, strict=True))
            if spec.key in names:
                record[spec.key] = owner
            yield record
