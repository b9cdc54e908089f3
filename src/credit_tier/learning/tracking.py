"""MLflow records and names models; it never serves them (`service.md` section 1.3). The only module that imports it.

A store is a folder: `mlflow.db` (SQLite) and `artifacts/`. Each training is a run with parameters, metrics with intervals, figures,
datasets by digest, and a logged model that holds the data-only bundle with a signature. The logged model has no flavour: nothing in
the registry can be loaded as code. Versions are named by aliases: `challenger` (候选) by a training that passed its gates,
`champion` (现役) and `previous` (前任) by decisions only, see :mod:`credit_tier.learning.promotion`.
"""

from __future__ import annotations

import fcntl
import json
import logging
import os
import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from credit_tier.errors import LearningError, MachineError
from credit_tier.learning.bundle import Bundle
from credit_tier.learning.bundle_files import CAPS
from credit_tier.learning.evaluate import Evaluation
from credit_tier.learning.folds import Division

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import LoggedModel
    from mlflow.entities.model_registry import ModelVersion

Alias = Literal["champion", "challenger", "previous"]
QUIET = ("mlflow", "alembic", "sqlalchemy")
DESCRIPTION = 5000
"""Most characters that MLflow's tables hold of a version's description."""

_NAME = re.compile(r"[a-z][a-z0-9_]{0,99}")


@dataclass(frozen=True)
class DatasetRecord:
    """A dataset as a run remembers it: what it was for, its size, and our digest over all of it (MLflow's covers 10,000 rows).

    Attributes
    ----------
    context : `training`, `calibration`, `test` or `cross-validation`.
    source : digests of what it was made from, by name.
    """

    name: str
    context: str
    rows: int
    positives: int
    columns: tuple[str, ...]
    digest: str
    source: Mapping[str, str]


@dataclass(frozen=True)
class RunInfo:
    """Where a training was recorded: the run, the registered version, MLflow's id of the logged model."""

    run_id: str
    model_version: int
    model_id: str
    aliases: tuple[Alias, ...]


@dataclass(frozen=True)
class Version:
    """A registered version of a model.

    Attributes
    ----------
    bundle : digest of its bundle; folder : where that lies, to be opened with :meth:`Bundle.open`.
    aliases : names that stand for it. metrics : of its run.
    """

    model: str
    number: int
    bundle: str
    run_id: str
    folder: Path
    aliases: tuple[str, ...]
    description: str
    tags: Mapping[str, str]
    metrics: Mapping[str, float]


def datasets_of(parts: Division, source: Mapping[str, str]) -> tuple[DatasetRecord, ...]:
    """Return the records of the three parts of a split in time, or of all rows in cross-validation."""
    contexts = {"train": "training", "calibrate": "calibration", "test": "test", "all": "cross-validation"}
    return tuple(
        DatasetRecord(
            name=part.name,
            context=contexts[part.name],
            rows=len(part.frame),
            positives=part.frame.positives,
            columns=tuple(feature.id for feature in part.frame.features),
            digest=part.frame.digest,
            source=dict(source),
        )
        for part in parts
    )


