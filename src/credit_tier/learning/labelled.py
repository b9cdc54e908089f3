"""Rows of a spine with features, mature outcomes and weights: what a model learns from, is judged by, and is watched with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from credit_tier.features import build, labels, spine
from credit_tier.learning.selection import Drawn
from credit_tier.learning.splits import TrainingFrame
from credit_tier.specs.feature import FeatureSpec
from credit_tier.specs.model import EventCohort, ModelSpec

if TYPE_CHECKING:
    import narwhals as nw

    from credit_tier.data.lake import Lake


@dataclass(frozen=True)
class Labelled:
    """Rows whose outcome is mature and observed.

    Attributes
    ----------
    spine : their rows of the spine, in the order of `frame`.
    mature, observed : rows whose label window is over, and those of them that have an outcome.
    drawn : weights and what was left out, if the declaration says how rows were drawn.
    """

    spine: nw.DataFrame[Any]
    frame: TrainingFrame
    mature: int
    observed: int
    drawn: Drawn | None


def labelled(
    lake: Lake, spec: ModelSpec, features: tuple[FeatureSpec, ...], rows: nw.DataFrame[Any]
) -> Labelled | None:
    """Return the rows of a spine that have an outcome, with features and weights; None if there is none.

    Raises
    ------
    FeatureError : the declarations do not fit the lake. LearningError (CT-LEARN-062) if no row knows how it was drawn.
    """
    import narwhals as nw

    outcome = labels.attach(lake, spec.label, rows)
    usable = outcome.filter(~nw.col("outcome").is_null())
    if len(usable) == 0:
        return None
    kept = rows.join(usable.select("row", "outcome"), on="row", how="inner").sort("row")
    drawn = None
    if spec.selection is not None and isinstance(spec.cohort, EventCohort):
        drawn = Drawn.of(spine.inclusion(lake, spec.cohort, spec.selection.probability, kept), spec.selection)
        kept = kept.filter(drawn.known.tolist())
    own = kept.drop("outcome")
    frame = TrainingFrame(
        build.build(lake, features, own).matrix(),
        kept["outcome"].to_numpy().astype(np.int8),
        kept["as_of_day"].to_numpy().astype(np.int32),
        kept["enterprise_no"].to_numpy().astype(np.int32),
        features,
        None if drawn is None else drawn.weight,
    )
    return Labelled(own, frame, int(outcome["is_mature"].sum()), len(usable), drawn)
