"""Staging: the files of one table, read, typed, freed of identical duplicates and checked against the contract.

Rows pass through in batches and wait on disk; what has to be known of all rows at once is one 64-bit hash per row.
Nothing is written to the lake here; of the lake only the numbers of its subjects are known, through a look-up.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

from credit_tier.data.batches import ROWS_PER_BATCH, Spill, Spilled, batches
from credit_tier.data.columns import WrongTypeError, read_column
from credit_tier.data.contracts import conflicts, failing_rows, identity
from credit_tier.data.footers import without_footer
from credit_tier.data.headers import HeaderMap, map_headers
from credit_tier.data.sources import SourceFile
from credit_tier.errors import DataError, Fault
from credit_tier.specs.dataset import DatasetSpec

if TYPE_CHECKING:
    import polars as pl

FILE, ROW = "_file", "_row"
"""Origin of a row: number of its file within the table's files, and of its data row in the file, from 1."""

NUMBER = "_number"
"""Number that the look-up of subjects gave; a register has none before it is complete."""

REPEAT = "_repeat"
"""How many earlier rows agree with a row in what its record is told by, where such rows are records of their own."""

ROWS_COMPARED = 4 * ROWS_PER_BATCH
"""About how many rows that may repeat one another are compared at a time."""


@dataclass(frozen=True)
class StagedFile:
    """One file that was read: its headers, its rows, and how many of them were identical duplicates."""

    source: SourceFile
    headers: HeaderMap
    rows: int
    duplicates: int
    day_numbers: Mapping[str, int]
    """Date column to how many of its values were day numbers of a spreadsheet."""
    footer: tuple[str, ...] = ()
    """Words with which the lines below the table begin; these lines are no rows."""


@dataclass(frozen=True)
class Staged:
    """One table of a delivery before it meets the lake.

    Attributes
    ----------
    batches : frames put aside, in order of file and row: columns of the contract with the types of `columns`,
        and `_file`, `_row`, and `_number` if there was a look-up.
    repeats : columns `_file`, `_row`, `_repeat` of rows that repeat an earlier one and are records of their own; None if the contract
        knows no such rows.
    dropped : columns `_file`, `_row` of rows that repeat an earlier row in every column.
    failures : columns `_file`, `_row`, `rule`; a row may fail several rules; dropped rows are not judged.
    files : the files that were read, in order of their numbers.
    refused : what is wrong with the files that were not.
    """

    batches: tuple[Spilled, ...]
    repeats: pl.DataFrame | None
    dropped: pl.DataFrame
    failures: pl.DataFrame
    files: tuple[StagedFile, ...]
    refused: tuple[Fault, ...]

    def good(self) -> Iterator[pl.DataFrame]:
        """Yield the rows that are neither dropped nor fail a rule, batch by batch, with `_repeat` if the contract knows repeats."""
        import polars as pl

        gone = pl.concat([self.dropped, self.failures.select(FILE, ROW)])
        for batch in self.batches:
            rows = batch.load()
            if self.repeats is not None:
                rows = rows.join(self.repeats, on=[FILE, ROW], how="left", maintain_order="left")
                rows = rows.with_columns(pl.col(REPEAT).fill_null(0))
            yield rows.join(gone, on=[FILE, ROW], how="anti", maintain_order="left") if gone.height else rows


@dataclass(frozen=True)
class _FileRead:
    """One file on its way: its batches, the hashes of their rows' identities, and what broke."""

    headers: HeaderMap
    rows: int
    footer: tuple[str, ...]
    day_numbers: Counter[str]
    batches: list[Spilled]
    hashes: list[pl.Series]
    failures: list[pl.DataFrame]


def stage_table(
    spec: DatasetSpec,
    sources: Sequence[SourceFile],
    spill: Spill,
    *,
    numbers: Callable[[pl.Series], pl.Series] | None = None,
    received_on: date | None = None,
) -> Staged:
    """Return the rows of one table's files and the rules that rows break; files that cannot be used are refused whole.

    Parameters
    ----------
    numbers : tells the number of each code of a subject, null if the register does not hold it; None for the register itself and
        not asked for a table without subjects.
        A code that the register holds was checked there; only the others are checked here.
    received_on : day the delivery arrived; rows known later fail.
    """
    import polars as pl

    read: list[tuple[SourceFile, _FileRead]] = []
    refused: list[Fault] = []
    for source in sources:
        try:
            taken = _read_file(spec, source, spill, len(read), numbers=numbers, received_on=received_on)
        except DataError as error:
            refused += error.faults
            continue
        read.append((source, taken))
    waiting = [batch for _, taken in read for batch in taken.batches]
    hashes = [series for _, taken in read for series in taken.hashes]
    repeats, dropped, in_conflict = None, _no_failures().select(FILE, ROW), _no_failures()
    if spec.record_id.repeats:
        repeats = _repeats(waiting, hashes, spec)
    else:
        dropped, in_conflict = _compared(waiting, hashes, spec)
    failures = pl.concat([_no_failures(), *(frame for _, taken in read for frame in taken.failures), in_conflict])
    if dropped.height:
        failures = failures.join(dropped, on=[FILE, ROW], how="anti")
    copies = dict(dropped.group_by(FILE).len().iter_rows())
    return Staged(
        tuple(waiting),
        repeats,
        dropped,
        failures,
        tuple(
            StagedFile(source, taken.headers, taken.rows, copies.get(number, 0), taken.day_numbers, taken.footer)
            for number, (source, taken) in enumerate(read)
        ),
        tuple(refused),
    )


