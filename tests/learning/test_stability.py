"""Shifts are told where chance does not explain them: false alarms and power by simulation; periods hold every row."""

from __future__ import annotations

from datetime import date

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom

from credit_tier.learning import stability
from credit_tier.learning.evaluate import auc_of
from credit_tier.learning.stability import LARGE, MODERATE, counts_of, edges_of, periods, shift, shift_of, unit_of
from credit_tier.specs.feature import FeatureSpec
from credit_tier.temporal import day_number

NAME = ("x", "某指标")


def shifts(seed: int, times: int, n: int, m: int, change: float = 0.0) -> list[stability.Shift]:
    """Counts of two samples in ten equal bins; the second lies `change` standard deviations higher."""
    rng = np.random.default_rng(seed)
    edges = np.array([-1.2816, -0.8416, -0.5244, -0.2533, 0, 0.2533, 0.5244, 0.8416, 1.2816])
    found = []
    for _ in range(times):
        before, now = (counts_of(rng.normal(c, 1, size), edges) for c, size in ((0.0, n), (change, m)))
        found.append(shift(NAME, before, now, sizes=(n, m)))
    return found


@pytest.mark.parametrize(("n", "m"), [(300, 200), (5000, 800)])
def test_false_alarms_are_as_rare_as_stated_and_the_noise_is_as_large(n: int, m: int, monkeypatch) -> None:
    """Without a change the index is (bins - 1)(1/n + 1/m) in the mean, and exceeds its limit as often as the level says."""
    monkeypatch.setattr(stability, "LEVEL", 0.05)
    found = shifts(1, 3000, n, m)
    assert {item.bins for item in found} == {10}
    assert np.mean([item.psi for item in found]) == pytest.approx(found[0].expected, rel=0.05)
    low, high = binom.ppf([0.00005, 0.99995], 3000, 0.05) / 3000
    assert low <= np.mean([item.verdict != "none" for item in found]) <= high


def test_the_rule_of_thumb_alarms_small_samples_where_this_does_not() -> None:
    """With 150 enterprises on each side the index exceeds 0.1 in a third of unchanged worlds; the verdict stays quiet."""
    found = shifts(2, 1000, 150, 150)
    assert np.mean([item.psi > MODERATE for item in found]) > 0.3
    assert np.mean([item.verdict != "none" for item in found]) <= 0.005


def test_a_change_is_found_and_its_size_told() -> None:
    """A third of a standard deviation in 1,500 enterprises is found nearly always and called moderate; a tenth in 30,000 is small;
    one whole is large."""
    assert np.mean([item.verdict != "none" for item in shifts(3, 300, 1500, 1500, 0.33)]) > 0.99
    verdicts = [item.verdict for item in shifts(4, 100, 20_000, 20_000, 0.4)]
    assert set(verdicts) == {"moderate"}
    assert {item.verdict for item in shifts(5, 100, 30_000, 30_000, 0.1)} == {"small"}
    assert {item.verdict for item in shifts(6, 100, 2000, 2000, 1.0)} == {"large"}
    assert all(item.psi > LARGE for item in shifts(6, 100, 2000, 2000, 1.0))


def test_repeated_rows_of_an_enterprise_raise_no_alarm() -> None:
    """20 rows of each of 200 enterprises, all alike: judged by rows nearly every world would alarm, judged by enterprises almost none."""
    rng = np.random.default_rng(7)
    by_subject, by_row = [], []
    for _ in range(300):
        before, now = (np.repeat(rng.normal(size=200), 20) for _ in range(2))
        by_subject.append(shift_of(NAME, before, now, sizes=(200, 200)).verdict != "none")
        by_row.append(shift_of(NAME, before, now, sizes=(4000, 4000)).verdict != "none")
    assert np.mean(by_subject) <= 0.02
    assert np.mean(by_row) > 0.9


def of_groups(rng: np.random.Generator, groups: int, n: int, days: int, moved: float = 0.0) -> stability.Column:
    """Rows on random days of enterprises of groups of unequal size, each group with a figure of its own that changes daily."""
    weight = rng.dirichlet(np.full(groups, 3.0))
    figure = rng.normal(moved, 1, groups) + rng.normal(0, 0.2 / np.sqrt(days), (days, groups)).cumsum(axis=0)
    day, group = rng.integers(0, days, n).astype(np.int32), rng.choice(groups, n, p=weight)
    return figure[day, group].astype(np.float32), day, np.arange(n, dtype=np.int32)


def feature(**more: object) -> FeatureSpec:
    declared: dict[str, object] = {
        "id": "f",
        "title_zh": "某指标",
        "dimension": "d",
        "source": "t",
        "aggregate": "mean",
        "column": "c",
        "missing": {"policy": "unknown"},
        "unit": "-",
        "direction": 0,
        "legal_basis": "-",
    }
    return FeatureSpec.model_validate(declared | more)


