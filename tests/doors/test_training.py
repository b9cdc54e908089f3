"""The data scientist's door: same inputs, same bundle; real MLflow; champions; a store apart from the process's own."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from credit_tier import training
from credit_tier.errors import ContentError, LearningError, MachineError, RefusedError
from credit_tier.features import own
from credit_tier.learning.bundle import Bundle
from credit_tier.learning.bundle_files import CAPS, SIGNATURE
from credit_tier.temporal import day_number


def test_same_lake_content_and_seed_give_the_same_bundle_byte_for_byte(trained, lake, content, tmp_path: Path) -> None:
    """Another store, another run, the same bytes; only the signature is of that store's own key."""
    again = training.train("violation_risk", lake, content, store=tmp_path, seed=3, threads=1)
    assert again.bundle.digest == trained.bundle.digest
    for name in set(CAPS) - {SIGNATURE}:
        assert (again.bundle.folder / name).read_bytes() == (trained.bundle.folder / name).read_bytes()
    assert again.evaluation == trained.evaluation
    # The next training of that store measures itself against what is in use there, and the decision tells it.
    training.promote(tmp_path, "violation_risk", who="甲", why="首个模型", at=datetime(2026, 1, 2, tzinfo=UTC))
    training.train("violation_risk", lake, content, store=tmp_path, seed=4, threads=1)
    told = training.promote(tmp_path, "violation_risk", who="甲", why="新种子", at=datetime(2026, 1, 3, tzinfo=UTC))
    assert told.compared.startswith("AUC − 现役 champion")


def test_parts_follow_each_other_in_time_and_no_label_is_known_later_than_it_may_be(trained) -> None:
    """A row of an earlier part has its label before the next part begins."""
    parts, label = trained.parts, trained.observations.spec.label
    gap = label.window_days + label.delay_days
    assert parts.train.frame.as_of_day.max() + gap <= parts.calibrate.frame.as_of_day.min()
    assert parts.calibrate.frame.as_of_day.max() + gap <= parts.test.frame.as_of_day.min()


def test_outcomes_are_mature_and_come_from_random_visits_only(trained, lake) -> None:
    """No outcome lies closer to the cut-off than its reporting delay; the base rate is that of random visits."""
    seen = trained.observations
    last = day_number(lake.cutoff_of(seen.spec.label.source)) + 1
    assert seen.frame.as_of_day.max() + seen.spec.label.window_days + seen.spec.label.delay_days <= last
    assert seen.observed <= seen.mature <= seen.rows
    assert 0.03 < seen.frame.y.mean() < 0.10


def test_the_model_ranks_better_than_chance_on_later_visits(trained) -> None:
    """The interval of the plain out-of-time AUC lies above one half (the weighted one is wide in so small a city); a shuffled outcome does not."""
    from credit_tier.learning.evaluate import auc_of

    assert trained.appraisal.selected.naive.auc_interval.low > 0.5
    test = trained.parts.test.frame
    p = trained.bundle.score(test.x).probability
    shuffled = np.random.Generator(np.random.Philox(1)).permutation(test.y)
    assert abs(auc_of(shuffled, p) - 0.5) < 0.12


def test_the_champion_is_the_registered_bundle_and_no_file_appears_elsewhere(
    trained, city, tmp_path: Path, monkeypatch
) -> None:
    """Once promoted, the registry leads to the same bytes; the working directory stays empty and the process's own store untouched."""
    monkeypatch.chdir(tmp_path)
    before = os.environ.get("MLFLOW_TRACKING_URI")
    store = city / "mlflow"
    training.promote(store, "violation_risk", who="甲", why="首个模型", at=datetime(2026, 1, 2, tzinfo=UTC))
    found = training.champion(store, "violation_risk")
    assert found.digest == trained.bundle.digest
    assert found.signer.trusted_as == "store"
    assert list(tmp_path.iterdir()) == []
    assert os.environ.get("MLFLOW_TRACKING_URI") == before


