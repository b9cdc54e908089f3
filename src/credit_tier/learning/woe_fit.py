"""How a scorecard of weights of evidence is fitted: bins by feature, then a logistic regression with coefficients above 0 only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from credit_tier.learning import woe, woe_optbinning
from credit_tier.learning.calibrate import Calibration, counts_of
from credit_tier.learning.scorecard import Scaling
from credit_tier.learning.splits import TrainingFrame
from credit_tier.learning.woe import Bins
from credit_tier.learning.woe_card import Line, WoeCard

BUILT_IN = "built-in"
WEAKEST = 0.01
"""Information value below which a feature is not worth a line."""

RIDGE = 5.0
"""Penalty on half the square of each coefficient: a normal prior that expects them between 0 and 1, as those of weights of evidence are."""


def fit_card(frame: TrainingFrame, *, model: str, scaling: Scaling, optbinning: bool = False) -> WoeCard:
    """Return the scorecard of a training part, not yet calibrated on later rows.

    Parameters
    ----------
    frame : rows with both outcomes; weights count relative to their mean.
    model : id of the declaration. optbinning : have that library find the bins.

    Raises
    ------
    MachineError (CT-LEARN-038) if optbinning is asked for and not installed.

    Source: Siddiqi, Credit Risk Scorecards (2006): weak features are left out by information value, then, one at a time, the feature
    whose coefficient beside the others lies furthest below 0, until all point the way of their own risk.
    """
    cut, provenance = woe.cut, BUILT_IN
    if optbinning:
        cut, provenance = woe_optbinning.cut, f"optbinning {woe_optbinning.version()}"
    count = np.full(len(frame), counts_of(frame.weight))
    weight = None if frame.weight is None else count
    columns = [column.astype(np.float64) for column in frame.x.T]
    binned = [
        cut(column, frame.y, direction=feature.direction, weight=weight)
        for column, feature in zip(columns, frame.features, strict=True)
    ]
    strong = [j for j, bins in enumerate(binned) if bins.iv >= _least(bins)]
    evidence = {j: binned[j].values(columns[j]) for j in strong}
    intercept, coefficient = _above_zero(evidence, frame.y, count)
    lines = tuple(
        Line(
            feature.id,
            feature.title_zh,
            feature.direction,
            bins,
            coefficient.get(j, 0.0),
            "" if j in coefficient else "sign" if j in strong else "weak",
        )
        for j, (feature, bins) in enumerate(zip(frame.features, binned, strict=True))
    )
    return WoeCard(model, provenance, lines, intercept, scaling)


def calibrated(card: WoeCard, by: Calibration) -> WoeCard:
    """Return the card whose log-odds are those of a straight calibration; one of slope 0 leaves no feature in.

    Source: where a higher score does not go with more risk on later rows, the card has nothing to tell but their rate.
    """
    lines = tuple(
        replace(
            line, coefficient=by.slope * line.coefficient, left_out=line.left_out or ("" if by.slope > 0 else "sign")
        )
        for line in card.lines
    )
    return replace(card, lines=lines, intercept=by.intercept + by.slope * card.intercept)


def _least(bins: Bins) -> float:
    """Return the information value that bins must reach: one worth a line, and what they would have without any relation.

    Source: with E events and N other rows k bins have (k - 1) * (1/E + 1/N) on average by chance; see :func:`.stability.shift`.
    """
    rows, events = sum(bins.rows), sum(bins.events)
    filled = sum(r > 0 for r in bins.rows)
    return max(WEAKEST, (filled - 1) * (1 / events + 1 / (rows - events)))


def _above_zero(
    evidence: Mapping[int, NDArray[np.float64]], y: NDArray[np.int8], count: NDArray[np.float64]
) -> tuple[float, dict[int, float]]:
    """Fit; while a coefficient is not above 0, take out the lowest and fit again. Return intercept, and coefficients by column."""
    from sklearn.linear_model import LogisticRegression

    kept = list(evidence)
    while kept:
        model = LogisticRegression(C=1 / RIDGE, solver="newton-cholesky", tol=1e-10, max_iter=100)
        model.fit(np.column_stack([evidence[j] for j in kept]), y, sample_weight=count)
        found = model.coef_[0].tolist()
        if min(found) > 0:
            return float(model.intercept_[0]), dict(zip(kept, found, strict=True))
        del kept[found.index(min(found))]
    rate = float(count @ y / count.sum())
    return float(np.log(rate / (1 - rate))), {}
