"""The door of those who keep a model in use: is it still what it was, on the records known at an as_of?"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

from credit_tier.errors import UsageError
from credit_tier.specs.model import ModelSpec
from credit_tier.temporal import AsOf

if TYPE_CHECKING:
    import narwhals as nw
    import numpy as np
    from numpy.typing import NDArray

    from credit_tier.data.lake import Lake
    from credit_tier.learning.bundle import Bundle
    from credit_tier.learning.monitor import Watch
    from credit_tier.learning.splits import TrainingFrame

EXPLAINED = 50_000
"""Enterprises, evenly over the register, whose contributions tell what a change of a feature did to the scores."""


@dataclass(frozen=True)
class Monitoring:
    """A look at a model in use.

    Attributes
    ----------
    reference : day whose population the present one is compared with. since : outcomes after this as_of are counted.
    enterprises : how many were scored at the reference day and now.
    digests : of lake and bundle.
    """

    model: str
    as_of: str
    reference: str
    since: str
    enterprises: tuple[int, int]
    watch: Watch
    digests: dict[str, str]

    def to_dict(self) -> dict[str, Any]:
        """Return all of it as JSON values."""
        return {**self.__dict__, "watch": self.watch.to_dict()}


def monitor(
    lake: Lake, bundle: Bundle, as_of: AsOf, *, reference: date | None = None, seed: int = 0, threads: int = 1
) -> Monitoring:
    """Hold a model in use against the records known at an as_of.

    The population scored then is compared with that of the reference day, by feature and by points, both computed from the same lake; and
    the outcomes of the model's kind that became mature after its test and before as_of are compared with what it predicts for them.

    Parameters
    ----------
    reference : the day to compare with; None for the same day of the year, at or before the end of the model's test part: many figures
        have their season.

    Raises
    ------
    UsageError (CT-MON-001) if the reference day is not before as_of.
    FeatureError, LearningError : the bundle does not fit the lake.

    Source: DESIGN section 5; :func:`credit_tier.learning.monitor.drift_of` for the distance and its limit.
    """
    import numpy as np

    from credit_tier.learning.evaluate import Interval
    from credit_tier.learning.monitor import drift_of, outcomes_of, watch
    from credit_tier.learning.stability import size_of

    spec = ModelSpec.model_validate(bundle.manifest["declaration"])
    tested = date.fromisoformat(bundle.manifest["split"]["test"]["to"])
    day = reference or same_day(as_of.on, tested)
    if day >= as_of.on:
        raise UsageError.of(
            "CT-MON-001",
            where=spec.model,
            what=f"the reference day {day} is not before {as_of}.",
            advice="Look at a later day, or name an earlier reference with --reference.",
        )
    (then, points_then), (here, points_here) = (
        _population(lake, bundle, spec, on, threads=threads) for on in (day, as_of.on)
    )
    effects = points_here.mean(axis=0) - points_then.mean(axis=0)
    drifts = [
        drift_of(
            (feature.id, feature.title_zh),
            then[:, k].astype(np.float64),
            here[:, k].astype(np.float64),
            effect=float(effects[k]),
            sizes=(size_of(feature, then[:, k], *_one_day(then)), size_of(feature, here[:, k], *_one_day(here))),
        )
        for k, feature in enumerate(bundle.features)
    ]
    own = np.array([feature.group_by is None and feature.shrink is None for feature in bundle.features])
    score = drift_of(
        ("own_points", "自身记录所得分"),
        points_then[:, own].sum(axis=1),
        points_here[:, own].sum(axis=1),
        effect=float(effects[own].sum()),
    )
    matured = _matured(lake, bundle, spec, tested, as_of)
    outcomes = None
    if matured is not None:
        probability = bundle.score(matured.x, threads=threads).probability
        outcomes = outcomes_of(
            matured.y, probability, matured.subject, matured.as_of_day, weight=matured.weight, seed=seed
        )
    metrics = bundle.manifest["metrics"]
    found = watch(
        score,
        drifts,
        outcomes,
        by_groups=float(effects[~own].sum()),
        spread=float(points_then.sum(axis=1).std()),
        trained_auc=Interval(metrics["auc_low"], metrics["auc_high"]),
    )
    return Monitoring(
        spec.model,
        str(as_of),
        day.isoformat(),
        tested.isoformat(),
        (len(then), len(here)),
        found,
        {"lake": lake.digest, "bundle": bundle.digest},
    )


def same_day(day: date, last: date) -> date:
    """Return the same day of the year, at or before `last`; February 29 becomes March 1 where there is none.

    >>> same_day(date(2026, 1, 1), date(2025, 10, 30)), same_day(date(2024, 2, 29), date(2023, 5, 1))
    (datetime.date(2025, 1, 1), datetime.date(2023, 3, 1))
    """
    for year in (last.year, last.year - 1):
        leaps = (day.month, day.day) == (2, 29) and not (year % 4 == 0 and (year % 100 or year % 400 == 0))
        found = date(year, 3, 1) if leaps else day.replace(year=year)
        if found <= last:
            break
    return found


def _population(
    lake: Lake, bundle: Bundle, spec: ModelSpec, on: date, *, threads: int
) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """Return the features of everybody whom the model scores on a day, and the contributions, in points, of some of them."""
    import numpy as np

    from credit_tier.features import build, spine

    x = build.build(lake, bundle.features, spine.scoring(lake, spec, on)).matrix()
    some = x[np.unique(np.linspace(0, len(x) - 1, min(len(x), EXPLAINED)).astype(np.int64))]
    return x, bundle.scorer.contributions(some, threads=threads)


def _one_day(x: NDArray[np.float32]) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Return day and enterprise of rows of one day, one of each enterprise."""
    import numpy as np

    return np.zeros(len(x), np.int32), np.arange(len(x), dtype=np.int32)


def _matured(lake: Lake, bundle: Bundle, spec: ModelSpec, after: date, as_of: AsOf) -> TrainingFrame | None:
    """Return the rows later than the test whose outcome was mature at as_of; None if there is none."""
    import narwhals as nw

    from credit_tier.features import spine
    from credit_tier.features.conditions import AS_OF
    from credit_tier.learning.labelled import labelled
    from credit_tier.temporal import day_number

    window = spec.label.window_days + spec.label.delay_days
    rows: nw.DataFrame[Any] = spine.observations(lake, spec)
    rows = rows.filter(nw.col(AS_OF) > day_number(after), nw.col(AS_OF) + window <= as_of.day)
    found = labelled(lake, spec, bundle.features, rows)
    return None if found is None else found.frame
