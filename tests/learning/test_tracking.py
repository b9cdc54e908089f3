"""MLflow store: one real SQLite store; what was logged comes back, nothing can be loaded as code, nothing is printed."""

from __future__ import annotations

import os
import shutil
import socket
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from credit_tier.errors import LearningError, MachineError
from credit_tier.learning.bundle import Bundle
from credit_tier.learning.bundle_files import CAPS
from credit_tier.learning.evaluate import Evaluation, evaluate
from credit_tier.learning.figures import draw
from credit_tier.learning.scorecard import Scorer
from credit_tier.learning.splits import Parts
from credit_tier.learning.tracking import Alias, RunInfo, datasets_of, find, log_training, record_decision, versions
from credit_tier.learning.yardstick import Yardstick, single_feature

SOURCE = {"lake": "b" * 64, "catalogue": "a" * 64, "content": "c" * 64}


@pytest.fixture(scope="module")
def evaluation(scorer: Scorer, parts: Parts) -> Evaluation:
    test = parts.test.frame
    return evaluate(test.y, scorer.score(test.x).probability, test.subject, test.as_of_day, replicates=50)


@pytest.fixture(scope="module")
def stick(parts: Parts) -> Yardstick:
    return single_feature(parts, "f0", replicates=20)


@dataclass(frozen=True)
class Store:
    """Three trainings: two passed their gates, the third failed; then the first was made champion."""

    folder: Path
    infos: list[RunInfo]
    printed: str
    left_behind: list[str]
    connected: list[object]


@pytest.fixture(scope="module")
def store(
    tmp_path_factory: pytest.TempPathFactory, made: Bundle, evaluation: Evaluation, parts: Parts, stick: Yardstick
) -> Store:
    folder, elsewhere = tmp_path_factory.mktemp("store") / "mlruns", tmp_path_factory.mktemp("elsewhere")
    connected: list[object] = []
    aliases: tuple[tuple[Alias, ...], ...] = (("challenger",), ("challenger",), ())
    log = elsewhere.with_suffix(".log")
    with pytest.MonkeyPatch.context() as patch, log.open("w") as sink:
        patch.chdir(elsewhere)
        patch.setattr(socket.socket, "connect", lambda _, address: connected.append(address))
        kept = [os.dup(1), os.dup(2)]
        os.dup2(sink.fileno(), 1)
        os.dup2(sink.fileno(), 2)
        try:
            infos = [
                log_training(
                    folder,
                    experiment="training",
                    model="m",
                    bundle=made,
                    evaluation=evaluation,
                    params={"rounds": "40", "leaves": "4"},
                    datasets=datasets_of(parts, SOURCE),
                    figures=draw(evaluation, [stick]),
                    tags={"purpose": "test"},
                    card="# 模型卡\n" + "甲" * 6000,
                    aliases=given,
                )
                for given in aliases
            ]
            record_decision(
                folder, "m", 1, tag=("decision_0001", "promoted"), aliases={"champion": 1, "previous": None}
            )
        finally:
            os.dup2(kept[0], 1)
            os.dup2(kept[1], 2)
            for descriptor in kept:
                os.close(descriptor)
    return Store(folder, infos, log.read_text(), [path.name for path in elsewhere.iterdir()], connected)


def client_of(store: Store):  # type: ignore[no-untyped-def]
    from mlflow import MlflowClient

    address = f"sqlite:///{store.folder / 'mlflow.db'}"
    return MlflowClient(tracking_uri=address, registry_uri=address)


def test_a_training_is_silent_and_stays_in_its_folder(store: Store) -> None:
    """Nothing on the terminal, no file in the working folder, no connection, no change of the process's own store."""
    import mlflow

    assert store.printed == ""
    assert store.left_behind == []
    assert store.connected == []
    assert not mlflow.is_tracking_uri_set()


