"""The lake, read side: a folder of immutable Parquet parts under a manifest that is replaced atomically.

Writing is in `writer` (files) and `ingest` (meaning); nothing here changes a file.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from datetime import date
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, JsonValue, ValidationError

from credit_tier.canonical import combined_digest, digest_of, file_digest
from credit_tier.content import Spec
from credit_tier.data.engines import scan, scan_spark
from credit_tier.errors import Fault, LakeError, VerificationError
from credit_tier.specs.dataset import DatasetSpec

if TYPE_CHECKING:
    import narwhals as nw
    import polars as pl
    from pyspark.sql import SparkSession

    Scan = Callable[[Sequence[Path]], nw.LazyFrame[Any]]

MANIFEST = "manifest.json"
CODES = "_codes"
QUARANTINE = "_quarantine"
FORMAT = 1

SYSTEM_COLUMNS = ("enterprise_no", "record_id", "event_day", "known_day", "superseded_day")
"""Columns that every lake table starts with."""

SORTED_BY = ("enterprise_no", "event_day", "record_id", "known_day", "superseded_day")

Sha256 = Field(pattern=r"^[0-9a-f]{64}$")


class FileEntry(Spec):
    """One immutable file: path inside the lake, size, rows, SHA-256."""

    name: str = Field(pattern=r"^_?[a-z][a-z0-9_]*/[a-z0-9_][a-z0-9_.-]*\.parquet$")
    bytes: int = Field(ge=0)
    rows: int = Field(ge=0)
    sha256: str = Sha256


class TableEntry(Spec):
    """One table: the contract it was taken in under, and its files in order of enterprise number."""

    contract: DatasetSpec
    schema_digest: str = Sha256
    rows: int = Field(ge=0)
    cutoff: date | None
    """Last known_at of its rows; null while the table is empty."""
    files: tuple[FileEntry, ...] = Field(min_length=1)


class SourceEntry(Spec):
    """One file of a delivery and what became of its rows."""

    name: str
    table: str
    sha256: str = Sha256
    rows: int = Field(ge=0)
    accepted: int = Field(ge=0)
    quarantined: int = Field(ge=0)
    duplicates: int = Field(ge=0)


class Outcome(Spec):
    """What a delivery came to, so that the same one, under the same conditions, is recognised and not read again."""

    conditions: str = Sha256
    """Digest of all that the verdict on a row depends on besides the row."""
    needs_register: bool
    """Whether a row was rejected because the register lacks its subject, so that a larger register gives another outcome."""
    tables: tuple[JsonValue, ...]
    """Reports of the tables, in the form of the program that wrote them."""


class DeliveryEntry(Spec):
    """One delivery that was taken in; there is no wall-clock time in it."""

    digest: str = Sha256
    sources: tuple[SourceEntry, ...]
    quarantine: tuple[FileEntry, ...] = ()
    outcome: Outcome | None = None
    """Null if a file was refused: such a delivery is always read again."""


class Manifest(Spec):
    """What the lake consists of."""

    format: Literal[1] = 1
    register_table: str
    enterprises: int = Field(ge=0)
    codes: FileEntry
    tables: dict[str, TableEntry]
    deliveries: tuple[DeliveryEntry, ...] = ()

    def digest(self) -> str:
        """Return one digest over contents and contracts of all tables; the log of deliveries is not part of it."""
        parts = [("codes", self.codes.sha256)]
        for name, table in self.tables.items():
            parts.append((f"{name}/schema", table.schema_digest))
            parts.extend((f"{name}/{number}", item.sha256) for number, item in enumerate(table.files))
        return combined_digest(parts)

    def files(self) -> Iterator[FileEntry]:
        """Yield every file that belongs to the lake."""
        yield self.codes
        for name in sorted(self.tables):
            yield from self.tables[name].files
        for delivery in self.deliveries:
            yield from delivery.quarantine

    def text(self) -> str:
        """Return the manifest as JSON, the same bytes for the same content; contracts keep the order of their columns."""
        return json.dumps(self.model_dump(mode="json"), ensure_ascii=False, indent=1) + "\n"


def schema_digest(spec: DatasetSpec) -> str:
    """Return the digest of a table's contract."""
    return digest_of(spec.model_dump(mode="json"))


def read_manifest(path: Path) -> Manifest | None:
    """Return the manifest of a lake folder, or None if there is none.

    Raises
    ------
    LakeError : CT-LAKE-002 if it is not a manifest, CT-LAKE-006 if another version wrote it.
    """
    try:
        text = (path / MANIFEST).read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise _damaged(path, "it cannot be read") from error
    try:
        raw = json.loads(text)
    except ValueError as error:
        raise _damaged(path, "it is not JSON") from error
    if isinstance(raw, dict) and raw.get("format", FORMAT) != FORMAT:
        raise LakeError.of(
            "CT-LAKE-006",
            where=str(path / MANIFEST),
            what="the lake was written by another version of the program.",
            advice=f"This version reads format {FORMAT}; build the lake again from the deliveries.",
        )
    try:
        return Manifest.model_validate(raw)
    except ValidationError as error:
        where = ".".join(str(part) for part in error.errors(include_url=False)[0]["loc"]) or "its top level"
        raise _damaged(path, f"{where} is not as expected") from None


def _damaged(path: Path, why: str) -> LakeError:
    return LakeError.of(
        "CT-LAKE-002",
        where=str(path / MANIFEST),
        what=f"the manifest is damaged: {why}.",
        advice="Restore it from a backup, or build the lake again from the deliveries.",
    )


