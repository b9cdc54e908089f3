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
    fresh = incoming
    untouched: pl.DataFrame | None = None
    pool = incoming.select(*content, pl.lit(2, pl.Int8).alias("_rank"))
    if existing is not None:
        ids = incoming.select("record_id").unique()
        touched = existing.join(ids, on="record_id", how="semi", maintain_order="left")
        untouched = existing.join(ids, on="record_id", how="anti", maintain_order="left")
        again = incoming.filter(SEEN)
        if again.height:
            again = again.join(touched.select(content), on=content, how="anti", nulls_equal=True)
        fresh = pl.concat([incoming.filter(~pl.col(SEEN)), again])
        pool = pl.concat(
            [
                touched.select(*content, (pl.col("superseded_day") > pl.col("known_day")).cast(pl.Int8).alias("_rank")),
                fresh.select(*content, pl.lit(2, pl.Int8).alias("_rank")),
            ]
        ).sort("record_id", "known_day", "_rank", maintain_order=True)
        pool = pool.filter(~((pl.col("_rank") == 2) & _equals_previous(content)))
    merged = _superseded(pool).select(_ordered(content))
    added = pool.filter(pl.col("_rank") == 2).height
    parts = [merged] if untouched is None else [untouched.select(merged.columns), merged]
    table = pl.concat(parts).sort(SORTED_BY, maintain_order=True, nulls_last=False)
    return Merged(table, added, incoming.height - added)


def _equals_previous(content: Sequence[str]) -> pl.Expr:
    import polars as pl

    return pl.all_horizontal(pl.col(name).eq_missing(pl.col(name).shift(1)) for name in content)


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
