"""Every model that is shipped learns something on a synthetic city, out of time."""

from __future__ import annotations

from pathlib import Path

import pytest

from credit_tier import training
from credit_tier.content import Content
from credit_tier.data.city import generate
from credit_tier.data.ingest import ingest
from credit_tier.data.lake import Lake

ENTERPRISES = 100_000
"""Defaults and relapses are rare: a smaller city has too few for an interval that says anything."""


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    root = tmp_path_factory.mktemp("large-city")
    generate(root / "city", enterprises=ENTERPRISES, seed=5)
    ingest(root / "lake", root / "city" / "records", Content.resolve())
    return Lake.open(root / "lake")


@pytest.mark.slow
@pytest.mark.parametrize("model", ["violation_risk", "default_risk", "repair_relapse"])
def test_a_shipped_model_ranks_better_than_chance_and_passes_its_gates(model: str, lake: Lake, tmp_path: Path) -> None:
    """The whole interval of the AUC on later rows lies above 0.5, probabilities beat the constant rate, no gate of its own figures fails.

    A simpler model may still be better where positives are few (models/repair_relapse/card.md): that gate judges a training, not a
    declaration.
    """
    done = training.train(model, lake, Content.resolve(), store=tmp_path, seed=1, threads=1)
    assert done.evaluation.auc_interval.low > 0.5
    assert done.evaluation.brier_ratio < 1
    assert [fault.what for fault in done.failed_gates if "yardstick" not in fault.what] == []


def test_every_shipped_model_is_tried() -> None:
    """A model that is added is added to the test above."""
    named = {item.name.split("/")[0] for item in Content.resolve().files("models") if item.name.endswith("model.yaml")}
    assert named == {"violation_risk", "default_risk", "repair_relapse"}