class Lake:
    """An opened lake: tables as lazy frames, codes, contracts and digests.

    Every table has the columns `enterprise_no, record_id, event_day, known_day, superseded_day`, then the contract's columns
    without the key: dates as day numbers, money as integer fen. In a reference table, which is about no subject, enterprise_no is -1.
    A version is visible at as_of if ``known_day < as_of_day and superseded_day >= as_of_day``.
    """

    def __init__(self, path: Path, manifest: Manifest, scan: Scan = scan) -> None:
        self.path = path
        self.manifest = manifest
        self._scan = scan

    @classmethod
    def open(cls, path: Path | str) -> Lake:
        """Open a lake after a look at the presence and size of its files.

        Raises
        ------
        LakeError : CT-LAKE-001 no lake there, 002 damaged manifest, 003 a file is missing or has another size, 006 other version.
        """
        folder = Path(path)
        manifest = read_manifest(folder)
        if manifest is None:
            raise LakeError.of(
                "CT-LAKE-001",
                where=str(folder),
                what="there is no lake here.",
                advice="Build one: credit-tier ingest DELIVERY LAKE.",
            )
        faults = [fault for item in manifest.files() if (fault := _size_fault(folder, item)) is not None]
        if faults:
            raise LakeError(*faults)
        return cls(folder, manifest)

    def on_spark(self, session: SparkSession) -> Lake:
        """Return the same lake with frames of a Spark session."""
        return Lake(self.path, self.manifest, partial(scan_spark, session))

    @property
    def tables(self) -> tuple[str, ...]:
        """Return the names of the tables, sorted."""
        return tuple(sorted(self.manifest.tables))

    @property
    def register(self) -> str:
        """Return the name of the entity table."""
        return self.manifest.register_table

    @property
    def enterprises(self) -> int:
        """Return how many subjects the register numbers: enterprise_no runs from 0 to this minus 1."""
        return self.manifest.enterprises

    @property
    def cutoff(self) -> date:
        """Return the last known_at in the extract (数据截止日).

        Raises
        ------
        LakeError (CT-LAKE-010) if the lake holds no record at all.
        """
        days = [table.cutoff for table in self.manifest.tables.values() if table.cutoff is not None]
        if not days:
            raise LakeError.of(
                "CT-LAKE-010",
                where=str(self.path),
                what="the lake holds no record, so it has no data cut-off.",
                advice="Ingest a delivery.",
            )
        return max(days)

    def cutoff_of(self, table: str) -> date:
        """Return the last known_at of one table.

        Raises
        ------
        LakeError : CT-LAKE-004 unknown table, CT-LAKE-010 if the table is empty.
        """
        last = self._entry(table).cutoff
        if last is None:
            raise LakeError.of(
                "CT-LAKE-010",
                where=f"{self.path} {table}",
                what="the table holds no record, so it has no data cut-off.",
                advice="Ingest a delivery that has it.",
            )
        return last

    @cached_property
    def digest(self) -> str:
        """Return one SHA-256 over the digests of all data files and contracts."""
        return self.manifest.digest()

    def rows(self, table: str) -> int:
        """Return how many rows (versions of records) a table has."""
        return self._entry(table).rows

    def spec(self, table: str) -> DatasetSpec:
        """Return the contract under which a table was taken in."""
        return self._entry(table).contract

    def frame(self, table: str) -> nw.LazyFrame[Any]:
        """Return a table as a lazy frame, sorted by enterprise_no, event_day, record_id, known_day (on Spark: in any order).

        Raises
        ------
        LakeError (CT-LAKE-004) if the lake has no such table; the message lists what it has.
        """
        return self._scan([self.path / item.name for item in self._entry(table).files])

    @cached_property
    def _codes(self) -> pl.DataFrame:
        codes: pl.DataFrame = scan([self.path / self.manifest.codes.name]).collect().to_native()
        return codes

    def codes(self) -> nw.DataFrame[pl.DataFrame]:
        """Return columns enterprise_no (Int32) and code (String); row i is enterprise_no i."""
        import narwhals as nw

        return nw.from_native(self._codes, eager_only=True)

    def code_frame(self) -> nw.LazyFrame[Any]:
        """Return the codes as a lazy frame of the lake's engine."""
        return self._scan([self.path / self.manifest.codes.name])

    def number_of(self, code: str) -> int | None:
        """Return the enterprise_no of a code, or None if the register does not hold it."""
        found = self._codes.filter(self._codes["code"] == code)["enterprise_no"]
        return int(found[0]) if len(found) else None

    def verify(self) -> None:
        """Recompute the SHA-256 of every file.

        Raises
        ------
        VerificationError (CT-LAKE-009) with one fault per file that is missing or was changed.
        """
        faults = []
        for item in self.manifest.files():
            fault = _size_fault(self.path, item)
            if fault is None and file_digest(self.path / item.name) != item.sha256:
                fault = Fault(
                    "CT-LAKE-009", item.name, "the bytes of this file are not those that were written.", _HEAL
                )
            elif fault is not None:
                fault = Fault("CT-LAKE-009", fault.where, fault.what, fault.advice)
            if fault is not None:
                faults.append(fault)
        if faults:
            raise VerificationError(*faults)

    def _entry(self, table: str) -> TableEntry:
        found = self.manifest.tables.get(table)
        if found is None:
            raise LakeError.of(
                "CT-LAKE-004",
                where=str(self.path),
                what=f"the lake has no table '{table}'.",
                advice=f"It has: {', '.join(self.tables)}.",
            )
        return found


_HEAL = "Restore it from a backup, or build the lake again from the deliveries."


def _size_fault(folder: Path, item: FileEntry) -> Fault | None:
    try:
        size = (folder / item.name).stat().st_size
    except FileNotFoundError:
        return Fault("CT-LAKE-003", item.name, "this file of the lake is missing.", _HEAL)
    if size != item.bytes:
        return Fault("CT-LAKE-003", item.name, f"the file has {size} bytes instead of {item.bytes}.", _HEAL)
    return None
