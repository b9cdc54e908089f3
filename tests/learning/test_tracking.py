"""MLflow store: one real SQLite store; what was logged comes back, nothing can be loaded as code, nothing is printed."""

from __future__ import annotations

from pathlib import Path

import pytest

from credit_tier.learning import bundle as room
from credit_tier.learning.bundle import Bundle, Provenance
from credit_tier.learning.evaluate import Evaluation, evaluate
from credit_tier.learning.figures import draw
from credit_tier.learning.fit import Fitted
from credit_tier.learning.scorecard import Scorer
from credit_tier.learning.splits import Parts
from credit_tier.learning.tracking import RunInfo, datasets_of, log_training
from credit_tier.learning.yardstick import Yardstick, single_feature
from credit_tier.specs.model import ModelSpec

SOURCE = {"lake": "b" * 64, "catalogue": "a" * 64, "content": "c" * 64}


@pytest.fixture(scope="module")
def evaluation(scorer: Scorer, parts: Parts) -> Evaluation:
    test = parts.test.frame
    return evaluate(test.y, scorer.score(test.x).probability, test.subject, test.as_of_day, replicates=50)


@pytest.fixture(scope="module")
def stick(parts: Parts) -> Yardstick:
    return single_feature(parts, "f0", replicates=20)


@pytest.fixture(scope="module")
def made(
    tmp_path_factory: pytest.TempPathFactory, parts: Parts, spec: ModelSpec, scorer: Scorer, evaluation: Evaluation
) -> Bundle:
    fitted = Fitted(scorer.forest, scorer.features, scorer.dimensions, scorer.spans, scorer.fills, 1, "4")
    return room.write(
        tmp_path_factory.mktemp("made") / "bundle",
        spec=spec,
        fitted=fitted,
        calibration=scorer.calibration,
        parts=parts,
        evaluation=evaluation,
        provenance=Provenance("a" * 64, "b" * 64, "c" * 64),
    )


@pytest.fixture(scope="module")
def store(
    tmp_path_factory: pytest.TempPathFactory, made: Bundle, evaluation: Evaluation, parts: Parts, stick: Yardstick
) -> tuple[Path, list[RunInfo], str]:
    """A store with two trainings; returns the folder, their infos and everything written to the terminal (in a child)."""
    folder = tmp_path_factory.mktemp("store") / "mlruns"
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
            aliases=aliases,
        )
        for aliases in (("challenger",), ("challenger",), ())
    ]
    return folder, infos, ""
