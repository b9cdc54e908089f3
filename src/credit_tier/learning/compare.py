"""Two models on the same rows: the difference of their AUC with an interval from the same draws of subjects for both."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from credit_tier.learning.evaluate import Interval, auc_draws, auc_of, interval_of


@dataclass(frozen=True)
class Comparison:
    """A model beside another one.

    Attributes
    ----------
    auc, other : their AUC; `difference` is auc - other, above zero if the model is better, with its 95 % interval.
    """

    name: str
    title_zh: str
    auc: float
    other: float
    difference: float
    interval: Interval

    def metrics(self) -> dict[str, float]:
        """Return difference and interval by name."""
        name = f"auc_minus_{self.name}"
        return {name: self.difference, f"{name}_low": self.interval.low, f"{name}_high": self.interval.high}

    @property
    def is_clear(self) -> bool:
        """Return whether zero lies outside the interval."""
        return not self.interval.low <= 0 <= self.interval.high


def compare(
    name: tuple[str, str],
    y: NDArray[np.int8],
    score: NDArray[np.float64],
    other: NDArray[np.float64],
    subject: NDArray[np.int32],
    *,
    weight: NDArray[np.float64] | None = None,
    fold: NDArray[np.int32] | None = None,
    seed: int,
    replicates: int = 500,
) -> Comparison:
    """Compare how two models rank the same rows.

    Parameters
    ----------
    name : id and Chinese title of the other model.
    y, score, other, subject, weight : shape (n,); any increasing function of a score gives the same result.
    fold : which rows were scored by one model; see :func:`.auc_of`.

    Source: a bootstrap of pairs; drawing subjects once for both keeps what the two models have in common out of the difference.
    """
    draws = [
        auc_draws(y, values, subject, seed=seed, replicates=replicates, weight=weight, fold=fold)
        for values in (score, other)
    ]
    ours, theirs = auc_of(y, score, weight, fold), auc_of(y, other, weight, fold)
    return Comparison(*name, ours, theirs, ours - theirs, interval_of(draws[0] - draws[1]))
