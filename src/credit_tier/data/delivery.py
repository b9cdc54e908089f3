"""A delivery: the folder of files, or the database, that departments send, found, identified and read as plain columns.

Files are named `<table>` or `<table>-<anything>`, with one of `ENDINGS`; a contract may name other `files` in place of its table.
What the headers mean is the business of `headers`, what the values mean that of `columns` and `contracts`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from credit_tier.canonical import combined_digest, file_digest
from credit_tier.data.databases import Database, copied_tables
from credit_tier.data.delimited import layout_of_csv, read_csv
from credit_tier.data.sources import SourceFile, damaged, empty_file
from credit_tier.data.spreadsheets import spooled
from credit_tier.errors import DataError, Fault, UsageError
from credit_tier.specs.dataset import DatasetSpec

if TYPE_CHECKING:
    import polars as pl

TEXT_ENDINGS, WORKBOOK_ENDINGS = (".csv", ".csv.gz"), (".xlsx", ".xls")
ENDINGS = (*TEXT_ENDINGS, *WORKBOOK_ENDINGS, ".parquet")


@dataclass(frozen=True)
class Delivery:
    """The files of one delivery, sorted by name; `unknown` are names that belong to no table."""

    files: tuple[SourceFile, ...]
    unknown: tuple[str, ...]

    @property
    def digest(self) -> str:
        """Return one digest over names and bytes of the files."""
        return combined_digest((item.name, item.sha256) for item in self.files)

    def of_table(self, table: str) -> tuple[SourceFile, ...]:
        """Return the files of one table."""
        return tuple(item for item in self.files if item.table == table)


def find_delivery(folder: Path, specs: Mapping[str, DatasetSpec]) -> Delivery:
    """Return what a folder delivers; hidden files are passed over.

    Raises
    ------
    UsageError (CT-DATA-002) if there is no such folder.
    DataError (CT-DATA-003) if no file in it belongs to a table.
    """
    if not folder.is_dir():
        raise UsageError.of(
            "CT-DATA-002", where=str(folder), what="there is no such folder.", advice="Give the folder of the delivery."
        )
    files, unknown = [], []
    for path in sorted(folder.iterdir(), key=lambda item: item.name):
        if path.name.startswith("."):
            continue
        tables = [spec for spec in specs.values() if _stem_of(path.name) in (spec.files or (spec.table,))]
        if path.is_file() and tables:
            sha256 = file_digest(path)
            files += [SourceFile(path, spec.table, sha256, spec) for spec in tables]
        else:
            unknown.append(path.name)
    if not files:
        names = sorted({name for spec in specs.values() for name in (spec.files or (spec.table,))})
        raise DataError.of(
            "CT-DATA-003",
            where=str(folder),
            what="no file here belongs to a known table.",
            advice=f"Name files <table>{' or <table>'.join(ENDINGS)}; tables are {', '.join(names)}.",
        )
    return Delivery(tuple(files), tuple(unknown))


@contextmanager
def opened(source: Path | str | Database, specs: Mapping[str, DatasetSpec]) -> Iterator[Delivery]:
    """Give the delivery of a folder, or a copy of what a database holds for us that is deleted afterwards.

    Raises
    ------
    UsageError, DataError as `find_delivery` and :func:`credit_tier.data.databases.copied_tables`.
    """
    if not isinstance(source, Database):
        yield find_delivery(Path(source), specs)
        return
    with TemporaryDirectory(prefix="credit-tier-") as folder:
        yield Delivery(copied_tables(source, specs, Path(folder)), ())


def _stem_of(name: str) -> str:
    for ending in sorted(ENDINGS, key=len, reverse=True):
        if name.endswith(ending):
            return name.removesuffix(ending).split("-", 1)[0]
    return ""


# ---------------------------------------------------------------------------------------------------------------- reading


def prepared_all(files: Sequence[SourceFile], folder: Path) -> tuple[tuple[SourceFile, ...], tuple[Fault, ...]]:
    """Return the files that can be read, each as `prepared` gives it, and what is wrong with the others."""
    ready: list[SourceFile] = []
    refused: list[Fault] = []
    for file in files:
        try:
            ready.append(prepared(file, folder))
        except DataError as error:
            refused += error.faults
    return tuple(ready), tuple(refused)


def prepared(file: SourceFile, folder: Path) -> SourceFile:
    """Return a file ready for `read_source`, with its layout: a workbook's table is written to a Parquet file in the folder.

    Raises
    ------
    DataError if a workbook cannot be used; see :func:`credit_tier.data.spreadsheets.spooled`.
    """
    if file.path.name.endswith(TEXT_ENDINGS):
        return replace(file, layout=layout_of_csv(file))
    if file.path.name.endswith(WORKBOOK_ENDINGS):
        return spooled(file, folder)
    return file


def read_source(file: SourceFile) -> pl.DataFrame:
    """Return a prepared file as columns under its own headers; values of text files are all text.

    Raises
    ------
    DataError : CT-DATA-001 empty file, 004 wrong encoding, 005 malformed CSV, 006 damaged file, 007 one header twice, 013 no headers.
    """
    if file.path.stat().st_size == 0:
        raise empty_file(file)
    return read_csv(file) if file.is_text else _read_parquet(file)


def _read_parquet(file: SourceFile) -> pl.DataFrame:
    import polars as pl

    try:
        return pl.read_parquet(file.path, glob=False, hive_partitioning=False)
    except (pl.exceptions.PolarsError, OSError) as error:
        raise damaged(file, "this is not a readable Parquet file.") from error
