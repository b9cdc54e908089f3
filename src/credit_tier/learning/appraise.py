"""Everything a report tells about a model beyond its figures: is it calibrated in every grade, period and slice, and what would help?

Nothing here decides anything; gates do. All of it looks at the test part, which neither trees nor calibration have seen.
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
    difference,
    recalibrate,
)
from credit_tier.learning.classes import cuts_of
from credit_tier.learning.compare import Comparison, compare
from credit_tier.learning.grade_tests import GradeTests, calibration_tests, equal_groups
from credit_tier.learning.scorecard import Scorer
from credit_tier.learning.slices import Attribute, Sliced, sliced
from credit_tier.learning.splits import Parts, TrainingFrame
from credit_tier.learning.stability import Period, Shift, periods, shift_of
from credit_tier.specs.model import TiersSpec


@dataclass(frozen=True)
class Calibrated:
    """What a method of calibration, fitted on the calibration part, makes of the test part."""

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
    """Another model's scores on the test part, for a comparison in pairs."""

    name: str
    title_zh: str
    score: NDArray[np.float64]


@dataclass(frozen=True)
class Appraisal:
    """Tests, comparisons, shifts, periods and slices of one training.

    Attributes
    ----------
    grades : calibration by grade; `grades_zh`, `grades_en` say what the grades are.
    choice : methods of calibration compared within the calibration part; `calibrated` on the test part, for information.
    unconstrained : the model against the same one whose trees may mix dimensions, or None if its own may.
    yardsticks : the model against each yardstick.
    score_shift : raw score from the calibration to the test part, both unseen by the trees. shifts : features, from training to test.
    budget : share of rows that the disparity figures of the slices take as inspected.
    """

    grades: GradeTests
    grades_zh: str
    grades_en: str
    choice: Choice
    calibrated: tuple[Calibrated, ...]
    recalibrated: Recalibrated | None
    unconstrained: Comparison | None
    yardsticks: tuple[Comparison, ...]
    score_shift: Shift
    shifts: tuple[Shift, ...]
    periods: tuple[Period, ...]
    slices: tuple[Sliced, ...]
    budget: float

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
            "psi_score": self.score_shift.psi,
            "features_shifted": float(sum(item.verdict in {"moderate", "large"} for item in self.shifts)),
        }
        for item in (*self.yardsticks, *([self.unconstrained] if self.unconstrained else [])):
            name = f"auc_minus_{item.name}"
            found |= {name: item.difference, f"{name}_low": item.interval.low, f"{name}_high": item.interval.high}
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
    parts: Parts,
    scorer: Scorer,
    choice: Choice,
    *,
    grading: Grading,
    unconstrained: NDArray[np.float64] | None,
    yardsticks: Sequence[Other],
    attributes: Sequence[Attribute],
    budget: float,
    seed: int,
    threads: int,
) -> Appraisal:
    """Appraise a calibrated model on the test part.

    Parameters
    ----------
    scorer : the model; choice : how its calibration was, or could have been, chosen.
    grading, attributes : of the rows of the test part, in its order.
    unconstrained : raw scores of a model whose trees may mix dimensions, on the test part.
    budget : share of rows that could be inspected.
    seed : of the bootstraps.
    """
    test, later = parts.test.frame, parts.calibrate.frame
    raw, raw_later = (scorer.raw_score(frame.x, threads=threads) for frame in (test, later))
    probability = scorer.calibration.probability(scorer.calibration.log_odds(raw))
    seeded = {"seed": seed}
    subjects = {part.name: len(np.unique(part.frame.subject)) for part in parts}
    return Appraisal(
        grades=calibration_tests(test.y, probability, grading.grade, grading.names),
        grades_zh=grading.zh,
        grades_en=grading.en,
        choice=choice,
        calibrated=_calibrated(raw_later, later.y, raw, test.y),
        recalibrated=_recalibrated(scorer.calibration, raw, test, gap_days=parts.gap_days),
        unconstrained=None
        if unconstrained is None
        else compare(("unconstrained", "不受维度约束的同一模型"), test.y, raw, unconstrained, test.subject, **seeded),
        yardsticks=tuple(
            compare((item.name, item.title_zh), test.y, raw, item.score, test.subject, **seeded) for item in yardsticks
        ),
        score_shift=shift_of(
            ("raw_score", "模型原始分"), raw_later, raw, subjects=(subjects["calibrate"], subjects["test"])
        ),
        shifts=tuple(
            shift_of(
                (feature.id, feature.title_zh),
                parts.train.frame.x[:, j].astype(np.float64),
                test.x[:, j].astype(np.float64),
                subjects=(subjects["train"], subjects["test"]),
            )
            for j, feature in enumerate(test.features)
        ),
        periods=periods(test.y, probability, test.subject, test.as_of_day, **seeded),
        slices=tuple(
            sliced(attribute, test.y, probability, test.subject, budget=budget, **seeded) for attribute in attributes
        ),
        budget=budget,
    )


def chosen(parts: Parts, raw_later: NDArray[np.float64]) -> Choice:
    """Return the calibration chosen out of time within the calibration part; `raw_later` are its raw scores."""
    later = parts.calibrate.frame
    return choose(raw_later, later.y, later.as_of_day, later.subject, gap_days=parts.gap_days)


def _calibrated(
    raw_later: NDArray[np.float64], y_later: NDArray[np.int8], raw: NDArray[np.float64], y: NDArray[np.int8]
) -> tuple[Calibrated, ...]:
    found = []
    for method in METHODS:
        try:
            fitted = calibrate(raw_later, y_later, method)
        except LearningError:
            continue
        found.append(_measured(fitted, raw, y)[0])
    return tuple(found)


def _measured(
    fitted: Calibration, raw: NDArray[np.float64], y: NDArray[np.int8]
) -> tuple[Calibrated, NDArray[np.float64]]:
    """Return figures, and the log loss of each row."""
    z = fitted.bent(fitted.log_odds(raw))
    p = 1 / (1 + np.exp(-z))
    loss = np.logaddexp(0.0, z) - y * z
    figures = Calibrated(
        fitted.method, float(loss.mean()), float(np.mean((p - y) ** 2)), float(p.mean() / max(y.mean(), 1e-12))
    )
    return figures, loss


def _recalibrated(
    calibration: Calibration, raw: NDArray[np.float64], test: TrainingFrame, *, gap_days: int
) -> Recalibrated | None:
    """Try a recalibration out of time within the test part; None where it has too few outcomes."""
    cut = int(np.quantile(test.as_of_day, 0.5, method="inverted_cdf"))
    before, after = test.as_of_day <= cut - gap_days, test.as_of_day > cut
    try:
        moved = recalibrate(calibration, raw[before], test.y[before])
    except LearningError:
        return None
    if not after.any():
        return None
    old, old_loss = _measured(calibration, raw[after], test.y[after])
    new, new_loss = _measured(moved, raw[after], test.y[after])
    gain, error = difference(old_loss - new_loss, test.subject[after])
    return Recalibrated(
        int(before.sum()), int(after.sum()), moved.intercept - calibration.intercept, old, new, gain, error
    )
