"""Outcomes exist for the inspected alone; the synthetic city knows everybody's, and judges what the figures say about all."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from credit_tier import training
from credit_tier.content import Content
from credit_tier.data.city import generate
from credit_tier.data.ingest import ingest
from credit_tier.data.lake import Lake
from credit_tier.features import build, spine
from credit_tier.learning.evaluate import Evaluation, auc_of
from credit_tier.temporal import date_of

FIGURES = ("rate", "auc", "predicted_to_observed")
CITIES = range(200, 212)


def truth_of(city: Path, lake: Lake, done: training.Training) -> dict[str, float]:
    """What the three figures are for all living enterprises of the test period, at the middle of the months that the truth tells."""
    test, features = done.parts.test, done.observations.features
    states = pl.read_parquet(city / "truth" / "states.parquet").filter(
        pl.col("month").is_between(test.first, test.last)
    )
    people = pl.read_parquet(city / "truth" / "enterprises.parquet").select("uscc").with_row_index("enterprise")
    states = states.join(people.with_columns(pl.col("enterprise").cast(pl.Int32)), on="enterprise")
    codes = lake.codes()["code"].to_numpy()
    outcomes, scores = [], []
    for (month,), known in sorted(states.partition_by("month", as_dict=True).items()):
        rows = spine.scoring(lake, done.observations.spec, month + timedelta(days=14))
        found = done.bundle.score(build.build(lake, features, rows).matrix()).probability
        scored = pl.DataFrame({"uscc": codes[rows["enterprise_no"].to_numpy()], "p": found})
        both = scored.join(known, on="uscc")
        outcomes.append(both["in_violation"].to_numpy().astype(np.int8))
        scores.append(both["p"].to_numpy())
    y, p = np.concatenate(outcomes), np.concatenate(scores)
    months = pl.read_parquet(city / "truth" / "months.parquet").filter(
        pl.col("month").is_between(test.first, test.last)
    )
    rate = months["in_violation"].sum() / months["alive"].sum()
    return {"rate": rate, "auc": auc_of(y, p), "predicted_to_observed": float(p.mean() / y.mean())}


def covers(found: Evaluation, name: str, value: float) -> bool:
    interval = getattr(found, f"{name}_interval")
    return bool(interval.low <= value <= interval.high)


def test_every_row_of_a_training_stands_for_the_inverse_of_its_chance(trained, lake, city) -> None:
    """Weights are those of the delivered draws, none is cut; the plain rate lies above the weighted one, as the risky are drawn more."""
    seen = trained.observations
    records = pl.read_parquet(city / "records" / "inspections.parquet").filter(pl.col("trigger") == "random")
    chance = records.group_by("uscc", "inspected_on").agg(pl.col("inclusion_probability").max())
    by_day = {(code, day): value for code, day, value in chance.iter_rows()}
    codes = lake.codes()["code"].to_list()
    expected = [
        1 / by_day[codes[s], date_of(int(d))] for s, d in zip(seen.frame.subject, seen.frame.as_of_day, strict=True)
    ]
    assert seen.frame.weight == pytest.approx(expected)
    found = trained.appraisal.selected
    assert (found.cut, found.unknown) == (0, 0)
    assert found.naive.rate > 1.15 * trained.evaluation.rate
    assert found.effective["test"] < 0.9 * len(trained.parts.test.frame)


def test_visits_that_nobody_drew_stand_apart(trained, lake) -> None:
    """Complaints, campaigns and re-inspections of the test period, all of them and no others; they find far more than random ones."""
    found = {item.en: item for item in trained.appraisal.selected.apart}
    assert set(found) == {"complaint", "campaign", "reinspection"}
    assert found["complaint"].zh == "投诉举报"
    assert all(item.observed > 2 * trained.evaluation.rate for item in found.values())
    whole = trained.evaluation.metrics() | trained.appraisal.metrics()
    assert whole["naive_rate"] == trained.appraisal.selected.naive.rate


@pytest.mark.slow
def test_weighted_figures_cover_the_truth_and_plain_ones_do_not(content: Content, tmp_path: Path) -> None:
    """Over many cities: 95 % intervals of weighted rate, AUC and level cover what is true of all; those of the drawn alone do not."""
    inside = {kind: dict.fromkeys(FIGURES, 0) for kind in ("weighted", "plain")}
    gaps: dict[str, list[float]] = {"weighted": [], "plain": []}
    for seed in CITIES:
        city = tmp_path / str(seed)
        generate(city, enterprises=40_000, seed=seed)
        ingest(city / "lake", city / "records", content)
        lake = Lake.open(city / "lake")
        done = training.train("violation_risk", lake, content, store=city / "store", seed=1, threads=2)
        truth = truth_of(city, lake, done)
        for kind, found in (("weighted", done.evaluation), ("plain", done.appraisal.selected.naive)):
            gaps[kind].append(found.auc - truth["auc"])
            for name in FIGURES:
                inside[kind][name] += covers(found, name, truth[name])
        print(seed, truth, inside, {kind: f"{np.mean(values):+.3f}" for kind, values in gaps.items()}, flush=True)
    assert all(count >= len(CITIES) - 2 for count in inside["weighted"].values()), inside
    assert inside["plain"]["rate"] == 0
    assert sum(inside["plain"].values()) <= sum(inside["weighted"].values()) - len(CITIES)
    assert abs(np.mean(gaps["weighted"])) < abs(np.mean(gaps["plain"]))
