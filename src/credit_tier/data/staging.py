"""Staging: the files of one table, read, typed, freed of identical duplicates and checked against the contract.

Nothing is written here, and nothing is known here of the lake.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from credit_tier.data.columns import WrongTypeError, read_column
from credit_tier.data.contracts import failing_rows, identity
from credit_tier.data.delivery import read_source
from credit_tier.data.headers import HeaderMap, map_headers
from credit_tier.data.sources import SourceFile
from credit_tier.errors import DataError, Fault
from credit_tier.specs.dataset import DatasetSpec

if TYPE_CHECKING:
    import polars as pl

FILE, ROW = "_file", "_row"
"""Origin of a row: number of its file within the table's files, and of its data row in the file, from 1."""


@dataclass(frozen=True)
class StagedFile:
    """One file that was read: its headers, its rows, and how many of them were identical duplicates."""

    source: SourceFile
    headers: HeaderMap
    rows: int
    duplicates: int


@dataclass(frozen=True)
class Staged:
    """One table of a delivery before it meets the lake.

    Attributes
    ----------
    rows : columns of the contract with the types of `columns`, and `_file`, `_row`; identical duplicates are gone.
    failures : columns `_file`, `_row`, `rule`; a row may fail several rules.
    files : the files that were read, in order of their numbers.
    refused : what is wrong with the files that were not.
    """

    rows: pl.DataFrame
    failures: pl.DataFrame
    files: tuple[StagedFile, ...]
    refused: tuple[Fault, ...]


def stage_table(spec: DatasetSpec, sources: Sequence[SourceFile]) -> Staged:
    """Return the rows of one table's files and the rules that rows break; files that cannot be used are refused whole."""
    import polars as pl

    read: list[tuple[SourceFile, HeaderMap]] = []
    tables: list[pl.DataFrame] = []
    failures: list[pl.DataFrame] = []
    refused: list[Fault] = []
    for source in sources:
        try:
            raw = read_source(source)
            headers = map_headers(raw.columns, spec, where=source.name)
            typed, failed = _typed(raw, spec, headers, number=len(read), where=source.name)
        except DataError as error:
            refused += error.faults
            continue
        read.append((source, headers))
        tables.append(typed)
        failures.append(failed)
    if not tables:
        return Staged(pl.DataFrame(), _no_failures(), (), tuple(refused))
    rows = pl.concat(tables)
    read_rows = [table.height for table in tables]
    del tables
    rows, dropped = _without_identical(rows, spec)
    unreadable = pl.concat(failures).join(rows.select(FILE, ROW), on=[FILE, ROW], how="semi")
    broken = _broken(rows, spec, unreadable)
    return Staged(
        rows,
        pl.concat([unreadable, broken]),
        tuple(
            StagedFile(source, headers, read_rows[number], dropped.get(number, 0))
            for number, (source, headers) in enumerate(read)
        ),
        tuple(refused),
    )


def original_rows(source: SourceFile, rows: pl.DataFrame) -> pl.DataFrame:
    """Return rows of a file as they were delivered, all values as text; `rows` has `_row` and columns to keep beside them."""
    import polars as pl

    raw = read_source(source)
    wanted = raw[(rows["_row"] - 1).to_list()]
    texts = wanted.select(_as_text(name, dtype) for name, dtype in wanted.schema.items())
    return pl.concat([rows, texts], how="horizontal")


def _as_text(name: str, dtype: pl.DataType) -> pl.Expr:
    import polars as pl

    return pl.col(name).cast(pl.String) if not dtype.is_nested() else pl.lit(None, pl.String).alias(name)


def _no_failures() -> pl.DataFrame:
    import polars as pl

    return pl.DataFrame(schema={FILE: pl.UInt16, ROW: pl.UInt32, "rule": pl.String})


def _typed(
    raw: pl.DataFrame, spec: DatasetSpec, headers: HeaderMap, *, number: int, where: str
) -> tuple[pl.DataFrame, pl.DataFrame]:
    import polars as pl

    columns: list[pl.Series] = []
    failures = [_no_failures()]
    wrong: list[Fault] = []
    for name, column in spec.columns.items():
        header = headers.headers.get(name)
        source = (
            pl.Series(name, [None], dtype=pl.String).new_from_index(0, raw.height) if header is None else raw[header]
        )
        try:
            read = read_column(source, column, unit=headers.units.get(name))
        except WrongTypeError:
            wrong.append(
                Fault(
                    "CT-DATA-011",
                    where,
                    f"{spec.table}.{name} should be of type {column.type}, and all {raw.height} values are of another type ({source.dtype}).",
                    "Deliver the column as text or in the right type.",
                )
            )
            continue
        columns.append(read.values.alias(name))
        for rule, mask in read.failures.items():
            at = mask.arg_true()
            failures.append(
                pl.DataFrame({ROW: at + 1}).select(
                    pl.lit(number, pl.UInt16).alias(FILE),
                    pl.col(ROW).cast(pl.UInt32),
                    pl.lit(f"{spec.table}.{name}.{rule}").alias("rule"),
                )
            )
    if wrong:
        raise DataError(*wrong)
    origin = pl.select(
        pl.lit(number, pl.UInt16).repeat_by(raw.height).explode().cast(pl.UInt16).alias(FILE)
        if raw.height
        else pl.Series(FILE, [], dtype=pl.UInt16),
        pl.int_range(1, raw.height + 1, dtype=pl.UInt32).alias(ROW),
    )
    return pl.DataFrame(columns).hstack(origin), pl.concat(failures)


def _without_identical(rows: pl.DataFrame, spec: DatasetSpec) -> tuple[pl.DataFrame, dict[int, int]]:
    """Drop rows that repeat another row in every column; return the rest and how many went, by file number."""
    import polars as pl

    names = list(spec.columns)
    candidate = rows.select(identity(spec)).is_duplicated()
    if not candidate.any():
        return rows, {}
    positions = rows.select(names).with_row_index("_at").filter(candidate)
    kept = positions.unique(subset=names, keep="first", maintain_order=True)
    dropped = positions.join(kept.select("_at"), on="_at", how="anti")["_at"]
    if not len(dropped):
        return rows, {}
    counts = rows[FILE].gather(dropped).value_counts()
    keep = pl.Series([True]).new_from_index(0, rows.height).scatter(dropped, False)
    return rows.filter(keep), dict(zip(counts[FILE].to_list(), counts["count"].to_list(), strict=True))


def _broken(rows: pl.DataFrame, spec: DatasetSpec, unreadable: pl.DataFrame) -> pl.DataFrame:
    """Return the rules of the contract that rows break; a value that could not be read is not called missing as well."""
    import polars as pl

    found = failing_rows(rows.select(list(spec.columns)), spec)
    at = rows.select(FILE, ROW)[found["row"].to_list()] if found.height else rows.select(FILE, ROW).clear()
    failures = at.with_columns(found["rule"])
    told = unreadable.with_columns(pl.col("rule").str.replace(r"\.[a-z_]+$", ".missing"))
    return failures.join(told, on=[FILE, ROW, "rule"], how="anti")
