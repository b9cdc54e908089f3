"""Weights stand for repeated rows everywhere; drawn with unequal chances, rows tell the truth about all only by weight."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from credit_tier.errors import LearningError
from credit_tier.learning.bend import fit_beta, fit_knots
from credit_tier.learning.calibrate import calibrate, counts_of, difference, effective, logistic_line, recalibrate
from credit_tier.learning.compare import compare
from credit_tier.learning.evaluate import Evaluation, auc_of, evaluate
from credit_tier.learning.outturn import Outturn
from credit_tier.learning.selection import Drawn
from credit_tier.learning.slices import Attribute, selected, sliced
from credit_tier.learning.splits import TrainingFrame
from credit_tier.specs.model import Selection

RATE = Selection(probability="chance")


def world(seed: int, n: int = 400) -> tuple[np.ndarray, ...]:
    """Outcome, probability with ties, subject, day and whole-number weights of rows."""
    rng = np.random.default_rng(seed)
    z = rng.normal(-1, 1, n)
    y = (rng.random(n) < 1 / (1 + np.exp(-z))).astype(np.int8)
    p = np.round(1 / (1 + np.exp(-z)), 2).clip(0.01, 0.99)
    days = (20_000 + rng.integers(0, 900, n)).astype(np.int32)
    return y, p, rng.integers(0, n // 2, n).astype(np.int32), days, rng.integers(1, 5, n)


def repeated(times: np.ndarray, *columns: np.ndarray) -> tuple[np.ndarray, ...]:
    return tuple(np.repeat(column, times) for column in columns)


@settings(max_examples=8, deadline=None)
@given(st.integers(0, 10_000))
def test_a_row_of_weight_k_is_k_rows(seed: int) -> None:
    """Every point figure of weighted rows is that of rows repeated so many times: evaluation, lines, slices, comparisons."""
    y, p, subject, day, times = world(seed)
    w = times.astype(np.float64)
    many = repeated(times, y, p, subject, day)
    one, other = evaluate(y, p, subject, day, w, replicates=2), evaluate(*many, replicates=2)
    for name in (
        "rate",
        "auc",
        "ks",
        "pr_auc",
        "brier",
        "brier_ratio",
        "log_loss",
        "predicted_to_observed",
        "calibration_slope",
    ):
        assert getattr(one, name) == pytest.approx(getattr(other, name), abs=1e-9), name
    assert one.capture[2].captured == pytest.approx(other.capture[2].captured, abs=1e-9)
    assert [(b.year, b.rows != 0) for b in one.years] == [(b.year, True) for b in other.years]
    for a, b in zip(one.years, other.years, strict=True):
        assert (a.predicted, a.observed, a.brier, a.auc) == pytest.approx((b.predicted, b.observed, b.brier, b.auc))
    parts = one.brier_parts
    whole = parts.reliability - parts.resolution + parts.uncertainty + parts.within_variance - parts.within_covariance
    assert whole == pytest.approx(one.brier, abs=1e-12)
    assert np.sum(one.curves.density_positive) == pytest.approx(1)
    line = logistic_line(np.log(p), y.astype(float), w)
    assert line == pytest.approx(logistic_line(np.log(many[1]), many[0].astype(float)), abs=1e-7)
    assert difference(p, subject, w)[0] == pytest.approx(many[1].mean())
    assert np.repeat(selected(p, 0.2, w), times) == pytest.approx(selected(many[1], 0.2))
    both = compare(("o", "o"), y, p, -p, subject, weight=w, seed=0, replicates=2)
    assert both.difference == pytest.approx(auc_of(many[0], many[1]) - auc_of(many[0], -many[1]), abs=1e-9)
    attribute = Attribute("a", "a", (subject % 2).astype(np.int32), [("0", "0"), ("1", "1")])
    again = replace(attribute, part=np.repeat(attribute.part, times))
    mine = sliced(attribute, y, p, subject, weight=w, budget=0.2, seed=0, replicates=2)
    theirs = sliced(again, many[0], many[1], many[2], budget=0.2, seed=0, replicates=2)
    for a, b in zip(mine.slices, theirs.slices, strict=True):
        names = ("predicted", "observed", "auc", "selected", "ratio", "false_selection", "missed")
        assert [getattr(a, n) for n in names] == pytest.approx([getattr(b, n) for n in names], abs=1e-9)


@settings(max_examples=8, deadline=None)
@given(st.integers(0, 10_000), st.floats(1e-3, 1e3))
def test_only_ratios_of_weights_matter(seed: int, factor: float) -> None:
    """Weights times any number give the same calibrations, figures and intervals; equal weights those of none."""
    y, p, subject, day, times = world(seed)
    w, z = times.astype(np.float64), np.log(p / (1 - p))
    for method in ("platt", "beta", "isotonic"):
        a, b = (calibrate(z, y, method, weight) for weight in (w, w * factor))
        assert a.probability(a.log_odds(z)) == pytest.approx(b.probability(b.log_odds(z)), rel=1e-6)
        a, b = (calibrate(z, y, method, weight) for weight in (None, np.full(len(y), factor)))
        assert a.probability(a.log_odds(z)) == pytest.approx(b.probability(b.log_odds(z)), rel=1e-6)
    a, b = (evaluate(y, p, subject, day, weight, replicates=10).metrics() for weight in (w, w * factor))
    assert a == pytest.approx(b, rel=1e-6)
    a, b = (evaluate(y, p, subject, day, weight, replicates=10).metrics() for weight in (None, np.full(len(y), factor)))
    assert a == pytest.approx(b, rel=1e-6)


def test_calibrations_take_the_level_of_the_population() -> None:
    """Where only the level differs between often and seldom drawn rows, weighted calibrations predict the weighted share."""
    rng = np.random.default_rng(3)
    n = 60_000
    often = rng.random(n) < 0.7
    z = rng.normal(-2, 1, n)
    y = (rng.random(n) < 1 / (1 + np.exp(-z - 1.0 * often))).astype(np.int8)
    w = np.where(often, 1.0, 10.0)
    share = float(w @ y / w.sum())
    assert y.mean() > 1.3 * share
    for method in ("platt", "beta", "isotonic"):
        fitted = calibrate(z, y, method, w)
        assert w @ fitted.probability(fitted.log_odds(z)) / w.sum() == pytest.approx(share, rel=0.01)
    moved = recalibrate(calibrate(z, y, "platt"), z, y, w)
    assert w @ moved.probability(moved.log_odds(z)) / w.sum() == pytest.approx(share, rel=1e-9)
    target = y.astype(float) * 0.98 + 0.01
    assert fit_beta(z, target, counts_of(w)) != fit_beta(z, target)
    assert fit_knots(z, target, counts_of(w)) != fit_knots(z, target)


def test_intervals_of_weighted_rows_cover_the_truth_of_all_and_plain_ones_do_not() -> None:
    """Of many draws with known unequal chances, some 95 % of the weighted intervals cover rate, level and AUC of the whole frame."""
    rng = np.random.default_rng(0)
    n = 20_000
    suspect = rng.random(n) < 0.1
    risk = -3.0 + 2.0 * suspect + rng.normal(0, 0.4, n)
    chance = np.where(suspect, 0.5, 0.05)
    y = (rng.random(n) < 1 / (1 + np.exp(-risk))).astype(np.int8)
    p = 1 / (1 + np.exp(-(0.7 * risk - 0.7)))
    truth = {"rate": y.mean(), "auc": auc_of(y, p), "predicted_to_observed": p.mean() / y.mean()}
    inside = {kind: dict.fromkeys(truth, 0) for kind in ("weighted", "plain")}
    draws = 24
    for seed in range(draws):
        taken = np.flatnonzero(np.random.default_rng(1000 + seed).random(n) < chance)
        weight = Drawn.of(chance[taken], RATE).weight
        for kind, w in (("weighted", weight), ("plain", None)):
            found: Evaluation = evaluate(
                y[taken], p[taken], taken.astype(np.int32), np.full(len(taken), 20_000, np.int32), w, replicates=100
            )
            for name, value in truth.items():
                interval = getattr(found, f"{name}_interval")
                inside[kind][name] += interval.low <= value <= interval.high
    assert all(count >= 20 for count in inside["weighted"].values()), inside
    assert inside["plain"]["rate"] == 0
    assert inside["plain"]["predicted_to_observed"] == 0
    assert inside["plain"]["auc"] < 15


def test_weights_are_inverse_probabilities_cut_only_as_declared() -> None:
    """1 / probability, unknown ones apart, cut at a multiple of the mean and counted; Kish's effective number."""
    chance = np.array([0.5, np.nan, 0.1, 0.1, 0.01])
    drawn = Drawn.of(chance, RATE)
    assert drawn.known.tolist() == [True, False, True, True, True]
    assert drawn.weight == pytest.approx([2, 10, 10, 100])
    assert drawn.cut == 0
    cut = Drawn.of(chance, Selection(probability="chance", largest_weight=2))
    assert cut.weight == pytest.approx([2, 10, 10, 61])
    assert cut.cut == 1
    assert effective(drawn.weight, 4) == pytest.approx(122**2 / (4 + 100 + 100 + 10_000))
    assert effective(None, 7) == 7
    with pytest.raises(LearningError, match="CT-LEARN-062"):
        Drawn.of(np.full(3, np.nan), RATE)


def test_a_slice_of_seldom_drawn_rows_counts_for_what_it_stands_for() -> None:
    """The Jeffreys interval of weighted rows is that of the effective number, wider than that of as many equal rows."""
    y, p, subject, _, _ = world(1)
    plain = Outturn.of(y, p, subject, seed=0, replicates=20)
    weighted = Outturn.of(y, p, subject, np.random.default_rng(0).exponential(1, len(y)) + 0.01, seed=0, replicates=20)
    assert weighted.high - weighted.low > plain.high - plain.low
    assert weighted.rows == plain.rows


@pytest.mark.parametrize("weight", [np.zeros(3), np.array([1.0, np.nan, 1.0]), np.ones(2), np.ones(3, np.float32)])
def test_a_frame_takes_only_weights_above_zero_for_every_row(weight: np.ndarray) -> None:
    """Zero, missing, too few or of another type: refused with what is wrong."""
    with pytest.raises(LearningError, match="weight is not one finite number above 0"):
        TrainingFrame(
            np.zeros((3, 0), np.float32), np.zeros(3, np.int8), np.zeros(3, np.int32), np.zeros(3, np.int32), (), weight
        )