@pytest.mark.parametrize("groups", [12, 40, 160])
def test_figures_of_groups_give_no_more_false_alarms_than_stated(groups: int, monkeypatch) -> None:
    """The groups' figures are drawn anew for the second sample: the alarms are no more than the level, however many rows there are; by
    enterprises nearly every world would alarm."""
    monkeypatch.setattr(stability, "LEVEL", 0.05)
    rng, shared = np.random.default_rng(groups), feature(group_by=["g"])
    told, by_rows = [], []
    for _ in range(400):
        before, now = (of_groups(rng, groups, 2000, 200) for _ in range(2))
        told.append(stability.shift_between(shared, before, now).verdict != "none")
        by_rows.append(stability.shift_between(feature(), before, now).verdict != "none")
    assert np.mean(told) <= binom.ppf(0.9999, 400, 0.05) / 400
    assert np.mean(by_rows) > 0.95


def test_a_change_of_all_groups_is_found_and_the_number_of_groups_as_well() -> None:
    """One and a half standard deviations in 160 groups are found; the size is the effective number of groups, within a fifth."""
    rng, shared = np.random.default_rng(3), feature(shrink={"weight": 5})
    found = []
    for _ in range(50):
        before, now = of_groups(rng, 160, 3000, 200), of_groups(rng, 160, 3000, 200, moved=1.5)
        found.append(stability.shift_between(shared, before, now).verdict)
    assert found.count("large") >= 48
    even = np.arange(40)[rng.integers(0, 40, 4000)].astype(np.float32)
    days, subject = rng.integers(0, 50, 4000).astype(np.int32), np.arange(4000, dtype=np.int32)
    assert stability.size_of(shared, even, days, subject) == pytest.approx(40, rel=0.2)
    assert stability.size_of(feature(), even, days, subject // 2) == 2000
    assert stability.size_of(shared, even, subject, subject) == pytest.approx(1, rel=0.01)


@settings(max_examples=80, deadline=None)
@given(st.lists(st.one_of(st.none(), st.integers(-3, 3), st.floats(-5, 5)), min_size=1, max_size=60))
def test_bins_hold_every_row_and_a_sample_does_not_differ_from_itself(values: list[float | None]) -> None:
    """Whatever is tied or missing, counts sum to the rows; the index of a sample with itself is zero; symmetric otherwise."""
    x = np.array([np.nan if v is None else v for v in values], np.float64)
    edges = edges_of(x)
    assert (np.diff(edges) > 0).all()
    counts = counts_of(x, edges)
    assert counts.sum() == len(x)
    assert counts[-1] == np.isnan(x).sum()
    assert shift(NAME, counts, counts, sizes=(len(x), len(x))).psi == 0
    other = np.roll(counts, 1)
    there, back = (shift(NAME, a, b, sizes=(50, 50)).psi for a, b in ((counts, other), (other, counts)))
    assert there == pytest.approx(back)


def test_new_values_and_new_gaps_are_seen() -> None:
    """A constant that moves, values beyond a constant, and a column that goes missing: large, each of them."""
    same = np.full(500, 3.0)
    for now in (np.full(500, 4.0), np.full(500, 2.0), np.full(500, np.nan)):
        assert shift_of(NAME, same, now, sizes=(500, 500)).verdict == "large"
    assert shift_of(NAME, same, same, sizes=(500, 500)).verdict == "none"
    found = shift_of(NAME, np.full(500, np.nan), np.full(500, np.nan), sizes=(500, 500))
    assert (found.bins, found.psi, found.missing_now, found.verdict) == (1, 0, 1, "none")


def test_periods_hold_every_row_in_order_of_time() -> None:
    """Rows and positives sum to those of the whole; a quarter's AUC is that of its rows; rare outcomes have none."""
    rng = np.random.default_rng(9)
    days = np.sort(day_number(date(2024, 1, 1)) + rng.integers(0, 600, 4000)).astype(np.int32)
    p = rng.uniform(0.05, 0.5, 4000)
    y = (rng.random(4000) < p).astype(np.int8)
    subject = rng.integers(0, 900, 4000).astype(np.int32)
    found = periods(y, p, subject, days, seed=1, replicates=60)
    assert [item.name for item in found] == [f"2024-Q{i}" for i in (1, 2, 3, 4)] + ["2025-Q1", "2025-Q2", "2025-Q3"]
    assert sum(item.rows for item in found) == 4000
    assert sum(item.positives for item in found) == y.sum()
    first = days < day_number(date(2024, 4, 1))
    assert found[0].auc == auc_of(y[first], p[first])
    assert found[0].auc_interval is not None
    assert found[0].auc_interval.low < found[0].auc < found[0].auc_interval.high
    assert sum(item.p < 0.01 for item in found) == 0
    rare = periods((np.arange(4000) % 1000 == 0).astype(np.int8), p, subject, days, seed=1)
    assert {item.auc for item in rare} == {None}
    assert all(item.p < 0.01 for item in rare)


@pytest.mark.parametrize(
    ("days", "unit", "name"), [(200, "month", "2024-01"), (1200, "quarter", "2024-Q1"), (3000, "year", "2024")]
)
def test_the_unit_fits_the_time(days: int, unit: str, name: str) -> None:
    """Months within a year, quarters within three, else years."""
    at = (day_number(date(2024, 1, 1)) + np.arange(days)).astype(np.int32)
    assert unit_of(at) == unit
    y = (at % 3 == 0).astype(np.int8)
    found = periods(y, np.full(days, 1 / 3), at, at, seed=1, replicates=5)
    assert found[0].name == name
    assert 5 <= len(found) <= 16