def log_training(
    store: Path | str,
    *,
    experiment: str,
    model: str,
    bundle: Bundle,
    evaluation: Evaluation,
    params: Mapping[str, str],
    datasets: Sequence[DatasetRecord],
    figures: Mapping[str, bytes],
    tags: Mapping[str, str],
    card: str = "",
    aliases: Sequence[Alias] = ("challenger",),
) -> RunInfo:
    """Record one training and register its bundle.

    Parameters
    ----------
    store : folder of the store; made if it is not there. The first touch takes some seconds: MLflow sets up its tables.
    experiment, model : names of the experiment and of the registered model; lower-case letters, digits and _.
    params : settings, as text; figures : PNG by file name; tags : of the run and of the registered version.
    card : Markdown for people; kept whole with the run, and as far as it fits as the description of the version.
    aliases : given to the new version; none if the gates were not passed.

    Raises
    ------
    LearningError (CT-LEARN-050) if a name cannot be used, MachineError if the store cannot be written
        (CT-LEARN-052) or was moved (CT-LEARN-053).

    Source: `service.md` section 1.3.
    """
    for name in (experiment, model):
        if not _NAME.fullmatch(name):
            raise LearningError.of(
                "CT-LEARN-050",
                where="store",
                what=f"'{name}' cannot name an experiment or a model.",
                advice="Use lower-case letters, digits and _.",
            )
    folder = Path(store).resolve()
    with _client(folder, create=True) as client:
        from mlflow.entities import LoggedModelOutput, Metric, Param, RunTag

        run = client.create_run(_experiment(client, folder, experiment), run_name=f"{model}-{bundle.digest[:12]}")
        run_id, stamp = run.info.run_id, run.info.start_time
        named = dict(tags) | {"bundle_digest": bundle.digest}
        try:
            logged = client.create_logged_model(
                run.info.experiment_id,
                name=model,
                source_run_id=run_id,
                tags=dict(tags),
                params=dict(params),
                model_type="bundle",
            )
            metrics = [
                Metric(key, value, stamp, 0, model_id=logged.model_id)
                for key, value in sorted(evaluation.metrics().items())
            ]
            client.log_batch(
                run_id,
                metrics=metrics,
                params=[Param(key, value) for key, value in sorted(params.items())],
                tags=[RunTag(key, value) for key, value in sorted(named.items())],
            )
            client.log_inputs(run_id, [_dataset_input(record) for record in datasets])
            _log_files(client, run_id, evaluation, figures, card)
            _log_bundle(client, logged.model_id, run_id, bundle)
            client.finalize_logged_model(logged.model_id, "READY")
            client.log_outputs(run_id, [LoggedModelOutput(logged.model_id, step=0)])
            version = _register(client, logged, run_id=run_id, tags=named, card=card)
            for alias in aliases:
                client.set_registered_model_alias(model, alias, str(version))
            client.set_terminated(run_id, "FINISHED")
        except BaseException:
            client.set_terminated(run_id, "FAILED")
            raise
        return RunInfo(run_id, version, logged.model_id, tuple(aliases))


def record_decision(
    store: Path | str, model: str, version: int, *, tag: tuple[str, str], aliases: Mapping[Alias, int | None]
) -> None:
    """Write a decision on the version it is about, and move aliases; None takes an alias away.

    Raises
    ------
    MachineError (CT-LEARN-052) if there is no store, LearningError (CT-LEARN-051) if there is no such version.
    """
    with _client(Path(store).resolve(), create=False) as client:
        from mlflow.exceptions import MlflowException

        try:
            client.set_model_version_tag(model, str(version), *tag)
            for alias, number in aliases.items():
                if number is None:
                    client.delete_registered_model_alias(model, alias)
                else:
                    client.set_registered_model_alias(model, alias, str(number))
        except MlflowException as error:
            raise _unknown(model, f"version {version}") from error


def attach(
    store: Path | str, run_id: str, *, files: Mapping[str, bytes], metrics: Mapping[str, float] | None = None
) -> None:
    """Keep files, by name, and metrics with a run that is recorded already.

    Raises
    ------
    MachineError (CT-LEARN-052) if there is no store or it cannot be written.
    """
    with _client(Path(store).resolve(), create=False) as client, tempfile.TemporaryDirectory() as name:
        from mlflow.entities import Metric

        stamp = client.get_run(run_id).info.start_time
        client.log_batch(run_id, metrics=[Metric(key, value, stamp, 0) for key, value in (metrics or {}).items()])
        for file, data in files.items():
            (Path(name) / file).write_bytes(data)
        client.log_artifacts(run_id, name)


