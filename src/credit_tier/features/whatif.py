"""What one changed record would do to an enterprise's features: those of the record's table, by the path for single enterprises.

Nothing else can change: features of other tables do not read the record, those of related subjects leave out the subject itself.
Figures of groups stay as they are at the as_of.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from credit_tier.data.lake import SYSTEM_COLUMNS, Lake
from credit_tier.data.plain import Columns, PlainRecords
from credit_tier.errors import UsageError
from credit_tier.features.build import FeatureFrame
from credit_tier.features.context import GroupFigures
from credit_tier.features.online import Online
from credit_tier.features.visible import is_visible
from credit_tier.temporal import AsOf

if TYPE_CHECKING:
    import narwhals as nw
    from numpy.typing import NDArray

Span = tuple[int, int]
"""Where the records of a subject begin and end in a table."""


class Change(NamedTuple):
    """A new version of a record, known the day before as_of: column to value, in the lake's form."""

    code: str
    table: str
    record_id: str
    values: Mapping[str, object]


def changed(
    lake: Lake, now: FeatureFrame, rows: nw.DataFrame[Any], changes: Sequence[Change], as_of: AsOf
) -> NDArray[np.float32]:
    """Return the features of enterprises each with one of their own records changed, shape (changes, features).

    Parameters
    ----------
    now : features of the spine `rows` as they are, which hold every enterprise of the changes at as_of.

    Raises
    ------
    UsageError (CT-FEAT-026) if an enterprise has no such record known at as_of.

    Source: :mod:`credit_tier.features.online`, whose features are those of the batch to the last bit.
    """
    codes = lake.codes()["code"][rows["enterprise_no"].to_numpy()].to_list()
    place = {code: number for number, code in enumerate(codes)}
    result = now.matrix()[[place[change.code] for change in changes]]
    for table in dict.fromkeys(change.table for change in changes):
        columns = [
            column
            for column, f in enumerate(now.features)
            if f.source == table and f.group_by is None and f.via is None
        ]
        features = tuple(now.features[column] for column in columns)
        leaning = [f for f in features if f.shrink is not None]
        figures = GroupFigures.of(lake, leaning, rows) if leaning else None
        online = Online({name: lake.spec(name) for name in lake.tables}, features, figures)
        mine = [number for number, change in enumerate(changes) if change.table == table]
        known = _Known(lake, online, table, {changes[number].code for number in mine}, as_of)
        for number in mine:
            read = known.changed(changes[number])
            if columns:
                result[number, columns] = online.for_read(changes[number].code, read, as_of).values[:, 0]
    return result


class _Known:
    """The records of a table known at an as_of of some enterprises, and what the register says of them, held in memory."""

    def __init__(self, lake: Lake, online: Online, table: str, codes: set[str], as_of: AsOf) -> None:
        import narwhals as nw

        self._as_of = as_of
        wanted = lake.codes().filter(nw.col("code").is_in(sorted(codes)))
        self._numbers: dict[str, int] = {
            code: number for number, code in wanted.select("enterprise_no", "code").iter_rows()
        }
        self._tables: dict[str, tuple[Columns, dict[int, Span]]] = {}
        visible, mine = is_visible(nw.lit(as_of.day)), nw.col("enterprise_no").is_in(sorted(self._numbers.values()))
        for name in dict.fromkeys((table, lake.register)):
            spec = lake.spec(name)
            stored = [
                column for column in spec.columns if column in online.columns.get(name, ()) and column != spec.key
            ]
            found = lake.frame(name).filter(visible, mine).select(*SYSTEM_COLUMNS, *stored).collect()
            held = found.to_dict(as_series=False)
            self._tables[name] = held, _spans(held["enterprise_no"])

    def changed(self, change: Change) -> PlainRecords:
        """Return an enterprise's records with the change."""
        number = self._numbers[change.code]
        read: dict[str, Columns] = {}
        for table, (columns, spans) in self._tables.items():
            low, high = spans.get(number, (0, 0))
            read[table] = {name: cells[low:high] for name, cells in columns.items()}
        held = read[change.table]
        if change.record_id not in held["record_id"]:
            raise UsageError.of(
                "CT-FEAT-026",
                where=change.table,
                what=f"the enterprise has no such record known before {self._as_of}.",
                advice="Take the id of a record from credit-tier repair assess.",
            )
        at = held["record_id"].index(change.record_id)
        for name, value in {**change.values, "known_day": self._as_of.day - 1}.items():
            if name in held:
                held[name][at] = value
        return PlainRecords(read, {change.code: number})


def _spans(subjects: list[int]) -> dict[int, Span]:
    """Return first place and end of each subject in an ascending column.

    >>> _spans([3, 3, 7])
    {3: (0, 2), 7: (2, 3)}
    """
    found: dict[int, Span] = {}
    for place, subject in enumerate(subjects):
        found[subject] = found.get(subject, (place, 0))[0], place + 1
    return found
