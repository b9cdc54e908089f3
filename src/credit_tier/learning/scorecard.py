"""From trees to points: calibrated log-odds, their exact split by dimension, and the scale a person reads.

log-odds = base + sum of the dimensions' log-odds, points = base points + sum of the dimensions' points, before any rounding.
The base is the average training row; a dimension is the sum of its features' Shapley values. Where trees are confined, that is what
its own trees say, and every dimension averages to zero over the training rows; where they may mix dimensions, only the total does.
A declared bridge between two dimensions stands among them as one more summand: what trees say that really use both.
LightGBM grew the trees; nothing here needs it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from credit_tier.compiling import compiled
from credit_tier.errors import Fault, LearningError
from credit_tier.learning.calibrate import Calibration
from credit_tier.learning.fit import Fitted
from credit_tier.learning.forest import GRID, Forest
from credit_tier.learning.shapley import Shapley
from credit_tier.specs.feature import FeatureSpec
from credit_tier.specs.model import Points

SHOWN = (0, 1000)


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
    """Scores of n rows; d dimensions, bridges among them.

    Attributes
    ----------
    raw_score, log_odds, probability : shape (n,); before calibration, after it, and the calibrated probability. Where the
        calibration has a bend it lies between the log-odds, of which points are made, and the probability.
    points : shape (n,); base_points + sum of dimension_points, exactly the scaled log-odds; may lie outside 0..1000.
    dimension_points : shape (n, d); differences from the average training row.
    base_log_odds, base_points : those of the average training row.
    points_per_log_odds : below zero: more log-odds are riskier, more points safer.
    """

    dimensions: tuple[str, ...]
    raw_score: NDArray[np.float64]
    log_odds: NDArray[np.float64]
    probability: NDArray[np.float64]
    points: NDArray[np.float64]
    dimension_points: NDArray[np.float64]
    base_log_odds: float
    base_points: float
    points_per_log_odds: float

    @property
    def dimension_log_odds(self) -> NDArray[np.float64]:
        """Return how far each dimension moves the log-odds from those of the average training row, shape (n, d)."""
        return self.dimension_points / self.points_per_log_odds

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
    def shapley(self) -> Shapley:
        """Return the tables from which rows are scored; trees of a bridge have columns of their own."""
        source, owner = self._columns
        at = {pair: j for j, pair in enumerate(zip(source.tolist(), owner.tolist(), strict=True))}
        trees = list(self.forest.trees)
        for k, (first, count) in self._bridges:
            for i in range(first, first + count):
                own = np.array([at[int(f), k] for f in trees[i].feature], np.int64)
                trees[i] = replace(trees[i], feature=own)
        names = tuple(self.features[j].id for j in source)
        return Shapley.of(Forest(names, (0,) * len(names), tuple(trees)), source)

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

    @cached_property
    def points_per_raw_score(self) -> float:
        """Return the points that one unit of raw score gives: below zero, since more points are safer."""
        return -self.scaling.factor * self.calibration.slope

    def each(
        self, x: NDArray[np.float32], use: Callable[[int, NDArray[np.float64]], None], *, threads: int = 1
    ) -> None:
        """Hand over what each column adds to the raw score of the average training row, block by block.

        Parameters
        ----------
        x : float32, shape (n, features); NaN where unknown.
        use : called with the first row of a block and an array of shape (rows, columns) that is overwritten afterwards. The first
            columns are the features'; what they say through a bridge stands behind them, see :meth:`fold`.

        Raises
        ------
        LearningError (CT-LEARN-014) if the shape or type is not that of the model's features, or a value is infinite.

        Source: :mod:`credit_tier.learning.shapley`.
        """
        if x.ndim != 2 or x.shape[1] != len(self.features) or x.dtype != np.float32 or threads < 1:
            raise LearningError.of(
                "CT-LEARN-014",
                where="score",
                what=f"the rows are {x.dtype} of shape {x.shape} for {threads} threads; "
                f"the model takes float32 (rows, {len(self.features)}) and 1 thread or more.",
            )
        if self.shapley.each(x, self._fills, use, threads=threads):
            bad = [int(np.isinf(column).sum()) for column in x.T]
            texts = [f"column '{f.id}' is infinite in {n} rows." for f, n in zip(self.features, bad, strict=True) if n]
            raise LearningError(*(Fault("CT-LEARN-014", "score", text) for text in texts))

    def raw_score(self, x: NDArray[np.float32], *, threads: int = 1) -> NDArray[np.float64]:
        """Return the sum of the trees for each row, shape (n,)."""
        return self.score(x, threads=threads).raw_score

    def score(self, x: NDArray[np.float32], *, threads: int = 1) -> Scores:
        """Score rows.

        Parameters
        ----------
        x : float32, shape (n, features); NaN where unknown.
        threads : at least 1; scores do not depend on it.

        Raises
        ------
        LearningError (CT-LEARN-014) : see :meth:`each`.

        Source: DESIGN section 5, Score and profile.
        """
        scores = self.blank(len(x))
        self.each(x, lambda first, values: self.enter(scores, first, values), threads=threads)
        return scores

    def blank(self, rows: int) -> Scores:
        """Return scores of so many rows for :meth:`enter` to write into."""
        raw, log_odds, probability, points = (np.empty(rows) for _ in range(4))
        return Scores(
            dimensions=self.dimensions,
            raw_score=raw,
            log_odds=log_odds,
            probability=probability,
            points=points,
            dimension_points=np.empty((rows, len(self.dimensions))),
            base_log_odds=self.base_log_odds,
            base_points=float(self.scaling.to_points(self.base_log_odds)),
            points_per_log_odds=-self.scaling.factor,
        )

    def enter(self, scores: Scores, first: int, values: NDArray[np.float64]) -> None:
        """Write the scores of a block of rows, given by :meth:`each`, among those of all rows."""
        rows = slice(first, first + len(values))
        raw, log_odds, points = scores.raw_score[rows], scores.log_odds[rows], scores.points[rows]
        bases = (math.fsum(self.centres), scores.base_log_odds, scores.base_points)
        scales = (self.calibration.slope, self.points_per_raw_score)
        _write(values, self._columns[1], bases, scales, (raw, log_odds, points), scores.dimension_points[rows])
        scores.probability[rows] = self.calibration.probability(log_odds)

    def contributions(self, x: NDArray[np.float32], *, threads: int = 1) -> NDArray[np.float64]:
        """Return each feature's exact contribution in points, shape (n, features).

        Those of a dimension sum to its points; where a bridge leads from it, to its points and its features' part of the bridge's.

        Source: path-dependent Shapley values of trees (Lundberg and others, 2020), those of LightGBM's `pred_contrib`.
        """
        out = np.empty((len(x), len(self.features)))

        def keep(first: int, values: NDArray[np.float64]) -> None:
            np.multiply(self.fold(values), self.points_per_raw_score, out=out[first : first + len(values)])

        self.each(x, keep, threads=threads)
        return out

    def fold(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Add what features say through bridges to the features' own columns, in place; return these, shape (rows, features)."""
        count = len(self.features)
        for j, feature in enumerate(self._columns[0][count:].tolist(), start=count):
            values[:, feature] += values[:, j]
        return values[:, :count]

    @cached_property
    def _fills(self) -> NDArray[np.float32]:
        return self.fills.astype(np.float32)

    @cached_property
    def _bridges(self) -> list[tuple[int, tuple[int, int]]]:
        """Return the number among the dimensions, and the span of the trees, of each bridge."""
        ends = {feature.dimension for feature in self.features}
        return [(k, span) for k, span in enumerate(self.spans or ()) if self.dimensions[k] not in ends]

    @cached_property
    def _columns(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the feature that each column reads, and the dimension or bridge it adds to: features first, then those in bridges."""
        source = list(range(len(self.features)))
        owner = [self.dimensions.index(feature.dimension) for feature in self.features]
        for k, (first, count) in self._bridges:
            used = sorted({int(f) for tree in self.forest.trees[first : first + count] for f in tree.feature})
            source += used
            owner += [k] * len(used)
        return np.array(source, np.int64), np.array(owner, np.int64)


@compiled
def _write(values, group, bases, scales, sums, by_group):  # type: ignore[no-untyped-def]  # noqa: PLR0917
    """Write the first base and the sum of each row's values, the other bases plus the sum times their scales, and its parts by group
    times the last scale.

    The first base and the sum together are a sum of outputs, which lie on a grid: rounding to it takes away what the order of
    additions left, and rows in the same leaves have the same score to the last bit.
    """
    count = by_group.shape[1]
    part = np.empty(count)
    for i in range(values.shape[0]):
        part[:] = 0.0
        own, g = 0.0, group[0]
        for j in range(values.shape[1]):
            if group[j] != g:  # a sum stays in a register while columns of one group follow each other
                part[g], g = own, group[j]
                own = part[g]
            own += values[i, j]
        part[g] = own
        total = 0.0
        for g in range(count):
            by_group[i, g] = scales[1] * part[g]
            total += part[g]
        sums[0][i] = np.rint((bases[0] + total) * GRID) / GRID
        total = sums[0][i] - bases[0]
        for k in range(2):
            sums[k + 1][i] = bases[k + 1] + scales[k] * total