def test_the_run_holds_metrics_with_intervals_datasets_figures_and_a_signed_off_model(trained, city) -> None:
    """What a colleague needs to judge the model is in the store."""
    import mlflow

    address = f"sqlite:///{city / 'mlflow' / 'mlflow.db'}"
    client = mlflow.MlflowClient(tracking_uri=address, registry_uri=address)
    run = client.get_run(trained.run.run_id)
    assert run.data.metrics["auc"] == trained.evaluation.auc
    assert run.data.metrics["auc_low"] == trained.evaluation.auc_interval.low
    assert {"lake_digest", "catalogue_digest", "content_digest"} <= set(run.data.tags)
    assert {entry.dataset.name for entry in run.inputs.dataset_inputs} == {"train", "calibrate", "test"}
    figures = {Path(item.path).name for item in client.list_artifacts(run.info.run_id, "figures")}
    assert {"calibration.png", "roc.png", "gains.png", "scores.png"} <= figures
    version = client.get_model_version_by_alias("violation_risk", "challenger")
    assert int(version.version) == trained.run.model_version
    assert client.get_logged_model(trained.run.model_id).status == "READY"


def test_a_failed_gate_records_the_run_and_gives_no_alias(lake, content, tmp_path: Path) -> None:
    """A model below its gate is kept for study; nobody can take it for the champion."""
    overlay = tmp_path / "overlay"
    shipped = content.file("models", "violation_risk/model.yaml")
    text = shipped.path.read_text("utf-8").replace("min_auc: 0.6", "min_auc: 0.99")
    (overlay / "models" / "strict").mkdir(parents=True)
    (overlay / "models" / "strict" / "model.yaml").write_text(
        text.replace("model: violation_risk", "model: strict"), "utf-8"
    )
    done = training.train("strict", lake, type(content).resolve(overlay), store=tmp_path / "store", seed=3, threads=1)
    assert [fault.code for fault in done.failed_gates] == ["CT-LEARN-036"]
    assert done.run.aliases == ()
    with pytest.raises(LearningError, match="CT-LEARN-051"):
        training.champion(tmp_path / "store", "strict")
    with pytest.raises(RefusedError, match=r"CT-LEARN-080 strict 1: AUC .*0\.99"):
        training.promote(
            tmp_path / "store", "strict", version=1, who="甲", why="试", at=datetime(2026, 1, 2, tzinfo=UTC)
        )


def test_errors_name_what_there_is(lake, content, tmp_path: Path) -> None:
    """An unknown model lists the known ones; a missing store says how to make one."""
    with pytest.raises(ContentError, match=r"CT-CONTENT-013.*violation_risk/model\.yaml"):
        training.observe("nothing", lake, content)
    with pytest.raises(MachineError, match="CT-LEARN-052"):
        training.champion(tmp_path / "none", "violation_risk")


def test_a_flipped_byte_in_the_registered_bundle_is_refused(trained, tmp_path: Path) -> None:
    """Every file of the bundle is covered by its digest."""
    import shutil

    for name in CAPS:
        folder = tmp_path / name
        shutil.copytree(trained.bundle.folder, folder)
        data = bytearray((folder / name).read_bytes())
        data[len(data) // 2] ^= 1
        (folder / name).write_bytes(bytes(data))
        with pytest.raises(LearningError, match=name.replace(".", r"\.")):
            Bundle.open(folder)


def test_a_leak_stops_the_training_and_is_named(lake, content, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An engine that lets the as_of day itself in trains nothing: the features are named, no bundle is written."""
    fold = own.fold

    def leaky(rows, records, **given) -> None:
        fold(rows, records._replace(known=records.event - 1, event=records.event - 1), **given)

    monkeypatch.setattr(own, "fold", leaky)
    with pytest.raises(LearningError) as caught:
        training.train("violation_risk", lake, content, store=tmp_path, seed=3, threads=1)
    assert {fault.code for fault in caught.value.faults} == {"CT-LEARN-061"}
    assert any("inspections_1y" in fault.where for fault in caught.value.faults)
    assert not any(tmp_path.iterdir())


def test_the_shipped_model_passes_the_leak_guard(lake, content) -> None:
    """No finding, not even a warning, over a dozen as_of days."""
    assert training.audit(training.observe("violation_risk", lake, content), lake) == []
