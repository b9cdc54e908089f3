"""Everything a report tells about a model beyond its figures: is it calibrated in every grade, period and slice, and what would help?

Nothing here decides anything; gates do. All of it looks at rows that neither trees nor calibration have seen.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from credit_tier.errors import LearningError
from credit_tier.learning.calibrate import (
    METHODS,
    Calibration,
    Choice,
    Method,
    calibrate,
    choose,
    counts_of,
    difference,
    recalibrate,
)
from credit_tier.learning.classes import cuts_of
from credit_tier.learning.compare import Comparison, compare
from credit_tier.learning.folds import Division
from credit_tier.learning.grade_tests import GradeTests, calibration_tests, equal_groups
from credit_tier.learning.heldout import HeldOut, Level, Scored
from credit_tier.learning.selection import Selected
from credit_tier.learning.slices import Attribute, Sliced, sliced
from credit_tier.learning.splits import Parts, TrainingFrame
from credit_tier.learning.stability import Period, Shift, periods, shift_between, shift_of
from credit_tier.specs.model import TiersSpec


@dataclass(frozen=True)
class Calibrated:
    """What a method of calibration, fitted on the rows that calibrate, makes of the judged rows."""

    method: Method
    log_loss: float
    brier: float
    predicted_to_observed: float


@dataclass(frozen=True)
class Recalibrated:
    """The calibration fitted anew on the earlier half of the test part, beside the old one, both on the later half.

    Attributes
    ----------
    shift : by how much the log-odds of every probability move.
    gain, error : by how much the log loss falls, and the standard error of that over subjects.
    """

    earlier: int
    later: int
    shift: float
    before: Calibrated
    after: Calibrated
    gain: float
    error: float

    @property
    def helps(self) -> bool:
        """Return whether the gain is more than chance would give (two standard errors)."""
        return self.gain > 2 * self.error


@dataclass(frozen=True)
class Other:
    """Another model's scores of the judged rows, for a comparison in pairs."""

    name: str
    title_zh: str
    score: NDArray[np.float64]


@dataclass(frozen=True)
class Appraisal:
    """Tests, comparisons, shifts, periods and slices of one training.

    Attributes
    ----------
    grades : calibration by grade; `grades_zh`, `grades_en` say what the grades are.
    choice : methods of calibration compared within the calibration part; without trials in cross-validation.
    calibrated : what each method makes of the judged rows, for information.
    recalibrated : a trial in time; None in cross-validation, or where outcomes are too few.
    unconstrained : the model against the same one whose trees may mix dimensions, or None if its own may.
    unbridged : the model against the same one without its bridges, or None if it has none.
    champion : the model against the one in use, or None where no comparison is fair. yardsticks : against each yardstick.
    score_shift : raw score from the calibration to the test part, both unseen by the trees. shifts : features, from training to test.
        None and empty in cross-validation, where no part is later than another.
    budget : share of rows that the disparity figures of the slices take as inspected.
    selected : what the choice of the inspected does to the figures, where the declaration says how rows were drawn. All figures are
        then by weight, but for the tests by grade and the shifts: those ask about the rows themselves.
    """

    grades: GradeTests
    grades_zh: str
    grades_en: str
    choice: Choice
    calibrated: tuple[Calibrated, ...]
    recalibrated: Recalibrated | None
    unconstrained: Comparison | None
    unbridged: Comparison | None
    champion: Comparison | None
    yardsticks: tuple[Comparison, ...]
    score_shift: Shift | None
    shifts: tuple[Shift, ...]
    periods: tuple[Period, ...]
    slices: tuple[Sliced, ...]
    budget: float
    selected: Selected | None

    def to_dict(self) -> dict[str, Any]:
        """Return all of it as JSON values."""
        return asdict(self)

    def metrics(self) -> dict[str, float]:
        """Return the single numbers by name."""
        tests = self.grades
        found = {
            "hosmer_lemeshow_p": tests.hosmer_lemeshow.p,
            "spiegelhalter_z": tests.spiegelhalter.z,
            "spiegelhalter_p": tests.spiegelhalter.p,
            "jeffreys_p": tests.portfolio.jeffreys_both,
            "grades_suspect": float(len(tests.suspects)),
        }
        if self.score_shift is not None:
            found["psi_score"] = self.score_shift.psi
            found["features_shifted"] = float(sum(item.verdict in {"moderate", "large"} for item in self.shifts))
        if self.selected is not None:
            found |= self.selected.metrics()
        for item in (*self.yardsticks, self.unconstrained, self.unbridged, self.champion):
            if item is not None:
                found |= item.metrics()
        return found


@dataclass(frozen=True)
class Grading:
    """Each test row's grade, 0 for the lowest risk, the grades' names, and what they are."""

    grade: NDArray[np.int8]
    names: Sequence[str]
    zh: str
    en: str


def grading_of(tiers: TiersSpec | None, probability: NDArray[np.float64]) -> Grading:
    """Return the grades of rows: risk classes of a policy, or fifths by rising probability where the model has none."""
    if tiers is None:
        group = equal_groups(probability, most=5).astype(np.int8)
        return Grading(
            group, [str(number + 1) for number in range(int(group.max()) + 1)], "概率五等分", "fifths by probability"
        )
    names = [item.tier for item in tiers.tiers]
    return Grading(cuts_of(tiers, probability).ranks(probability), names, "信用风险分类", "risk classes")