def find(store: Path | str, model: str, alias_or_version: str) -> Version:
    """Return the version of a model that an alias or a number names; works as well after the store's folder was moved.

    Raises
    ------
    MachineError (CT-LEARN-052) if there is no store, LearningError (CT-LEARN-051) if it knows no such model, alias or version.
    """
    folder = Path(store).resolve()
    with _client(folder, create=False) as client:
        from mlflow.exceptions import MlflowException

        try:
            if alias_or_version.isdecimal():
                found = client.get_model_version(model, alias_or_version)
            else:
                found = client.get_model_version_by_alias(model, alias_or_version)
            version = _version(client, folder, found)
        except MlflowException as error:
            raise _unknown(model, alias_or_version) from error
    if not version.folder.is_dir():
        raise MachineError.of(
            "CT-LEARN-052",
            where=folder.name,
            what=f"the bundle of {model} {alias_or_version} is not in the store's artifacts.",
            advice="Restore the folder 'artifacts' beside mlflow.db.",
        )
    return version


def versions(store: Path | str) -> tuple[Version, ...]:
    """Return all versions of all models of a store, by model, the newest first.

    Raises
    ------
    MachineError (CT-LEARN-052) if there is no store.
    """
    folder = Path(store).resolve()
    with _client(folder, create=False) as client:
        found = [_version(client, folder, item) for item in client.search_model_versions(max_results=10_000)]
    return tuple(sorted(found, key=lambda version: (version.model, -version.number)))


def _version(client: MlflowClient, folder: Path, found: ModelVersion) -> Version:
    # The SQL registry keeps no model id of a version, only its source; and the aliases of a version only with its model.
    logged = client.get_logged_model(str(found.source).removeprefix("models:/"))
    experiment = client.get_experiment(logged.experiment_id).name
    aliases = client.get_registered_model(found.name).aliases
    return Version(
        found.name,
        int(found.version),
        found.tags["bundle_digest"],
        found.run_id,
        folder / "artifacts" / experiment / "models" / logged.model_id / "artifacts" / "bundle",
        tuple(sorted(alias for alias, number in aliases.items() if int(number) == int(found.version))),
        found.description or "",
        dict(found.tags),
        dict(client.get_run(found.run_id).data.metrics),
    )


def require(folder: Path) -> None:
    """Check that there is a store.

    Raises
    ------
    MachineError (CT-LEARN-052) if there is none.
    """
    if not (folder / "mlflow.db").is_file():
        raise MachineError.of(
            "CT-LEARN-052",
            where=folder.name,
            what="没有模型库 · there is no model store here.",
            advice="Train a model first, or give the folder that holds mlflow.db.",
        )


@contextmanager
def _client(folder: Path, *, create: bool) -> Iterator[MlflowClient]:
    """Open the store, one process at a time: two that set up its tables at once would collide."""
    if not create:
        require(folder)
    os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
    os.environ["DO_NOT_TRACK"] = "true"
    levels = {name: logging.getLogger(name).level for name in QUIET}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / ".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            for name in QUIET:
                logging.getLogger(name).setLevel(logging.ERROR)
            from mlflow import MlflowClient
            from mlflow.exceptions import MlflowException
            from sqlalchemy.exc import SQLAlchemyError

            # MLflow sets its own level when it is imported.
            for name in QUIET:
                logging.getLogger(name).setLevel(logging.ERROR)
            address = f"sqlite:///{folder / 'mlflow.db'}"
            try:
                yield MlflowClient(tracking_uri=address, registry_uri=address)
            except (MlflowException, SQLAlchemyError) as error:
                raise _unusable(folder) from error
    except OSError as error:
        raise _unusable(folder) from error
    finally:
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)


def _unusable(folder: Path) -> MachineError:
    return MachineError.of(
        "CT-LEARN-052",
        where=folder.name,
        what="模型库无法读写 · the model store cannot be read or written.",
        advice="Check rights and free space of the folder, and that mlflow.db was made by this version of MLflow.",
    )


