"""Yardsticks: what a model must beat. A logistic regression, a scorecard and one feature alone; on request an explainable booster.

All of them are trained, calibrated and tested on the same rows as the model.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from credit_tier.errors import LearningError, MachineError
from credit_tier.learning import woe_optbinning
from credit_tier.learning.calibrate import Calibration, counts_of, logistic_line
from credit_tier.learning.evaluate import Evaluation, evaluate
from credit_tier.learning.folds import Division
from credit_tier.learning.heldout import Score, Scored, held_out
from credit_tier.learning.scorecard import Scaling
from credit_tier.learning.splits import Parts
from credit_tier.learning.woe_card import WoeCard
from credit_tier.learning.woe_fit import calibrated, fit_card
from credit_tier.specs.model import ModelSpec


@dataclass(frozen=True)
class Yardstick:
    """A simple model's figures on the judged rows, its probabilities there for comparisons in pairs, and the scorecard if it is one."""

    name: str
    title_zh: str
    evaluation: Evaluation
    probability: NDArray[np.float64] = field(repr=False, compare=False)
    card: WoeCard | None = field(default=None, repr=False, compare=False)

    def to_dict(self) -> dict[str, Any]:
        """Return name and figures as JSON values."""
        return {"name": self.name, "title_zh": self.title_zh, **self.evaluation.to_dict()}


@dataclass(frozen=True)
class Extras:
    """Yardsticks that need a library which is not always there.

    Attributes
    ----------
    ebm : train an explainable boosting machine as well. optbinning : have that library find the scorecard's bins.
    """

    ebm: bool = False
    optbinning: bool = False

    def require(self) -> None:
        """Check that the libraries are there.

        Raises
        ------
        MachineError (CT-LEARN-038) if one of them is not installed.
        """
        if self.optbinning:
            woe_optbinning.version()
        if self.ebm:
            _require_interpret()


def logistic(
    parts: Division,
    *,
    name: tuple[str, str] = ("logistic_regression", "逻辑回归"),
    seed: int = 0,
    replicates: int = 500,
) -> Yardstick:
    """Return a logistic regression trained, calibrated and tested on the same rows as the model.

    `name` is the id and the Chinese title under which it stands in reports.

    Columns are standardised; a missing value becomes the training mean plus an indicator column of its own.

    Source: DESIGN section 6; the usual scorecard practice.
    """
    probability = held_out(parts, _logistic).probability(_line)
    return _finished(name, probability, parts, seed=seed, replicates=replicates)


def _logistic(parts: Parts) -> Score:
    from sklearn.linear_model import LogisticRegression

    train = parts.train.frame.x.astype(np.float64)
    mean = np.nan_to_num(np.nanmean(np.where(np.isnan(train).all(axis=0), 0.0, train), axis=0))
    gaps = np.isnan(train).any(axis=0)
    filled = np.where(np.isnan(train), mean, train)
    spread = filled.std(axis=0)
    spread[spread == 0] = 1.0

    def prepared(x: NDArray[np.float32]) -> NDArray[np.float64]:
        missing = np.isnan(x)
        return np.hstack([(np.where(missing, mean, x) - mean) / spread, missing[:, gaps].astype(np.float64)])

    model = LogisticRegression(C=1.0, max_iter=2000)
    frame = parts.train.frame
    model.fit(prepared(frame.x), frame.y, sample_weight=np.full(len(frame), counts_of(frame.weight)))
    return lambda x: np.asarray(model.decision_function(prepared(x)))


def single_feature(parts: Division, feature: str, *, seed: int = 0, replicates: int = 500) -> Yardstick:
    """Return one feature alone, on a logistic line fitted to the rows that calibrate; a missing value is the training median.

    Raises
    ------
    LearningError (CT-LEARN-035) if the model has no such feature.
    """
    features = parts.test.frame.features
    column = next((j for j, item in enumerate(features) if item.id == feature), None)
    if column is None:
        raise LearningError.of(
            "CT-LEARN-035",
            where="yardstick",
            what=f"the model has no feature '{feature}'.",
            advice=f"It has: {', '.join(item.id for item in features)}.",
        )

    def grow(parts: Parts) -> Score:
        seen = parts.train.frame.x[:, column]
        median = float(np.nanmedian(seen)) if not np.isnan(seen).all() else 0.0
        return lambda x: np.nan_to_num(x[:, column].astype(np.float64), nan=median)

    title = (f"only_{feature}", f"仅用:{features[column].title_zh}")
    return _finished(title, held_out(parts, grow).probability(_line), parts, seed=seed, replicates=replicates)


