"""Rows that no date divides, dealt into folds by enterprise: each is judged once, by a model that never saw its enterprise."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from credit_tier.canonical import Json
from credit_tier.errors import LearningError
from credit_tier.learning.splits import Part, Parts, TrainingFrame, gap_of, split
from credit_tier.specs.model import ModelSpec
from credit_tier.temporal import date_of


@dataclass(frozen=True)
class Folds:
    """All rows, and the fold of each: 0 to `count` - 1.

    `gap_days` is the label window with its delay: the outcomes of the last rows were known so many days later.
    """

    tested_zh: ClassVar[str] = "交叉验证"
    tested_en: ClassVar[str] = "cross-validated"

    frame: TrainingFrame
    fold: NDArray[np.int32]
    count: int
    gap_days: int

    @classmethod
    def deal(cls, frame: TrainingFrame, count: int, *, gap_days: int, seed: int) -> Folds:
        """Deal the enterprises into folds, those with and those without a positive row apart, so that every fold has its share of both.

        Parameters
        ----------
        count : folds, at least 3. seed : decides who sits with whom; the same for the same seed.

        Raises
        ------
        LearningError (CT-LEARN-004) if there are fewer enterprises of either kind than folds.

        Source: stratified grouped cross-validation; tickets by SHA-256 of seed and enterprise, as everywhere here.
        """
        subjects, at = np.unique(frame.subject, return_inverse=True)
        hit = np.bincount(at, frame.y) > 0
        if min(hit.sum(), (~hit).sum()) < count:
            raise LearningError.of(
                "CT-LEARN-004",
                where="split.folds",
                what=f"每折须有两种结果 · {count} folds need as many enterprises of either outcome; {hit.sum()} have a positive row, "
                f"{(~hit).sum()} have none.",
                advice="Declare fewer folds, or find more outcomes.",
            )
        ticket = [hashlib.sha256(f"{seed}:{subject}".encode()).digest() for subject in subjects.tolist()]
        order = sorted(range(len(subjects)), key=lambda i: (not hit[i], ticket[i]))
        dealt = np.empty(len(subjects), np.int32)
        dealt[order] = np.arange(len(subjects)) % count
        return cls(frame, dealt[at], count, gap_days)

    @cached_property
    def test(self) -> Part:
        """Return all rows: each is judged."""
        days = self.frame.as_of_day
        return Part("all", self.frame, date_of(int(days.min())), date_of(int(days.max())))

    @property
    def grown(self) -> Parts:
        """Return what the model that leaves training grows on: all rows."""
        return self.without()

    def without(self, *folds: int) -> Parts:
        """Return the rows outside some folds, to grow a model on; there is no later part beside them."""
        rest = replace(self.test, name="train", frame=self.frame.take(~np.isin(self.fold, folds)))
        return Parts(rest, replace(rest, name="calibrate"), replace(rest, name="test"), self.gap_days, 0)

    def over(self, frame: TrainingFrame) -> Folds:
        """Return the same rows of another frame over the same observations, in the same folds."""
        return replace(self, frame=frame)

    def __iter__(self) -> Iterator[Part]:
        return iter((self.test,))

    def describe(self) -> dict[str, Json]:
        """Return the number of folds and, since all rows serve for all three, the same description of every part."""
        rows = self.test.describe()
        return {
            "folds": self.count,
            "train": rows,
            "calibrate": rows,
            "test": rows,
            "gap_days": self.gap_days,
            "left_out": 0,
        }


Division = Parts | Folds
"""How rows are divided: by time, or into folds where no date can."""


def divide(frame: TrainingFrame, spec: ModelSpec, *, seed: int) -> Division:
    """Divide rows as a model declares.

    Raises
    ------
    LearningError : as :func:`.split` and :meth:`Folds.deal`.
    """
    if spec.split.folds is not None:
        return Folds.deal(frame, spec.split.folds, gap_days=gap_of(spec.label), seed=seed)
    return split(frame, spec.split, spec.label)
