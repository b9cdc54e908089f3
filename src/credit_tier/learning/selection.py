"""Selective labels: outcomes exist only for the inspected, so what they tell about everybody depends on how those were chosen.

Rows drawn at random with known probabilities are weighted by the inverse of these; rows that nobody drew (complaints, campaigns) have no
such weight and are told apart. The plain figures stand beside the weighted ones, so that everybody sees what the choice does.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from credit_tier.errors import LearningError
from credit_tier.learning.calibrate import effective
from credit_tier.learning.evaluate import Evaluation, Interval
from credit_tier.learning.outturn import Outturn
from credit_tier.learning.slices import UNKNOWN
from credit_tier.specs.model import EventCohort, ModelSpec, Selection

if TYPE_CHECKING:
    from collections.abc import Callable

    from credit_tier.data.lake import Lake
    from credit_tier.learning.folds import Division
    from credit_tier.specs.feature import FeatureSpec


CAUSE = "selected_by"
"""Attribute of the spine that tells records apart which are not of the cohort."""


@dataclass(frozen=True)
class Drawn:
    """Weights of rows that were drawn at random.

    Attributes
    ----------
    known : shape (rows,); whether the row's probability is known. Others have no weight and no place in the model.
    weight : shape (known rows,); 1 / probability, cut if so declared.
    cut : how many weights were.
    """

    known: NDArray[np.bool_]
    weight: NDArray[np.float64]
    cut: int

    @classmethod
    def of(cls, probability: NDArray[np.float64], declared: Selection) -> Drawn:
        """Return the weights of rows drawn with these probabilities, NaN where unknown.

        Raises
        ------
        LearningError (CT-LEARN-062) if no probability is known.

        Source: `sampling.md`, F14; Hájek (1971): only ratios of weights matter.
        """
        known = ~np.isnan(probability)
        if not known.any():
            raise LearningError.of(
                "CT-LEARN-062",
                where=f"selection.probability {declared.probability}",
                what=f"没有一行知道入样概率 · none of {len(probability)} rows knows the probability with which it was drawn.",
                advice="Deliver the column, or leave `selection` out of the declaration.",
            )
        weight = 1 / probability[known]
        bound = np.inf if declared.largest_weight is None else declared.largest_weight * weight.mean()
        return cls(known, np.minimum(weight, bound), int((weight > bound).sum()))


@dataclass(frozen=True, kw_only=True)
class Apart(Outturn):
    """How records turned out which nobody drew at random, by what caused them."""

    zh: str
    en: str


@dataclass(frozen=True)
class Selected:
    """What the choice of the inspected does to the figures of a test.

    Attributes
    ----------
    unknown : rows left out because nobody knows how they were drawn. cut : weights that were cut.
    effective : part of the split -> how many equal rows its weighted ones are worth.
    spread : largest weight of the test part, divided by its smallest.
    naive : the figures without weights: those of the drawn, not of all who could have been.
    apart : records of the test period that are not of the cohort.
    """

    unknown: int
    cut: int
    effective: dict[str, float]
    spread: float
    naive: Evaluation
    apart: tuple[Apart, ...]

    def metrics(self) -> dict[str, float]:
        """Return the plain figures and the effective rows by name."""
        found = {"weights_cut": float(self.cut), "rows_without_probability": float(self.unknown)}
        found |= {f"effective_rows_{name}": value for name, value in self.effective.items()}
        for name in ("rate", "auc", "predicted_to_observed"):
            interval: Interval = getattr(self.naive, f"{name}_interval")
            value = float(getattr(self.naive, name))
            found |= {f"naive_{name}": value, f"naive_{name}_low": interval.low, f"naive_{name}_high": interval.high}
        return found


def selected_of(drawn: Drawn, parts: Division, naive: Evaluation, apart: tuple[Apart, ...]) -> Selected:
    """Put the facts about a selection together."""
    weight = parts.test.frame.weight
    return Selected(
        unknown=int((~drawn.known).sum()),
        cut=drawn.cut,
        effective={part.name: effective(part.frame.weight, len(part.frame)) for part in parts},
        spread=1.0 if weight is None else float(weight.max() / weight.min()),
        naive=naive,
        apart=apart,
    )


def apart_of(
    lake: Lake,
    spec: ModelSpec,
    features: tuple[FeatureSpec, ...],
    days: tuple[int, int],
    probability_of: Callable[[NDArray[np.float32]], NDArray[np.float64]],
    *,
    seed: int,
) -> tuple[Apart, ...]:
    """Return how the records that are not of the cohort turned out, by the column that the declaration names.

    Parameters
    ----------
    days : first and last day of the records, both inclusive.
    probability_of : the model, on rows of features.
    seed : of the bootstraps.
    """
    import narwhals as nw

    from credit_tier.features import spine
    from credit_tier.learning.labelled import labelled

    cohort = spec.cohort
    if spec.selection is None or spec.selection.apart is None or not isinstance(cohort, EventCohort):
        return ()
    column = lake.spec(cohort.source).columns[spec.selection.apart]
    everything = EventCohort(
        kind="events", source=cohort.source, attributes={**cohort.attributes, CAUSE: spec.selection.apart}
    )
    own = spine.events(lake, cohort).select("enterprise_no", "as_of_day")
    rows = spine.events(lake, everything).filter(nw.col("as_of_day").is_between(*days))
    rows = rows.join(own, on=["enterprise_no", "as_of_day"], how="anti")
    anything = spec.model_copy(update={"label": spec.label.model_copy(update={"where": ()}), "selection": None})
    known = labelled(lake, anything, features, rows)
    if known is None:
        return ()
    frame, causes = known.frame, known.spine[CAUSE].to_numpy()
    probability = probability_of(frame.x)
    found = []
    for cause in sorted(set(causes.tolist())):
        inside = causes == cause
        found.append(
            Apart.of(
                frame.y[inside],
                probability[inside],
                frame.subject[inside],
                seed=seed,
                replicates=200,
                zh=(column.vocabulary or {}).get(cause, cause) or UNKNOWN[0],
                en=cause or UNKNOWN[1],
            )
        )
    return tuple(found)
