"""Columns and versions of what is delivered: arrays become named columns, records become rows, one per version.

A row is delivered when this authority received it before the cut-off and its event lies in the period; what comes later does not exist yet.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from credit_tier.data.city import places
from credit_tier.data.city.chance import NEVER, Days, Flags, Index
from credit_tier.data.city.registers import Entries

if TYPE_CHECKING:
    import polars as pl


@dataclass(frozen=True)
class Period:
    """Day numbers of the first day delivered and of the cut-off (exclusive)."""

    first: int
    cutoff: int

    def holds(self, event: Days, received: Days) -> Flags:
        """Return which records are delivered at all."""
        return (event >= self.first) & (received < self.cutoff)


def delivered_rows(subject: Index, event: Days, received: Days, period: Period) -> Index:
    """Return which records are delivered, in the order in which they are numbered: by event, then by enterprise."""
    row = np.flatnonzero(period.holds(event, received))
    return row[np.lexsort((subject[row], event[row]))]


def entry_rows(entries: Entries, period: Period) -> Index:
    """Return which entries of a register are delivered, in the order of their numbers."""
    return delivered_rows(entries.subject, entries.opened, entries.received, period)


def entry_versions(
    columns: Mapping[str, pl.Series], entries: Entries, row: Index, period: Period, later: Sequence[str]
) -> pl.DataFrame:
    """Return a register's frame; its first column is the record number, `later` is known only with the closing."""
    told = entries.closed_received[row]
    everyone = np.ones(len(row), dtype=np.bool_)
    return versions(
        columns,
        [(dates(entries.received[row]), everyone, later), (dates(told), told < period.cutoff, ())],
        next(iter(columns)),
    )


def versions(
    columns: Mapping[str, pl.Series], stages: Sequence[tuple[pl.Series, Flags, Sequence[str]]], *number: str
) -> pl.DataFrame:
    """Return one frame of all versions: each is (day of receipt, which records have it, columns not known yet)."""
    import polars as pl

    full = pl.DataFrame(dict(columns))
    parts = [
        full.with_columns(
            *(pl.lit(None, dtype=full.schema[name]).alias(name) for name in unknown), received.alias("received_on")
        ).filter(pl.Series(which))
        for received, which, unknown in stages
    ]
    return pl.concat(parts).sort("received_on", *number)


def in_order(columns: Mapping[str, pl.Series], *keys: str) -> pl.DataFrame:
    """Return columns as a frame, by day of receipt and the given keys."""
    import polars as pl

    return pl.DataFrame(dict(columns)).sort("received_on", *keys)


def as_text(column: pl.Series) -> pl.Series:
    """Return a column as text, as amounts are delivered."""
    import polars as pl

    return column.cast(pl.String)


def words(words: Sequence[str] | npt.NDArray[np.str_], index: Index) -> pl.Series:
    """Return the word at each position."""
    import polars as pl

    return pl.Series(list(words) if isinstance(words, tuple | list) else words, dtype=pl.String).gather(index)


def dates(day: npt.NDArray[np.integer]) -> pl.Series:
    """Return day numbers as dates; NEVER and later is null."""
    import polars as pl

    return pl.Series(day.astype(np.int32)).set(pl.Series(day >= NEVER), None).cast(pl.Date)


def whole(number: Index) -> pl.Series:
    """Return whole numbers; negative ones stand for null."""
    import polars as pl

    return pl.Series(number.astype(np.int64)).set(pl.Series(number < 0), None)


def flags(flag: Flags) -> pl.Series:
    """Return booleans as a column."""
    import polars as pl

    return pl.Series(flag)


def numbers(prefix: str, count: int) -> pl.Series:
    """Return record numbers in the order of the events."""
    import polars as pl

    frame = pl.DataFrame({"n": np.arange(1, count + 1)})
    return frame.select(pl.concat_str(pl.lit(prefix), pl.col("n").cast(pl.String).str.zfill(8))).to_series()


def ten_thousands(yuan: Index) -> pl.Series:
    """Return whole yuan as text in 万元 with four decimals, without a detour over binary fractions."""
    import polars as pl

    frame = pl.DataFrame({"whole": yuan // 10_000, "rest": yuan % 10_000})
    return frame.select(
        pl.concat_str(pl.col("whole").cast(pl.String), pl.lit("."), pl.col("rest").cast(pl.String).str.zfill(4))
    ).to_series()


def authorities(district: Index, department: Index) -> pl.Series:
    """Return the name of the office of each district and department."""
    names = [
        district_name + places.DEPARTMENT_NAMES[code]
        for district_name, _, _ in places.DISTRICTS.values()
        for code in places.DEPARTMENTS
    ]
    return words(names, district * len(places.DEPARTMENTS) + department)
