"""The synthetic city's statistics: honest draws, biased visits, a truth that is hard but not impossible to predict."""

from __future__ import annotations

import math
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from sklearn.metrics import roc_auc_score

from credit_tier.data.city import generate

SETTLED = date(2024, 1, 1)
"""Visits before this day have all been received by the cut-off: no delay is longer than two years."""


@pytest.fixture(scope="module")
def city(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("city") / "town"
    generate(out, enterprises=40_000, seed=2)
    return out


@pytest.fixture(scope="module")
def visits(city: Path) -> pl.DataFrame:
    truth = pl.read_parquet(city / "truth" / "inspections.parquet").drop("uscc")
    return pl.read_parquet(city / "records" / "inspections.parquet").join(truth, on="inspection_no")


@pytest.fixture(scope="module")
def frames(city: Path) -> pl.DataFrame:
    return pl.read_parquet(city / "truth" / "frames.parquet")


def _settled_draws(frames: pl.DataFrame, visits: pl.DataFrame) -> pl.DataFrame:
    found = (
        visits.filter(pl.col("inspected_on") < SETTLED, pl.col("trigger") == "random")
        .group_by("draw_id", "stratum")
        .agg(
            pl.len().alias("visits"),
            pl.col("problem_found").sum().alias("found"),
            pl.col("inclusion_probability").min().alias("least"),
            pl.col("inclusion_probability").max().alias("most"),
        )
    )
    return frames.filter(pl.col("draw_id") < "SZ202401", pl.col("size") > 0).join(
        found, on=["draw_id", "stratum"], how="left"
    )


def test_stated_probabilities_are_the_realised_frequencies(frames: pl.DataFrame, visits: pl.DataFrame) -> None:
    """In each draw and stratum exactly drawn = probability x size were visited, and nobody's probability is zero."""
    draws = _settled_draws(frames, visits)
    assert draws.height == 36 * 8
    assert (draws["visits"] == draws["drawn"]).all()
    assert (draws["drawn"] > 0).all()
    expected = draws["drawn"] / draws["size"]
    assert np.allclose(draws["least"], expected, rtol=1e-15)
    assert np.allclose(draws["most"], expected, rtol=1e-15)


def test_random_picks_are_blind_to_the_truth_within_a_stratum(frames: pl.DataFrame, visits: pl.DataFrame) -> None:
    """Found counts are what a hypergeometric draw from the frame gives: by stratum over three years, and in all."""
    draws = _settled_draws(frames, visits).with_columns(share=pl.col("in_violation") / pl.col("size"))
    scored = draws.with_columns(
        gap=pl.col("found") - pl.col("drawn") * pl.col("share"),
        variance=pl.col("drawn")
        * pl.col("share")
        * (1 - pl.col("share"))
        * (pl.col("size") - pl.col("drawn"))
        / (pl.col("size") - 1).clip(1),
    )
    by_stratum = scored.group_by("stratum").agg(pl.col("gap").sum(), pl.col("variance").sum())
    z = (by_stratum["gap"] / by_stratum["variance"].sqrt()).to_numpy()
    assert np.abs(z).max() < 4
    assert abs(scored["gap"].sum()) / math.sqrt(scored["variance"].sum()) < 3.5


def test_weighting_by_the_inverse_probability_recovers_the_truth_and_the_plain_rate_does_not(
    frames: pl.DataFrame, visits: pl.DataFrame
) -> None:
    """The design-weighted rate of random visits covers the frame's true rate; the rate of all visits lies far above it."""
    draws = _settled_draws(frames, visits)
    truth = draws["in_violation"].sum() / draws["size"].sum()
    rate = draws["found"] / draws["drawn"]
    weighted = (draws["size"] * rate).sum() / draws["size"].sum()
    true_share = draws["in_violation"] / draws["size"]
    variance = (draws["size"] ** 2 * true_share * (1 - true_share) / draws["drawn"]).sum() / draws["size"].sum() ** 2
    assert abs(weighted - truth) < 3.5 * math.sqrt(variance)

    settled = visits.filter(pl.col("inspected_on") < SETTLED)
    naive = settled["problem_found"].mean()
    assert naive - truth > 10 * math.sqrt(truth * (1 - truth) / settled.height)
    assert naive > 1.5 * truth
    unweighted = settled.filter(pl.col("trigger") == "random")["problem_found"].mean()
    assert unweighted > 1.1 * truth


def test_base_rates_are_those_of_real_inspections(city: Path, visits: pl.DataFrame) -> None:
    """Few problems at random visits, many after complaints; about a tenth of the enterprises drawn per year."""
    rates = dict(visits.group_by("trigger").agg(pl.col("problem_found").mean()).iter_rows())
    assert 0.045 < rates["random"] < 0.085
    assert 0.20 < rates["complaint"] < 0.38
    assert rates["random"] < rates["campaign"] < rates["complaint"]
    assert 0.15 < rates["reinspection"] < 0.45
    months = pl.read_parquet(city / "truth" / "months.parquet")
    before = visits.filter(pl.col("trigger") == "random", pl.col("inspected_on") < date(2025, 1, 1)).height
    alive = months.filter(pl.col("month") < date(2025, 1, 1))["alive"].sum() / 12
    assert 0.09 < before / alive < 0.16
    assert 0.03 < months["in_violation"].sum() / months["alive"].sum() < 0.08


def test_from_2025_fewer_visits_aim_better(city: Path, visits: pl.DataFrame) -> None:
    """The base rate among the visited drifts against the truth because the choice of visits changes, as it does in the wild."""
    yearly = dict(
        visits.group_by(pl.col("inspected_on").dt.year())
        .agg(pl.struct(pl.len(), pl.col("problem_found").mean()))
        .iter_rows()
    )
    months = pl.read_parquet(city / "truth" / "months.parquet").group_by(pl.col("month").dt.year())
    truth = dict(months.agg(pl.col("in_violation").sum() / pl.col("alive").sum()).iter_rows())
    assert yearly[2025]["len"] < 0.85 * yearly[2024]["len"]
    lift = {year: yearly[year]["problem_found"] / truth[year] for year in (2024, 2025)}
    assert lift[2025] > 1.04 * lift[2024]


def test_hidden_probabilities_sort_and_nearly_sum_to_the_states(city: Path) -> None:
    """By tenths the state follows the hidden probability; being caught keeps the total a few per cent below the sum."""
    states = pl.read_parquet(city / "truth" / "states.parquet").with_columns(
        bin=pl.col("probability").rank("ordinal").over("month") * 10 // (pl.len().over("month") + 1)
    )
    bins = (
        states.group_by("bin")
        .agg(pl.col("in_violation").mean().alias("seen"), pl.col("probability").mean())
        .sort("bin")
    )
    assert bins.height == 10
    assert bins["seen"].is_sorted()
    assert ((bins["seen"] / bins["probability"]).slice(3) - 0.97).abs().max() < 0.12
    assert 0.92 < states["in_violation"].sum() / states["probability"].cast(pl.Float64).sum() < 1


def test_violations_last(city: Path) -> None:
    """Who is in violation now is much more often in violation a quarter later, beyond what its probability says."""
    states = pl.read_parquet(city / "truth" / "states.parquet")
    months = sorted(states["month"].unique())
    now = states.filter(pl.col("month") == months[8])
    later = states.filter(pl.col("month") == months[9])
    both = now.join(later, on="enterprise", suffix="_later")
    again = both.filter(pl.col("in_violation"))
    assert again["in_violation_later"].mean() > 1.3 * again["probability_later"].mean()


def test_truth_is_predictable_but_not_from_a_crystal_ball(city: Path, visits: pl.DataFrame) -> None:
    """Knowing everything hidden separates random findings well but far from perfectly; known adverse records separate a little."""
    drawn = visits.filter(pl.col("trigger") == "random")
    assert 0.76 < roc_auc_score(drawn["problem_found"], drawn["probability"]) < 0.88
    complaints = pl.read_parquet(city / "records" / "complaints.parquet").unique("complaint_no", keep="first")
    known = (
        drawn.select("inspection_no", "uscc", "inspected_on")
        .join(complaints.select("uscc", "received_on"), on="uscc")
        .filter(pl.col("received_on") < pl.col("inspected_on"))
        .group_by("inspection_no")
        .len()
    )
    scored = drawn.join(known, on="inspection_no", how="left").with_columns(pl.col("len").fill_null(0))
    assert 0.55 < roc_auc_score(scored["problem_found"], scored["len"]) < 0.75


def test_sizes_follow_a_power_law(city: Path) -> None:
    """The Hill estimate over the largest twentieth is close to one, as for firms everywhere."""
    staff = np.sort(pl.read_parquet(city / "truth" / "enterprises.parquet")["staff"].to_numpy())[::-1]
    top = staff[: len(staff) // 20]
    hill = 1 / np.mean(np.log(top[:-1] / top[-1]))
    assert 0.95 < hill < 1.25


def test_news_travels_with_a_heavy_tail(visits: pl.DataFrame) -> None:
    """Most inspections are received within weeks, a few only after months."""
    settled = visits.filter(pl.col("inspected_on") < SETTLED)
    days = (settled["received_on"] - settled["inspected_on"]).dt.total_days()
    assert 8 <= days.median() <= 18
    assert 0.005 < (days > 90).mean() < 0.04
    assert days.max() > 180


def test_ownership_has_no_effect_on_the_truth(city: Path) -> None:
    """A disparity by ownership that an assessment reports is made by selection, not by the truth."""
    truth = pl.read_parquet(city / "truth" / "enterprises.parquet")
    register = pl.read_parquet(city / "records" / "enterprises.parquet").unique("uscc", keep="first")
    joined = truth.join(register.select("uscc", "ownership"), on="uscc").with_columns(
        effect=pl.sum_horizontal("industry_effect", "district_effect", "size_effect", "frailty")
    )
    overall, spread = joined["effect"].mean(), joined["effect"].std()
    for _, mean, count in joined.group_by("ownership").agg(pl.col("effect").mean(), pl.len()).iter_rows():
        assert abs(mean - overall) < 4 * spread / math.sqrt(count)


def test_loans_default_at_their_true_rate_and_worse_enterprises_more_often(city: Path) -> None:
    """Of loans open for the year to come, as many default as the truth says, and the truth ranks them; 2 to 4 % do."""
    truth = pl.read_parquet(city / "truth" / "enterprises.parquet").select("uscc", "default_probability")
    last = pl.read_parquet(city / "records" / "loans.parquet").sort("received_on").group_by("loan_no").last()
    last = last.join(truth, on="uscc")
    defaults, expected = [], []
    for day in (date(2022, 1, 1), date(2023, 1, 1), date(2024, 1, 1)):
        later = date(day.year + 1, 1, 1)
        at_risk = last.filter(
            (pl.col("disbursed_on") < day - timedelta(days=120))
            & (pl.col("due_on") >= later)
            & (pl.col("repaid_on").is_null() | (pl.col("repaid_on") >= later))
            & (pl.col("defaulted_on").is_null() | (pl.col("defaulted_on") >= day))
        )
        defaults.append(at_risk["defaulted_on"].is_between(day, later, closed="left").fill_null(value=False).to_numpy())
        expected.append(at_risk["default_probability"].to_numpy())
    happened, chance = np.concatenate(defaults), np.concatenate(expected)
    assert abs(happened.sum() - chance.sum()) < 4 * math.sqrt((chance * (1 - chance)).sum())
    assert 0.02 < happened.mean() < 0.045
    assert 0.65 < roc_auc_score(happened, chance) < 0.9


def test_new_tables_lean_the_right_way(city: Path) -> None:
    """Frail enterprises have more incidents, fewer honours and rights, worse colours and sector grades."""
    truth = pl.read_parquet(city / "truth" / "enterprises.parquet").select("uscc", "frailty")

    def frailty(table: str, which: pl.Expr | None = None) -> float:
        frame = pl.read_parquet(city / "records" / f"{table}.parquet")
        frame = frame if which is None else frame.filter(which)
        return float(np.mean(frame.join(truth, on="uscc")["frailty"].to_numpy()))

    assert frailty("safety_incidents") > 0.15
    assert frailty("honours") < -0.15
    assert frailty("intellectual_property") < -0.05
    colour, letter = pl.col("environment_grade"), pl.col("sector_grade")
    assert (
        frailty("environment_grades", colour.is_in(["yellow", "red", "black"]))
        > frailty("environment_grades", colour == "green") + 0.5
    )
    for sector in ("food", "labour", "construction", "transport"):
        graded = pl.col("sector") == sector
        assert (
            frailty("sector_grades", graded & letter.is_in(["C", "D"]))
            > frailty("sector_grades", graded & (letter == "A")) + 0.5
        )
