"""Synthetic frames with a known truth, and one model fitted on them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date
from pathlib import Path

import numpy as np
import pytest

from credit_tier.learning import bundle as bundles
from credit_tier.learning import signing
from credit_tier.learning.bundle import Bundle
from credit_tier.learning.calibrate import calibrate
from credit_tier.learning.evaluate import evaluate
from credit_tier.learning.fit import fit
from credit_tier.learning.scorecard import Scorer
from credit_tier.learning.splits import Parts, TrainingFrame, split
from credit_tier.specs.feature import FeatureSpec, Missing
from credit_tier.specs.model import GridCohort, Label, ModelSpec, Split, Trees
from credit_tier.temporal import day_number

DIMENSIONS = ("alpha", "alpha", "beta", "beta", "gamma", "gamma")
DIRECTIONS = (1, -1, 1, 0, 0, 1)
START = day_number(date(2022, 1, 1))


def feature(i: int, dimension: str, direction: int, policy: str = "unknown") -> FeatureSpec:
    return FeatureSpec(
        id=f"f{i}",
        title_zh=f"指标{i}",
        title_en=f"Feature {i}",
        dimension=dimension,
        source="t",
        aggregate="count",
        missing=Missing(policy=policy),
        unit="次",
        direction=direction,
        legal_basis="-",
    )


FEATURES = tuple(feature(i, d, s) for i, (d, s) in enumerate(zip(DIMENSIONS, DIRECTIONS, strict=True)))


def make_frame(rows: int = 6000, seed: int = 0, days: int = 1200, shift: float = 0.0) -> TrainingFrame:
    """Rows over `days` days; the log-odds rise by `shift` over the whole time; f5 carries nothing."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(rows, 6)).astype(np.float32)
    x[:, 0] = np.floor(np.abs(x[:, 0]) * 2)
    x[rng.random(rows) < 0.15, 3] = np.nan
    as_of = np.sort(START + rng.integers(0, days, rows)).astype(np.int32)
    z = -2.2 + 0.7 * x[:, 0] - 0.8 * x[:, 1] + 0.6 * x[:, 2] + 0.5 * np.sin(2 * np.nan_to_num(x[:, 3]))
    z = z + shift * (as_of - START) / days
    y = (rng.random(rows) < 1 / (1 + np.exp(-z))).astype(np.int8)
    return TrainingFrame(x, y, as_of, rng.integers(0, rows // 4, rows).astype(np.int32), FEATURES)


def make_spec(**changes: object) -> ModelSpec:
    facts: dict[str, object] = {
        "model": "m",
        "title_zh": "模型",
        "purpose": "test",
        "legal_basis": "-",
        "cohort": GridCohort(kind="grid", every_months=3, first=date(2022, 1, 1)),
        "label": Label(title_zh="结果", source="t", positive=(), window_days=30, delay_days=10),
        "split": Split(calibrate_days=300, test_days=300),
        "trees": Trees(rounds=40, leaves=4, min_rows_in_leaf=20),
    }
    return ModelSpec.model_validate(facts | changes)


def make_scorer(parts: Parts, spec: ModelSpec, *, seed: int = 1) -> Scorer:
    fitted = fit(parts, spec, seed=seed, threads=1)
    plain = Scorer.of(fitted, calibrate(np.zeros(0), np.zeros(0, np.int8), "none"), spec.points)
    later = parts.calibrate.frame
    return Scorer.of(fitted, calibrate(plain.raw_score(later.x), later.y, spec.calibration), spec.points)


def make_bundle(
    folder: Path,
    parts: Parts,
    spec: ModelSpec,
    key: signing.SigningKey,
    *,
    seed: int = 1,
    failed_gates: Sequence[str] = (),
) -> Bundle:
    """Train as :mod:`credit_tier.training` does, without a lake, and write the bundle."""
    fitted = fit(parts, spec, seed=seed, threads=1)
    plain = Scorer.of(fitted, calibrate(np.zeros(0), np.zeros(0, np.int8), "none"), spec.points)
    calibration = calibrate(plain.raw_score(parts.calibrate.frame.x), parts.calibrate.frame.y, spec.calibration)
    test = parts.test.frame
    probability = Scorer.of(fitted, calibration, spec.points).score(test.x).probability
    evaluation = evaluate(test.y, probability, test.subject, test.as_of_day, replicates=50)
    return bundles.write(
        folder,
        spec=spec,
        fitted=fitted,
        calibration=calibration,
        parts=parts,
        evaluation=evaluation,
        failed_gates=failed_gates,
        provenance=bundles.Provenance("a" * 64, "b" * 64, "c" * 64),
        key=key,
    )


@pytest.fixture(scope="session")
def frame() -> TrainingFrame:
    return make_frame()


@pytest.fixture(scope="session")
def spec() -> ModelSpec:
    return make_spec()


@pytest.fixture(scope="session")
def parts(frame: TrainingFrame, spec: ModelSpec) -> Parts:
    return split(frame, spec.split, spec.label)


@pytest.fixture(scope="session")
def scorer(parts: Parts, spec: ModelSpec) -> Scorer:
    return make_scorer(parts, spec)


@pytest.fixture(scope="session")
def new_frame() -> Callable[..., TrainingFrame]:
    return make_frame


@pytest.fixture(scope="session")
def new_spec() -> Callable[..., ModelSpec]:
    return make_spec


@pytest.fixture(scope="session")
def new_scorer() -> Callable[..., Scorer]:
    return make_scorer


@pytest.fixture(scope="session")
def key(tmp_path_factory: pytest.TempPathFactory) -> signing.SigningKey:
    return signing.SigningKey.read(signing.new_key(tmp_path_factory.mktemp("keys"), "office")[0])


@pytest.fixture(scope="session")
def new_bundle() -> Callable[..., Bundle]:
    return make_bundle


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory, parts: Parts, spec: ModelSpec, key: signing.SigningKey) -> Bundle:
    """One signed bundle; tests change copies of its folder only."""
    return make_bundle(tmp_path_factory.mktemp("bundles") / "one", parts, spec, key)
