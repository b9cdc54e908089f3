"""The benchmark of scoring a whole city measures the functions it names, and all that a function did."""

from __future__ import annotations

import importlib
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def benchmark(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(ROOT)
    return importlib.import_module("benchmarks.city_scoring")


def test_every_phase_is_a_function_that_is_there(benchmark: ModuleType) -> None:
    """A function that was renamed would be left out of the table otherwise."""
    for module, name in benchmark.PHASES.values():
        assert callable(getattr(importlib.import_module(module), name))


def test_calls_add_up_and_memory_is_the_peak_of_the_phase(benchmark: ModuleType) -> None:
    """Seconds of two calls sum; a phase that holds 100 MB for a moment says so, one after it does not."""
    meter = benchmark.Meter()
    large = meter.measured("large", lambda: float(np.ones(12_500_000).sum()))
    small = meter.measured("small", lambda: 1)
    before = benchmark.peak_memory()
    assert large() == 12_500_000
    once = meter.found["large"]
    large()
    assert small() == 1
    wall, _, peak = meter.found["large"]
    assert wall > once[0] > 0
    assert peak > meter.found["small"][2] + 50
    meter.forget_peak()
    assert meter.most >= max(peak, before * 1000)
