"""Reasons: which features moved a row away from the average enterprise, in points, exact."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from credit_tier.compiling import compiled
from credit_tier.learning.scorecard import Scorer, Scores
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
    """Return the features that moved each row most, in either direction; see :func:`score_and_explain`."""
    return score_and_explain(scorer, x, top=top, threads=threads)[1]


def score_and_explain(
    scorer: Scorer, x: NDArray[np.float32], *, top: int = 5, threads: int = 1
) -> tuple[Scores, Reasons]:
    """Return scores and reasons of rows in one pass; only the strongest contributions of a row are kept.

    Parameters
    ----------
    x : float32, shape (n, features).
    top : reasons per row; equal contributions (to 1e-6 points) stand in catalogue order.
    threads : at least 1; results do not depend on it.

    Raises
    ------
    LearningError (CT-LEARN-014) if the rows are not the model's.

    Source: DESIGN section 5, reasons; :meth:`credit_tier.learning.scorecard.Scorer.contributions`.
    """
    shape = (len(x), min(top, len(scorer.features)))
    scores = scorer.blank(len(x))
    feature, points, value = np.empty(shape, np.int16), np.empty(shape), np.empty(shape, np.float32)

    def use(first: int, values: NDArray[np.float64]) -> None:
        rows = slice(first, first + len(values))
        scorer.enter(scores, first, values)
        _strongest(scorer.fold(values), scorer.points_per_raw_score, x[rows], feature[rows], points[rows], value[rows])

    scorer.each(x, use, threads=threads)
    return scores, Reasons(scorer.features, feature, points, value)


@compiled
def _strongest(values, scale, x, feature, points, value):  # type: ignore[no-untyped-def]  # noqa: PLR0917
    """Write the columns of the largest values of each row, the values times `scale`, and what stands there in `x`."""
    top = feature.shape[1]
    if top == 0:
        return
    size = np.empty(values.shape[1])
    best, place = np.empty(top), np.empty(top, np.int64)
    for i in range(values.shape[0]):
        for j in range(values.shape[1]):
            size[j] = np.rint(np.abs(values[i, j] * scale) * (1.0 / SMALLEST))
        found, bar = 0, 0.0
        for j in range(values.shape[1]):
            if size[j] <= bar:
                continue
            k = found if found < top else top - 1
            while k > 0 and best[k - 1] < size[j]:
                best[k], place[k] = best[k - 1], place[k - 1]
                k -= 1
            best[k], place[k] = size[j], j
            if found < top:
                found += 1
            if found == top:
                bar = best[top - 1]
        for k in range(top):
            if k < found:
                j = place[k]
                feature[i, k], points[i, k], value[i, k] = j, values[i, j] * scale, x[i, j]
            else:
                feature[i, k], points[i, k], value[i, k] = -1, 0.0, np.nan
