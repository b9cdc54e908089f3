"""Spellings: words of a vocabulary out of what departments write, whole columns at a time; the contract declares what stands for what."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from credit_tier.specs.dataset import JOINT, folded

if TYPE_CHECKING:
    import polars as pl

    from credit_tier.specs.dataset import Column


def folded_column(text: pl.Series) -> pl.Series:
    """Return texts as `specs.dataset.folded` does, over a whole column."""
    import polars as pl

    return (
        text.to_frame("t")
        .select(
            pl.col("t")
            .str.normalize("NFKC")
            .str.replace_all(r"\s+", "")
            .str.strip_chars("\ufeff\u200b")
            .str.to_lowercase()
        )
        .to_series()
    )


def respelled(text: pl.Series, spellings: Mapping[str, str]) -> pl.Series:
    """Return each text as what its spelling stands for; a text without a known spelling stays as it is."""
    import polars as pl

    known = folded_column(text).replace_strict(spellings, default=None, return_dtype=pl.String)
    return known.zip_with(known.is_not_null(), text).alias(text.name)


def sets_of_words(text: pl.Series, column: Column) -> pl.Series:
    """Return cells of several values as values of the vocabulary, each once, in its order, joined by `JOINT`.

    A value without a known spelling stays in the cell, at the end, and the contract refuses the row.
    """
    import polars as pl

    words, spellings = column.vocabulary or {}, column.spellings()
    cells = text.unique().drop_nulls()
    whole = respelled(cells, spellings)
    signs = sorted(set(folded(column.separators)) - {JOINT})
    order = {word: place for place, word in enumerate(words)}
    parts = (
        pl.DataFrame({"cell": cells, "whole": whole})
        .with_columns(
            pl.when(pl.col("whole").is_in(list(spellings.values())))
            .then(pl.col("whole"))
            .otherwise(pl.col("whole").str.normalize("NFKC").str.replace_many(signs, [JOINT] * len(signs)))
            .str.split(JOINT)
            .alias("part")
        )
        .explode("part")
        .with_columns(pl.col("part").str.strip_chars())
        .filter(pl.col("part") != "")
    )
    joined = (
        parts.with_columns(respelled(parts["part"], spellings).str.split(JOINT))
        .explode("part")
        .unique(["cell", "part"])
        .with_columns(pl.col("part").replace_strict(order, default=len(order), return_dtype=pl.Int32).alias("place"))
        .sort("cell", "place", "part")
        .group_by("cell", maintain_order=True)
        .agg(pl.col("part").str.join(JOINT))
    )
    cell_of = text.to_frame("cell").join(joined, on="cell", how="left", maintain_order="left")
    return cell_of["part"].alias(text.name)