def test_aliases_follow_the_gates(store: Store, made: Bundle) -> None:
    """The newest version that passed its gates is the challenger; none is champion by itself; the failed one has no name."""
    assert [(info.model_version, info.aliases) for info in store.infos] == [
        (1, ("challenger",)),
        (2, ("challenger",)),
        (3, ()),
    ]
    for name, index in (("champion", 0), ("challenger", 1), ("3", 2)):
        folder = find(store.folder, "m", name).folder
        assert store.infos[index].model_id in folder.parts
        assert {path.name for path in folder.iterdir()} == set(CAPS)
    assert Bundle.open(folder).digest == made.digest
    assert [(v.number, v.aliases) for v in versions(store.folder)] == [
        (3, ()),
        (2, ("challenger",)),
        (1, ("champion",)),
    ]


def test_the_card_is_the_description_and_stands_whole_with_the_run(store: Store) -> None:
    """What does not fit into MLflow's column is cut there, not in the run's file."""
    version = find(store.folder, "m", "1")
    assert version.description.startswith("# 模型卡")
    assert len(version.description) == 5000
    client = client_of(store)
    text = Path(client.download_artifacts(version.run_id, "card.md")).read_text("utf-8")
    assert text == "# 模型卡\n" + "甲" * 6000


def test_the_run_holds_parameters_metrics_figures_and_datasets(
    store: Store, evaluation: Evaluation, parts: Parts
) -> None:
    """What was logged comes back: every metric with its interval, PNG figures, the datasets' full digests, the logged model."""
    client = client_of(store)
    run = client.get_run(store.infos[0].run_id)
    assert run.info.status == "FINISHED"
    assert run.data.params == {"rounds": "40", "leaves": "4"}
    assert run.data.metrics == pytest.approx(evaluation.metrics())
    assert {item.dataset.name: {tag.key: tag.value for tag in item.tags} for item in run.inputs.dataset_inputs} == {
        part.name: {"mlflow.data.context": context, "sha256": part.frame.digest}
        for part, context in zip(parts, ("training", "calibration", "test"), strict=True)
    }
    figures = client.list_artifacts(store.infos[0].run_id, "figures")
    assert [Path(item.path).name for item in figures] == ["calibration.png", "gains.png", "roc.png", "scores.png"]
    for item in figures:
        data = Path(client.download_artifacts(store.infos[0].run_id, item.path)).read_bytes()
        assert data.startswith(b"\x89PNG")
        assert len(data) > 5000
    assert [output.model_id for output in run.outputs.model_outputs] == [store.infos[0].model_id]
    logged = client.get_logged_model(store.infos[0].model_id)
    assert str(logged.status) == "READY"
    assert {metric.key for metric in logged.metrics} == set(evaluation.metrics())


def test_the_registered_version_points_to_run_and_model(store: Store, made: Bundle) -> None:
    """The version knows its run, its logged model and the bundle's digest."""
    version = client_of(store).get_model_version("m", "1")
    assert (version.run_id, version.source) == (store.infos[0].run_id, f"models:/{store.infos[0].model_id}")
    assert version.tags == {"purpose": "test", "bundle_digest": made.digest, "decision_0001": "promoted"}


def test_the_model_has_a_signature_and_cannot_be_loaded_as_code(store: Store, made: Bundle) -> None:
    """MLflow shows the columns and outputs of the model, but has no flavour to load: it records and never serves."""
    import mlflow
    from mlflow.exceptions import MlflowException
    from mlflow.models import Model

    folder = find(store.folder, "m", "champion").folder.parent
    model = Model.load(str(folder / "MLmodel"))
    assert model.signature is not None
    assert model.signature.inputs.input_names() == list(made.feature_ids)
    assert model.signature.outputs.input_names()[:3] == ["raw_score", "probability", "points"]
    assert model.flavors == {}
    with pytest.raises(MlflowException, match="python_function"):
        mlflow.pyfunc.load_model(str(folder))