def woe_scorecard(
    parts: Division, spec: ModelSpec, *, optbinning: bool = False, seed: int = 0, replicates: int = 500
) -> Yardstick:
    """Return a scorecard of weights of evidence, and the card itself, calibrated.

    Raises
    ------
    MachineError (CT-LEARN-038) if optbinning is to find the bins and is not installed.

    Source: :mod:`.woe_fit`.
    """
    grown = parts.grown
    scaling = Scaling.of(spec.points)

    def fitted(some: Parts) -> WoeCard:
        return fit_card(some.train.frame, model=spec.model, scaling=scaling, optbinning=optbinning)

    card = fitted(grown)
    held = held_out(parts, lambda some: (card if some is grown else fitted(some)).log_odds)
    title = ("woe_scorecard", "评分卡(证据权重)")
    if optbinning:
        title = ("woe_scorecard_optbinning", "评分卡(证据权重,optbinning 分箱)")
    card = calibrated(card, _rising(held.by))
    return _finished(title, held.probability(_rising), parts, seed=seed, replicates=replicates, card=card)


def ebm(parts: Division, *, seed: int, replicates: int = 500) -> Yardstick:
    """Return an explainable boosting machine: a sum of one curve for each feature, rising or falling as declared, no interactions.

    Takes some ten seconds for a few thousand rows, and as often in cross-validation as there are models to grow.

    Raises
    ------
    MachineError (CT-LEARN-038) if InterpretML is not installed.

    Source: Lou, Caruana and Gehrke, Intelligible models for classification and regression (2012).
    """
    _require_interpret()

    def grow(some: Parts) -> Score:
        import warnings

        from interpret.glassbox import ExplainableBoostingClassifier

        train = some.train.frame
        model = ExplainableBoostingClassifier(
            feature_types=["continuous"] * len(train.features),
            monotone_constraints=[feature.direction for feature in train.features],
            interactions=0,
            n_jobs=1,
            random_state=seed,
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # its pictures leave out missing values, which we do not draw
            model.fit(train.x, train.y, sample_weight=np.full(len(train), counts_of(train.weight)))
        return lambda x: np.asarray(model.decision_function(x), np.float64)

    probability = held_out(parts, grow).probability(_line)
    return _finished(("ebm", "可解释提升机(EBM)"), probability, parts, seed=seed, replicates=replicates)


def _require_interpret() -> None:
    from importlib.util import find_spec

    if find_spec("interpret") is None:
        raise MachineError.of(
            "CT-LEARN-038",
            what="没有安装 InterpretML · interpret-core is not installed.",
            advice="Install the extra: pip install 'credit-tier[ebm]'; or train without --ebm.",
        )


def _line(by: Scored) -> Calibration:
    return Calibration("platt", *logistic_line(by.raw, by.frame.y.astype(np.float64), by.frame.weight))


def _rising(by: Scored) -> Calibration:
    """Return the line, or the level alone where a higher score does not go with more risk."""
    found = _line(by)
    if found.slope > 0:
        return found
    return _line(Scored(by.frame, np.zeros(len(by.raw))))


def _finished(
    title: tuple[str, str],
    probability: NDArray[np.float64],
    parts: Division,
    *,
    seed: int,
    replicates: int,
    card: WoeCard | None = None,
) -> Yardstick:
    test = parts.test.frame
    found = evaluate(
        test.y,
        probability,
        test.subject,
        test.as_of_day,
        test.weight,
        fold=parts.fold,
        seed=seed,
        replicates=replicates,
    )
    return Yardstick(*title, found, probability, card)
