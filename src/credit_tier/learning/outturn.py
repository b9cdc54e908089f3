"""How the predictions for some rows turned out: the same figures for a period, a slice of the population, or all matured rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from credit_tier.learning.calibrate import counts_of, effective
from credit_tier.learning.evaluate import Interval, auc_draws, auc_of, interval_of
from credit_tier.learning.grade_tests import jeffreys_interval, jeffreys_p

FEWEST = 10
"""Rows of either outcome below which no AUC is told."""


@dataclass(frozen=True, kw_only=True)
class Outturn:
    """Predictions for some rows against their outcomes.

    Attributes
    ----------
    rows, positives : as they are; all else by weight, if rows have one.
    low, high : interval of the observed share (Jeffreys, 95 %, of the effective rows). p : two-sided Jeffreys test of the mean
        prediction.
    auc, auc_interval : None where fewer than :data:`FEWEST` rows have either outcome.
    """

    rows: int
    positives: int
    predicted: float
    observed: float
    low: float
    high: float
    p: float
    auc: float | None
    auc_interval: Interval | None

    @classmethod
    def of(
        cls,
        y: NDArray[np.int8],
        probability: NDArray[np.float64],
        subject: NDArray[np.int32],
        weight: NDArray[np.float64] | None = None,
        *,
        fold: NDArray[np.int32] | None = None,
        seed: int,
        replicates: int,
        **more: Any,
    ) -> Self:
        """Return the figures of one row or more.

        Parameters
        ----------
        y, probability, subject, weight : shape (n,). seed, replicates : of the bootstrap over subjects.
        fold : which rows were scored by one model, for the AUC; see :func:`.auc_of`.
        more : what a subclass tells besides.
        """
        rows, hits = len(y), int(y.sum())
        count, enough = counts_of(weight), effective(weight, rows)
        predicted, observed = float((count * probability).mean()), float((count * y).mean())
        low, high = jeffreys_interval(observed * enough, enough)
        auc = interval = None
        if min(hits, rows - hits) >= FEWEST:
            auc = auc_of(y, probability, weight, fold)
            draws = auc_draws(y, probability, subject, seed=seed, replicates=replicates, weight=weight, fold=fold)
            interval = interval_of(draws)
        return cls(
            rows=rows,
            positives=hits,
            predicted=predicted,
            observed=observed,
            low=low,
            high=high,
            p=float(jeffreys_p(observed * enough, enough, predicted, side="both")),
            auc=auc,
            auc_interval=interval,
            **more,
        )
