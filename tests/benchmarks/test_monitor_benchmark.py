"""A look at a city where nothing changed asks nobody to act; one at a city that changed does, within a year."""

from __future__ import annotations

import importlib
from pathlib import Path
from types import ModuleType

import pytest

from credit_tier.data.lake import Lake
from credit_tier.learning.bundle import Bundle

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def benchmark(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(ROOT)
    return importlib.import_module("benchmarks.monitor")


def test_shares_have_exact_intervals(benchmark: ModuleType) -> None:
    """None of 96 is at most 3.8 %; one of 96 lies between 0.03 % and 5.7 % (tables of the binomial distribution)."""
    assert benchmark.interval(0, 96) == "0 of 96 = 0.0% (0.0% to 3.8%)"
    assert benchmark.interval(1, 96) == "1 of 96 = 1.0% (0.0% to 5.7%)"
    assert benchmark.interval(4, 4) == "4 of 4 = 100.0% (39.8% to 100.0%)"


@pytest.mark.slow
def test_quiet_cities_raise_no_alarm_and_a_district_turned_round_does(benchmark: ModuleType, tmp_path: Path) -> None:
    """In two quiet years no look tells a shift of scores or features; a district that reports the opposite is told in both cities."""
    tally = benchmark.Tally()
    for seed in (1, 2):
        room = tmp_path / str(seed)
        room.mkdir()
        lake: Lake = benchmark.still_city(room, 20_000, seed)
        bundle: Bundle = benchmark.trained(lake, room)
        benchmark.watch_quiet(tally, lake, bundle)
        wrong = benchmark.changed(lake, benchmark.inverted_in_a_district(lake))
        found = benchmark.first_alarm(wrong, bundle, benchmark.CHANGED)
        assert found is not None
        assert "level" in found[1]
    assert tally.looks == 24
    assert not tally.alarms.keys() & {"score_shift", "feature_shift"}
    assert tally.alarmed_looks <= 2
