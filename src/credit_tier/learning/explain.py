"""Reasons: which features moved a row away from the average enterprise, in points, exact."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from credit_tier.learning.scorecard import Scorer
from credit_tier.specs.feature import FeatureSpec

SMALLEST = 1e-6
"""Points below which a contribution is no reason."""


@dataclass(frozen=True)
class Reason:
    """One reason of one row.

    Attributes
    ----------
    feature, dimension : ids of the catalogue.
    points : contribution; below zero it makes the row riskier than the average enterprise.
    value : the feature's value, None if it was unknown.
    """

    feature: str
    dimension: str
    title_zh: str
    title_en: str
    points: float
    value: float | None

    @property
    def direction(self) -> Literal["raises", "lowers"]:
        """Return whether the feature raises or lowers the risk."""
        return "raises" if self.points < 0 else "lowers"

    @property
    def text_zh(self) -> str:
        """Return the Chinese sentence."""
        return f"{self.title_zh}:{'扣' if self.points < 0 else '加'} {abs(self.points):.1f} 分"

    @property
    def text_en(self) -> str:
        """Return the English sentence."""
        return f"{self.title_en or self.feature}: {self.points:+.1f} points"


@dataclass(frozen=True)
class Reasons:
    """The strongest reasons of n rows.

    Attributes
    ----------
    feature : int16, shape (n, top); column of the model, -1 where a row has fewer reasons.
    points : shape (n, top); contributions, 0 where there is no reason.
    value : float32, shape (n, top); the feature's value as it was given, NaN where unknown or no reason.
    """

    features: tuple[FeatureSpec, ...]
    feature: NDArray[np.int16]
    points: NDArray[np.float64]
    value: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.feature)

    def of(self, row: int) -> tuple[Reason, ...]:
        """Return the reasons of one row, strongest first."""
        found = []
        for j, points, value in zip(self.feature[row], self.points[row], self.value[row], strict=True):
            if j >= 0:
                spec = self.features[j]
                number = None if np.isnan(value) else float(value)
                found.append(Reason(spec.id, spec.dimension, spec.title_zh, spec.title_en, float(points), number))
        return tuple(found)


def explain(scorer: Scorer, x: NDArray[np.float32], *, top: int = 5, threads: int = 1) -> Reasons:
    """Return the features that moved each row most, in either direction.

    Parameters
    ----------
    x : float32, shape (n, features).
    top : reasons per row, at least 1; equal contributions (to 1e-6 points) stand in catalogue order.

    Raises
    ------
    LearningError (CT-LEARN-014) if the rows are not the model's.

    Source: DESIGN section 5, reasons; :meth:`credit_tier.learning.scorecard.Scorer.contributions`.
    """
    top = min(top, len(scorer.features))
    points = scorer.contributions(x, threads=threads)
    size = np.round(np.abs(points), 6)
    order = np.argsort(-size, axis=1, kind="stable")[:, :top]
    chosen = np.take_along_axis(points, order, axis=1)
    none = np.take_along_axis(size, order, axis=1) < SMALLEST
    values = np.take_along_axis(x, order, axis=1)
    return Reasons(
        scorer.features,
        np.where(none, -1, order).astype(np.int16),
        np.where(none, 0.0, chosen),
        np.where(none, np.float32(np.nan), values),
    )
