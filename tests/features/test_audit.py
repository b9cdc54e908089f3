"""The leak guard names each kind of planted leak, and lets honest features pass."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pytest

pytest.importorskip("polars")

from credit_tier.data.lake import Lake
from credit_tier.features import audit, own
from credit_tier.features import build as builder
from credit_tier.features import spine as spines
from credit_tier.specs.feature import FeatureSpec
from credit_tier.temporal import day_number

DAY = dt.date(2024, 1, 1)
BASE = {"title_zh": "x", "dimension": "d", "source": "checks", "missing": {"policy": "zero"}, "unit": "x"}
BASE |= {"direction": "0", "legal_basis": "x"}
COUNT = FeatureSpec.model_validate({**BASE, "id": "checks_all", "aggregate": "count"})
OPEN = FeatureSpec.model_validate(
    {**BASE, "id": "open", "aggregate": "count", "filter": [{"column": "cured_on", "is_null": "true"}]}
)
AREA = FeatureSpec.model_validate({**BASE, "id": "area", "aggregate": "sum", "column": "fine", "group_by": ["area"]})
FEATURES = (COUNT, OPEN, AREA)


def city(world, *, delay: int = 3, cured: int | None = None) -> Lake:
    """Ingest 20 firms with 160 checks; each is known `delay` days after it happened, and half of them are cured `cured` days after that."""
    world.firms = [{"firm": f"f{n:02}", "area": "xy"[n % 2], "founded_on": DAY, "seen_on": DAY} for n in range(20)]
    for n in range(160):
        happened = DAY + dt.timedelta(days=20 + n)
        world.checks.append(
            {
                "check_no": f"c{n:03}",
                "firm": f"f{n * 7 % 20:02}",
                "happened_on": happened,
                "kind": "random",
                "grade": "low",
                "found": n % 3 == 0,
                "fine": float(n),
                "share": None,
                "cured_on": None if cured is None or n % 2 else happened + dt.timedelta(days=delay + cured),
                "seen_on": happened + dt.timedelta(days=delay),
            }
        )
    return world.lake()


def cut(lake: Lake, outcome: str = "checks") -> list[audit.Finding]:
    """Run the cut test over a month's worth of as_of days."""
    rows = spines.grid(lake, (), [DAY + dt.timedelta(days=60 + n) for n in range(5)])
    x = builder.build(lake, FEATURES, rows).matrix()
    return audit.cut_test(lake, FEATURES, rows, x, outcome=outcome, rows=500, dates=5)


def test_honest_features_pass(world) -> None:
    """No finding where nothing is wrong, neither leak nor warning."""
    lake = city(world, cured=-1)
    assert cut(lake) == []
    assert audit.early_knowledge(lake, FEATURES) == []


def test_a_filter_that_lets_the_as_of_day_itself_in_is_named(world, monkeypatch: pytest.MonkeyPatch) -> None:
    """`known_day <= as_of` in place of `<` in the engine: every own feature is named, the group's is not."""
    lake = city(world)
    fold = own.fold

    def leaky(rows, records, **given) -> None:
        fold(rows, records._replace(known=records.known - np.int32(1)), **given)

    monkeypatch.setattr(own, "fold", leaky)
    found = cut(lake)
    assert {(f.feature, f.reason) for f in found} == {("checks_all", "sees_outcome"), ("open", "sees_outcome")}
    assert {f.reason for f in cut(lake, outcome="firms")} == {"knows_later"}
    assert all(f.is_leak and f.rests_on == 100 for f in found)


def test_records_corrected_in_place_are_named(world) -> None:
    """An end that lies after the day on which its record is said to be known was written in later."""
    (finding,) = audit.early_knowledge(city(world, cured=40), FEATURES)
    assert (finding.feature, finding.reason, finding.is_leak) == ("open", "known_too_early", True)
    assert "checks.cured_on" in finding.what_en
    assert finding.rests_on == 80


def test_a_table_filled_in_afterwards_is_a_warning(world) -> None:
    """Every record known on the very day: told, but no leak."""
    found = audit.early_knowledge(city(world, delay=0), FEATURES)
    assert {f.reason for f in found} == {"never_late"}
    assert not any(f.is_leak for f in found)


def test_a_lake_that_is_cut_stands_as_it_stood(world) -> None:
    """The version that a later one replaced is in force again, and the later one is gone."""
    lake = city(world)
    world.checks.append({**world.checks[0], "found": False, "seen_on": DAY + dt.timedelta(days=90)})
    lake = world.lake("again")
    before = audit.CutLake(lake, day_number(DAY + dt.timedelta(days=80))).frame("checks").collect()
    assert before["superseded_day"].min() == before["superseded_day"].max() == audit.FOREVER
    assert len(before) == 57
    after = audit.CutLake(lake, day_number(DAY + dt.timedelta(days=400))).frame("checks").collect()
    assert len(after) == 161
    assert (after["superseded_day"] < audit.FOREVER).sum() == 1


@pytest.mark.parametrize(
    ("feature", "named"),
    [
        (lambda y, noise: y + 0.01 * noise, True),
        (lambda y, noise: -y + 0.01 * noise, True),
        (lambda y, noise: np.where(y == 1, np.nan, noise), True),
        (lambda y, noise: y + 2.0 * noise, False),
        (lambda y, noise: noise, False),
    ],
)
def test_separators_are_named_in_either_direction_and_by_emptiness(feature, named: bool) -> None:
    """A feature that is a copy of the outcome, its opposite, or missing with it; not one that merely helps."""
    rng = np.random.default_rng(7)
    y = (rng.random(600) < 0.1).astype(np.int8)
    x = feature(y, rng.standard_normal(600)).astype(np.float32)
    found = audit.separators(x.reshape(-1, 1), y, (COUNT,))
    assert [(f.feature, f.reason, f.rests_on) for f in found] == ([("checks_all", "separates", 600)] if named else [])


def test_few_rows_prove_nothing() -> None:
    """With two positive rows a perfect separation is chance: of 150 features one will always manage it."""
    y = np.array([1, 1, *[0] * 10], np.int8)
    assert audit.separators(y.astype(np.float32).reshape(-1, 1), y, (COUNT,)) == []
    assert audit.separators(np.zeros((5, 1), np.float32), np.zeros(5, np.int8), (COUNT,)) == []
