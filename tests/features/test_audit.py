"""The leak guard names each kind of planted leak, and lets honest features pass."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace

import narwhals as nw
import numpy as np
import pytest

pytest.importorskip("polars")

from credit_tier.data.lake import Lake
from credit_tier.features import audit, own
from credit_tier.features import build as builder
from credit_tier.features import spine as spines
from credit_tier.features.conditions import AS_OF
from credit_tier.specs.feature import FeatureSpec
from credit_tier.specs.model import EventCohort
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
RATE = {**BASE, "aggregate": "share", "numerator": [{"column": "found", "equals": "true"}]}
PEERS = FeatureSpec.model_validate({**RATE, "id": "peers", "group_by": ["area"]})
DRAWN = FeatureSpec.model_validate({**RATE, "id": "drawn", "group_by": ["area"], "shrink": {"weight": "5"}})
LEANS = FeatureSpec.model_validate({**RATE, "id": "leans", "shrink": {"weight": "5", "towards": ["area"]}})
OF_GROUPS = (COUNT, AREA, PEERS, DRAWN, LEANS)


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


def cut(lake: Lake, outcome: str = "checks", features: tuple[FeatureSpec, ...] = FEATURES) -> list[audit.Finding]:
    """Run the cut test over a few as_of days in a row."""
    rows = spines.grid(lake, (), [DAY + dt.timedelta(days=60 + n) for n in range(5)])
    x = builder.build(lake, features, rows).matrix()
    return audit.cut_test(lake, features, rows, x, outcome=outcome, rows=500, dates=5)


def look_ahead(monkeypatch: pytest.MonkeyPatch, feature: str, days: int) -> None:
    """Let the engine compute one feature as if each row's as_of were some days later, whatever the engine is made of."""
    honest = builder.build

    def leaky(lake: Lake, features, spine, *given, **named):
        seen = honest(lake, features, spine, *given, **named)
        moved = spine.with_columns((nw.col(AS_OF) + days).cast(nw.Int32))
        later = honest(lake, features, moved, *given, **named)
        return replace(seen, values=np.where([[f.id == feature] for f in features], later.values, seen.values))

    monkeypatch.setattr(builder, "build", leaky)


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
    assert all(f.is_leak and f.rests_on == 40 for f in found)


def test_honest_figures_of_groups_pass(world) -> None:
    """Groups see a record from the day after it is known, so no date is too early for them."""
    lake = city(world, cured=-1)
    assert cut(lake, features=OF_GROUPS) == []
    assert audit.early_knowledge(lake, OF_GROUPS) == []


@pytest.mark.parametrize("feature", OF_GROUPS, ids=lambda f: f.id)
def test_a_figure_of_a_group_that_knows_its_records_too_early_is_named(
    world, monkeypatch: pytest.MonkeyPatch, feature: FeatureSpec
) -> None:
    """One day is enough: the total, the rate, the shrunken rate and the rate that only leans towards the group are named, each alone."""
    lake = city(world)
    look_ahead(monkeypatch, feature.id, 1)
    (finding,) = cut(lake, features=OF_GROUPS)
    assert (finding.feature, finding.reason, finding.is_leak) == (feature.id, "sees_outcome", True)
    (finding,) = cut(lake, outcome="firms", features=OF_GROUPS)
    assert (finding.feature, finding.reason, finding.is_leak) == (feature.id, "knows_later", True)


@pytest.mark.parametrize("feature", [PEERS, DRAWN, LEANS], ids=lambda f: f.id)
def test_a_rate_of_a_group_that_holds_the_row_s_own_outcome_is_named(
    world, monkeypatch: pytest.MonkeyPatch, feature: FeatureSpec
) -> None:
    """One row per check, at the day of the check: its outcome is known three days later and must not stand in the rate before."""
    lake = city(world)
    rows = spines.events(lake, EventCohort(kind="events", source="checks"))
    limits = {"outcome": "checks", "rows": 40, "dates": 20}
    assert audit.cut_test(lake, OF_GROUPS, rows, builder.build(lake, OF_GROUPS, rows).matrix(), **limits) == []
    look_ahead(monkeypatch, feature.id, 4)
    x = builder.build(lake, OF_GROUPS, rows).matrix()
    (finding,) = audit.cut_test(lake, OF_GROUPS, rows, x, **limits)
    assert (finding.feature, finding.reason, finding.rests_on) == (feature.id, "sees_outcome", 37)


