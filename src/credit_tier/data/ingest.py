"""Ingestion: a delivery folder goes into the lake, the only way into it.

The register goes first, because the subjects of all other tables are looked up in it.
Rows that fail go to quarantine with their original values and the ids of the rules they break; the rest is kept.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from credit_tier.content import Content
from credit_tier.data.batches import Spill
from credit_tier.data.databases import Database
from credit_tier.data.delivery import Delivery, opened, prepared_all
from credit_tier.data.lake import (
    CODES,
    DeliveryEntry,
    FileEntry,
    Manifest,
    SourceEntry,
    TableEntry,
    schema_digest,
)
from credit_tier.data.parts import Incoming, arranged, merge_parts
from credit_tier.data.recognition import outcome_of, recognised
from credit_tier.data.register import Register
from credit_tier.data.report import IngestReport, TableReport, file_report
from credit_tier.data.staging import FILE, NUMBER, REPEAT, ROW, Staged, original_rows, stage_table
from credit_tier.data.versions import SEEN
from credit_tier.data.writer import LakeWriter
from credit_tier.errors import ContentError, DataError, Fault, LakeError
from credit_tier.specs.dataset import DatasetSpec
from credit_tier.temporal import date_of, day_number

if TYPE_CHECKING:
    import polars as pl

ENTERPRISES_PER_PART = 500_000
"""A part holds a fixed range of enterprise numbers, so that a delivery rewrites only the ranges it touches."""

NO_SUBJECT = -1
"""`enterprise_no` of records that are about no subject, in reference tables."""

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
    lake_path: Path | str, source: Path | str | Database, content: Content, *, received_on: date | None = None
) -> IngestReport:
    """Take a delivery into a lake and return what became of every file and row.

    Parameters
    ----------
    lake_path : folder of the lake; made if it does not exist.
    source : folder of the delivery, with files named after their tables, or a database with tables or views named so.
    content : the content rooms whose `data_schemas` are the contracts.
    received_on : day the delivery arrived; rows that claim to have been known later are rejected, and files without
        the column that says when a record became known were known on this day.

    Raises
    ------
    UsageError, DataError : the folder is not there or delivers nothing, or a first delivery lacks the register.
    LakeError : CT-LAKE-005 another process writes, 007 a contract changed its meaning, 008 the folder is no lake.
    """
    specs = load_specs(content)
    with opened(source, specs) as delivery, LakeWriter(Path(lake_path)) as writer:
        old = writer.manifest
        _check_contracts(old, specs)
        known = None if old is None else recognised(old, delivery, specs, received_on=received_on)
        if old is not None and known is not None:
            tables, refused, manifest = known, [], old
        else:
            run = _Run(writer, specs, delivery, received_on)
            for table in sorted(specs, key=lambda name: (name != run.register, name)):
                run.take(table)
            tables, refused, manifest = tuple(run.reports), run.refused, run.manifest()
        changed = manifest != old
        if changed:
            writer.commit(manifest)
        return IngestReport(
            lake=str(lake_path),
            delivery_digest=delivery.digest,
            lake_digest=manifest.digest(),
            changed=changed,
            tables=tables,
            refused=tuple(refused),
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
        self.codes = Register(pl.read_parquet(self.writer.path / old.codes.name)) if old else Register.empty()

    def take(self, table: str) -> None:
        """Take the files of one table, if the delivery has any."""
        spec = self.specs[table]
        sources = self.delivery.of_table(table)
        if sources:
            with self.writer.scratch() as folder:
                spill = Spill(folder)
                sources, unusable = prepared_all(sources, folder)
                self.refused += unusable
                numbers = None if table == self.register else self.codes.numbers_of
                staged = stage_table(spec, sources, spill, numbers=numbers, received_on=self.received_on)
                self.refused += staged.refused
                if staged.files:
                    self._take_staged(spec, staged, spill)
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

    def _take_staged(self, spec: DatasetSpec, staged: Staged, spill: Spill) -> None:
        import polars as pl

        if spec.table == self.register and spec.key is not None:
            key, known = spec.key, self.codes
            self.codes = known.with_codes(pl.concat([rows[key].unique().cast(pl.String) for rows in staged.good()]))
            if self.codes is not known:
                self.codes_entry = self.writer.put_part(CODES, self.codes.codes)
        seen = [file.source.sha256 in self.seen for file in staged.files]
        accepted: Counter[int] = Counter()
        days: list[int] = []

        def in_lake_columns(rows: pl.DataFrame) -> pl.DataFrame:
            result = lake_rows(rows, spec, self.codes, seen=seen)
            accepted.update(dict(rows.group_by(FILE).len().iter_rows()))
            days.extend(day for day in (result["known_day"].min(), result["known_day"].max()) if isinstance(day, int))
            return result

        empty = lake_rows(staged.batches[0].load().clear(), spec, self.codes, seen=seen)
        incoming = arranged(map(in_lake_columns, staged.good()), spill, per_part=ENTERPRISES_PER_PART, empty=empty)
        for batch in staged.batches:
            batch.discard()
        added = self._merge(spec, incoming)
        self._report(spec, staged, accepted=accepted, days=days, added=added)

    def _merge(self, spec: DatasetSpec, incoming: Incoming) -> int:
        """Merge rows into their table and return how many were added."""
        old = self.tables.get(spec.table)
        merged = merge_parts(self.writer, spec, old.files if old else (), incoming, per_part=ENTERPRISES_PER_PART)
        cutoffs = [] if old is None or old.cutoff is None else [old.cutoff]
        if merged.last_known_day is not None:
            cutoffs.append(date_of(merged.last_known_day))
        self.tables[spec.table] = TableEntry(
            contract=spec,
            schema_digest=schema_digest(spec),
            rows=sum(item.rows for item in merged.files),
            cutoff=max(cutoffs, default=None),
            files=merged.files,
        )
        return merged.added

    def _report(
        self,
        spec: DatasetSpec,
        staged: Staged,
        *,
        accepted: Mapping[int, int],
        days: Sequence[int],
        added: int,
    ) -> None:
        import polars as pl

        failures = staged.failures
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
        total = sum(accepted.values())
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
        self.reports.append(
            TableReport(
                table=spec.table,
                files=tuple(
                    file_report(file.source, file.headers, file.rows, file.day_numbers, footer=file.footer)
                    for file in staged.files
                ),
                rows_read=sum(file.rows for file in staged.files),
                accepted=total,
                added=added,
                unchanged=total - added,
                duplicates=sum(file.duplicates for file in staged.files),
                quarantined=bad.height,
                rules=dict(sorted(failures.unique().group_by("rule").len().iter_rows())),
                quarantine_file=entry.name if entry else None,
                known_first=date_of(min(days)) if days else None,
                known_last=date_of(max(days)) if days else None,
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
            enterprises=self.codes.size,
            codes=self.codes_entry,
            tables=dict(sorted(self.tables.items())),
            deliveries=log,
        )
        if new == old and any(entry == past.model_copy(update={"outcome": None}) for past in log):
            return new
        if not self.refused:
            outcome = outcome_of(self.specs, self.codes_entry, self.reports, received_on=self.received_on)
            entry = entry.model_copy(update={"outcome": outcome})
        return new.model_copy(update={"deliveries": (*log, entry)})


def lake_rows(rows: pl.DataFrame, spec: DatasetSpec, codes: Register, *, seen: Sequence[bool]) -> pl.DataFrame:
    """Return staged rows in the columns of the lake, without `superseded_day`, with `_seen` by file number.

    Dates become day numbers, the key becomes enterprise_no (in a table without subjects :data:`NO_SUBJECT`), the record id its text or
    the digest of its columns.
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
    if spec.key is None:
        number = pl.Series([NO_SUBJECT], dtype=pl.Int32).new_from_index(0, rows.height)
    elif NUMBER in rows.columns:
        number = rows[NUMBER]
    else:
        number = codes.numbers_of(rows[spec.key].cast(pl.String))
    return days.with_columns(
        number.alias("enterprise_no"),
        _record_ids(days, spec).alias("record_id"),
        pl.Series(SEEN, seen).gather(rows[FILE]),
    ).select(
        "enterprise_no",
        "record_id",
        event.alias("event_day"),
        known.alias("known_day"),
        *(name for name in spec.columns if name != spec.key),
        SEEN,
    )


