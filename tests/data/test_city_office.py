"""The inspecting office of the synthetic city: its inspectors, their recusals, its list of items and its working days."""

from __future__ import annotations

from datetime import date, timedelta
from itertools import product
from pathlib import Path

import polars as pl
import pytest

from credit_tier.content import Content
from credit_tier.data.city import generate
from credit_tier.data.ingest import load_specs

FIRST, CUTOFF = date(2021, 1, 1), date(2026, 1, 1)


@pytest.fixture(scope="module")
def city(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("office") / "town"
    generate(out, enterprises=6000, seed=13)
    return out


def _records(city: Path, table: str) -> pl.DataFrame:
    return pl.read_parquet(city / "records" / f"{table}.parquet")


def _known(city: Path, table: str, number: str, on: date) -> pl.DataFrame:
    """Return the versions that were known before a day."""
    frame = _records(city, table).filter(pl.col("received_on") < on)
    return frame.sort("received_on").unique(number, keep="last", maintain_order=True)


@pytest.mark.parametrize("on", [date(2021, 7, 1), date(2023, 7, 1), CUTOFF])
def test_every_office_can_send_a_pair_for_every_item(city: Path, on: date) -> None:
    """At any time each department of each district has two officers with a warrant for each of its items, one of whom may lead."""
    staff = _known(city, "inspectors", "inspector_no", on).filter(
        ~pl.col("is_expert"), (on - timedelta(days=40)) <= pl.col("valid_to")
    )
    items = _known(city, "inspection_items", "item_no", on)
    districts = load_specs(Content.resolve())["inspectors"].columns["district"].vocabulary
    assert districts is not None
    needed = items.select("department", "qualification").unique().rows()
    assert {department for department, _ in needed} == set(items["department"])
    qualified = staff.with_columns(pl.col("qualifications").str.split(";")).explode("qualifications")
    able = {
        (*key, field): (count, leads)
        for *key, field, count, leads in qualified.group_by("department", "district", "qualifications")
        .agg(pl.len(), pl.col("is_lead").sum())
        .iter_rows()
    }
    for (department, field), district in product(needed, districts):
        count, leads = able[department, district, field]
        assert count >= 2
        assert leads >= 1


def test_warrants_follow_one_another_and_end_with_the_leaving(city: Path) -> None:
    """A renewed warrant begins the day after the last one ended; whoever left keeps the warrant's first day and gets no other."""
    frame = _records(city, "inspectors").sort("inspector_no", "received_on")
    assert frame.select("inspector_no", "received_on").is_unique().all()
    assert frame["qualifications"].str.len_chars().min() > 0
    steady = frame.select("inspector_no", "department", "district", "qualifications", "is_lead", "is_expert").unique()
    assert steady["inspector_no"].is_unique().all()
    pairs = frame.with_columns(
        pl.col("valid_from", "valid_to").shift(1).over("inspector_no").name.prefix("before_")
    ).filter(pl.col("before_valid_from").is_not_null())
    renewed = pairs.filter(pl.col("valid_from") != pl.col("before_valid_from"))
    left = pairs.filter(pl.col("valid_from") == pl.col("before_valid_from"))
    assert renewed.height > 100
    assert (renewed["valid_from"] - renewed["before_valid_to"] == timedelta(days=1)).all()
    assert left.height > 3
    assert (left["valid_to"] < left["received_on"]).all()
    assert (left["before_valid_to"].is_null() | (left["valid_to"] <= left["before_valid_to"])).all()
    last = frame.unique("inspector_no", keep="last", maintain_order=True)
    assert left.join(last, on=["inspector_no", "received_on"], how="anti").is_empty()
    experts = frame.filter("is_expert")
    assert experts["valid_to"].is_null().any()
    assert not experts["is_lead"].any()


def test_recusals_name_inspectors_who_serve_and_mostly_their_own_district(city: Path) -> None:
    """Declared while the inspector serves and the enterprise lives; over when either has gone; never twice for the same two."""
    recusals = _records(city, "recusals").sort("received_on").unique("recusal_no", keep="last", maintain_order=True)
    assert recusals.height > 200
    assert recusals.select("uscc", "inspector_no").is_unique().all()
    staff = _records(city, "inspectors").sort("inspector_no", "received_on")
    served = staff.group_by("inspector_no").agg(
        pl.col("valid_from").min(), pl.col("valid_to").last(), pl.col("district").first(), pl.len()
    )
    joined = recusals.join(served, on="inspector_no")
    assert joined.height == recusals.height
    assert (joined["declared_on"] >= joined["valid_from"]).all()
    assert (joined["ended_on"].is_null() | (joined["ended_on"] >= joined["declared_on"])).all()
    closed = _known(city, "enterprises", "uscc", CUTOFF)
    both = joined.join(closed, on="uscc", suffix="_enterprise")
    gone = both.filter(pl.col("status") != "active", pl.col("status_on") < date(2025, 10, 1))
    assert gone.height > 10
    assert (gone["declared_on"] < gone["status_on"]).all()
    assert (gone["ended_on"] <= gone["status_on"]).all()
    local = both.filter(pl.col("district") != "320500")
    assert (local["district"] == local["district_enterprise"]).all()


def test_items_are_revised_one_is_abolished_and_caps_come_with_the_law(city: Path) -> None:
    """Revisions are versions of the same item; yearly caps are known from 2025; nothing follows the end of an item."""
    frame = _records(city, "inspection_items").sort("item_no", "received_on")
    assert (frame.group_by("item_no").len()["len"] >= 2).all()
    assert frame.filter(pl.col("received_on") < date(2025, 1, 1))["yearly_cap"].is_null().all()
    now = _known(city, "inspection_items", "item_no", CUTOFF)
    ended = now.filter(pl.col("valid_to").is_not_null())
    assert ended.height == 1
    assert now.join(ended, on="item_no", how="anti")["yearly_cap"].is_not_null().all()
    assert now["is_full_cover"].any()
    fields = _records(city, "inspectors").select("department", "qualifications")
    for department, field in now.select("department", "qualification").iter_rows():
        assert field in ";".join(fields.filter(pl.col("department") == department)["qualifications"]).split(";")


def test_the_calendar_is_whole_and_says_what_notices_say(city: Path) -> None:
    """Every day of each year once, but for days that the next year's notice moved; 2025 has the 248 working days of its notice."""
    frame = _records(city, "calendar")
    known = _known(city, "calendar", "day", CUTOFF).sort("day")
    assert known["day"].to_list() == pl.date_range(FIRST, date(2026, 12, 31), eager=True).to_list()
    twice = frame.filter(pl.col("day").is_duplicated()).sort("received_on")
    assert twice["day"].unique().to_list() == [date(2022, 12, 31)]
    assert twice["reason"].to_list() == ["weekend", "holiday"]
    assert (known["is_working_day"] == known["reason"].is_in(["ordinary", "shifted"])).all()
    assert (known["notice"].is_not_null() == known["reason"].is_in(["holiday", "shifted"])).all()
    assert (known.filter(pl.col("reason") == "shifted")["day"].dt.weekday() >= 6).all()
    per_year = known.group_by(pl.col("day").dt.year()).agg(pl.col("is_working_day").sum()).sort("day")
    assert dict(per_year.rows())[2025] == 248
    assert per_year["is_working_day"].is_between(247, 252).all()
    assert known.filter(pl.col("day") == date(2025, 1, 26))["is_working_day"].item()


def test_a_year_without_a_notice_has_its_weekends(tmp_path: Path) -> None:
    """A city of another time delivers a calendar all the same, and claims no holidays for it."""
    generate(tmp_path / "x", enterprises=60, seed=2, first=date(2018, 7, 1), cutoff=date(2019, 4, 1))
    frame = _records(tmp_path / "x", "calendar")
    assert set(frame["day"].dt.year()) == {2018, 2019}
    assert set(frame["reason"]) == {"ordinary", "weekend"}
    assert frame["notice"].is_null().all()
