"""Registers beside inspections and penalties: in step with one another, with time and with the hidden truth."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from credit_tier.data.city import generate


@pytest.fixture(scope="module")
def city(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("city") / "town"
    generate(out, enterprises=8000, seed=4)
    return out


def _records(city: Path, table: str) -> pl.DataFrame:
    return pl.read_parquet(city / "records" / f"{table}.parquet")


def _last(city: Path, table: str, number: str) -> pl.DataFrame:
    return _records(city, table).sort("received_on").unique(number, keep="last", maintain_order=True)


def _truth(city: Path) -> pl.DataFrame:
    return pl.read_parquet(city / "truth" / "enterprises.parquet").select("uscc", "frailty", "distress", "is_shell")


@pytest.mark.parametrize(
    ("kind", "table", "number", "repaired", "least"),
    [
        ("penalty", "penalties", "penalty_no", "repaired_on", 100),
        ("abnormal_listing", "abnormal_listings", "listing_no", "removed_on", 400),
        ("serious_listing", "serious_listings", "listing_no", "removed_on", 5),
    ],
)
def test_what_was_repaired_was_applied_for(
    city: Path, kind: str, table: str, number: str, repaired: str, least: int
) -> None:
    """A granted application names a record of the register that was repaired on the day of the decision, for the same enterprise."""
    granted = _last(city, "repair_applications", "application_no").filter(
        pl.col("record_kind") == kind, pl.col("repair_decision") == "granted"
    )
    joined = granted.join(
        _last(city, table, number), left_on="record_no", right_on=number, how="left", suffix="_register"
    )
    assert joined.height >= least
    assert (joined["uscc"] == joined["uscc_register"]).all()
    known = joined.filter(pl.col(repaired).is_not_null())
    assert known.height > 0.9 * joined.height
    assert (known[repaired] == known["decided_on"]).all()
    assert (granted["applied_on"] <= granted["accepted_on"]).all()
    assert (granted["accepted_on"] <= granted["decided_on"]).all()
    if kind == "penalty":
        assert (known["applied_on"] == known["commitment_on"]).all()


def test_every_repaired_penalty_has_its_application(city: Path) -> None:
    """No penalty is repaired without having been applied for."""
    repaired = _last(city, "penalties", "penalty_no").filter(pl.col("repaired_on").is_not_null())
    applied = _records(city, "repair_applications").filter(pl.col("record_kind") == "penalty")
    assert repaired.height > 50
    assert repaired.join(applied, left_on="penalty_no", right_on="record_no", how="anti").height == 0


def test_hasty_applications_fail(city: Path) -> None:
    """Who applies for a penalty before three months are over is refused, or not accepted and then never has a day of acceptance."""
    hasty = (
        _last(city, "repair_applications", "application_no")
        .filter(pl.col("record_kind") == "penalty", pl.col("repair_decision").is_not_null())
        .join(_last(city, "penalties", "penalty_no"), left_on="record_no", right_on="penalty_no")
        .filter(pl.col("applied_on") - pl.col("decided_on_right") < timedelta(days=90))
    )
    assert hasty.height > 10
    assert set(hasty["repair_decision"]) == {"refused", "not_accepted"}
    assert ((hasty["repair_decision"] == "not_accepted") == hasty["accepted_on"].is_null()).all()


def test_listings_as_seriously_dishonest_last_three_years_or_one_at_least(city: Path) -> None:
    """A listing ends after three years, by repair after one, or with the enterprise, whose register says the same day."""
    ended = _last(city, "serious_listings", "listing_no").filter(pl.col("removed_on").is_not_null())
    lasted = (ended["removed_on"] - ended["listed_on"]).dt.total_days()
    reason = ended["removal_reason"]
    assert {"expired", "repaired"} <= set(reason)
    assert (lasted.filter(reason == "expired") == 1096).all()
    assert (lasted.filter(reason == "repaired") >= 365).all()
    closed = ended.filter(reason == "deregistered").join(
        _last(city, "enterprises", "uscc").filter(pl.col("status") != "active"), on="uscc"
    )
    assert (closed["removed_on"] == closed["status_on"]).all()


def test_licences_end_as_their_state_says(city: Path) -> None:
    """Expired the day after the last day of validity, cancelled when the enterprise closes; renewed ones follow one another."""
    licences = _records(city, "licences")
    first = licences.unique("licence_no", keep="first", maintain_order=True)
    assert (first["licence_status"] == "valid").all()
    assert (first["valid_to"] > first["valid_from"]).all()
    assert (licences.group_by("licence_no").len()["len"] <= 2).all()
    expired = licences.filter(pl.col("licence_status") == "expired")
    assert expired.height > 300
    assert (expired["status_on"] - expired["valid_to"] == timedelta(days=1)).all()
    cancelled = licences.filter(pl.col("licence_status") == "cancelled").join(
        _last(city, "enterprises", "uscc").filter(pl.col("status") != "active"), on="uscc", suffix="_register"
    )
    assert cancelled.height > 50
    assert (cancelled["status_on"] == cancelled["status_on_register"]).all()
    chains = first.sort("uscc", "decided_on").with_columns(before=pl.col("valid_to").shift(1).over("uscc"))
    assert (chains["before"].is_null() | (chains["before"] < chains["valid_from"])).all()
    promised = first.filter(pl.col("by_commitment"))
    assert promised["decided_on"].min() >= date(2020, 10, 27)
    assert set(promised["domain"]) <= {"market", "labour", "other"}


def test_commitments_stand_beside_licences_and_repairs(city: Path) -> None:
    """Every licence on commitment and every commitment of a penalty is found among the commitments."""
    made = _records(city, "commitments").unique("commitment_no", keep="first")
    promised = _records(city, "licences").filter(
        pl.col("by_commitment"), pl.col("decided_on").is_between(date(2021, 1, 1), date(2025, 6, 1))
    )
    approvals = made.filter(pl.col("kind") == "approval")
    assert promised.join(
        approvals, left_on=["uscc", "decided_on"], right_on=["uscc", "committed_on"], how="anti"
    ).is_empty()
    pledged = _records(city, "penalties").filter(pl.col("commitment_on") < date(2025, 6, 1))
    repairs = made.filter(pl.col("kind") == "repair")
    assert pledged.height > 50
    assert pledged.join(
        repairs, left_on=["uscc", "commitment_on"], right_on=["uscc", "committed_on"], how="anti"
    ).is_empty()


def test_a_commitment_that_has_an_end_is_due_after_it_was_made(city: Path) -> None:
    """The due day is known with the commitment and stays; what is published of one's own accord has none."""
    versions = _records(city, "commitments")
    assert (versions.group_by("commitment_no").agg(pl.col("due_on").n_unique())["due_on"] == 1).all()
    has_end = ~pl.col("kind").is_in(["publicity", "industry"])
    assert versions.filter(has_end != pl.col("due_on").is_not_null()).is_empty()
    days = (versions["due_on"] - versions["committed_on"]).drop_nulls().dt.total_days()
    assert days.min() > 30
    assert days.max() <= 180
    overdue = pl.col("due_on") < date(2025, 6, 1), pl.col("fulfilment").is_in(["partial", "broken"])
    assert versions.filter(*overdue).height > 50