def _read_file(
    spec: DatasetSpec,
    source: SourceFile,
    spill: Spill,
    number: int,
    *,
    numbers: Callable[[pl.Series], pl.Series] | None,
    received_on: date | None,
) -> _FileRead:
    """Read, type and check one file; rows are compared with one another later.

    Raises
    ------
    DataError if the file cannot be used; what was put aside of it is deleted.
    """
    import polars as pl

    rows = 0
    headers: HeaderMap | None = None
    waiting: list[Spilled] = []
    hashes: list[pl.Series] = []
    failures: list[pl.DataFrame] = []
    day_numbers: Counter[str] = Counter()
    footer: list[str] = []
    frames = batches(source)
    if source.layout.header_row is not None:
        frames = without_footer(frames, spec, footer)
    try:
        for raw in frames:
            headers = headers or map_headers(raw.columns, spec, where=source.name, has_receipt=received_on is not None)
            typed, unreadable, serials = _typed(
                raw, spec, headers, number=number, after=rows, where=source.name, received_on=received_on
            )
            day_numbers += serials
            del raw
            known = None
            if numbers is not None and spec.key is not None:
                number_of = numbers(typed[spec.key].cast(pl.String)).alias(NUMBER)
                known = number_of.is_not_null()
            failures += [unreadable, *_broken(typed, spec, unreadable, known=known, received_on=received_on)]
            hashes.append(typed.select(identity(spec)).hash_rows())
            rows += typed.height
            waiting.append(spill.put(typed if known is None else typed.with_columns(number_of)))
    except DataError:
        for batch in waiting:
            batch.discard()
        raise
    if headers is None:
        raise AssertionError("a file gives at least one batch")
    return _FileRead(headers, rows, tuple(footer), day_numbers, waiting, hashes, failures)


def original_rows(source: SourceFile, rows: pl.DataFrame) -> pl.DataFrame:
    """Return rows of a file as they were delivered, all values as text; `rows` has `_row`, ascending, and columns to keep beside them."""
    import polars as pl

    parts = []
    start = 0
    for raw in batches(source):
        mine = rows.filter(pl.col(ROW).is_between(start + 1, start + raw.height))
        if mine.height:
            wanted = raw[(mine[ROW] - (start + 1)).to_list()]
            parts.append(wanted.select(_as_text(name, dtype) for name, dtype in wanted.schema.items()))
        start += raw.height
    return pl.concat([rows, pl.concat(parts)], how="horizontal")


def _as_text(name: str, dtype: pl.DataType) -> pl.Expr:
    import polars as pl

    return pl.col(name).cast(pl.String) if not dtype.is_nested() else pl.lit(None, pl.String).alias(name)


def _no_failures() -> pl.DataFrame:
    import polars as pl

    return pl.DataFrame(schema={FILE: pl.UInt16, ROW: pl.UInt32, "rule": pl.String})


