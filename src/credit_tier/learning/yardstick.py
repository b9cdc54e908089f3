"""Yardsticks: what a model must beat. A logistic regression on the same rows, and one feature alone."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from credit_tier.errors import LearningError
from credit_tier.learning.calibrate import Calibration, logistic_line
from credit_tier.learning.evaluate import Evaluation, evaluate
from credit_tier.learning.folds import Division
from credit_tier.learning.heldout import Grow, Score, Scored, held_out
from credit_tier.learning.splits import Parts


@dataclass(frozen=True)
class Yardstick:
    """A simple model's figures on the judged rows, and its probabilities there for comparisons in pairs."""

    name: str
    title_zh: str
    evaluation: Evaluation
    probability: NDArray[np.float64] = field(repr=False, compare=False)

    def to_dict(self) -> dict[str, Any]:
        """Return name and figures as JSON values."""
        return {"name": self.name, "title_zh": self.title_zh, **self.evaluation.to_dict()}


def logistic(
    parts: Division,
    *,
    name: tuple[str, str] = ("logistic_regression", "逻辑回归"),
    seed: int = 0,
    replicates: int = 500,
) -> Yardstick:
    """Return a logistic regression trained, calibrated and tested on the same rows as the model.

    `name` is the id and the Chinese title under which it stands in reports.

    Columns are standardised; a missing value becomes the training mean plus an indicator column of its own.

    Source: DESIGN section 6; the usual scorecard practice.
    """
    return _finished(name, _logistic, parts, seed=seed, replicates=replicates)


def _logistic(parts: Parts) -> Score:
    from sklearn.linear_model import LogisticRegression

    train = parts.train.frame.x.astype(np.float64)
    mean = np.nan_to_num(np.nanmean(np.where(np.isnan(train).all(axis=0), 0.0, train), axis=0))
    gaps = np.isnan(train).any(axis=0)
    filled = np.where(np.isnan(train), mean, train)
    spread = filled.std(axis=0)
    spread[spread == 0] = 1.0

    def prepared(x: NDArray[np.float32]) -> NDArray[np.float64]:
        missing = np.isnan(x)
        return np.hstack([(np.where(missing, mean, x) - mean) / spread, missing[:, gaps].astype(np.float64)])

    model = LogisticRegression(C=1.0, max_iter=2000)
    model.fit(prepared(parts.train.frame.x), parts.train.frame.y, sample_weight=parts.train.frame.weight)
    return lambda x: np.asarray(model.decision_function(prepared(x)))


def single_feature(parts: Division, feature: str, *, seed: int = 0, replicates: int = 500) -> Yardstick:
    """Return one feature alone, on a logistic line fitted to the rows that calibrate; a missing value is the training median.

    Raises
    ------
    LearningError (CT-LEARN-035) if the model has no such feature.
    """
    features = parts.test.frame.features
    column = next((j for j, item in enumerate(features) if item.id == feature), None)
    if column is None:
        raise LearningError.of(
            "CT-LEARN-035",
            where="yardstick",
            what=f"the model has no feature '{feature}'.",
            advice=f"It has: {', '.join(item.id for item in features)}.",
        )

    def grow(parts: Parts) -> Score:
        seen = parts.train.frame.x[:, column]
        median = float(np.nanmedian(seen)) if not np.isnan(seen).all() else 0.0
        return lambda x: np.nan_to_num(x[:, column].astype(np.float64), nan=median)

    title = (f"only_{feature}", f"仅用:{features[column].title_zh}")
    return _finished(title, grow, parts, seed=seed, replicates=replicates)


def _line(by: Scored) -> Calibration:
    return Calibration("platt", *logistic_line(by.raw, by.frame.y.astype(np.float64), by.frame.weight))


def _finished(title: tuple[str, str], grow: Grow, parts: Division, *, seed: int, replicates: int) -> Yardstick:
    test = parts.test.frame
    probability = held_out(parts, grow).probability(_line)
    found = evaluate(test.y, probability, test.subject, test.as_of_day, test.weight, seed=seed, replicates=replicates)
    return Yardstick(*title, found, probability)
