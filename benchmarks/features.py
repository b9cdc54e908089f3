"""Point-in-time features: our engine against pandas as a data scientist would write it, same records, same result.

Both start from the lake's Parquet files and end with one float32 table.
The compared features are those of the shipped catalogue that one table's own records give (no context features):
what pandas computes is checked to be equal before anything is timed.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.validation import peak_memory
from credit_tier.content import Content
from credit_tier.data.city import generate
from credit_tier.data.ingest import ingest
from credit_tier.data.lake import Lake
from credit_tier.features import build as builder
from credit_tier.features import spine as spines
from credit_tier.specs.feature import CatalogueSpec, FeatureSpec
from credit_tier.temporal import day_number

AS_OF = [date(2025, 1, 1), date(2025, 4, 1), date(2025, 7, 1), date(2025, 10, 1), date(2026, 1, 1)]


def catalogue() -> tuple[FeatureSpec, ...]:
    features = Content.resolve().load("pipelines", "features.yaml", CatalogueSpec).features
    plain = {"count", "exists", "sum", "max", "days_since"}
    return tuple(
        f
        for f in features
        if f.group_by is None and f.shrink is None and f.aggregate in plain and f.source != "enterprises"
    )


def ours(lake: Lake, features: tuple[FeatureSpec, ...], dates: list[date]) -> np.ndarray:
    return builder.build(lake, features, spines.grid(lake, (), dates)).matrix()


def with_pandas(lake: Lake, features: tuple[FeatureSpec, ...], dates: list[date]) -> np.ndarray:
    """Masks and groupby, one as_of after the other; tables are read once."""
    names = {f.source for f in features} | {lake.register}
    tables = {
        name: pd.concat([pd.read_parquet(lake.path / item.name) for item in lake.manifest.tables[name].files])
        for name in names
    }
    blocks = []
    for as_of in dates:
        day = day_number(as_of)
        visible = {name: t[(t["known_day"] < day) & (t["superseded_day"] >= day)] for name, t in tables.items()}
        subjects = pd.Index(np.sort(visible[lake.register]["enterprise_no"].unique()))
        columns = {}
        for f in features:
            t = visible[f.source]
            mask = t["event_day"] < day
            if f.window.days:
                mask &= t["event_day"] >= day - f.window.days
            for test in f.filter:
                mask &= condition(t[test.column], test)
            rows = t[mask]
            group = rows.groupby("enterprise_no")
            match f.aggregate:
                case "count":
                    value = group.size()
                case "exists":
                    value = (group.size() > 0).astype(float)
                case "sum":
                    value = group[f.column].sum()
                case "max":
                    value = group[f.column].max()
                case _:
                    value = day - group["event_day"].max()
            value = value.reindex(subjects)
            columns[f.id] = value if f.missing.fill is None else value.fillna(f.missing.fill)
        blocks.append(pd.DataFrame(columns).to_numpy(np.float32))
    return np.concatenate(blocks)


def condition(column: pd.Series, test: Any) -> pd.Series:
    if test.is_null is not None:
        return column.isna() == test.is_null
    if test.equals is not None:
        return column == (test.equals == "true" if column.dtype == bool else test.equals)
    return column.isin(test.one_of)


def run(kind: str, folder: str, dates: int) -> None:
    """Time one way in a process of its own; print seconds and peak memory."""
    lake, features = Lake.open(folder), catalogue()
    way = {"ours": ours, "pandas": with_pandas}[kind]
    way(lake, features, AS_OF[:1])
    times = []
    for _ in range(3):
        started = time.perf_counter()
        way(lake, features, AS_OF[:dates])
        times.append(time.perf_counter() - started)
    print(statistics.median(times), peak_memory())


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--enterprises", type=int, default=200_000)
    parser.add_argument("--run", nargs=3, metavar=("WAY", "LAKE", "DATES"))
    given = parser.parse_args()
    if given.run:
        run(given.run[0], given.run[1], int(given.run[2]))
        return 0
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        generate(root / "city", enterprises=given.enterprises, seed=1)
        ingest(root / "lake", root / "city" / "records", Content.resolve())
        lake, features = Lake.open(root / "lake"), catalogue()
        np.testing.assert_array_equal(ours(lake, features, AS_OF[:2]), with_pandas(lake, features, AS_OF[:2]))
        records = sum(lake.rows(name) for name in lake.tables)
        print(
            f"features: {given.enterprises:,} enterprises, {records:,} records, {len(features)} features, equal results; median of 3"
        )
        for dates in (1, 5):
            seen = {}
            for kind in ("ours", "pandas"):
                out = subprocess.run(
                    [sys.executable, "-m", "benchmarks.features", "--run", kind, str(root / "lake"), str(dates)],
                    check=True,
                    capture_output=True,
                    text=True,
                ).stdout
                seen[kind] = tuple(map(float, out.split()))
            (a, am), (b, bm) = seen["ours"], seen["pandas"]
            print(
                f"  {dates} as_of: ours {a:.2f} s {am:.1f} GB · pandas {b:.2f} s {bm:.1f} GB · pandas/ours {b / a:.1f}"
            )
    return 0


if __name__ == "__main__":
    sys.exit(main())
