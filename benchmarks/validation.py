"""Validation and ingestion: ours against plain pandas and pandera on the same rows, each in a process of its own.

The plain way reads whole tables, checks them with pandera's own checks, and writes sorted tables with versions, as a data scientist would.
Some values are spoilt beforehand: both ways must reject the same number of rows before their figures are printed.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pandera.errors
import pandera.pandas as pa
import polars as pl

from benchmarks.memory import peak_memory
from credit_tier.content import Content
from credit_tier.data.batches import Spill
from credit_tier.data.city import generate
from credit_tier.data.contracts import EARLIEST, LATEST, MAX_CODE, identity
from credit_tier.data.delivery import find_delivery
from credit_tier.data.ingest import NO_SUBJECT, ingest, load_specs
from credit_tier.data.register import Register
from credit_tier.data.staging import stage_table
from credit_tier.specs.dataset import Column, DatasetSpec
from credit_tier.types import Uscc

SPOIL_EVERY = 997


def spoil(records: Path, specs: dict[str, DatasetSpec]) -> int:
    """Put a word that no vocabulary holds into every 997th row of each event table that has a code column; return all rows."""
    rows = 0
    for path in sorted(records.glob("*.parquet")):
        spec, table = specs[path.stem], pl.read_parquet(path)
        rows += table.height
        coded = [name for name, column in spec.columns.items() if column.type == "code" and column.vocabulary]
        if spec.kind == "event" and coded:
            wrong = pl.int_range(pl.len()) % SPOIL_EVERY == 0
            value = pl.when(wrong).then(pl.lit("nonsense")).otherwise(pl.col(coded[0])).alias(coded[0])
            table.with_columns(value).write_parquet(path, row_group_size=250_000)
    return rows


def validate_ours(records: Path, _out: Path) -> int:
    specs = load_specs(Content.resolve())
    delivery = find_delivery(records, specs)
    register, failed = Register.empty(), 0
    for name in sorted({file.table for file in delivery.files}, key=lambda name: (specs[name].kind != "entity", name)):
        spec = specs[name]
        with tempfile.TemporaryDirectory() as folder:
            numbers = None if spec.kind == "entity" else register.numbers_of
            staged = stage_table(spec, delivery.of_table(name), Spill(Path(folder)), numbers=numbers)
            if spec.kind == "entity":
                register = register.with_codes(pl.concat([rows[spec.key].unique() for rows in staged.good()]))
        failed += staged.failures.select("_file", "_row").unique().height
    return failed


def ingest_ours(records: Path, out: Path) -> int:
    return sum(table.quarantined for table in ingest(out, records, Content.resolve()).tables)


def plain_column(column: Column) -> pa.Column:
    checks = []
    factor = {"元": 100, "万元": 1_000_000}[column.unit or "元"] if column.type == "money" else 1
    if column.type == "uscc":
        checks.append(pa.Check(lambda codes: codes.map({code: Uscc.is_valid(code) for code in codes.unique()})))
    if column.type == "date":
        checks.append(pa.Check.in_range(pd.Timestamp(EARLIEST), pd.Timestamp(LATEST)))
    if column.type == "codes" and column.vocabulary:
        word = "|".join(column.vocabulary)
        checks.append(pa.Check.str_matches(f"^(?:{word})(?:;(?:{word}))*$"))
    elif column.vocabulary:
        checks.append(pa.Check.isin(list(column.vocabulary)))
    elif column.type == "code":
        checks.append(pa.Check.str_length(max_value=MAX_CODE))
    if column.minimum is not None:
        checks.append(pa.Check.ge(column.minimum * factor))
    if column.maximum is not None:
        checks.append(pa.Check.le(column.maximum * factor))
    if column.pattern is not None:
        checks.append(pa.Check.str_matches(f"^(?:{column.pattern})$"))
    kinds = {"date": "datetime64[s]", "money": "Int64", "integer": "Int64", "boolean": "boolean", "number": "float64"}
    return pa.Column(kinds.get(column.type, "str"), checks, nullable=column.nullable, coerce=True)


def plain_table(path: Path, spec: DatasetSpec) -> tuple[pd.DataFrame, set[int]]:
    """Read a table with pandas and check it with pandera; return it and the rows that fail."""
    table = pd.read_parquet(path)
    for name, column in spec.columns.items():
        if column.type == "date":
            table[name] = pd.to_datetime(table[name])
        if column.type == "money":
            fen = {"元": 100, "万元": 1_000_000}[column.unit or "元"]
            table[name] = (pd.to_numeric(table[name]) * fen).round().astype("Int64")
    event, known = spec.event_on, spec.known_at.column
    checks = [pa.Check(lambda rows: rows[event] <= rows[known])] if event and known and event != known else []
    schema = pa.DataFrameSchema(
        {name: plain_column(column) for name, column in spec.columns.items() if name in table},
        checks=checks,
        unique=list(identity(spec)),
    )
    try:
        return schema.validate(table, lazy=True), set()
    except pandera.errors.SchemaErrors as error:
        return table, set(error.failure_cases["index"].dropna().astype(int))


def plain(records: Path, out: Path, *, write: bool) -> int:
    specs = load_specs(Content.resolve())
    failed, codes = 0, pd.Index([])
    for path in sorted(records.glob("*.parquet"), key=lambda path: (specs[path.stem].kind != "entity", path.stem)):
        spec = specs[path.stem]
        table, bad = plain_table(path, spec)
        failed += len(bad)
        if write:
            good = table.drop(index=list(bad))
            if spec.kind == "entity":
                codes = pd.Index(good[spec.key].sort_values().unique())
            plain_write(good, spec, codes, out / path.name)
            table.loc[sorted(bad)].to_parquet(out / f"rejected-{path.name}")
    return failed


def plain_write(rows: pd.DataFrame, spec: DatasetSpec, codes: pd.Index, path: Path) -> None:
    """Number subjects, name records, end versions, sort, write."""
    if spec.key is None:
        rows = rows.assign(enterprise_no=NO_SUBJECT)
    else:
        number = codes.get_indexer(rows[spec.key])
        rows = rows.assign(enterprise_no=number)[number >= 0].drop(columns=spec.key)
    names = spec.record_id.columns
    parts = [rows["enterprise_no"] if name == spec.key else rows[name] for name in names]
    rows["record_id"] = parts[0].astype(str).str.cat([part.astype(str) for part in parts[1:]], sep="|")
    rows["event_day"] = rows[spec.event_on] if spec.event_on else pd.NaT
    rows["known_day"] = rows[spec.known_at.column] if spec.known_at.column else pd.Timestamp(spec.known_at.fixed)
    rows = rows.sort_values(["record_id", "known_day"])
    rows["superseded_day"] = rows.groupby("record_id")["known_day"].shift(-1)
    rows = rows.sort_values(["enterprise_no", "event_day", "record_id", "known_day"])
    rows.to_parquet(path, compression="zstd", index=False)


WAYS: dict[str, Callable[[Path, Path], int]] = {
    "validate-ours": validate_ours,
    "validate-plain": lambda records, out: plain(records, out, write=False),
    "ingest-ours": ingest_ours,
    "ingest-again": ingest_ours,
    "ingest-plain": lambda records, out: plain(records, out, write=True),
}


def run(way: str, records: str, out: str) -> None:
    """Do one thing in this process; print rejected rows, CPU and wall seconds, and peak memory in GB."""
    started, before = time.perf_counter(), time.process_time()
    failed = WAYS[way](Path(records), Path(out))
    seconds, cpu = time.perf_counter() - started, time.process_time() - before
    print(failed, cpu, seconds, peak_memory())


def measured(way: str, records: Path, out: Path) -> tuple[int, float, float, float]:
    command = [sys.executable, "-m", "benchmarks.validation", "--run", way, str(records), str(out)]
    failed, cpu, seconds, memory = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    return int(failed), float(cpu), float(seconds), float(memory)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--enterprises", type=int, default=50_000)
    parser.add_argument("--run", nargs=3, metavar=("WAY", "RECORDS", "OUT"))
    given = parser.parse_args()
    if given.run:
        run(*given.run)
        return 0
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        generate(root / "city", enterprises=given.enterprises, seed=1)
        records = root / "city" / "records"
        rows = spoil(records, load_specs(Content.resolve()))
        (root / "plain").mkdir()
        print(f"validation: {given.enterprises:,} enterprises, {rows:,} rows; CPU seconds, wall seconds, peak memory")
        for task in ("validate", "ingest"):
            ours = measured(f"{task}-ours", records, root / "lake")
            theirs = measured(f"{task}-plain", records, root / "plain")
            if ours[0] != theirs[0]:
                print(f"  {task}: ours rejects {ours[0]} rows, plain pandas + pandera {theirs[0]}")
                return 1
            print(
                f"  {task}: {ours[0]:,} rows rejected by both · ours {ours[1]:.1f} s ({ours[2]:.1f}) {ours[3]:.2f} GB"
                f" · pandas + pandera {theirs[1]:.1f} s ({theirs[2]:.1f}) {theirs[3]:.2f} GB"
                f" · plain/ours {theirs[1] / ours[1]:.1f} in CPU time, {theirs[3] / ours[3]:.1f} in memory"
            )
        _, cpu, seconds, memory = measured("ingest-again", records, root / "lake")
        print(f"  the same delivery again: ours {cpu:.2f} s ({seconds:.2f}) {memory:.2f} GB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