def test_a_group_of_records_corrected_in_place_is_named(world) -> None:
    """The share of a group's checks that are not cured yet rests on the day of cure as the own count does."""
    uncured = {"numerator": [{"column": "cured_on", "is_null": "true"}], "group_by": ["area"], "id": "uncured"}
    feature = FeatureSpec.model_validate({**RATE, **uncured})
    (finding,) = audit.early_knowledge(city(world, cured=40), (PEERS, feature))
    assert (finding.feature, finding.reason, finding.is_leak) == ("uncured", "known_too_early", True)
    assert "checks.cured_on" in finding.what_en


@pytest.mark.parametrize("is_planted", [True, False])
def test_an_outcome_written_into_an_earlier_record_is_named(world, is_planted: bool) -> None:
    """Without a trace in the dates: the complaint of five days before holds the result of the check. The rate of a small group tells it."""
    rng = np.random.default_rng(3)
    found, told = rng.random((2, 480)) < 0.15
    world.firms = [{"firm": f"f{n:02}", "area": "x", "founded_on": DAY, "seen_on": DAY} for n in range(40)]
    for n in range(480):
        happened = DAY + dt.timedelta(days=30 + n // 40 * 30)
        check = {"firm": f"f{n % 40:02}", "grade": None, "fine": None, "share": None, "cured_on": None}
        day = happened - dt.timedelta(days=5)
        result = found[n] if is_planted else told[n]
        for row in (
            {"check_no": f"a{n}", "happened_on": day, "kind": "complaint", "found": result, "seen_on": day},
            {"check_no": f"b{n}", "happened_on": happened, "kind": "random", "found": found[n], "seen_on": happened},
        ):
            world.checks.append({**check, **row})
    lake = world.lake()
    random = {"column": "kind", "equals": "random"}
    rows = spines.events(lake, EventCohort.model_validate({"kind": "events", "source": "checks", "where": [random]}))
    recent = {"window": {"days": "10"}, "group_by": ["firm"], "filter": [{"column": "kind", "equals": "complaint"}]}
    feature = FeatureSpec.model_validate({**RATE, **recent, "id": "complained"})
    x = builder.build(lake, (feature,), rows).matrix()
    named = [(f.feature, f.reason) for f in audit.separators(x, found.astype(np.int8), (feature,))]
    assert named == ([("complained", "separates")] if is_planted else [])


def test_a_leak_of_one_day_is_named_where_no_row_falls_on_a_day_of_arrival(
    world, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A year after the last check nothing becomes known; own features are asked as of days on which something did."""
    lake = city(world)
    rows = spines.grid(lake, (), [DAY + dt.timedelta(days=600)])
    look_ahead(monkeypatch, "open", 1)
    x = builder.build(lake, FEATURES, rows).matrix()
    (finding,) = audit.cut_test(lake, FEATURES, rows, x, outcome="checks", rows=400, dates=2)
    assert (finding.feature, finding.reason, finding.rests_on) == ("open", "sees_outcome", 40)


def test_the_days_of_the_cut_are_those_on_which_most_becomes_known(world) -> None:
    """One of each half of the days: the one with most arrivals, the first of them if there are several."""
    lake = city(world)
    world.checks += [{**world.checks[0], "check_no": f"d{n}", "seen_on": DAY + dt.timedelta(days=70)} for n in range(3)]
    lake = world.lake("again")
    days = day_number(DAY) + np.arange(60, 80, dtype=np.int32)
    assert (audit.busiest(lake, FEATURES, days, 2) - day_number(DAY)).tolist() == [60, 70]
    assert (audit.busiest(lake, FEATURES, days + 400, 1) - day_number(DAY)).tolist() == [460]


def test_nothing_is_found_where_there_are_no_records(world) -> None:
    """A table without a row is no fault of a feature."""
    world.firms = [{"firm": "a", "area": "x", "founded_on": DAY, "seen_on": DAY}]
    lake = world.lake()
    assert cut(lake, features=OF_GROUPS) == []


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


def test_each_subject_s_records_stand_as_they_stood_on_its_own_day(world) -> None:
    """The same versions as a lake that is cut for everybody on that day, and nothing of anybody else."""
    lake = city(world)
    again = {**world.checks[0], "found": False, "seen_on": DAY + dt.timedelta(days=90)}
    world.checks.append(again)
    lake = world.lake("again")
    days = {0: 80, 3: 120, 19: 30}
    subject = np.array(list(days), np.int32)
    day = day_number(DAY) + np.array(list(days.values()), np.int32)
    for table in lake.tables:
        stood = audit.CutPerSubject(lake, subject, day).frame(table).collect()
        expected = [
            audit.CutLake(lake, int(until)).frame(table).filter(nw.col("enterprise_no") == int(number)).collect()
            for number, until in zip(subject, day, strict=True)
        ]
        assert stood.to_native().equals(nw.concat(expected).to_native())
        assert table == "links" or len(stood) > 2


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