def test_each_edge_is_seen_from_both_sides(city: Path) -> None:
    """Whoever is related to an enterprise has it as a relation too; a shareholder's other side is a subsidiary with the same share."""
    edges = _records(city, "relations").unique("relation_no", keep="first")
    other_side = {"shareholder": "subsidiary", "subsidiary": "shareholder"}
    mirrored = edges.select(
        pl.col("related_uscc").alias("uscc"),
        pl.col("uscc").alias("related_uscc"),
        pl.col("kind").replace(other_side),
        "began_on",
        pl.col("share_percent").fill_null(-1),
    )
    seen = edges.select("uscc", "related_uscc", "kind", "began_on", pl.col("share_percent").fill_null(-1))
    assert sorted(mirrored.rows()) == sorted(seen.rows())
    assert (edges["uscc"] != edges["related_uscc"]).all()
    assert (edges["share_percent"].is_not_null() == edges["kind"].is_in(["shareholder", "subsidiary"])).all()
    assert edges.filter(pl.col("share_percent").is_not_null())["share_percent"].is_between(1, 100).all()


def test_like_goes_with_like(city: Path) -> None:
    """What is known of related enterprises says something of this one, and shells share addresses with shells."""
    edges = _records(city, "relations").unique("relation_no", keep="first")
    truth = _truth(city)
    both = edges.join(truth, on="uscc").join(truth, left_on="related_uscc", right_on="uscc", suffix="_related")
    person = both.filter(pl.col("kind") == "legal_representative")
    assert 0.3 < np.corrcoef(person["frailty"], person["frailty_related"])[0, 1] < 0.8
    place = both.filter(pl.col("kind") == "same_address", pl.col("is_shell"))
    assert place["is_shell_related"].mean() > 5 * truth["is_shell"].mean()


