"""History columns of a plan: counted from what was known at as_of, and enough for the shipped joint plan."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from pathlib import Path

import narwhals as nw
import polars as pl
import pytest

from credit_tier import draws
from credit_tier.errors import DrawError, LakeError
from credit_tier.features.records import visible_rows
from credit_tier.histories import add_history
from credit_tier.sampling.price import prices
from credit_tier.temporal import AsOf

JOINT = Path(__file__).resolve().parents[2] / "pipelines" / "inspection_joint.yaml"
DAY = dt.date(2025, 9, 15)
AS_OF = AsOf(DAY)


@pytest.fixture(scope="module")
def units(lake):
    """Every third enterprise of the city in reverse order, with made-up classes."""
    rows = [row for i, row in enumerate(visible_rows(lake, "enterprises", ("uscc", "district"), AS_OF)) if i % 3 == 0]
    return pl.DataFrame(
        {
            "code": [row["uscc"] for row in rows],
            "district": [row["district"] for row in rows],
            "risk_class": [("DCCC" + "B" * 10)[i % 50] if i % 50 < 14 else "A" for i in range(len(rows))],
        }
    ).reverse()


@pytest.fixture(scope="module")
def told(units, lake):
    return add_history(nw.from_native(units, eager_only=True), draws.load_spec(JOINT), lake, AS_OF).to_native()


def test_columns_are_those_of_a_walk_through_the_records(units, told, lake):
    """Counts and days agree with a record-by-record count of what was known before as_of; order and other columns stay."""
    random, this_year, last = Counter(), Counter(), {}
    for row in visible_rows(lake, "inspections", ("uscc", "inspected_on", "kind", "department"), AS_OF):
        day, code = row["inspected_on"], row["uscc"]
        if day >= DAY:
            continue
        random[code] += row["kind"] == "random" and day >= DAY - dt.timedelta(1096)
        listed = row["department"] == "market_regulation" and row["kind"] in {"daily", "case", "special"}
        this_year[code] += listed and day.year == DAY.year
        last[code] = max(day, last.get(code, day))
    opened = {
        row["uscc"]: row["established_on"]
        for row in visible_rows(lake, "enterprises", ("uscc", "established_on"), AS_OF)
    }
    assert told.select(units.columns).equals(units)
    assert sum(random.values()) > 100
    assert sum(this_year.values()) > 20
    for row in told.iter_rows(named=True):
        code = row["code"]
        assert row["random_visits"] == random[code]
        assert row["market_visits_this_year"] == this_year[code]
        assert row["days_since_visit"] == ((DAY - last[code]).days if code in last else None)
        assert row["days_since_establishment"] == (DAY - opened[code]).days


def test_nothing_known_later_counts(units, told, lake):
    """An earlier as_of knows fewer visits, and no visit is counted before its receipt."""
    spec = draws.load_spec(JOINT)
    before = add_history(nw.from_native(units, eager_only=True), spec, lake, AsOf(dt.date(2025, 3, 1))).to_native()
    assert before["days_since_visit"].is_not_null().sum() < told["days_since_visit"].is_not_null().sum()


def test_the_joint_plan_can_be_drawn_from_a_citys_lake(told):
    """The shipped example of three departments plans on the synthetic city; every exclusion takes somebody and is priced."""
    made = draws.plan(told, draws.load_spec(JOINT))
    assert all(count > 0 for by_name in made.excluded.values() for count in by_name.values())
    days = sum(
        item.size * {"C": 3, "D": 4}.get(item.stratum[0], 2) / 2 for item in made.strata if item.department == "market"
    )
    assert days == 400
    priced = {(item.department, item.constraint) for item in prices(made.planned)}
    assert {("market", "inspector_days"), ("market", "burden"), ("market", "exclusion yearly_cap")} <= priced
    assert min(chance for layout in made.planned.layouts for item in layout.strata for chance in item.chances()) > 0


def test_codes_and_columns_that_the_lake_does_not_have_are_refused(units, lake):
    """The message counts codes and names tables, never a code."""
    spec = draws.load_spec(JOINT)
    odd = units.with_columns(pl.col("code") + "X")
    with pytest.raises(DrawError, match="CT-DRAW-022") as caught:
        add_history(nw.from_native(odd, eager_only=True), spec, lake, AS_OF)
    assert units["code"][0] not in str(caught.value)
    wrong = spec.model_copy(update={"history": (spec.history[2].model_copy(update={"days_since": "nothing_on"}),)})
    with pytest.raises(LakeError, match="inspected_on"):
        add_history(nw.from_native(units, eager_only=True), wrong, lake, AS_OF)
