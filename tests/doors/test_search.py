"""Settings searched and dimensions bridged, end to end: from a declaration in an overlay to scores, a profile and a recalibration."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from credit_tier import profiles, training
from credit_tier.content import Content
from credit_tier.errors import LearningError
from credit_tier.learning.bundle import Bundle
from credit_tier.reports import training as report
from credit_tier.specs.model import ModelSpec, Trees
from credit_tier.temporal import AsOf

DECLARED = """\
search: {trials: 4, folds: 2, rounds: [10, 40], leaves: [2, 6]}
trees:
  bridges:
    - {id: record_of_all, title_zh: 监管与履约, dimensions: [supervision, performance]}
"""


@pytest.fixture(scope="module")
def searching(content: Content, tmp_path_factory: pytest.TempPathFactory) -> Content:
    """The shipped model with a search and a bridge declared."""
    folder = tmp_path_factory.mktemp("overlay")
    shipped = content.file("models", "violation_risk/model.yaml")
    text = f"supersedes: sha256:{shipped.digest}\n" + shipped.path.read_text("utf-8")
    assert text.count("\ntrees:\n") == 1
    (folder / "models/violation_risk").mkdir(parents=True)
    (folder / "models/violation_risk/model.yaml").write_text(text.replace("\ntrees:\n", f"\n{DECLARED}"), "utf-8")
    return Content.resolve(folder)


@pytest.fixture(scope="module")
def done(lake, searching, tmp_path_factory: pytest.TempPathFactory) -> tuple[training.Training, Path]:
    store = tmp_path_factory.mktemp("store")
    return training.train("violation_risk", lake, searching, store=store, seed=3, threads=1), store


def test_the_bundle_holds_what_was_chosen_and_what_was_declared(done) -> None:
    """The manifest declares the chosen settings, from which the trees grew, and keeps those that stand in the content."""
    found, _ = done
    declared = ModelSpec.model_validate(found.bundle.manifest["declaration"]).trees
    assert found.searched is not None
    assert declared == found.searched.trees == found.observations.spec.trees
    assert Trees.model_validate(found.bundle.manifest["searched_from"]) == found.searched.declared
    assert found.searched.declared.rounds == 100
    assert declared.rounds in {10, 40, 100}
    assert all(last <= found.parts.train.last for _, last, _, _ in found.searched.folds)


def test_every_candidate_is_recorded_with_the_run(done) -> None:
    """MLflow keeps the whole table and its figures; the page and the card tell the choice."""
    import mlflow

    found, store = done
    address = f"sqlite:///{store / 'mlflow.db'}"
    client = mlflow.MlflowClient(tracking_uri=address, registry_uri=address)
    kept = json.loads(Path(client.download_artifacts(found.run.run_id, "search.json")).read_text("utf-8"))
    assert kept == json.loads(json.dumps(found.searched.to_dict()))
    data = client.get_run(found.run.run_id).data
    assert data.metrics["search_trials"] == found.searched.done
    assert data.metrics["search_loss_chosen"] == found.searched.candidates[found.searched.chosen].loss
    assert data.params["trees.rounds"] == str(found.searched.trees.rounds)
    assert "参数搜索" in report.publish(found, store).read_text("utf-8")
    card = (
        client.get_registered_model("violation_risk").description
        or client.get_model_version("violation_risk", "1").description
    )
    assert "搜索选定的参数" in card
    assert "监管与履约" in card


def test_the_same_seed_gives_the_same_bundle(done, lake, searching, tmp_path: Path) -> None:
    """A search is part of the training: equal lake, content, seed and threads give an equal bundle, byte for byte."""
    again = training.train("violation_risk", lake, searching, store=tmp_path, seed=3, threads=1)
    assert again.bundle.digest == done[0].bundle.digest
    assert again.searched == done[0].searched


def test_a_bridge_has_a_column_of_its_own_in_scores_and_profile(done, lake, searching, tmp_path: Path) -> None:
    """Opened from its files, the bundle scores the city; base, dimensions and the bridge sum to the points in the table to 1e-9."""
    bundle = Bundle.open(done[0].bundle.folder)
    scored = profiles.score(lake, searching, bundle, AsOf.parse("2026-01-01"))
    table = scored.to_pandas()
    columns = [name for name in table.columns if name.startswith("dim_")]
    assert columns[-1] == "dim_record_of_all"
    total = table["base_points"] + table[columns].sum(axis=1)
    x = done[0].parts.test.frame.x
    scores = bundle.score(x)
    np.testing.assert_allclose(
        scores.base_points + scores.dimension_points.sum(axis=1), scores.points, rtol=0, atol=1e-9
    )
    np.testing.assert_allclose(np.clip(np.rint(total), 0, 1000), table["points"], rtol=0, atol=0)
    scored.save(tmp_path / "scores")
    one = profiles.profile(tmp_path / "scores", str(table["code"][0]))
    assert list(one.dimensions)[-1] == "record_of_all"


def test_a_searched_model_can_be_recalibrated(done, lake, searching, tmp_path: Path) -> None:
    """The declaration has not changed although other settings were chosen: trees and settings stay, and the card still says so."""
    found = training.recalibrate(
        done[0].bundle, lake, searching, store=tmp_path, threads=1, calibrate_days=300, test_days=150
    )
    assert (found.bundle.folder / "model.txt").read_bytes() == (done[0].bundle.folder / "model.txt").read_bytes()
    for name in ("trees", "search"):
        assert found.bundle.manifest["declaration"][name] == done[0].bundle.manifest["declaration"][name]
    assert found.bundle.manifest["searched_from"] == done[0].bundle.manifest["searched_from"]


def test_a_search_is_asked_for_or_refused(lake, content, tmp_path: Path) -> None:
    """Numbers of trials that make no sense are refused before anything is trained."""
    with pytest.raises(LearningError, match="CT-LEARN-016"):
        training.train("violation_risk", lake, content, store=tmp_path, seed=3, threads=1, search=501)
