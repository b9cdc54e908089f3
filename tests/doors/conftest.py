"""One small city through the doors, built once for all tests of this folder."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest

from credit_tier import profiles, training
from credit_tier.content import Content
from credit_tier.data.city import generate
from credit_tier.data.ingest import ingest
from credit_tier.data.lake import Lake
from credit_tier.temporal import AsOf

AS_OF = AsOf(dt.date(2026, 1, 1))


@pytest.fixture(scope="session")
def content() -> Content:
    return Content.shipped()


@pytest.fixture(scope="session")
def city(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("city")
    generate(out, enterprises=8000, seed=11)
    return out


@pytest.fixture(scope="session")
def lake(city: Path, content: Content) -> Lake:
    assert ingest(city / "lake", city / "records", content).clean
    return Lake.open(city / "lake")


@pytest.fixture(scope="session")
def trained(lake: Lake, content: Content, city: Path) -> training.Training:
    return training.train("violation_risk", lake, content, store=city / "mlflow", seed=3, threads=1)


@pytest.fixture(scope="session")
def scored(lake: Lake, content: Content, trained: training.Training) -> profiles.CityScores:
    return profiles.score(lake, content, trained.bundle, AS_OF, keep=("district",))
