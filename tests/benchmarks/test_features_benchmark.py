"""The features benchmark runs, its ways agree, and it would tell if one did not."""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def benchmark(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(ROOT)
    return importlib.import_module("benchmarks.features")


def test_ways_agree_at_two_dates(tmp_path: Path) -> None:
    """Pandas and every DuckDB way give our 60 features bit by bit; only then is a table printed, with the limit of reading."""
    command = [sys.executable, "-m", "benchmarks.features", "--enterprises", "300", "--dates", "2", "--lakes", tmp_path]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    rows = [line.split("|")[1].strip() for line in done.stdout.splitlines() if line.startswith("| ")]
    assert len(rows) == 8
    assert sum(name.startswith("DuckDB") for name in rows) == 3
    assert "60 features" in done.stdout
    assert "of the limit that reading Parquet sets" in done.stdout


def test_a_result_that_differs_is_named(benchmark: ModuleType) -> None:
    """One value that differs in one feature is enough; kinds of missing values and signs of zero are not."""
    values = np.array([0.0, 1.0, np.nan], np.float32)
    same = np.array([-0.0, 1.0, -np.nan], np.float32)
    other = np.array([0.0, np.nextafter(np.float32(1), np.float32(2)), np.nan], np.float32)

    def found(column: np.ndarray) -> object:
        return benchmark.Figures(1.0, 1.0, 1.0, {"a": benchmark.digest(values), "b": benchmark.digest(column)})

    assert benchmark.differing({"ours": found(values), "pandas": found(same)}) == []
    assert benchmark.differing({"ours": found(values), "pandas": found(other)}) == ["pandas: b"]


def test_only_linear_growth_is_extrapolated(benchmark: ModuleType) -> None:
    """Three sizes on a line are drawn out with their fixed part; a curve is not."""
    assert "would take 31 s" in benchmark.extrapolated({100: 2.0, 200: 3.0, 300: 4.0}, 3000)
    assert "nothing is extrapolated" in benchmark.extrapolated({100: 1.0, 200: 4.0, 300: 9.0}, 3000)
