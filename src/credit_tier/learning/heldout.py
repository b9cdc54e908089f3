"""Scores of rows by models that have not seen them, and the calibration of those scores by outcomes that are not their own.

In time there is one model: it grew earlier, is calibrated on later rows, and judges rows later still. In folds there are many. A fold is
judged by a model grown on all others; its scores are calibrated by scores of those others, each given by a model that had seen neither
its own fold nor the judged one. So nothing about a row, neither tree nor calibration, was learned from its enterprise.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from credit_tier.errors import LearningError
from credit_tier.learning.calibrate import Calibration, counts_of
from credit_tier.learning.folds import Division, Folds
from credit_tier.learning.splits import Parts, TrainingFrame

Score = Callable[[NDArray[np.float32]], NDArray[np.float64]]
"""Rows of features to raw scores."""

Grow = Callable[[Parts], Score]
"""A way to learn from the training part of a split."""

FLAT = 1e-6
"""Slope of a calibration that keeps the order of the scores and takes the level from the outcomes."""


@dataclass(frozen=True)
class Scored:
    """Rows with raw scores of models that have not seen them."""

    frame: TrainingFrame
    raw: NDArray[np.float64]


Level = Callable[[Scored], Calibration]
"""A way to calibrate raw scores by the outcomes of their rows."""


@dataclass(frozen=True)
class Round:
    """Scores of one model.

    Attributes
    ----------
    rows : numbers of the judged rows, `raw` their scores.
    by : the rows by whose outcomes these scores are calibrated.
    """

    rows: NDArray[np.intp]
    raw: NDArray[np.float64]
    by: Scored


@dataclass(frozen=True)
class HeldOut:
    """All judged rows.

    Attributes
    ----------
    test : the judged rows; each stands in one round.
    by : the rows by whose outcomes the model that leaves training is calibrated.
    """

    test: TrainingFrame
    by: Scored
    rounds: tuple[Round, ...]

    def log_odds(self, level: Level) -> NDArray[np.float64]:
        """Return the calibrated log-odds of all judged rows, shape (rows,).

        One round of several may happen to rank its calibrating rows the wrong way; their level alone is then taken from them.

        Raises
        ------
        LearningError : as `level`, where there is one round only.
        """
        found = np.empty(len(self.test))
        for item in self.rounds:
            try:
                calibration = level(item.by)
            except LearningError:
                if len(self.rounds) == 1:
                    raise
                calibration = _flat(item.by)
            found[item.rows] = calibration.bent(calibration.log_odds(item.raw))
        return found

    def probability(self, level: Level) -> NDArray[np.float64]:
        """Return the calibrated probabilities of all judged rows, shape (rows,)."""
        with np.errstate(over="ignore"):
            return np.asarray(1 / (1 + np.exp(-self.log_odds(level))))

    @property
    def raw(self) -> NDArray[np.float64]:
        """Return the raw scores of all judged rows, shape (rows,), to be compared with those of the same round only."""
        found = np.empty(len(self.test))
        for item in self.rounds:
            found[item.rows] = item.raw
        return found


def _flat(by: Scored) -> Calibration:
    n = len(by.frame)
    hits = float(np.sum(counts_of(by.frame.weight) * by.frame.y))
    return Calibration("platt", float(np.log((hits + 1) / (n - hits + 1))), FLAT)


def held_out(parts: Division, grow: Grow) -> HeldOut:
    """Return scores of rows by models that have not seen them, whatever the division."""
    return in_folds(parts, grow) if isinstance(parts, Folds) else in_time(parts, grow(parts))


def in_time(parts: Parts, score: Score) -> HeldOut:
    """Return the scores of the calibration and the test part by the model grown on the training part."""
    test = parts.test.frame
    by = Scored(parts.calibrate.frame, score(parts.calibrate.frame.x))
    return HeldOut(test, by, (Round(np.arange(len(test)), score(test.x), by),))


def in_folds(folds: Folds, grow: Grow) -> HeldOut:
    """Return the scores of every fold by a model grown on the others.

    Grows one model for each fold and one for each pair of folds, count * (count + 1) / 2 of them.

    Source: nested cross-validation (Stone, 1974; Varma and Simon, 2006): what is judged is the whole procedure, with its calibration.
    """
    frame = folds.frame
    alone = np.empty(len(frame))
    without = np.empty((folds.count, len(frame)))
    for held in (*((k,) for k in range(folds.count)), *combinations(range(folds.count), 2)):
        score = grow(folds.without(*held))
        for k in held:
            rows = folds.fold == k
            raw = score(frame.x[rows])
            if len(held) == 1:
                alone[rows] = raw
            else:
                without[held[0] if k == held[1] else held[1], rows] = raw
    rounds = []
    for k in range(folds.count):
        judged, rest = folds.fold == k, folds.fold != k
        rounds.append(Round(np.flatnonzero(judged), alone[judged], Scored(frame.take(rest), without[k, rest])))
    return HeldOut(frame, Scored(frame, alone), tuple(rounds))