def _record_ids(rows: pl.DataFrame, spec: DatasetSpec) -> pl.Series:
    """Return record ids: the text of the column, or the digest of the columns' texts, each written with its length, and of the number
    of a repeat, if it is one.
    """
    import polars as pl

    if spec.record_id.column is not None:
        return rows[spec.record_id.column].cast(pl.String)

    def part(name: str) -> pl.Expr:
        text = pl.col(name).cast(pl.String)
        told = pl.concat_str(text.str.len_bytes().cast(pl.String), pl.lit(":"), text, pl.lit(";"))
        return pl.when(pl.col(name).is_null()).then(pl.lit("-;")).otherwise(told)

    repeat = pl.when(pl.col(REPEAT) > 0).then(part(REPEAT)).otherwise(pl.lit("")) if REPEAT in rows.columns else None
    texts = rows.select(pl.concat_str(*map(part, spec.record_id.of), *([] if repeat is None else [repeat]))).to_series()
    sha256 = hashlib.sha256
    digests = pl.Series([sha256(text).digest() for text in texts.cast(pl.Binary).to_list()], dtype=pl.Binary)
    return digests.bin.encode("hex").str.head(RECORD_ID_DIGITS)


def record_digest(values: Iterable[object], repeat: int = 0) -> str:
    """Return the record id of one record that is told by several columns, from their values in the lake's form.

    `repeat` : how many earlier records agree in these values.
    """
    told = (*values, repeat) if repeat else values
    texts = (None if v is None else str(v).lower() if isinstance(v, bool) else str(v) for v in told)
    parts = ("-;" if text is None else f"{len(text.encode())}:{text};" for text in texts)
    return hashlib.sha256("".join(parts).encode()).hexdigest()[:RECORD_ID_DIGITS]


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