def test_an_alias_moves(store: Store, tmp_path: Path) -> None:
    """In a copy of the store, which also shows that a moved store still resolves: a decision names version 3, tags it, and frees 2."""
    moved = tmp_path / "moved"
    shutil.copytree(store.folder, moved)
    record_decision(moved, "m", 3, tag=("decision_0002", "who: why"), aliases={"champion": 3, "challenger": None})
    found = find(moved, "m", "champion")
    assert (found.number, found.aliases, found.tags["decision_0002"]) == (3, ("champion",), "who: why")
    assert found.folder.is_relative_to(moved)
    assert find(moved, "m", "1").aliases == find(moved, "m", "2").aliases == ()
    shutil.rmtree(found.folder)
    with pytest.raises(MachineError, match=r"CT-LEARN-052 .*artifacts"):
        find(moved, "m", "champion")


def test_what_the_store_does_not_know_is_said(store: Store, tmp_path: Path) -> None:
    """No store, no model, no alias, no version: a sentence with a code, and no store is made by asking."""
    with pytest.raises(MachineError, match=r"CT-LEARN-052 .*no model store"):
        find(tmp_path / "none", "m", "champion")
    assert not (tmp_path / "none").exists()
    for model, name in (("other", "champion"), ("m", "nobody"), ("m", "99")):
        with pytest.raises(LearningError, match="CT-LEARN-051"):
            find(store.folder, model, name)
    with pytest.raises(LearningError, match="CT-LEARN-051"):
        record_decision(store.folder, "m", 99, tag=("a", "b"), aliases={"champion": 99})


def test_a_file_that_is_no_store_is_refused(tmp_path: Path) -> None:
    """A damaged mlflow.db is an error of the machine, in our words."""
    (tmp_path / "mlflow.db").write_bytes(b"this is not a database" * 100)
    with pytest.raises(MachineError, match="CT-LEARN-052"):
        find(tmp_path, "m", "champion")


def test_names_are_checked_before_anything_is_written(tmp_path: Path, made: Bundle, evaluation: Evaluation) -> None:
    """A name with a path in it never reaches the file system."""
    with pytest.raises(LearningError, match="CT-LEARN-050"):
        log_training(
            tmp_path / "new",
            experiment="../escape",
            model="m",
            bundle=made,
            evaluation=evaluation,
            params={},
            datasets=(),
            figures={},
            tags={},
        )
    assert list(tmp_path.iterdir()) == []


def test_a_run_that_fails_says_so(store: Store, tmp_path: Path, made: Bundle, evaluation: Evaluation) -> None:
    """If logging breaks off, the run stands as FAILED, no version is registered and the aliases stay."""
    moved = tmp_path / "moved"
    shutil.copytree(store.folder, moved)
    gone = replace(made, folder=tmp_path / "gone")
    with pytest.raises(MachineError, match="CT-LEARN-052"):
        log_training(
            moved,
            experiment="second",
            model="m",
            bundle=gone,
            evaluation=evaluation,
            params={},
            datasets=(),
            figures={},
            tags={},
        )
    client = client_of(replace(store, folder=moved))
    experiment = client.get_experiment_by_name("second")
    assert [run.info.status for run in client.search_runs([experiment.experiment_id])] == ["FAILED"]
    assert len(client.search_model_versions("name = 'm'")) == 3
    assert client.get_model_version_by_alias("m", "champion").version in {1, "1"}


def test_a_moved_store_is_not_written_to(store: Store, tmp_path: Path, made: Bundle, evaluation: Evaluation) -> None:
    """MLflow would put the artifacts where the store once was: refused, and the old place stays as it is."""
    moved = tmp_path / "moved"
    shutil.copytree(store.folder, moved)
    before = sorted(store.folder.rglob("*"))
    with pytest.raises(MachineError, match="CT-LEARN-053"):
        log_training(
            moved,
            experiment="training",
            model="m",
            bundle=made,
            evaluation=evaluation,
            params={},
            datasets=(),
            figures={},
            tags={},
        )
    assert sorted(store.folder.rglob("*")) == before


def test_figures_are_functions_of_their_numbers(evaluation: Evaluation, stick: Yardstick) -> None:
    """Equal evaluations give equal bytes; another evaluation another picture."""
    first, second = draw(evaluation, [stick]), draw(evaluation, [stick])
    assert first == second
    other = draw(stick.evaluation)
    assert all(first[name] != other[name] for name in first)
