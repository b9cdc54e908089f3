"""Versions of records: which rows are new, which supersede which, and from which day on.

A record may have many versions; the one with the later knowledge day supersedes the earlier.
Of two versions with one knowledge day the later delivered wins; the other keeps ``superseded_day == known_day`` and is never visible.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from credit_tier.data.lake import SORTED_BY
from credit_tier.temporal import FOREVER

if TYPE_CHECKING:
    import polars as pl

SEEN = "_seen"
"""Boolean column of incoming rows: their file was taken in before, so a version that is already there is no news."""


@dataclass(frozen=True)
class Merged:
    """A table after a delivery, sorted; how many incoming rows were added, how many were there already."""

    table: pl.DataFrame
    added: int
    unchanged: int


def merge_versions(existing: pl.DataFrame | None, incoming: pl.DataFrame) -> Merged:
    """Return a table with a delivery's rows merged in.

    Parameters
    ----------
    existing : the table so far, with `superseded_day`; None if there is none.
    incoming : rows of the delivery without `superseded_day` and with `_seen`; at most one row per record_id and known_day.

    Notes
    -----
    An incoming row equal to the last version of its record and day is left out; so is one from a file seen before that equals any
    version of that day, so that an old delivery applied again does not undo a later correction.
    """
    import polars as pl

    content = [name for name in incoming.columns if name != SEEN]
    if existing is None:
        fresh, untouched, touched = incoming, None, incoming.clear()
        pool = fresh.select(*content, pl.lit(2, pl.Int8).alias("_rank"))
    else:
        fresh = incoming.filter(~_already_there(existing, incoming, content))
        if not fresh.height:
            return Merged(existing, 0, incoming.height)
        hit = existing["record_id"].is_in(fresh["record_id"].unique().implode())
        untouched, touched = existing.filter(~hit), existing.filter(hit)
        pool = pl.concat(
            [
                touched.select(*content, (pl.col("superseded_day") > pl.col("known_day")).cast(pl.Int8).alias("_rank")),
                fresh.select(*content, pl.lit(2, pl.Int8).alias("_rank")),
            ]
        )
    merged = _superseded(pool).select(_ordered(content))
    table = merged.sort(SORTED_BY, maintain_order=True) if untouched is None else in_order(untouched, merged)
    return Merged(table, fresh.height, incoming.height - fresh.height)


def in_order(table: pl.DataFrame, more: pl.DataFrame) -> pl.DataFrame:
    """Return a sorted table with more rows in their places; only subjects that have new rows are sorted by all columns."""
    import polars as pl

    moving = table["enterprise_no"].is_in(more["enterprise_no"].unique().implode())
    mixed = pl.concat([table.filter(moving), more.select(table.columns)]).sort(SORTED_BY, maintain_order=True)
    return pl.concat([table.filter(~moving), mixed]).sort("enterprise_no", maintain_order=True)


def _already_there(existing: pl.DataFrame, incoming: pl.DataFrame, content: Sequence[str]) -> pl.Series:
    """Return per incoming row whether it is no news: equal to a version that counts.

    Versions are found by a hash of the whole row; then every value is compared, a column at a time.
    """
    import polars as pl

    at = pl.DataFrame({"hash": existing.select(content).hash_rows()}).with_row_index("there")
    pairs = pl.DataFrame({"hash": incoming.select(content).hash_rows()}).with_row_index("here").join(at, on="hash")
    here, there = pairs["here"], pairs["there"]
    last = existing["superseded_day"] > existing["known_day"]
    equal = incoming[SEEN].gather(here) | last.gather(there)
    for name in content:
        equal &= incoming[name].gather(here).eq_missing(existing[name].gather(there))
    return pl.Series([False]).new_from_index(0, incoming.height).scatter(here.filter(equal), True)


def _superseded(pool: pl.DataFrame) -> pl.DataFrame:
    """Add superseded_day: the known day of the record's next version, or never; only repeated records are sorted."""
    import polars as pl

    never = pl.lit(FOREVER, pl.Int32).alias("superseded_day")
    repeated = pool.select(pl.col("record_id").is_duplicated()).to_series()
    single = pool.filter(~repeated).with_columns(never)
    several = (
        pool.filter(repeated)
        .sort("record_id", "known_day", "_rank", maintain_order=True)
        .with_columns(
            pl.col("known_day").shift(-1).over("record_id").fill_null(FOREVER).cast(pl.Int32).alias("superseded_day")
        )
    )
    return pl.concat([single, several])


def _ordered(content: Sequence[str]) -> list[str]:
    at = content.index("known_day") + 1
    return [*content[:at], "superseded_day", *content[at:]]
