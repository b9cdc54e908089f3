"""Point-in-time features: ours against pandas, DuckDB and the bare reading of Parquet, each in a process of its own.

All start from the same lake and end with one float32 matrix; no figure is printed unless every feature of every way is equal to ours, bit by bit.
Printed: the median of three runs after one that warms up (one run where the first took over a minute), and the process's own peak memory.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.events import catalogue, make_lake
from benchmarks.memory import peak_memory
from benchmarks.ways import WAYS, columns_needed, files, value_of
from credit_tier.data.lake import Lake
from credit_tier.specs.condition import Condition
from credit_tier.specs.dataset import DatasetSpec
from credit_tier.specs.feature import FeatureSpec
from credit_tier.temporal import day_number

AS_OF = [
    day_number(day)
    for day in (date(2025, 1, 1), date(2025, 4, 1), date(2025, 7, 1), date(2025, 10, 1), date(2026, 1, 1))
]
LONG = 60.0
TITLES = {
    "ours": "credit-tier",
    "duckdb": "DuckDB, a query per table placed by NumPy",
    "duckdb-sql": "DuckDB, SQL alone",
    "duckdb-join": "DuckDB, one range join for all as_of",
    "pandas": "pandas, masks and groupby",
    "featuretools": "featuretools, cutoff times",
    "read-polars": "reading the columns, Polars",
    "read-pyarrow": "reading the columns, pyarrow",
}


@dataclass(frozen=True)
class Figures:
    """What one way took: wall and CPU seconds, peak memory in GB, and a digest per feature."""

    seconds: float
    cpu: float
    memory: float
    digests: dict[str, str]


def run(way: str, folder: str, dates: int) -> None:
    """Time one way in this process; print its figures as JSON."""
    lake, features, days = Lake.open(folder), catalogue(), AS_OF[-dates:]
    wall: list[float] = []
    cpu: list[float] = []
    while len(wall) < (4 if not wall or wall[0] < LONG else 2):
        matrix = None  # the result of the run before
        started, before = time.perf_counter(), time.process_time()
        matrix = WAYS[way](lake, features, days)
        wall.append(time.perf_counter() - started)
        cpu.append(time.process_time() - before)
    memory = peak_memory()
    digests = {} if matrix is None else {f.id: digest(matrix[:, k]) for k, f in enumerate(features)}
    figures = {"seconds": statistics.median(wall[1:]), "cpu": statistics.median(cpu[1:]), "memory": memory}
    print(json.dumps({**figures, "digests": digests}))


def digest(column: NDArray[np.float32]) -> str:
    """Return the SHA-256 of a column; every missing value counts as the same."""
    values = np.where(np.isnan(column), np.float32(np.nan), column + np.float32(0))  # no negative zero
    return hashlib.sha256(values.tobytes()).hexdigest()


def measured(way: str, lake: Path, dates: int) -> Figures:
    command = [sys.executable, "-m", "benchmarks.features", "--run", way, str(lake), str(dates)]
    return Figures(**json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout))


def with_featuretools(lake: Lake, python: str) -> Figures:
    """Measure featuretools at the last as_of in the environment of another Python."""
    features = [f for f in catalogue() if f.aggregate != "trend"]  # its trend is a slope, not a difference of counts
    plan = {
        "as_of": AS_OF[-1],
        "enterprises": lake.rows(lake.register),
        "tables": {
            name: {
                "files": files(lake, name),
                "columns": columns,
                "vocabularies": {key: list(c.vocabulary) for key, c in lake.spec(name).columns.items() if c.vocabulary},
            }
            for name, columns in columns_needed(lake, tuple(features)).items()
            if name != lake.register
        },
        "features": [plain(f, lake.spec(f.source)) for f in features],
    }
    script = str(Path(__file__).with_name("cutoff_times.py"))
    command = [python, script]
    out = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, input=json.dumps(plan)).stdout
    return Figures(**json.loads(out))


def plain(f: FeatureSpec, spec: DatasetSpec) -> dict[str, object]:
    """Return a feature as plain JSON, literals as the lake holds them."""

    def tests(conditions: tuple[Condition, ...]) -> list[dict[str, object]]:
        return [
            {"column": c.column, "operator": "is_null", "value": c.is_null}
            if c.is_null is not None
            else {"column": c.column, "operator": "at_least", "value": value_of(c, spec)[0]}
            if c.at_least is not None
            else {"column": c.column, "operator": "one_of", "value": value_of(c, spec)}
            for c in conditions
        ]

    return {
        **f.model_dump(mode="json", include={"id", "source", "aggregate", "column"}),
        "days": f.window.days,
        "fill": f.missing.fill,
        "filter": tests(f.filter),
        "numerator": tests(f.numerator),
    }


def differing(figures: dict[str, Figures]) -> list[str]:
    """Return way and feature of every result that is not ours."""
    expected = figures["ours"].digests
    return [
        f"{way}: {name}"
        for way, found in figures.items()
        for name, value in found.digests.items()
        if value != expected[name]
    ]


def table(figures: dict[str, Figures]) -> Iterator[str]:
    """Yield the rows of a Markdown table."""
    base = figures["ours"]
    yield "| way | seconds | CPU seconds | peak GB | seconds against ours | CPU against ours |"
    yield "|---" * 6 + "|"
    for way, found in figures.items():
        yield (
            f"| {TITLES[way]} | {found.seconds:.2f} | {found.cpu:.2f} | {found.memory:.2f}"
            f" | {found.seconds / base.seconds:.2f} | {found.cpu / base.cpu:.2f} |"
        )


def compare(lake: Lake, dates: int, featuretools: str | None) -> dict[str, Figures]:
    """Measure every way on one lake and print a table; nothing is printed of results that differ."""
    figures = {way: measured(way, lake.path, dates) for way in WAYS if dates > 1 or way != "duckdb-join"}
    if featuretools and dates == 1:
        figures["featuretools"] = with_featuretools(lake, featuretools)
    wrong = differing(figures)
    if wrong:
        raise SystemExit(f"{len(wrong)} results differ from ours: {', '.join(wrong[:10])}")
    seconds = {way: found.seconds for way, found in figures.items()}
    records = sum(lake.rows(name) for name in lake.tables if name != lake.register)
    print(
        f"\n{lake.rows(lake.register):,} enterprises, {records:,} event records, {dates} as_of"
        f" (load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores)\n"
    )
    print("\n".join(table(figures)))
    duckdb = min(value for way, value in seconds.items() if way.startswith("duckdb"))
    floor = min(value for way, value in seconds.items() if way.startswith("read"))
    print(
        f"\n{seconds['pandas'] / seconds['ours']:.1f} times as fast as pandas, {duckdb / seconds['ours']:.1f} times as the fastest DuckDB;"
        f" {floor / seconds['ours']:.0%} of the limit that reading Parquet sets."
    )
    return figures


def growth(figures: dict[tuple[int, int], dict[str, Figures]]) -> Iterator[str]:
    """Yield the rows of a Markdown table: seconds by size, and the growth from the smallest to the largest."""
    for dates in sorted({dates for _, dates in figures}):
        sizes = sorted(size for size, other in figures if other == dates)
        yield f"\n| {dates} as_of, seconds | {' | '.join(f'{size:,}' for size in sizes)} | growth at {sizes[-1] / sizes[0]:g} times the size |"
        yield "|---" * (len(sizes) + 2) + "|"
        for way in figures[sizes[0], dates]:
            taken = [figures[size, dates][way].seconds for size in sizes]
            yield f"| {TITLES[way]} | {' | '.join(f'{seconds:.2f}' for seconds in taken)} | {taken[-1] / taken[0]:.1f} |"


def extrapolated(seconds: dict[int, float], size: int) -> str:
    """Return what featuretools, which uses one core, would take at another size, if CPU seconds at three sizes lie on a line."""
    (a, at_a), (b, at_b), (c, at_c) = sorted(seconds.items())
    first, second = (at_b - at_a) / (b - a), (at_c - at_b) / (c - b)
    slopes = f"{first * 1e6:.0f} and then {second * 1e6:.0f} µs of CPU time per further enterprise"
    if not 0.8 <= second / first <= 1.25:
        return f"featuretools does not grow linearly ({slopes}): nothing is extrapolated."
    return f"featuretools grows linearly ({slopes}): {size:,} would take {at_c + second * (size - c):,.0f} s of CPU time, extrapolated, not measured."


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--enterprises", type=int, nargs="+", default=[100_000], help="sizes, one after the other")
    parser.add_argument("--dates", type=int, nargs="+", default=[1, 5], choices=range(1, 1 + len(AS_OF)))
    parser.add_argument("--lakes", type=Path, help="folder in which the lakes are kept and found again")
    parser.add_argument(
        "--featuretools",
        metavar="PYTHON",
        help="Python that has featuretools: for one as_of, extrapolated from three sizes",
    )
    parser.add_argument("--run", nargs=3, metavar=("WAY", "LAKE", "DATES"))
    given = parser.parse_args()
    if given.run:
        run(given.run[0], given.run[1], int(given.run[2]))
        return 0
    figures = {}
    with tempfile.TemporaryDirectory() as folder:
        root = given.lakes or Path(folder)
        root.mkdir(parents=True, exist_ok=True)
        print(f"features: {len(catalogue())} features; medians; every way gives the same result")
        for firms in given.enterprises:
            path = root / f"lake-{firms}"
            lake = Lake.open(path) if path.exists() else make_lake(path, firms=firms, seed=1)
            for dates in given.dates:
                figures[firms, dates] = compare(lake, dates, given.featuretools)
    if len(given.enterprises) > 1:
        print("\n".join(growth(figures)))
    seen = {firms: found["featuretools"].cpu for (firms, _), found in figures.items() if "featuretools" in found}
    if len(seen) == 3:
        print("\n" + extrapolated(seen, 3_000_000))
    return 0


if __name__ == "__main__":
    sys.exit(main())