def appraise(
    parts: Division,
    held: HeldOut,
    level: Level,
    choice: Choice,
    *,
    grading: Grading,
    unconstrained: NDArray[np.float64] | None,
    unbridged: NDArray[np.float64] | None,
    yardsticks: Sequence[Other],
    attributes: Sequence[Attribute],
    budget: float,
    selected: Selected | None,
    seed: int,
    champion: Comparison | None = None,
) -> Appraisal:
    """Appraise a calibrated model on rows it has not seen.

    Parameters
    ----------
    held : the judged rows and their scores; level : how these are calibrated; choice : how that was, or could have been, chosen.
    grading, attributes : of the judged rows, in their order.
    unconstrained, unbridged : scores of the judged rows by a model whose trees may mix dimensions, and by one without bridges.
    budget : share of rows that could be inspected. selected : see :mod:`.selection`.
    seed : of the bootstraps. champion : see :func:`.rival.against_champion`.
    """
    test, score = held.test, held.raw
    probability = held.probability(level)
    weighted: dict[str, Any] = {"seed": seed, "weight": test.weight, "fold": parts.fold}
    return Appraisal(
        grades=calibration_tests(test.y, probability, grading.grade, grading.names),
        grades_zh=grading.zh,
        grades_en=grading.en,
        choice=choice,
        calibrated=_calibrated(held),
        recalibrated=_recalibrated(level(held.by), held, parts) if isinstance(parts, Parts) else None,
        unconstrained=None
        if unconstrained is None
        else compare(
            ("unconstrained", "不受维度约束的同一模型"), test.y, score, unconstrained, test.subject, **weighted
        ),
        unbridged=None
        if unbridged is None
        else compare(("unbridged", "没有桥接的同一模型"), test.y, score, unbridged, test.subject, **weighted),
        champion=champion,
        yardsticks=tuple(
            compare((item.name, item.title_zh), test.y, score, item.score, test.subject, **weighted)
            for item in yardsticks
        ),
        score_shift=_score_shift(held) if isinstance(parts, Parts) else None,
        shifts=_shifts(parts) if isinstance(parts, Parts) else (),
        periods=periods(test.y, probability, test.subject, test.as_of_day, **weighted),
        slices=tuple(
            sliced(attribute, test.y, probability, test.subject, budget=budget, **weighted) for attribute in attributes
        ),
        budget=budget,
        selected=selected,
    )


def chosen(parts: Division, held: HeldOut) -> Choice:
    """Return the calibration chosen out of time within the calibration part; in cross-validation the plainest, without a trial."""
    if not isinstance(parts, Parts):
        return Choice("platt", (), 0, 0)
    later = held.by.frame
    return choose(held.by.raw, later.y, later.as_of_day, later.subject, later.weight, gap_days=parts.gap_days)


def level_of(method: Method) -> Level:
    """Return the way to calibrate scores by a method."""

    def level(by: Scored) -> Calibration:
        return calibrate(by.raw, by.frame.y, method, by.frame.weight)

    return level


def _score_shift(held: HeldOut) -> Shift:
    sizes = len(np.unique(held.by.frame.subject)), len(np.unique(held.test.subject))
    return shift_of(("raw_score", "模型原始分"), held.by.raw, held.raw, sizes=sizes)


def _shifts(parts: Parts) -> tuple[Shift, ...]:
    both = parts.train.frame, parts.test.frame
    return tuple(
        shift_between(feature, *((part.x[:, j], part.as_of_day, part.subject) for part in both))
        for j, feature in enumerate(parts.test.frame.features)
    )


def _calibrated(held: HeldOut) -> tuple[Calibrated, ...]:
    found = []
    for method in METHODS:
        try:
            log_odds = held.log_odds(level_of(method))
        except LearningError:
            continue
        found.append(_measured(method, log_odds, held.test)[0])
    return tuple(found)


def _measured(method: Method, z: NDArray[np.float64], rows: TrainingFrame) -> tuple[Calibrated, NDArray[np.float64]]:
    """Return figures of calibrated log-odds, and the log loss of each row."""
    y, count = rows.y, counts_of(rows.weight)
    p = 1 / (1 + np.exp(-z))
    loss = np.logaddexp(0.0, z) - y * z
    figures = Calibrated(
        method,
        float((count * loss).mean()),
        float(np.mean(count * (p - y) ** 2)),
        float((count * p).mean() / max((count * y).mean(), 1e-12)),
    )
    return figures, loss


def _recalibrated(calibration: Calibration, held: HeldOut, parts: Parts) -> Recalibrated | None:
    """Try a recalibration out of time within the test part; None where it has too few outcomes."""
    test, raw = held.test, held.raw
    cut = int(np.quantile(test.as_of_day, 0.5, method="inverted_cdf"))
    before, after = test.as_of_day <= cut - parts.gap_days, test.as_of_day > cut
    earlier, later = test.take(before), test.take(after)
    try:
        moved = recalibrate(calibration, raw[before], earlier.y, earlier.weight)
    except LearningError:
        return None
    if len(later) == 0:
        return None
    (old, old_loss), (new, new_loss) = (
        _measured(fitted.method, fitted.bent(fitted.log_odds(raw[after])), later) for fitted in (calibration, moved)
    )
    gain, error = difference(old_loss - new_loss, later.subject, later.weight)
    return Recalibrated(len(earlier), len(later), moved.intercept - calibration.intercept, old, new, gain, error)