def _typed(
    raw: pl.DataFrame,
    spec: DatasetSpec,
    headers: HeaderMap,
    *,
    number: int,
    after: int,
    where: str,
    received_on: date | None,
) -> tuple[pl.DataFrame, pl.DataFrame, Counter[str]]:
    import polars as pl

    serials: Counter[str] = Counter()
    columns: list[pl.Series] = []
    failures = [_no_failures()]
    wrong: list[Fault] = []
    for name, column in spec.columns.items():
        header = headers.headers.get(name)
        constant = (
            pl.Series(name, [received_on], dtype=pl.Date)
            if name == headers.received
            else pl.Series(name, [column.constant], dtype=pl.String)
        )
        source = constant.new_from_index(0, raw.height) if header is None else raw[header]
        try:
            read = read_column(source, column, unit=headers.units.get(name))
        except WrongTypeError:
            wrong.append(
                Fault(
                    "CT-DATA-011",
                    where,
                    f"{spec.table}.{name} should be of type {column.type}, and the file's values are of another type ({source.dtype}).",
                    "Deliver the column as text or in the right type.",
                )
            )
            continue
        columns.append(read.values.alias(name))
        serials[name] += read.day_numbers
        for rule, mask in read.failures.items():
            at = mask.arg_true()
            failures.append(
                pl.DataFrame({ROW: at + (after + 1)}).select(
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
        pl.int_range(after + 1, after + raw.height + 1, dtype=pl.UInt32).alias(ROW),
    )
    return pl.DataFrame(columns).hstack(origin), pl.concat(failures), serials


def _broken(
    rows: pl.DataFrame,
    spec: DatasetSpec,
    unreadable: pl.DataFrame,
    *,
    known: pl.Series | None,
    received_on: date | None,
) -> Iterator[pl.DataFrame]:
    """Yield the rules that single rows break; a value that could not be read is not called missing as well."""
    import polars as pl

    at = rows.select(FILE, ROW)
    found = failing_rows(rows.select(list(spec.columns)), spec, across_rows=False, sound_keys=known)
    failures = at[found["row"].to_list()].with_columns(found["rule"]) if found.height else _no_failures()
    told = unreadable.with_columns(pl.col("rule").str.replace(r"\.[a-z_]+$", ".missing"))
    failures = failures.join(told, on=[FILE, ROW, "rule"], how="anti")
    yield failures
    if known is not None and not known.all():
        rule = f"{spec.table}.{spec.key}"
        of_key = pl.concat([unreadable, failures]).filter(pl.col("rule").str.starts_with(f"{rule}."))
        unknown = at.filter(~known).join(of_key, on=[FILE, ROW], how="anti")
        yield unknown.with_columns(pl.lit(f"{rule}.not_in_register").alias("rule"))
    column = spec.known_at.column
    if received_on is not None and column is not None:
        late = (rows[column] > received_on).fill_null(False)
        yield at.filter(late).with_columns(pl.lit(f"{spec.table}.{column}.known_after_delivery").alias("rule"))


def _compared(
    waiting: Sequence[Spilled], hashes: Sequence[pl.Series], spec: DatasetSpec
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return the rows that repeat an earlier one, and the failures of those that contradict one another."""
    import polars as pl

    dropped = [_no_failures().select(FILE, ROW)]
    failures = [_no_failures()]
    for rows in _alike(waiting, hashes):
        kept = rows.unique(subset=list(spec.columns), keep="first", maintain_order=True)
        dropped.append(rows.select(FILE, ROW).join(kept.select(FILE, ROW), on=[FILE, ROW], how="anti"))
        rule, contradicting = conflicts(kept.select(list(spec.columns)), spec)
        failures.append(kept.select(FILE, ROW).filter(contradicting).with_columns(pl.lit(rule).alias("rule")))
    return pl.concat(dropped), pl.concat(failures)


def _repeats(waiting: Sequence[Spilled], hashes: Sequence[pl.Series], spec: DatasetSpec) -> pl.DataFrame:
    """Return the rows that repeat an earlier one in their identity, with how many they repeat."""
    import polars as pl

    count = pl.int_range(pl.len(), dtype=pl.UInt32).over(identity(spec)).alias(REPEAT)
    found = [pl.DataFrame(schema={FILE: pl.UInt16, ROW: pl.UInt32, REPEAT: pl.UInt32})]
    found += [rows.select(FILE, ROW, count).filter(pl.col(REPEAT) > 0) for rows in _alike(waiting, hashes)]
    return pl.concat(found)


def _alike(waiting: Sequence[Spilled], hashes: Sequence[pl.Series]) -> Iterator[pl.DataFrame]:
    """Yield the rows whose identity may occur twice, in order of file and row, all of one identity together.

    Equal identities have equal hashes, so only rows whose hash occurs twice are compared, value by value.
    """
    import polars as pl

    ordered = pl.concat([pl.Series(dtype=pl.UInt64), *hashes]).sort()
    twice = ordered.filter(ordered == ordered.shift(1)).unique()
    del ordered
    masks = [series.is_in(twice.implode()) for series in hashes] if len(twice) else []
    buckets = -(-sum(int(mask.sum()) for mask in masks) // ROWS_COMPARED)
    for bucket in range(buckets):
        chosen = [mask & (series % buckets == bucket) for mask, series in zip(masks, hashes, strict=True)]
        yield pl.concat(
            [batch.load().filter(mask) for batch, mask in zip(waiting, chosen, strict=True) if mask.any()]
            or [waiting[0].load().clear()]
        )
