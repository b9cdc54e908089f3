"""Yardsticks: the scorecard beside every model, and the explainable booster on request."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from importlib import metadata, util
from pathlib import Path

import numpy as np
import pytest

from credit_tier import training
from credit_tier.errors import MachineError
from credit_tier.learning.evaluate import auc_of
from credit_tier.learning.folds import Folds
from credit_tier.learning.splits import Parts, TrainingFrame, split
from credit_tier.learning.woe_card import WoeCard
from credit_tier.learning.yardstick import Extras, Yardstick, ebm, logistic, woe_scorecard
from credit_tier.specs.model import ModelSpec


@pytest.fixture(scope="module")
def interpret() -> None:
    """InterpretML is there, or the test is left out; in CI its absence is a failure."""
    if util.find_spec("interpret") is None:
        message = "interpret-core is not installed: pip install 'credit-tier[ebm]'"
        if os.environ.get("CI") == "true":
            pytest.fail(message)
        pytest.skip(message)


@pytest.fixture(scope="module")
def small(new_frame: Callable[..., TrainingFrame], spec: ModelSpec) -> Parts:
    return split(new_frame(rows=1500, seed=2), spec.split, spec.label)


def card_of(stick: Yardstick) -> WoeCard:
    assert stick.card is not None
    return stick.card


def test_the_scorecard_is_measured_as_any_yardstick(parts: Parts, spec: ModelSpec) -> None:
    """Its figures are those of its probabilities on the test part, and the card it hands over gives the same probabilities."""
    stick = woe_scorecard(parts, spec, replicates=20)
    test = parts.test.frame
    assert stick.name == "woe_scorecard"
    assert stick.evaluation.rows == len(test)
    assert stick.evaluation.auc == pytest.approx(auc_of(test.y, stick.probability))
    assert np.abs(card_of(stick).probability(test.x) - stick.probability).max() <= 1e-12
    assert card_of(stick).model == spec.model
    assert card_of(stick).scaling.points == spec.points.points


def test_the_scorecard_is_calibrated_on_the_part_between(parts: Parts, spec: ModelSpec) -> None:
    """On the calibration part its mean probability is the share of positives."""
    later = parts.calibrate.frame
    card = card_of(woe_scorecard(parts, spec, replicates=5))
    assert card.probability(later.x).mean() == pytest.approx(later.y.mean(), rel=1e-6)


def test_the_scorecard_follows_curves_that_a_line_does_not(
    new_frame: Callable[..., TrainingFrame], spec: ModelSpec
) -> None:
    """Where risk jumps at a threshold, bins rank better than a straight logistic regression."""
    frame = new_frame(rows=6000, seed=4)
    rng = np.random.default_rng(4)
    z = -2.5 + 2.0 * (frame.x[:, 2] > 0.8) + 2.0 * (frame.x[:, 5] > 1.0)
    parts = split(replace(frame, y=(rng.random(len(z)) < 1 / (1 + np.exp(-z))).astype(np.int8)), spec.split, spec.label)
    card, line = woe_scorecard(parts, spec, replicates=5), logistic(parts, replicates=5)
    assert card.evaluation.auc > line.evaluation.auc + 0.01


def test_a_scorecard_that_ranks_later_rows_the_wrong_way_tells_their_rate(parts: Parts, spec: ModelSpec) -> None:
    """If the outcome turns round after training, nobody is told apart, and the card says so."""
    later = parts.calibrate.frame
    turned = replace(parts, calibrate=replace(parts.calibrate, frame=replace(later, y=(1 - later.y).astype(np.int8))))
    stick = woe_scorecard(turned, spec, replicates=5)
    assert card_of(stick).used == ()
    assert stick.probability == pytest.approx(1 - later.y.mean())


def test_in_folds_no_row_is_judged_by_a_card_that_knew_its_enterprise(small: Parts, spec: ModelSpec) -> None:
    """The card handed over is fitted on all rows; the figures are those of cards fitted on the other folds."""
    frame = small.train.frame
    folds = Folds.deal(frame, 3, gap_days=40, seed=1)
    stick = woe_scorecard(folds, spec, replicates=5)
    assert stick.evaluation.rows == len(frame)
    assert sum(card_of(stick).lines[0].bins.rows) == len(frame)
    assert auc_of(frame.y, card_of(stick).log_odds(frame.x)) > stick.evaluation.auc


@pytest.mark.usefixtures("interpret")
def test_the_explainable_booster_is_a_yardstick_like_the_others(small: Parts) -> None:
    """Equal seeds give equal probabilities; it ranks the test part and keeps the declared directions."""
    stick = ebm(small, seed=3, replicates=20)
    test = small.test.frame
    assert stick.name == "ebm"
    assert stick.card is None
    assert stick.evaluation.auc == pytest.approx(auc_of(test.y, stick.probability))
    assert stick.evaluation.auc > 0.7
    x = test.x.copy()
    x[:50] = test.x[0]
    x[:50, 1] = np.linspace(-3, 3, 50)  # declared: more is safer
    again = ebm(replace(small, test=replace(small.test, frame=replace(test, x=x))), seed=3, replicates=5).probability
    assert np.array_equal(stick.probability[50:], again[50:])
    assert (np.diff(again[:50]) <= 1e-12).all()
    assert again[0] > again[49]


def test_what_is_asked_for_and_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before a training begins each missing library is told with the extra that brings it; nothing is asked of those not wanted."""

    def missing(name: str) -> str:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "version", missing)
    monkeypatch.setattr(util, "find_spec", lambda name: None)
    Extras().require()
    with pytest.raises(MachineError, match=r"CT-LEARN-038.*credit-tier\[ebm\]"):
        Extras(ebm=True).require()
    with pytest.raises(MachineError, match=r"CT-LEARN-038.*credit-tier\[woe\]"):
        Extras(optbinning=True).require()


def test_a_training_asks_before_it_reads_a_row(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Where the library is missing, `train` stops with the exit code of a machine that lacks something; no store is made."""
    monkeypatch.setattr(util, "find_spec", lambda name: None)
    with pytest.raises(MachineError, match="CT-LEARN-038") as caught:
        training.train(
            "m", None, None, store=tmp_path / "store", seed=1, threads=1, ebm=True
        )  # neither lake nor content is asked
    assert caught.value.exit_code == 4
    assert not (tmp_path / "store").exists()
