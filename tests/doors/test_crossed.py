"""Data that no date divides, through the doors: the content of the invoice example on made-up invoices."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from credit_tier import monitoring, profiles, training
from credit_tier.content import Content
from credit_tier.data.ingest import ingest
from credit_tier.data.lake import Lake
from credit_tier.errors import LearningError, UsageError
from credit_tier.reports import training as report
from credit_tier.temporal import AsOf, parse_date

EXAMPLE = Path(__file__).resolve().parents[2] / "examples/sme_invoices"
FIRMS, UNKNOWN = 100, 20


@pytest.fixture(scope="module")
def here() -> Content:
    return Content.resolve(EXAMPLE)


@pytest.fixture(scope="module")
def lake(here: Content, tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """A hundred enterprises with an outcome and twenty without; those in default sold less and stopped earlier."""
    rng = np.random.Generator(np.random.Philox(7))
    folder = tmp_path_factory.mktemp("invoices")
    failed = rng.random(FIRMS + UNKNOWN) < 0.3
    outcome = [str(int(f)) if i < FIRMS else "" for i, f in enumerate(failed)]
    names = [f"E{i + 1}" for i in range(FIRMS + UNKNOWN)]
    pl.DataFrame({"enterprise_id": names, "rating": "D", "default": outcome}).write_csv(folder / "enterprises.csv")
    rows = []
    for name, bad in zip(names, failed, strict=True):
        count = int(rng.integers(15, 40))
        days = rng.integers(0, 640 if bad else 780, count)
        for day in days.tolist():
            amount = float(rng.lognormal(8 - bad, 1.5))
            rows.append(
                (name, ("input", "output")[rng.integers(2)], day, f"B{rng.integers(9)}", amount, rng.random() < 0.1)
            )
    invoices = pl.DataFrame(
        rows, schema=["enterprise_id", "side", "day", "counterparty_id", "amount", "void"], orient="row"
    ).select(
        "enterprise_id",
        "side",
        (pl.lit(parse_date("2018-01-01")) + pl.duration(days="day")).dt.date().alias("date"),
        "counterparty_id",
        "amount",
        (pl.col("amount") * 0.13).alias("tax"),
        pl.col("void").cast(pl.Int8),
    )
    known = pl.col("enterprise_id").is_in(names[:FIRMS])
    invoices.filter(known).write_parquet(folder / "invoices_credit.parquet")
    invoices.filter(~known).write_parquet(folder / "invoices_nocredit.parquet")
    assert ingest(folder / "lake", folder, here).clean
    return Lake.open(folder / "lake")


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("store")


@pytest.fixture(scope="module")
def trained(lake: Lake, here: Content, store: Path) -> training.Training:
    return training.train("default_risk", lake, here, store=store, seed=2, threads=1)


def test_figures_are_of_rows_that_the_judging_models_had_not_seen(trained: training.Training) -> None:
    """Every enterprise with an outcome is judged once; what leaves training has grown on all of them and would look better there."""
    assert trained.evaluation.rows == trained.evaluation.subjects == FIRMS
    assert trained.observations.rows == FIRMS + UNKNOWN
    assert trained.evaluation.auc_interval.low > 0.5
    frame = trained.parts.test.frame
    own = trained.bundle.score(frame.x).probability
    assert np.mean((own - frame.y) ** 2) < trained.evaluation.brier
    assert all(len(stick.probability) == FIRMS for stick in trained.yardsticks)
    assert trained.bundle.manifest["split"]["folds"] == 5
    again = trained.bundle.manifest["split"]
    assert again["train"] == again["test"]
    assert again["train"]["rows"] == FIRMS


def test_page_card_headline_and_store_say_that_it_is_cross_validation(trained: training.Training, store: Path) -> None:
    """Nothing of it speaks of a test out of time, of a later part, or of shifts from one part to another."""
    import mlflow

    assert trained.headline.startswith("cross-validated AUC 0.")
    page = report.publish(trained, store).read_text("utf-8")
    for words in (
        "Cross-validated AUC",
        "交叉验证 AUC",
        "按企业分为 5 折",
        "This is not a test out of time",
        "nothing here tells",
        "AUC compares enterprises of one fold",
    ):
        assert words in page
    for words in ("Out-of-time", "out-of-time", "检验期", "calibration part to test part", "in this order in time"):
        assert words not in page
    client = mlflow.MlflowClient(tracking_uri=f"sqlite:///{store / 'mlflow.db'}")
    run = client.get_run(trained.run.run_id)
    assert run.data.tags["tested"] == "cross-validated"
    assert [item.dataset.name for item in run.inputs.dataset_inputs] == ["all"]
    assert "psi_score" not in run.data.metrics
    card = Path(client.download_artifacts(trained.run.run_id, "card.md")).read_text("utf-8")
    assert "5 折交叉验证,非时间外 · 5-fold cross-validation, NOT out of time" in card
    assert "检验期" not in card
    told = json.loads(Path(client.download_artifacts(trained.run.run_id, "appraisal.json")).read_text("utf-8"))
    assert (told["recalibrated"], told["score_shift"], told["shifts"]) == (None, None, [])


def test_it_is_promoted_scores_everybody_and_is_not_recalibrated(
    trained: training.Training, lake: Lake, here: Content, store: Path
) -> None:
    """A person may take it; enterprises without an outcome get a score; there are no newer outcomes to recalibrate on."""
    assert trained.failed_gates == ()
    decision = training.promote(store, "default_risk", who="甲", why="首个模型", at=datetime(2026, 1, 2, tzinfo=UTC))
    assert (decision.action, decision.bundle) == ("promoted", trained.bundle.digest)
    bundle = training.champion(store, "default_risk")
    scored = profiles.score(lake, here, bundle, AsOf(parse_date("2020-03-01")))
    assert scored.summary["enterprises"] == FIRMS + UNKNOWN
    with pytest.raises(LearningError, match=r"CT-LEARN-023 default_risk split\.folds.*none is newer"):
        training.recalibrate(bundle, lake, here, store=store, threads=1)


def test_the_same_seed_gives_the_same_bundle_and_no_fair_comparison_in_pairs(
    trained: training.Training, lake: Lake, here: Content, store: Path
) -> None:
    """Folds, forests and figures again; the champion has grown on these very rows, so only the figures of both are put side by side."""
    again = training.train("default_risk", lake, here, store=store, seed=2, threads=1)
    assert again.bundle.digest == trained.bundle.digest
    assert again.evaluation == trained.evaluation
    told = training.promote(store, "default_risk", who="甲", why="再来一次", at=datetime(2026, 1, 3, tzinfo=UTC))
    auc = f"{trained.evaluation.auc:.4f}"
    assert told.compared.startswith(f"AUC {auc}")
    assert told.compared.endswith(f"champion {auc}")


def test_it_is_watched_from_the_day_of_its_rows(trained: training.Training, lake: Lake) -> None:
    """Later populations are compared with that of its last rows; without a later day there is nothing to watch."""
    found = monitoring.monitor(lake, trained.bundle, AsOf(parse_date("2020-06-01")), reference=parse_date("2020-03-01"))
    assert found.since == "2020-03-01"
    assert found.enterprises == (FIRMS + UNKNOWN, FIRMS + UNKNOWN)
    with pytest.raises(UsageError, match="CT-MON-001"):
        monitoring.monitor(lake, trained.bundle, AsOf(parse_date("2020-03-01")), reference=parse_date("2020-03-01"))
