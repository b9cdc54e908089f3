"""From trees to points: calibrated log-odds, their exact split by dimension, and the scale a person reads.

log-odds = base + sum of the dimensions' log-odds, points = base points + sum of the dimensions' points, before any rounding.
The base is the average training row. Where trees are confined, every dimension averages to zero over the training rows; where
they may mix dimensions, a dimension is the sum of its features' Shapley values, and only their total averages to zero.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from credit_tier.errors import Fault, LearningError
from credit_tier.learning.calibrate import Calibration
from credit_tier.learning.fit import Fitted
from credit_tier.learning.forest import Forest
from credit_tier.specs.feature import FeatureSpec
from credit_tier.specs.model import Points

if TYPE_CHECKING:
    import lightgbm as lgb

SHOWN = (0, 1000)
CHUNK = 20_000
"""Rows whose per-feature contributions are held in memory at once."""


@dataclass(frozen=True)
class Scaling:
    """Affine map between log-odds of the event and points: `points` at odds (safe : risky) of `odds`, more is safer.

    >>> scale = Scaling(points=600, odds=20, double_odds=50)
    >>> [round(float(scale.to_points(-math.log(odds))), 9) for odds in (20, 40, 10)]
    [600.0, 650.0, 550.0]
    """

    points: float
    odds: float
    double_odds: float

    @classmethod
    def of(cls, spec: Points) -> Scaling:
        """Take the scaling of a model declaration."""
        return cls(float(spec.points), float(spec.odds), float(spec.double_odds))

    @property
    def factor(self) -> float:
        """Return the points that one unit of log-odds costs."""
        return self.double_odds / math.log(2)

    def to_points(self, log_odds: NDArray[np.float64] | float) -> NDArray[np.float64]:
        """Return points, neither rounded nor clipped."""
        return np.asarray(self.points - self.factor * (np.asarray(log_odds) + math.log(self.odds)))

    def to_log_odds(self, points: NDArray[np.float64] | float) -> NDArray[np.float64]:
        """Return the log-odds of the event for points; the inverse of :meth:`to_points`."""
        return np.asarray((self.points - np.asarray(points)) / self.factor - math.log(self.odds))


@dataclass(frozen=True)
class Scores:
    """Scores of n rows; d dimensions.

    Attributes
    ----------
    raw_score, log_odds, probability : shape (n,); before calibration, after it, and the calibrated probability. Where the
        calibration has a bend it lies between the log-odds, of which points are made, and the probability.
    points : shape (n,); base_points + sum of dimension_points, exactly the scaled log-odds; may lie outside 0..1000.
    dimension_log_odds, dimension_points : shape (n, d); differences from the average training row. More log-odds are riskier,
        more points safer.
    """

    dimensions: tuple[str, ...]
    raw_score: NDArray[np.float64]
    log_odds: NDArray[np.float64]
    probability: NDArray[np.float64]
    points: NDArray[np.float64]
    dimension_log_odds: NDArray[np.float64]
    dimension_points: NDArray[np.float64]
    base_log_odds: float
    base_points: float

    @property
    def points_shown(self) -> NDArray[np.int32]:
        """Return whole points within 0..1000, for display only; what was cut off or rounded shows in :attr:`points`."""
        return np.clip(np.rint(self.points), *SHOWN).astype(np.int32)


@dataclass(frozen=True)
class Scorer:
    """A complete model in memory: trees, calibration and scale. Immutable; safe to share between threads."""

    forest: Forest
    features: tuple[FeatureSpec, ...]
    dimensions: tuple[str, ...]
    spans: tuple[tuple[int, int], ...] | None
    fills: NDArray[np.float64]
    calibration: Calibration
    scaling: Scaling

    @classmethod
    def of(cls, fitted: Fitted, calibration: Calibration, points: Points) -> Scorer:
        """Put a fitted forest, its calibration and the declared scale together."""
        return cls(
            fitted.forest,
            fitted.features,
            fitted.dimensions,
            fitted.spans,
            fitted.fills,
            calibration,
            Scaling.of(points),
        )

    @cached_property
    def booster(self) -> lgb.Booster:
        """Return LightGBM's own object; its text comes from the checked forest."""
        import lightgbm as lgb

        return lgb.Booster(model_str=self.forest.render())

    @cached_property
    def centres(self) -> NDArray[np.float64]:
        """Return the mean raw score over the training rows by dimension, or one total if trees mix dimensions."""
        expected = np.array([tree.expected for tree in self.forest.trees])
        spans = self.spans if self.spans is not None else ((0, len(expected)),)
        return np.array([math.fsum(expected[first : first + count]) for first, count in spans])

    @cached_property
    def base_log_odds(self) -> float:
        """Return the calibrated log-odds of the average training row."""
        return self.calibration.intercept + self.calibration.slope * math.fsum(self.centres)

    def prepared(self, x: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the rows as the trees take them: checked, and filled where the trees never met a missing value.

        Raises
        ------
        LearningError (CT-LEARN-014) if the shape or type is not that of the model's features, or a value is infinite.
        """
        faults = []
        if x.ndim != 2 or x.shape[1] != len(self.features) or x.dtype != np.float32:
            faults.append(
                f"the rows are {x.dtype} of shape {x.shape}; the model takes float32 (rows, {len(self.features)})."
            )
        elif np.isinf(x).any():
            bad = np.isinf(x).sum(axis=0)
            faults += [f"column '{self.features[j].id}' is infinite in {bad[j]} rows." for j in np.flatnonzero(bad)]
        if faults:
            raise LearningError(*(Fault("CT-LEARN-014", "score", text) for text in faults))
        missing = np.isnan(x) & ~np.isnan(self.fills)
        if missing.any():
            x = np.where(missing, self.fills.astype(np.float32), x)
        return np.ascontiguousarray(x)

    def raw_score(self, x: NDArray[np.float32], *, threads: int = 1) -> NDArray[np.float64]:
        """Return the sum of the trees for each row, shape (n,)."""
        return np.asarray(self.booster.predict(self.prepared(x), raw_score=True, num_threads=threads), np.float64)

    def score(self, x: NDArray[np.float32], *, threads: int = 1) -> Scores:
        """Score rows.

        Parameters
        ----------
        x : float32, shape (n, features); NaN where unknown.
        threads : of LightGBM; 1 is fastest for few rows.

        Raises
        ------
        LearningError (CT-LEARN-014) : see :meth:`prepared`.

        Source: DESIGN section 5, Score and profile.
        """
        rows = self.prepared(x)
        centred = self._centred_by_dimension(rows, threads)
        slope, factor = self.calibration.slope, self.scaling.factor
        dimension_log_odds = slope * centred
        log_odds = self.base_log_odds + dimension_log_odds.sum(axis=1)
        base_points = float(self.scaling.to_points(self.base_log_odds))
        dimension_points = -factor * dimension_log_odds
        return Scores(
            dimensions=self.dimensions,
            raw_score=math.fsum(self.centres) + centred.sum(axis=1),
            log_odds=log_odds,
            probability=self.calibration.probability(log_odds),
            points=base_points + dimension_points.sum(axis=1),
            dimension_log_odds=dimension_log_odds,
            dimension_points=dimension_points,
            base_log_odds=self.base_log_odds,
            base_points=base_points,
        )

    def contributions(self, x: NDArray[np.float32], *, threads: int = 1) -> NDArray[np.float64]:
        """Return each feature's exact contribution in points, shape (n, features); those of a dimension sum to its points.

        Costs some fifty times a score; ask for few rows, or in blocks.

        Source: path-dependent Shapley values of trees (Lundberg and others, 2018) by LightGBM's `pred_contrib`.
        """
        return -self.scaling.factor * self.calibration.slope * self._shapley(self.prepared(x), threads)

    def _shapley(self, rows: NDArray[np.float32], threads: int) -> NDArray[np.float64]:
        found = [
            np.asarray(self.booster.predict(rows[at : at + CHUNK], pred_contrib=True, num_threads=threads))[:, :-1]
            for at in range(0, len(rows), CHUNK)
        ]
        return np.concatenate(found) if found else np.empty((0, len(self.features)))

    def _centred_by_dimension(self, rows: NDArray[np.float32], threads: int) -> NDArray[np.float64]:
        out = np.zeros((len(rows), len(self.dimensions)))
        if len(rows) == 0:
            return out
        if self.spans is None:
            values = self._shapley(rows, threads)
            for d, name in enumerate(self.dimensions):
                out[:, d] = values[:, [f.dimension == name for f in self.features]].sum(axis=1)
            return out
        for d, (first, count) in enumerate(self.spans):
            if count:
                part = self.booster.predict(
                    rows, raw_score=True, start_iteration=first, num_iteration=count, num_threads=threads
                )
                out[:, d] = np.asarray(part) - self.centres[d]
        return out
