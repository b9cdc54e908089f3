"""The difference of two models: its interval covers the truth, is narrower than that of unpaired draws, and is zero for twins."""

from __future__ import annotations

import numpy as np
import pytest

from credit_tier.learning.compare import compare
from credit_tier.learning.evaluate import auc_draws, auc_of

OTHER = ("other", "另一模型")


def world(seed: int, n: int = 1200, blur: float = 0.0) -> tuple[np.ndarray, ...]:
    """Outcome, a good score, the score with noise of size `blur`, subjects of three rows each."""
    rng = np.random.default_rng(seed)
    subject = np.repeat(np.arange(n // 3), 3).astype(np.int32)
    z = -1.5 + rng.normal(0, 1.2, n // 3)[subject] + rng.normal(0, 0.4, n)
    y = (rng.random(n) < 1 / (1 + np.exp(-z))).astype(np.int8)
    return y, z, z + rng.normal(0, blur, n), subject


def test_twins_differ_by_nothing() -> None:
    """A model and an increasing function of it: difference and interval are exactly zero, and not clear."""
    y, z, _, subject = world(1)
    found = compare(OTHER, y, z, np.exp(z), subject, seed=1, replicates=50)
    assert (found.difference, found.interval.low, found.interval.high) == (0, 0, 0)
    assert not found.is_clear


def test_the_interval_covers_the_true_difference() -> None:
    """In 100 worlds the interval holds the difference of a very large one in at least 84, and it has the right sign."""
    y, z, blurred, _ = world(10**6, 300_000, 0.8)
    truth = auc_of(y, z) - auc_of(y, blurred)
    assert 0.02 < truth < 0.1
    found = [compare(OTHER, *world(seed, blur=0.8), seed=seed, replicates=200) for seed in range(100)]
    assert sum(f.interval.low <= truth <= f.interval.high for f in found) >= 84
    assert np.mean([f.difference for f in found]) == pytest.approx(truth, abs=0.006)
    large = compare(OTHER, *world(2, 12_000, 0.8), seed=2, replicates=200)
    assert large.is_clear
    assert large.difference == large.auc - large.other > 0


def test_the_same_draws_serve_both_models() -> None:
    """The interval is much narrower than if each model were drawn for itself."""
    y, z, blurred, subject = world(3, blur=0.3)
    found = compare(OTHER, y, z, blurred, subject, seed=5)
    apart = auc_draws(y, z, subject, seed=6, replicates=500) - auc_draws(y, blurred, subject, seed=7, replicates=500)
    assert found.interval.high - found.interval.low < 0.6 * np.ptp(np.quantile(apart, [0.025, 0.975]))