@pytest.mark.parametrize(
    ("table", "column", "order", "trait"),
    [
        ("tax_grades", "tax_grade", ["A", "B", "C"], "distress"),
        ("public_credit_grades", "public_credit_grade", ["A", "B", "C", "D"], "frailty"),
        ("commitments", "fulfilment", ["full", "broken"], "frailty"),
    ],
)
def test_grades_follow_the_hidden_traits_without_being_them(
    city: Path, table: str, column: str, order: list[str], trait: str
) -> None:
    """A worse grade means worse traits on average, and never fixes them."""
    joined = _records(city, table).join(_truth(city), on="uscc")
    groups = {name: joined.filter(pl.col(column) == name)[trait] for name in order}
    means = [groups[name].mean() for name in order]
    assert means == sorted(means)
    assert means[-1] - means[0] > 0.4
    assert groups[order[0]].quantile(0.95) > groups[order[-1]].quantile(0.05)


def test_distress_shows_in_social_insurance(city: Path) -> None:
    """Who owes contributions is in distress more often; who owes nothing has no months, amount or day of payment."""
    joined = _records(city, "social_insurance").join(_truth(city), on="uscc")
    owes = joined["months_in_arrears"] > 0
    assert 0.02 < owes.mean() < 0.12
    assert joined.filter(owes)["distress"].mean() - joined.filter(~owes)["distress"].mean() > 0.5
    assert ((joined["arrears"] == "0") == ~owes).all()
    assert joined.filter(~owes)["settled_on"].is_null().all()


def test_a_public_credit_grade_knows_the_past_only(city: Path) -> None:
    """Among equally frail enterprises a penalty known before the evaluation lowers the grade; one known after it does not."""
    grades = _records(city, "public_credit_grades").filter(pl.col("evaluated_on").dt.year() == 2023)
    penalties = _records(city, "penalties").unique("penalty_no", keep="first")
    day = date(2023, 9, 15)
    marked = grades.join(_truth(city), on="uscc").with_columns(
        before=pl.col("uscc").is_in(
            penalties.filter((pl.col("received_on") < day) & (pl.col("decided_on") >= day - timedelta(days=500)))[
                "uscc"
            ].implode()
        ),
        after=pl.col("uscc").is_in(penalties.filter(pl.col("received_on") >= day)["uscc"].implode()),
        place=pl.col("public_credit_grade").replace_strict({"A": 0, "B": 1, "C": 2, "D": 3}),
        alike=(pl.col("frailty") * 4).round(),
    )
    usual = (
        marked.filter(~pl.col("before"), ~pl.col("after")).group_by("alike").agg(pl.col("place").mean().alias("usual"))
    )
    excess = marked.join(usual, on="alike").with_columns(excess=pl.col("place") - pl.col("usual"))
    assert excess.filter("before")["excess"].mean() > 0.25
    assert excess.filter(pl.col("after") & ~pl.col("before"))["excess"].mean() < 0.15
