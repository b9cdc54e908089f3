"""A delivery: the folder of files that departments send, found, identified and read as plain columns.

Files are named `<table>.csv`, `<table>.csv.gz`, `<table>.parquet` or `<table>-<anything>` with one of these endings.
What the columns mean is the business of `columns` and `contracts`.
"""

from __future__ import annotations

import codecs
import csv
import gzip
import io
import re
import unicodedata
import zlib
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from credit_tier.canonical import combined_digest, file_digest
from credit_tier.errors import DataError, Fault, UsageError
from credit_tier.specs.dataset import DatasetSpec

if TYPE_CHECKING:
    import polars as pl

ENDINGS = (".csv", ".csv.gz", ".parquet")
_UNIT_IN_HEADER = re.compile(r"\((万元|元)\)$")


@dataclass(frozen=True)
class SourceFile:
    """One file of a delivery that belongs to a table."""

    path: Path
    table: str
    sha256: str

    @property
    def name(self) -> str:
        """Return the file's name, the way messages call it."""
        return self.path.name

    @property
    def is_text(self) -> bool:
        """Return whether all its values are text."""
        return not self.name.endswith(".parquet")


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


def find_delivery(folder: Path, tables: Collection[str]) -> Delivery:
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
        table = _table_of(path.name)
        if path.is_file() and table in tables:
            files.append(SourceFile(path, table, file_digest(path)))
        else:
            unknown.append(path.name)
    if not files:
        raise DataError.of(
            "CT-DATA-003",
            where=str(folder),
            what="no file here belongs to a known table.",
            advice=f"Name files <table>{' or <table>'.join(ENDINGS)}; tables are {', '.join(sorted(tables))}.",
        )
    return Delivery(tuple(files), tuple(unknown))


def _table_of(name: str) -> str:
    for ending in sorted(ENDINGS, key=len, reverse=True):
        if name.endswith(ending):
            return name.removesuffix(ending).split("-", 1)[0]
    return ""


# ---------------------------------------------------------------------------------------------------------------- reading


def read_source(file: SourceFile) -> pl.DataFrame:
    """Return a file as columns under its own headers; CSV values are all text.

    Raises
    ------
    DataError : CT-DATA-001 empty file, 004 wrong encoding, 005 malformed CSV, 006 damaged file, 007 one header twice.
    """
    if file.path.stat().st_size == 0:
        raise _empty(file)
    return _read_csv(file) if file.is_text else _read_parquet(file)


def _empty(file: SourceFile) -> DataError:
    return DataError.of(
        "CT-DATA-001", where=file.name, what="the file is empty.", advice="Ask the department to send it again."
    )


def _read_parquet(file: SourceFile) -> pl.DataFrame:
    import polars as pl

    try:
        return pl.read_parquet(file.path, glob=False, hive_partitioning=False)
    except (pl.exceptions.PolarsError, OSError) as error:
        raise DataError.of(
            "CT-DATA-006",
            where=file.name,
            what="this is not a readable Parquet file.",
            advice="Ask the department to send it again.",
        ) from error


def _read_csv(file: SourceFile) -> pl.DataFrame:
    import polars as pl

    raw = file.path.read_bytes()
    if file.name.endswith(".gz"):
        try:
            raw = gzip.decompress(raw)
        except (OSError, EOFError, zlib.error) as error:
            raise DataError.of(
                "CT-DATA-006",
                where=file.name,
                what="the compressed file is damaged.",
                advice="Ask the department to send it again.",
            ) from error
    raw = _as_utf8(raw, file)
    if not raw.strip():
        raise _empty(file)
    headers = _headers(raw, file)
    frame = _parsed(raw, headers, file)
    blank = pl.all_horizontal(pl.all().is_null())
    return frame.filter(~blank)


def _parsed(raw: bytes, headers: list[str], file: SourceFile) -> pl.DataFrame:
    """Return CSV bytes as text columns.

    Arrow's reader, because it counts the fields of each line; others fill a line that was cut short with nulls in silence.
    """
    import polars as pl
    import pyarrow as pa
    from pyarrow import csv as arrow_csv

    uneven = 0

    def count(_row: object) -> str:
        nonlocal uneven
        uneven += 1
        return "skip"

    try:
        table = arrow_csv.read_csv(
            pa.py_buffer(raw),
            read_options=arrow_csv.ReadOptions(column_names=headers, skip_rows_after_names=1, block_size=1 << 24),
            parse_options=arrow_csv.ParseOptions(newlines_in_values=True, invalid_row_handler=count),
            convert_options=arrow_csv.ConvertOptions(
                column_types=dict.fromkeys(headers, pa.large_string()),
                strings_can_be_null=True,
                quoted_strings_can_be_null=True,
                null_values=[""],
            ),
        )
    except pa.ArrowInvalid as error:
        raise _malformed(file, "the lines do not form a table.") from error
    if uneven:
        raise _malformed(file, f"{uneven} line(s) have another number of fields than the header has ({len(headers)}).")
    frame = pl.from_arrow(table)
    if not isinstance(frame, pl.DataFrame):
        raise _malformed(file, "the lines do not form a table.")
    return frame


