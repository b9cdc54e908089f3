"""A new model beside the champion, measured in pairs on the test rows of the new one, before anybody decides."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from credit_tier.errors import LearningError, MachineError, VerificationError
from credit_tier.learning import promotion, tracking
from credit_tier.learning.bundle import Bundle
from credit_tier.learning.compare import Comparison, compare
from credit_tier.learning.splits import Part


def against_champion(
    store: Path | str,
    model: str,
    test: Part,
    score: NDArray[np.float64],
    *,
    fold: NDArray[np.int32] | None = None,
    seed: int,
    threads: int,
) -> Comparison | None:
    """Return the comparison with the champion, whose metrics :func:`.promotion.promote` reads.

    None where a comparison would not be fair or possible: there is no champion, it does not open, it needs features that the rows
    do not have, or it has learned from outcomes of the test period.

    Parameters
    ----------
    test, score : rows that the new model has not seen, and its scores of them; any increasing function of a score does.
    fold : which rows were scored by one model; see :func:`.auc_of`.
    seed : of the bootstrap.
    """
    try:
        number = tracking.find(store, model, "champion").number
        bundle = promotion.champion(store, model)
    except (LearningError, MachineError, VerificationError):
        return None
    frame = test.frame
    if any(feature not in frame.features for feature in bundle.features) or _last_known(bundle) > test.first:
        return None
    columns = [frame.features.index(feature) for feature in bundle.features]
    other = bundle.scorer.raw_score(np.ascontiguousarray(frame.x[:, columns]), threads=threads)
    name = promotion.champion_name(number), f"现役模型 v{number}"
    return compare(name, frame.y, score, other, frame.subject, weight=frame.weight, fold=fold, seed=seed)


def _last_known(bundle: Bundle) -> date:
    """Return the first day on which every outcome was known that a bundle has learned from."""
    split = bundle.manifest["split"]
    return date.fromisoformat(split["calibrate"]["to"]) + timedelta(days=int(split["gap_days"]))
