"""A look at a model in use is quiet where nothing changed and speaks where something did, whatever the size of the samples."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from credit_tier.learning.evaluate import Interval
from credit_tier.learning.monitor import LEVEL, Drift, Outcomes, drift_of, outcomes_of, watch

NAME = ("f", "指标")
TRAINED = Interval(0.70, 0.80)

SHAPES = {
    "normal": lambda rng, n: rng.normal(size=n),
    "skewed": lambda rng, n: rng.lognormal(sigma=1.2, size=n),
    "rare": lambda rng, n: (rng.random(n) < 0.03).astype(float),
    "mostly one value": lambda rng, n: np.where(rng.random(n) < 0.9, 0.05, rng.random(n)),
    "half missing": lambda rng, n: np.where(rng.random(n) < 0.5, np.nan, rng.normal(size=n)),
}


def drift(before: NDArray[np.float64], now: NDArray[np.float64], **given: object) -> Drift:
    return drift_of(NAME, before, now, effect=0.0, **given)  # type: ignore[arg-type]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("rows", [60, 1000])
def test_two_samples_of_one_distribution_are_told_apart_almost_never(shape: str, rows: int) -> None:
    """In 400 looks at samples of one distribution at most two give a verdict; the distance is mostly well below its limit."""
    rng = np.random.default_rng(1)
    looks = [drift(SHAPES[shape](rng, rows), SHAPES[shape](rng, rows)) for _ in range(400)]
    assert sum(look.verdict != "none" for look in looks) <= 2
    assert np.median([look.distance / look.limit for look in looks if look.limit > 0]) < 0.7


@pytest.mark.parametrize(("moved", "verdict"), [(0.0, "none"), (0.15, "moderate"), (0.5, "large")])
def test_a_change_is_told_by_its_size(moved: float, verdict: str) -> None:
    """Half a standard deviation is large, a seventh moderate; means and distance are told."""
    rng = np.random.default_rng(2)
    found = drift(rng.normal(size=20_000), rng.normal(moved, size=20_000))
    assert found.verdict == verdict
    assert found.distance == pytest.approx(moved, abs=0.03)
    assert found.mean_now - found.mean_before == pytest.approx(moved, abs=0.03)


def test_a_value_that_most_share_may_move_a_little() -> None:
    """A shrunken share is the same for most enterprises; when that value moves by a hair, nothing happened."""
    rng = np.random.default_rng(3)
    rest = rng.random(1000)
    before = np.concatenate([np.full(9000, 0.05), rest])
    assert drift(before, np.concatenate([np.full(9000, 0.0501), rest])).verdict == "none"


def test_lost_values_are_a_change_and_figures_of_few_groups_are_not() -> None:
    """A tenth of the values gone is told even if the others stay; of eight groups' figures no change of a fifth can be told."""
    rng = np.random.default_rng(4)
    values = rng.normal(size=5000)
    gone = np.where(rng.random(5000) < 0.1, np.nan, values)
    assert drift(values, gone).verdict == "moderate"
    assert drift(values, np.where(rng.random(5000) < 0.5, np.nan, values)).verdict == "large"
    assert drift(values, np.full(5000, np.nan), sizes=(2, 2)).verdict == "large"
    groups = rng.normal(size=8)
    before, now = np.repeat(groups, 500), np.repeat(groups + 0.2, 500)
    assert drift(before, now).verdict != "none"
    assert drift(before, now, sizes=(8, 8)).verdict == "none"


def matured(p: NDArray[np.float64], share: float, rng: np.random.Generator) -> Outcomes:
    y = (rng.random(len(p)) < p * share).astype(np.int8)
    days = np.full(len(p), 20_000, np.int32)
    found = outcomes_of(y, p, np.arange(len(p), dtype=np.int32), days, seed=0, replicates=50)
    assert found is not None
    return found


def test_a_right_level_is_left_alone_and_a_wrong_one_is_found() -> None:
    """Of 400 calibrated looks at most three cry; with half as many outcomes again as predicted, nearly all do."""
    rng = np.random.default_rng(5)
    p = rng.beta(1, 15, 1500)
    assert sum(matured(p, 1.0, rng).p < LEVEL for _ in range(400)) <= 3
    assert sum(matured(p, 1.7, rng).p < LEVEL for _ in range(50)) >= 45


def kinds(**given: object) -> dict[str, bool]:
    quiet = drift(np.arange(100.0), np.arange(100.0))
    base: dict[str, object] = {"score": quiet, "features": (quiet,), "outcomes": None}
    found = watch(**{"by_groups": 0.0, **base, **given}, spread=50.0, trained_auc=TRAINED)  # type: ignore[arg-type]
    assert found.has_alarm == any(item.is_alarm for item in found.findings)
    assert found.to_dict()["has_alarm"] == found.has_alarm
    return {item.kind: item.is_alarm for item in found.findings}


def test_findings_say_who_should_act() -> None:
    """Scores, level and ranking ask for an act; a feature only if it moved the scores; too few outcomes are said, not judged."""
    rng = np.random.default_rng(6)
    moved = drift(rng.normal(size=5000), rng.normal(1, size=5000))
    assert kinds() == {"too_few": False}
    assert kinds(score=moved) == {"score_shift": True, "too_few": False}
    assert kinds(by_groups=-5.1) == {"group_shift": False, "too_few": False}
    assert kinds(features=(moved,)) == {"feature_shift": False, "too_few": False}
    heavy = drift_of(NAME, rng.normal(size=5000), rng.normal(1, size=5000), effect=-6.0)
    assert kinds(features=(heavy,)) == {"feature_shift": True, "too_few": False}
    p = rng.beta(1, 15, 3000)
    assert kinds(outcomes=matured(p, 2.0, rng))["level"] is True
    blind = matured(np.full(3000, 0.06) + rng.random(3000) * 1e-6, 1.0, rng)
    assert kinds(outcomes=blind) == {"ranking": True}
