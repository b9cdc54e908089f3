"""A model in use on newer data: its trees and its training rows stay, calibration and test move on in time."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

from credit_tier.errors import Fault, LearningError
from credit_tier.learning.bundle import Bundle
from credit_tier.learning.fit import Fitted
from credit_tier.learning.splits import Part, Parts, TrainingFrame, split
from credit_tier.specs.feature import FeatureSpec
from credit_tier.specs.model import ModelSpec, Trees
from credit_tier.temporal import day_number

SAME = ("cohort", "population", "label", "features", "trees", "points")
"""What of a declaration must be as it was when the trees were grown."""


def fitted_of(bundle: Bundle) -> Fitted:
    """Return the trees of a bundle as they were before its calibration."""
    scorer = bundle.scorer
    return Fitted(
        scorer.forest,
        scorer.features,
        scorer.dimensions,
        scorer.spans,
        scorer.fills,
        int(bundle.manifest["seed"]),
        str(bundle.manifest["lightgbm"]),
        _searched_from(bundle),
    )


def grown_with(bundle: Bundle) -> Trees:
    """Return the settings with which a bundle's trees grew."""
    return ModelSpec.model_validate(bundle.manifest["declaration"]).trees


def _searched_from(bundle: Bundle) -> Trees | None:
    before = bundle.manifest.get("searched_from")
    return None if before is None else Trees.model_validate(before)


def require_same(bundle: Bundle, spec: ModelSpec, features: tuple[FeatureSpec, ...]) -> None:
    """Refuse to recalibrate a model whose declaration has changed since, or that no date divides from newer outcomes.

    Raises
    ------
    LearningError : CT-LEARN-022, naming every part of the declaration that differs; CT-LEARN-023 the model was cross-validated.
    """
    before = ModelSpec.model_validate(bundle.manifest["declaration"])
    before = before.model_copy(update={"trees": _searched_from(bundle) or before.trees})
    if before.split.folds is not None:
        raise LearningError.of(
            "CT-LEARN-023",
            where=f"{spec.model} split.folds",
            what="交叉验证的模型没有较新的结果可用于重新校准 · a cross-validated model has grown on all outcomes; none is newer.",
            advice="Train it anew; its calibration then follows all outcomes.",
        )
    changed = [name for name in SAME if getattr(before, name) != getattr(spec, name)]
    if features != bundle.features:
        changed.append("pipelines/features.yaml")
    if changed:
        raise LearningError(
            *(
                Fault(
                    "CT-LEARN-022",
                    f"{spec.model} {name}",
                    "声明已改 · the declaration is no longer that of the model in use.",
                    "Train anew, or recalibrate with the content that the model was trained with.",
                )
                for name in changed
            )
        )


def recent_parts(bundle: Bundle, frame: TrainingFrame, spec: ModelSpec) -> Parts:
    """Return the rows from which the trees grew, and after them a calibration and a test part of newer rows.

    Parameters
    ----------
    spec : its split divides the newer rows.

    Raises
    ------
    LearningError (CT-LEARN-022) if the newer parts begin before the labels of the training rows were known; otherwise as :func:`.split`.
    """
    parts = split(frame, spec.split, spec.label)
    trained = bundle.manifest["split"]["train"]
    first, last = date.fromisoformat(trained["from"]), date.fromisoformat(trained["to"])
    known = last + timedelta(days=parts.gap_days)
    if parts.calibrate.first < known:
        raise LearningError.of(
            "CT-LEARN-022",
            where="recalibrate",
            what=f"所取结果不够新 · calibration would begin {parts.calibrate.first}, the trees knew labels until {known}.",
            advice="Take fewer days of calibration and test, or wait for newer outcomes.",
        )
    days = frame.as_of_day
    train = Part("train", frame.take((days >= day_number(first)) & (days <= day_number(last))), first, last)
    rows = sum(len(part.frame) for part in (train, parts.calibrate, parts.test))
    return replace(parts, train=train, left_out=len(frame) - rows)
