"""The national job: features of 50 million enterprises with 500 million events on this machine, out of core.

The lake is written by the lake's own writer, part by part: a few generated parts of 500,000 enterprises, each renumbered many times, because
generating and ingesting half a billion rows says nothing about features. The measured process computes the whole catalogue at one as_of and
writes the feature table.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from datetime import date
from pathlib import Path

import numpy as np
import polars as pl

from benchmarks import events
from benchmarks.memory import peak_memory
from credit_tier.content import Content
from credit_tier.data.ingest import ENTERPRISES_PER_PART, lake_rows, load_specs
from credit_tier.data.lake import CODES, FileEntry, Lake, Manifest, TableEntry, schema_digest
from credit_tier.data.register import Register
from credit_tier.data.staging import FILE, NUMBER
from credit_tier.data.versions import merge_versions
from credit_tier.data.writer import LakeWriter
from credit_tier.specs.dataset import DatasetSpec
from credit_tier.temporal import AsOf

AS_OF = "2026-01-01"
MAKERS = {
    make.__name__: make for make in (events.checks, events.penalties, events.taxes, events.contracts, events.complaints)
}


def base_part(spec: DatasetSpec, firms: int, seed: int) -> pl.DataFrame:
    """Return one part of a table in the lake's form, enterprises numbered from 0."""
    random = np.random.default_rng(seed)
    if spec.kind == "entity":
        first = np.full(firms, events.FIRST - 1)
        rows = pl.DataFrame({"firm": events.names("91", np.arange(firms)), "received_on": events.days(first)})
    else:
        rows = MAKERS[spec.table](firms, random)
    money = [name for name, column in spec.columns.items() if column.type == "money"]
    typed = rows.with_columns(
        *(pl.col(name) * 100 for name in money),
        pl.col("firm").str.slice(2).cast(pl.Int32).alias(NUMBER),
        pl.lit(0, pl.UInt16).alias(FILE),
    )
    return merge_versions(None, lake_rows(typed, spec, Register.empty(), seen=[False])).table


def make_lake(path: Path, *, firms: int, bases: int) -> None:
    """Write a lake of that many firms, in parts of which `bases` differ."""
    specs = load_specs(Content.resolve(events.CONTENT))
    size = min(firms, ENTERPRISES_PER_PART)
    parts = firms // size
    with LakeWriter(path) as writer:
        tables = {}
        for name, spec in sorted(specs.items()):
            base = [base_part(spec, size, seed) for seed in range(bases)]
            files: list[FileEntry] = []
            for part in range(parts):
                shifted = base[part % bases].with_columns(
                    pl.col("enterprise_no") + part * size, pl.lit(f"{part:03d}") + pl.col("record_id")
                )
                files.append(writer.put_part(name, shifted))
            rows = sum(item.rows for item in files)
            tables[name] = TableEntry(
                contract=spec,
                schema_digest=schema_digest(spec),
                rows=rows,
                cutoff=date(2027, 12, 31),
                files=tuple(files),
            )
        numbers = pl.DataFrame({"enterprise_no": pl.int_range(parts * size, dtype=pl.Int32, eager=True)})
        codes = writer.put_part(
            CODES, numbers.with_columns(("91" + pl.col("enterprise_no").cast(pl.String)).alias("code"))
        )
        writer.commit(Manifest(register_table="firms", enterprises=parts * size, codes=codes, tables=tables))


def run(folder: Path, out: Path) -> None:
    """Compute and write the feature table; print its rows, wall and CPU seconds, and peak memory in GB."""
    from credit_tier.features import table

    started, before = time.perf_counter(), time.process_time()
    made = table.write(Lake.open(folder), events.catalogue(), AsOf.parse(AS_OF), out, {})
    seconds, cpu = time.perf_counter() - started, time.process_time() - before
    print(
        json.dumps(
            {"rows": made.rows, "features": len(made.features), "seconds": seconds, "cpu": cpu, "gb": peak_memory()}
        )
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--enterprises", type=int, default=50_000_000)
    parser.add_argument("--bases", type=int, default=2)
    parser.add_argument("--folder", type=Path, help="where to work; about 20 GB for the whole size")
    parser.add_argument("--run", nargs=2, type=Path, metavar=("LAKE", "OUT"))
    given = parser.parse_args()
    if given.run:
        run(*given.run)
        return 0
    with tempfile.TemporaryDirectory(dir=given.folder) as home:
        lake, out = Path(home, "lake"), Path(home, "features.parquet")
        started = time.perf_counter()
        make_lake(lake, firms=given.enterprises, bases=given.bases)
        opened = Lake.open(lake)
        rows = sum(opened.rows(name) for name in opened.tables) - opened.rows("firms")
        print(
            f"national: {opened.enterprises:,} enterprises, {rows:,} versions of events, written in {time.perf_counter() - started:.0f} s"
        )
        command = [sys.executable, "-m", "benchmarks.national", "--run", str(lake), str(out)]
        told = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()[-1])
        print(
            f"  {told['rows']:,} × {told['features']} features at one as_of: {told['seconds']:.0f} s ({told['cpu']:.0f} CPU s), "
            f"peak {told['gb']:.1f} GB, table {out.stat().st_size / 1e9:.1f} GB"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
