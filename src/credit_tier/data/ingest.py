"""Ingestion: a delivery folder goes into the lake, the only way into it.

The register goes first, because the subjects of all other tables are looked up in it.
Rows that fail go to quarantine with their original values and the ids of the rules they break; the rest is kept.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from credit_tier.content import Content
from credit_tier.data.delivery import Delivery, find_delivery, prepared_all
from credit_tier.data.lake import (
    CODES,
    DeliveryEntry,
    FileEntry,
    Manifest,
    SourceEntry,
    TableEntry,
    schema_digest,
)
from credit_tier.data.report import IngestReport, TableReport, file_report
from credit_tier.data.staging import FILE, ROW, Staged, original_rows, stage_table
from credit_tier.data.versions import SEEN, merge_versions
from credit_tier.data.writer import LakeWriter
from credit_tier.errors import ContentError, DataError, Fault, LakeError
from credit_tier.specs.dataset import DatasetSpec
from credit_tier.temporal import date_of, day_number

if TYPE_CHECKING:
    import polars as pl

ENTERPRISES_PER_PART = 500_000
"""A part holds a fixed range of enterprise numbers, so that a delivery rewrites only the ranges it touches."""

RECORD_ID_DIGITS = 24
"""Hexadecimal digits of a record id made from several columns: 96 bits, no collision among billions of records."""


def load_specs(content: Content) -> dict[str, DatasetSpec]:
    """Return the contracts of all tables by name.

    Raises
    ------
    ContentError : CT-CONTENT-022 if a file is not named after its table, 021 unless exactly one table is the register.
    """
    specs = {}
    for item in content.files("data_schemas"):
        spec = content.load("data_schemas", item.name, DatasetSpec)
        if item.name != f"{spec.table}.yaml":
            raise ContentError.of(
                "CT-CONTENT-022",
                where=item.label,
                what=f"the file describes the table '{spec.table}'.",
                advice=f"Name it {spec.table}.yaml.",
            )
        specs[spec.table] = spec
    entities = [spec.table for spec in specs.values() if spec.kind == "entity"]
    if len(entities) != 1:
        raise ContentError.of(
            "CT-CONTENT-021",
            where="data_schemas",
            what=f"exactly one table must be of kind entity, the register; there are {len(entities)}.",
            advice=f"Of this kind: {', '.join(entities) or 'none'}.",
        )
    return specs


def ingest(
    lake_path: Path | str, source_folder: Path | str, content: Content, *, received_on: date | None = None
) -> IngestReport:
    """Take a delivery into a lake and return what became of every file and row.

    Parameters
    ----------
    lake_path : folder of the lake; made if it does not exist.
    source_folder : folder of the delivery, with files named after their tables.
    content : the content rooms whose `data_schemas` are the contracts.
    received_on : day the delivery arrived; rows that claim to have been known later are rejected.

    Raises
    ------
    UsageError, DataError : the folder is not there or delivers nothing, or a first delivery lacks the register.
    LakeError : CT-LAKE-005 another process writes, 007 a contract changed its meaning, 008 the folder is no lake.
    """
    specs = load_specs(content)
    delivery = find_delivery(Path(source_folder), specs)
    with LakeWriter(Path(lake_path)) as writer:
        old = writer.manifest
        _check_contracts(old, specs)
        run = _Run(writer, specs, delivery, received_on)
        for table in sorted(specs, key=lambda name: (name != run.register, name)):
            run.take(table)
        manifest = run.manifest()
        changed = manifest != old
        if changed:
            writer.commit(manifest)
        return IngestReport(
            lake=str(lake_path),
            delivery_digest=delivery.digest,
            lake_digest=manifest.digest(),
            changed=changed,
            tables=tuple(run.reports),
            refused=tuple(run.refused),
            unknown_files=delivery.unknown,
        )


def _check_contracts(old: Manifest | None, specs: Mapping[str, DatasetSpec]) -> None:
    """Refuse a contract that reads a table of the lake in another way; titles, aliases and limits may change."""
    if old is None:
        return
    faults = [
        Fault(
            "CT-LAKE-007",
            f"data_schemas/{name}.yaml",
            f"the contract differs from the one under which '{name}' was taken in (key, record id, dates, columns or their types).",
            "Build a new lake from all deliveries.",
        )
        for name, entry in sorted(old.tables.items())
        if name in specs and _meaning(entry.contract) != _meaning(specs[name])
    ]
    if faults:
        raise LakeError(*faults)


def _meaning(spec: DatasetSpec) -> object:
    return (
        spec.kind,
        spec.key,
        spec.record_id,
        spec.event_on,
        (spec.known_at.column, spec.known_at.delay_days, spec.known_at.fixed),
        {name: column.type for name, column in spec.columns.items()},
    )


@dataclass
class _Run:
    """One ingestion under way: parts written so far, and what the manifest will say."""

    writer: LakeWriter
    specs: Mapping[str, DatasetSpec]
    delivery: Delivery
    received_on: date | None
    reports: list[TableReport] = field(default_factory=list)
    refused: list[Fault] = field(default_factory=list)
    sources: list[SourceEntry] = field(default_factory=list)
    quarantine: list[FileEntry] = field(default_factory=list)

    def __post_init__(self) -> None:
        import polars as pl

        old = self.writer.manifest
        self.register = next(spec.table for spec in self.specs.values() if spec.kind == "entity")
        self.tables = dict(old.tables) if old else {}
        self.seen = {item.sha256 for entry in old.deliveries for item in entry.sources} if old else set()
        self.codes_entry = old.codes if old else None
        self.codes = (
            pl.read_parquet(self.writer.path / old.codes.name)
            if old
            else pl.DataFrame(schema={"enterprise_no": pl.Int32, "code": pl.String})
        )

    def take(self, table: str) -> None:
        """Take the files of one table, if the delivery has any."""
        import polars as pl

        spec = self.specs[table]
        sources = self.delivery.of_table(table)
        with TemporaryDirectory() as folder:
            sources, unusable = prepared_all(sources, Path(folder))
            staged = stage_table(spec, sources)
            self.refused += (*unusable, *staged.refused)
            if staged.files:
                failures = self._with_lookups(spec, staged)
                good = staged.rows.join(
                    failures.select(FILE, ROW).unique(), on=[FILE, ROW], how="anti", maintain_order="left"
                )
                if table == self.register:
                    self._number(good[spec.key].cast(pl.String))
                rows = lake_rows(good, spec, self.codes, seen=[file.source.sha256 in self.seen for file in staged.files])
                added = self._merge(spec, rows)
                self._report(spec, staged, failures, good=good, known=rows["known_day"], added=added)
        if table == self.register and self.codes_entry is None:
            raise DataError(
                *self.refused,
                Fault(
                    "CT-DATA-010",
                    table,
                    "a first delivery needs the register, with at least one usable row.",
                    f"Add {table}.csv or {table}.parquet to the folder.",
                ),
            )

    def _with_lookups(self, spec: DatasetSpec, staged: Staged) -> pl.DataFrame:
        """Return the failures with those added that need the lake: unknown subjects, and days after the delivery."""
        import polars as pl

        failures = [staged.failures]
        at = staged.rows.select(FILE, ROW)
        if spec.table != self.register:
            rule = f"{spec.table}.{spec.key}"
            told = staged.failures.filter(pl.col("rule").str.starts_with(f"{rule}."))
            known = staged.rows[spec.key].cast(pl.String).is_in(self.codes["code"].implode())
            unknown = at.filter(~known.fill_null(False)).join(told, on=[FILE, ROW], how="anti")
            failures.append(unknown.with_columns(pl.lit(f"{rule}.not_in_register").alias("rule")))
        column = spec.known_at.column
        if self.received_on is not None and column is not None:
            late = staged.rows[column] > self.received_on
            name = f"{spec.table}.{column}.known_after_delivery"
            failures.append(at.filter(late.fill_null(False)).with_columns(pl.lit(name).alias("rule")))
        return pl.concat(failures)

    def _number(self, codes: pl.Series) -> None:
        """Give numbers to codes that are new, in order of the code; numbers given earlier never change."""
        import polars as pl

        new = codes.unique().to_frame("code").join(self.codes, on="code", how="anti").sort("code")
        if not new.height:
            return
        first = self.codes.height
        numbers = pl.int_range(first, first + new.height, dtype=pl.Int32, eager=True)
        self.codes = pl.concat([self.codes, new.select(numbers.alias("enterprise_no"), "code")])
        self.codes_entry = self.writer.put_part(CODES, self.codes)

    def _merge(self, spec: DatasetSpec, rows: pl.DataFrame) -> int:
        """Merge rows into their table and return how many were added."""
        import polars as pl

        old = self.tables.get(spec.table)
        existing = None if old is None else pl.read_parquet([self.writer.path / item.name for item in old.files])
        merged = merge_versions(existing, rows)
        files = old.files if old is not None and not merged.added else self._write(spec.table, merged.table)
        last = merged.table["known_day"].max()
        self.tables[spec.table] = TableEntry(
            contract=spec,
            schema_digest=schema_digest(spec),
            rows=merged.table.height,
            cutoff=date_of(last) if isinstance(last, int) else None,
            files=files,
        )
        return merged.added

    def _write(self, table: str, rows: pl.DataFrame) -> tuple[FileEntry, ...]:
        if not rows.height:
            return (self.writer.put_part(table, rows),)
        ranges = rows["enterprise_no"] // ENTERPRISES_PER_PART
        starts = [*ranges.rle().struct.field("len").cum_sum().to_list()]
        bounds = zip([0, *starts[:-1]], starts, strict=True)
        return tuple(self.writer.put_part(table, rows.slice(start, stop - start)) for start, stop in bounds)

    def _report(
        self,
        spec: DatasetSpec,
        staged: Staged,
        failures: pl.DataFrame,
        *,
        good: pl.DataFrame,
        known: pl.Series,
        added: int,
    ) -> None:
        import polars as pl

        bad = (
            failures.group_by(FILE, ROW)
            .agg(pl.col("rule").unique().sort().str.join(" ").alias("_rules"))
            .sort(FILE, ROW)
        )
        entry = None
        if bad.height:
            entry = self.writer.put_quarantine(spec.table, self.delivery.digest, _quarantined(staged, bad))
            self.quarantine.append(entry)
        rejected = dict(bad.group_by(FILE).len().iter_rows())
        accepted = dict(good.group_by(FILE).len().iter_rows())
        for number, file in enumerate(staged.files):
            self.sources.append(
                SourceEntry(
                    name=file.source.name,
                    table=spec.table,
                    sha256=file.source.sha256,
                    rows=file.rows,
                    accepted=accepted.get(number, 0),
                    quarantined=rejected.get(number, 0),
                    duplicates=file.duplicates,
                )
            )
        days = [known.min(), known.max()]
        first, last = (date_of(day) if isinstance(day, int) else None for day in days)
        self.reports.append(
            TableReport(
                table=spec.table,
                files=tuple(
                    file_report(file.source, file.headers, file.rows)
                    for file in staged.files
                ),
                rows_read=sum(file.rows for file in staged.files),
                accepted=good.height,
                added=added,
                unchanged=good.height - added,
                duplicates=sum(file.duplicates for file in staged.files),
                quarantined=bad.height,
                rules=dict(sorted(failures.unique().group_by("rule").len().iter_rows())),
                quarantine_file=entry.name if entry else None,
                known_first=first,
                known_last=last,
            )
        )

    def manifest(self) -> Manifest:
        """Return the state after this delivery; equal to the old one if the delivery brought nothing new."""
        old = self.writer.manifest
        if self.codes_entry is None:
            raise LakeError.of("CT-LAKE-002", where=str(self.writer.path), what="the lake has no register.", advice="")
        log = old.deliveries if old else ()
        entry = DeliveryEntry(
            digest=self.delivery.digest, sources=tuple(self.sources), quarantine=tuple(self.quarantine)
        )
        new = Manifest(
            register_table=self.register,
            enterprises=self.codes.height,
            codes=self.codes_entry,
            tables=dict(sorted(self.tables.items())),
            deliveries=log,
        )
        if new == old and entry in log:
            return new
        return new.model_copy(update={"deliveries": (*log, entry)})


def lake_rows(rows: pl.DataFrame, spec: DatasetSpec, codes: pl.DataFrame, *, seen: Sequence[bool]) -> pl.DataFrame:
    """Return staged rows in the columns of the lake, without `superseded_day`, with `_seen` by file number.

    Dates become day numbers, the key becomes enterprise_no, the record id its text or the digest of its columns.
    """
    import polars as pl

    days = rows.with_columns(
        pl.col(name).to_physical().cast(pl.Int32) for name, column in spec.columns.items() if column.type == "date"
    )
    known = (
        pl.lit(day_number(spec.known_at.fixed), pl.Int32)
        if spec.known_at.fixed is not None
        else pl.col(spec.known_at.column or "") + pl.lit(spec.known_at.delay_days, pl.Int32)
    )
    event = pl.lit(None, pl.Int32) if spec.event_on is None else pl.col(spec.event_on)
    files = pl.DataFrame({FILE: range(len(seen)), SEEN: seen}, schema={FILE: pl.UInt16, SEEN: pl.Boolean})
    return (
        days.with_columns(_record_ids(days, spec).alias("record_id"), pl.col(spec.key).cast(pl.String).alias("code"))
        .join(codes, on="code", how="left", maintain_order="left")
        .join(files, on=FILE, how="left", maintain_order="left")
        .select(
            "enterprise_no",
            "record_id",
            event.alias("event_day"),
            known.alias("known_day"),
            *(name for name in spec.columns if name != spec.key),
            SEEN,
        )
    )


def _record_ids(rows: pl.DataFrame, spec: DatasetSpec) -> pl.Series:
    """Return record ids: the text of the column, or the digest of the columns' texts, each written with its length."""
    import polars as pl

    if spec.record_id.column is not None:
        return rows[spec.record_id.column].cast(pl.String)
    texts = rows.select(
        pl.concat_str(
            (
                pl.when(pl.col(name).is_null())
                .then(pl.lit("-;"))
                .otherwise(
                    pl.concat_str(
                        pl.col(name).cast(pl.String).str.len_bytes().cast(pl.String),
                        pl.lit(":"),
                        pl.col(name).cast(pl.String),
                        pl.lit(";"),
                    )
                )
            )
            for name in spec.record_id.of
        )
    ).to_series()
    sha256 = hashlib.sha256
    return pl.Series([sha256(text.encode()).hexdigest()[:RECORD_ID_DIGITS] for text in texts], dtype=pl.String)


def _quarantined(staged: Staged, bad: pl.DataFrame) -> pl.DataFrame:
    """Return rejected rows as delivered, with `_file` (name), `_row` and `_rules` (rule ids, separated by spaces)."""
    import polars as pl

    parts = []
    for number, file in enumerate(staged.files):
        mine = bad.filter(pl.col(FILE) == number)
        if mine.height:
            labelled = mine.select(pl.lit(file.source.name).alias(FILE), ROW, "_rules")
            parts.append(original_rows(file.source, labelled))
    return pl.concat(parts, how="diagonal")
