"""Promotion gates: what a model must reach on the test part before it may be called `challenger`."""

from __future__ import annotations

from collections.abc import Sequence

from credit_tier.errors import Fault
from credit_tier.learning.compare import Comparison
from credit_tier.learning.evaluate import Evaluation
from credit_tier.specs.model import Gates


def failed_gates(gates: Gates, evaluation: Evaluation, yardsticks: Sequence[Comparison] = ()) -> tuple[Fault, ...]:
    """Return one fault (CT-LEARN-036) per gate that is not passed; empty if the model may be promoted.

    A yardstick counts as better only if the interval of the difference, drawn in pairs, lies wholly below zero. The interval of the model
    alone is much wider, because both gain or lose with the same rows, and would let pass a model that is worse in nearly every draw.

    Parameters
    ----------
    yardsticks : the model beside each of them, on the same rows.
    """
    told: list[str] = []
    if gates.min_auc is not None and evaluation.auc < gates.min_auc:
        told.append(f"AUC {evaluation.auc:.4f} 低于门槛 · is below {gates.min_auc:g}.")
    if gates.max_brier_ratio is not None and evaluation.brier_ratio > gates.max_brier_ratio:
        told.append(
            f"Brier 比 {evaluation.brier_ratio:.4f} 高于门槛 · the Brier ratio is above {gates.max_brier_ratio:g}."
        )
    if gates.predicted_to_observed is not None:
        low, high = gates.predicted_to_observed
        interval = evaluation.predicted_to_observed_interval
        if interval.high < low or interval.low > high:
            told.append(
                f"预测/实际 {evaluation.predicted_to_observed:.3f} 超出范围 · predicted/observed, interval {interval.low:.3f} to "
                f"{interval.high:.3f}, lies outside {low:g} to {high:g}."
            )
    if gates.not_below_yardstick:
        told += [
            f"AUC {item.auc:.4f} 低于{item.title_zh} · is below the yardstick {item.name}, {item.other:.4f}, by "
            f"{-item.difference:.4f} ({-item.interval.high:.4f}–{-item.interval.low:.4f})."
            for item in yardsticks
            if item.interval.high < 0
        ]
    return tuple(Fault("CT-LEARN-036", "gates", text, "The run is recorded; the alias is not given.") for text in told)