def _experiment(client: MlflowClient, folder: Path, name: str) -> str:
    """Return the id of an experiment, made if absent; MLflow fixes the place of its artifacts for good."""
    place = (folder / "artifacts" / name).as_uri()
    known = client.get_experiment_by_name(name)
    if known is None:
        return str(client.create_experiment(name, artifact_location=place))
    if known.artifact_location != place:
        raise MachineError.of(
            "CT-LEARN-053",
            where=folder.name,
            what="模型库已被移动 · the store was moved; MLflow would write to its old place.",
            advice="Read from it here, and train into it where it was made or into a new store.",
        )
    return str(known.experiment_id)


def _dataset_input(record: DatasetRecord) -> object:
    from mlflow.entities import Dataset, DatasetInput, InputTag

    schema = {"mlflow_colspec": [{"type": "float", "name": name, "required": True} for name in record.columns]}
    dataset = Dataset(
        name=record.name,
        digest=record.digest[:32],
        source_type="credit_tier_lake",
        source=json.dumps(dict(record.source), sort_keys=True),
        schema=json.dumps(schema),
        profile=json.dumps({"num_rows": record.rows, "num_positives": record.positives}),
    )
    return DatasetInput(dataset, [InputTag("mlflow.data.context", record.context), InputTag("sha256", record.digest)])


def _log_files(
    client: MlflowClient, run_id: str, evaluation: Evaluation, figures: Mapping[str, bytes], card: str
) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "figures").mkdir()
        for file, data in figures.items():
            (folder / "figures" / file).write_bytes(data)
        text = json.dumps(evaluation.to_dict(), ensure_ascii=False, indent=1, sort_keys=True)
        (folder / "evaluation.json").write_text(text, "utf-8")
        (folder / "card.md").write_text(card, "utf-8")
        client.log_artifacts(run_id, str(folder))


def _log_bundle(client: MlflowClient, model_id: str, run_id: str, bundle: Bundle) -> None:
    """Store the bundle and an MLmodel file that states its columns and outputs but no way to load it."""
    from mlflow.models import Model, ModelSignature
    from mlflow.types import ColSpec, DataType, Schema

    inputs = Schema([ColSpec(DataType.double, name, required=False) for name in bundle.feature_ids])
    names = ["raw_score", "probability", "points", "base_points", *(f"dim_{d}" for d in bundle.scorer.dimensions)]
    signature = ModelSignature(inputs=inputs, outputs=Schema([ColSpec(DataType.double, name) for name in names]))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        Model(
            run_id=run_id, model_id=model_id, signature=signature, metadata={"bundle_digest": bundle.digest}, flavors={}
        ).save(str(folder / "MLmodel"))
        (folder / "bundle").mkdir()
        for file in CAPS:
            (folder / "bundle" / file).write_bytes((bundle.folder / file).read_bytes())
        client.log_model_artifacts(model_id, str(folder))


def _register(client: MlflowClient, logged: LoggedModel, *, run_id: str, tags: dict[str, str], card: str) -> int:
    from mlflow.exceptions import MlflowException

    try:
        client.get_registered_model(logged.name)
    except MlflowException:
        client.create_registered_model(logged.name)
    with _own_store(client.tracking_uri):
        source = f"models:/{logged.model_id}"
        version = client.create_model_version(
            logged.name, source, run_id=run_id, tags=tags, description=card[:DESCRIPTION], model_id=logged.model_id
        )
    return int(version.version)


@contextmanager
def _own_store(address: str) -> Iterator[None]:
    """Make the store the process's own for a moment: there MLflow looks up models:/ID, or else makes one in the working folder."""
    import mlflow

    before = mlflow.get_tracking_uri() if mlflow.is_tracking_uri_set() else ""
    mlflow.set_tracking_uri(address)
    try:
        yield
    finally:
        mlflow.set_tracking_uri(before)


def _unknown(model: str, what: str) -> LearningError:
    return LearningError.of(
        "CT-LEARN-051",
        where="store",
        what=f"模型库中没有 {model} {what} · the store knows no such model, alias or version.",
        advice="Train and register it first, or give another alias (champion, challenger) or version number.",
    )
