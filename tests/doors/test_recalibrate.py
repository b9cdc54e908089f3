"""Recalibration of a model in use: trees and training rows stay, the level follows newer outcomes, tested on rows still newer."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from credit_tier import training
from credit_tier.content import Content
from credit_tier.errors import LearningError
from credit_tier.reports import training as report

DAYS = {"calibrate_days": 300, "test_days": 150}


@pytest.fixture(scope="module")
def moved(trained, lake, content, tmp_path_factory: pytest.TempPathFactory) -> tuple[training.Training, Path]:
    store = tmp_path_factory.mktemp("recalibrated")
    return training.recalibrate(trained.bundle, lake, content, store=store, threads=1, **DAYS), store


def test_trees_and_training_rows_stay_and_newer_rows_follow_in_time(moved, trained) -> None:
    """The model text is the same file; the training part has the same digest; calibration and test lie a gap apart, and later."""
    done, _ = moved
    assert (done.bundle.folder / "model.txt").read_bytes() == (trained.bundle.folder / "model.txt").read_bytes()
    assert done.parts.train.frame.digest == trained.parts.train.frame.digest
    parts, gap = done.parts, done.parts.gap_days
    assert parts.train.frame.as_of_day.max() + gap <= parts.calibrate.frame.as_of_day.min()
    assert parts.calibrate.frame.as_of_day.max() + gap <= parts.test.frame.as_of_day.min()
    assert parts.calibrate.frame.as_of_day.max() > trained.parts.calibrate.frame.as_of_day.max()
    assert sum(len(part.frame) for part in parts) + parts.left_out == len(done.observations.frame)
    assert done.bundle.manifest["split"]["train"] == trained.bundle.manifest["split"]["train"]


def test_the_level_is_that_of_the_newer_outcomes_and_all_points_move_alike(moved, trained) -> None:
    """Mean probability on the newer calibration part is its rate, both by weight; points move by one number, dimensions not at all; sums stay exact."""
    done, _ = moved
    later = done.parts.calibrate.frame
    now, before = (bundle.score(later.x) for bundle in (done.bundle, trained.bundle))
    rate = np.average(later.y, weights=later.weight)
    assert np.average(now.probability, weights=later.weight) == pytest.approx(rate, abs=1e-9)
    assert np.average(before.probability, weights=later.weight) != pytest.approx(rate, abs=1e-6)
    np.testing.assert_allclose(now.dimension_points, before.dimension_points, rtol=0, atol=1e-9)
    assert np.ptp(now.points - before.points) < 1e-9
    assert abs(now.base_points - before.base_points) > 1e-6
    np.testing.assert_allclose(now.base_points + now.dimension_points.sum(axis=1), now.points, rtol=0, atol=1e-9)


def test_it_is_a_version_of_its_own_that_says_where_it_comes_from(moved, trained) -> None:
    """The run names the bundle that was recalibrated; the digest is another; the page can be published."""
    import mlflow

    done, store = moved
    address = f"sqlite:///{store / 'mlflow.db'}"
    run = mlflow.MlflowClient(tracking_uri=address, registry_uri=address).get_run(done.run.run_id)
    assert run.data.tags["recalibrated_from"] == trained.bundle.digest != done.bundle.digest
    assert report.publish(done, store).is_file()


def test_the_same_question_gives_the_same_bundle(moved, trained, lake, content) -> None:
    """Recalibrating again changes nothing; refitting the slope is another bundle."""
    done, store = moved
    again = training.recalibrate(trained.bundle, lake, content, store=store, threads=1, **DAYS)
    assert again.bundle.digest == done.bundle.digest
    sloped = training.recalibrate(trained.bundle, lake, content, store=store, threads=1, refit_slope=True, **DAYS)
    assert sloped.bundle.scorer.calibration.slope != done.bundle.scorer.calibration.slope
    twice = training.recalibrate(done.bundle, lake, content, store=store, threads=1, **DAYS)
    assert twice.bundle.scorer.calibration.intercept == pytest.approx(
        done.bundle.scorer.calibration.intercept, abs=1e-9
    )


def test_outcomes_that_are_not_newer_are_refused(trained, lake, content, tmp_path: Path) -> None:
    """Rows from which the trees grew, or whose labels were not known apart from theirs, recalibrate nothing."""
    with pytest.raises(LearningError, match=r"CT-LEARN-022 .*the trees knew labels until"):
        training.recalibrate(
            trained.bundle, lake, content, store=tmp_path, threads=1, calibrate_days=1200, test_days=150
        )


def test_a_changed_declaration_is_refused_by_name(trained, lake, content, tmp_path: Path) -> None:
    """Other trees or features than the model's mean a new training; another gate does not."""
    shipped = content.file("models", "violation_risk/model.yaml")
    folder = tmp_path / "overlay" / "models" / "violation_risk"
    folder.mkdir(parents=True)

    def declared(old: str, new: str) -> Content:
        text = shipped.path.read_text("utf-8")
        assert old in text
        text = f"supersedes: sha256:{shipped.digest}\n" + text.replace(old, new)
        (folder / "model.yaml").write_text(text, "utf-8")
        return Content.resolve(tmp_path / "overlay")

    with pytest.raises(LearningError) as caught:
        training.recalibrate(
            trained.bundle, lake, declared("  - tax_grade\n", ""), store=tmp_path / "s", threads=1, **DAYS
        )
    assert [fault.where for fault in caught.value.faults] == [
        "violation_risk features",
        "violation_risk pipelines/features.yaml",
    ]
    with pytest.raises(LearningError, match=r"CT-LEARN-022 violation_risk trees"):
        training.recalibrate(
            trained.bundle, lake, declared("rounds: 100", "rounds: 99"), store=tmp_path / "s", threads=1, **DAYS
        )
    done = training.recalibrate(
        trained.bundle, lake, declared("min_auc: 0.6", "min_auc: 0.99"), store=tmp_path / "s", threads=1, **DAYS
    )
    assert [fault.code for fault in done.failed_gates] == ["CT-LEARN-036"]