def _malformed(file: SourceFile, what: str) -> DataError:
    return DataError.of(
        "CT-DATA-005",
        where=file.name,
        what=what,
        advice="Separate fields by commas, close every quotation mark, put values that hold commas in double quotes, and send it again.",
    )


def _as_utf8(raw: bytes, file: SourceFile) -> bytes:
    """Return CSV bytes as UTF-8 without byte-order mark; GB18030 is taken only if every byte of the file decodes."""
    fault = DataError.of(
        "CT-DATA-004",
        where=file.name,
        what="the text is neither UTF-8 nor GB18030.",
        advice="Save it as UTF-8 (in Excel: 'CSV UTF-8') and send it again.",
    )
    if raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise fault
    body = raw.removeprefix(codecs.BOM_UTF8)
    if _decodes(body, "utf-8"):
        result = body
    else:
        try:
            result = raw.decode("gb18030").encode("utf-8")
        except UnicodeDecodeError as error:
            raise fault from error
    if b"\x00" in result:
        raise fault
    return result


def _decodes(raw: bytes, encoding: str, *, step: int = 1 << 20) -> bool:
    decoder = codecs.getincrementaldecoder(encoding)()
    view = memoryview(raw)
    try:
        for start in range(0, len(raw), step):
            decoder.decode(view[start : start + step])
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True


def _headers(raw: bytes, file: SourceFile) -> list[str]:
    first = next(csv.reader(io.TextIOWrapper(io.BytesIO(raw), encoding="utf-8", newline="")), [])
    headers = [header.strip() or f"_unnamed_{number}" for number, header in enumerate(first, start=1)]
    twice = sorted(header for header, count in Counter(headers).items() if count > 1)
    if twice:
        raise DataError.of(
            "CT-DATA-007",
            where=file.name,
            what=f"{len(twice)} header(s) stand twice: {', '.join(twice)}.",
            advice="Give every column a header of its own.",
        )
    return headers


# ---------------------------------------------------------------------------------------------------------------- headers


@dataclass(frozen=True)
class HeaderMap:
    """Which header carries which column of the contract.

    Attributes
    ----------
    headers : column name to header.
    units : money column to the unit that its header says.
    unmapped : headers that no column asks for.
    absent : optional columns that the file does not have.
    """

    headers: Mapping[str, str]
    units: Mapping[str, str]
    unmapped: tuple[str, ...]
    absent: tuple[str, ...]


def map_headers(headers: Sequence[str], spec: DatasetSpec, *, where: str) -> HeaderMap:
    """Match a file's headers with a contract: by column name, by alias, by Chinese title; width and spaces do not count.

    Raises
    ------
    DataError : CT-DATA-008 per required column without header, 009 per column with several headers.
    """
    names = _known_headers(spec)
    found: dict[str, list[str]] = {}
    units: dict[str, str] = {}
    unmapped = []
    for header in headers:
        plain = _plain(header)
        name = names.get(plain)
        unit = _UNIT_IN_HEADER.search(plain)
        if name is None and unit is not None:
            name = names.get(plain[: unit.start()])
            if name is not None and spec.columns[name].type != "money":
                name = None
        if name is None:
            unmapped.append(header)
            continue
        found.setdefault(name, []).append(header)
        if unit is not None and spec.columns[name].type == "money":
            units[name] = unit.group(1)
    required = {spec.key, *spec.record_id.of, *(name for name, column in spec.columns.items() if not column.nullable)}
    faults = [
        Fault(
            "CT-DATA-008",
            where,
            f"the required column {spec.table}.{name} ({spec.columns[name].title_zh}) is missing.",
            f"Add it under one of these headers: {', '.join((name, *spec.columns[name].aliases))}.",
        )
        for name in spec.columns
        if name in required and name not in found
    ]
    faults += [
        Fault(
            "CT-DATA-009",
            where,
            f"{len(several)} headers stand for {spec.table}.{name}: {', '.join(several)}.",
            "Keep one of them.",
        )
        for name, several in sorted(found.items())
        if len(several) > 1
    ]
    if faults:
        raise DataError(*faults)
    return HeaderMap(
        {name: found[name][0] for name in spec.columns if name in found},
        units,
        tuple(unmapped),
        tuple(name for name in spec.columns if name not in found),
    )


def _known_headers(spec: DatasetSpec) -> dict[str, str]:
    result = {_plain(header): name for name, column in spec.columns.items() for header in (name, *column.aliases)}
    titles = Counter(_plain(column.title_zh) for column in spec.columns.values())
    for name, column in spec.columns.items():
        title = _plain(column.title_zh)
        if titles[title] == 1:
            result.setdefault(title, name)
    return result


def _plain(header: str) -> str:
    return re.sub(r"\s+", "", unicodedata.normalize("NFKC", header)).strip("\ufeff").casefold()
