"""Calibration: increasing, repairs a shifted base rate, refuses a model that ranks the wrong way."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from credit_tier.errors import LearningError
from credit_tier.learning.calibrate import calibrate, logistic_line
from credit_tier.learning.evaluate import evaluate
from credit_tier.learning.scorecard import Scorer
from credit_tier.learning.splits import TrainingFrame, split
from credit_tier.specs.model import ModelSpec


def test_calibration_repairs_a_shifted_base_rate(
    new_frame: Callable[..., TrainingFrame], new_spec: Callable[..., ModelSpec], new_scorer: Callable[..., Scorer]
) -> None:
    """Where risk rose after training, Platt's map lowers the Brier score and brings predicted/observed nearer to 1; the AUC stays."""
    frame = new_frame(shift=2.5)
    found = {}
    for method in ("none", "platt"):
        spec = new_spec(calibration=method)
        parts = split(frame, spec.split, spec.label)
        test = parts.test.frame
        probability = new_scorer(parts, spec).score(test.x).probability
        found[method] = evaluate(test.y, probability, test.subject, test.as_of_day, replicates=10)
    assert found["platt"].brier < found["none"].brier - 0.003
    assert abs(np.log(found["platt"].predicted_to_observed)) < abs(np.log(found["none"].predicted_to_observed)) / 2
    assert found["platt"].auc == pytest.approx(found["none"].auc, abs=1e-12)


def test_newton_agrees_with_scikit_learn() -> None:
    """The logistic line is the maximum-likelihood line."""
    rng = np.random.default_rng(0)
    x = rng.normal(3, 2, 4000)
    y = (rng.random(4000) < 1 / (1 + np.exp(1 - 0.7 * x))).astype(np.int8)
    other = LogisticRegression(C=1e9, tol=1e-10, max_iter=10_000).fit(x[:, None], y)
    a, b = logistic_line(x, y.astype(np.float64))
    assert (a, b) == pytest.approx((other.intercept_[0], other.coef_[0, 0]), abs=1e-5)


def test_separated_classes_keep_a_finite_slope() -> None:
    """Smoothed targets keep the slope finite where no raw score is shared by both outcomes."""
    raw = np.concatenate((np.linspace(-2, -1, 50), np.linspace(1, 2, 50)))
    found = calibrate(raw, np.repeat(np.array([0, 1], np.int8), 50), "platt")
    assert 0 < found.slope < 20


def test_a_model_that_ranks_the_wrong_way_is_refused() -> None:
    """A negative slope is an error with counts, never a silent flip."""
    raw = np.linspace(-1, 1, 200)
    y = (raw < 0).astype(np.int8)
    with pytest.raises(LearningError, match=r"CT-LEARN-020 .*200 rows, 100 positive"):
        calibrate(raw, y, "platt")
