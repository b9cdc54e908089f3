"""Figures agree with scikit-learn; intervals cover; gates compare with yardsticks."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import ks_2samp
from sklearn.metrics import average_precision_score, brier_score_loss, log_loss, roc_auc_score

from credit_tier.errors import LearningError
from credit_tier.learning.compare import Comparison, compare
from credit_tier.learning.evaluate import Evaluation, Interval, auc_of, evaluate
from credit_tier.learning.gates import failed_gates
from credit_tier.learning.scorecard import Scorer
from credit_tier.learning.splits import Parts
from credit_tier.learning.yardstick import logistic, single_feature
from credit_tier.specs.model import Gates
from credit_tier.temporal import date_of


def simulated(seed: int, n: int = 1500, *, digits: int = 2, per_subject: int = 3) -> tuple[np.ndarray, ...]:
    rng = np.random.default_rng(seed)
    subject = np.repeat(np.arange(n // per_subject), per_subject).astype(np.int32)
    z = -1.5 + rng.normal(0, 1, n // per_subject)[subject] + rng.normal(0, 0.5, n)
    p = np.round(1 / (1 + np.exp(-z)), digits)
    y = (rng.random(n) < 1 / (1 + np.exp(-z))).astype(np.int8)
    return y, p, subject, (20_000 + rng.integers(0, 900, n)).astype(np.int32)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000), st.integers(0, 3))
def test_figures_equal_scikit_learn(seed: int, digits: int) -> None:
    """AUC, KS, average precision, Brier and log loss equal an independent implementation, ties included."""
    y, p, subject, day = simulated(seed, 300, digits=digits)
    if not 0 < y.sum() < len(y) or len(np.unique(p)) == 1:
        return
    e = evaluate(y, p, subject, day, replicates=2)
    assert e.auc == pytest.approx(roc_auc_score(y, p), abs=1e-12)
    assert auc_of(y, p) == e.auc
    assert e.ks == pytest.approx(ks_2samp(p[y == 1], p[y == 0]).statistic, abs=1e-12)
    assert e.pr_auc == pytest.approx(average_precision_score(y, p), abs=1e-12)
    assert e.brier == pytest.approx(brier_score_loss(y, p), abs=1e-12)
    assert e.log_loss == pytest.approx(log_loss(y, np.clip(p, 1e-15, 1 - 1e-15)), abs=1e-9)
    assert e.gini == 2 * e.auc - 1
    assert e.predicted_to_observed == pytest.approx(p.mean() / y.mean())


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000))
def test_row_order_never_matters(seed: int) -> None:
    """Shuffled rows give the same figures, whatever is tied."""
    data = simulated(seed, 300, digits=1)
    if not 0 < data[0].sum() < 300:
        return
    order = np.random.default_rng(seed).permutation(300)
    a, b = (evaluate(*arrays, replicates=20).metrics() for arrays in (data, tuple(v[order] for v in data)))
    assert a == pytest.approx(b, abs=1e-9)


def test_the_interval_covers_the_truth() -> None:
    """In 80 simulated worlds with correlated rows the 95 % interval holds the true AUC in at least 85 % of them and not by being huge."""
    truth = evaluate(*simulated(10**6, 150_000, digits=12), replicates=2).auc
    intervals = [evaluate(*simulated(seed, 900, digits=12), replicates=200).auc_interval for seed in range(80)]
    covered = sum(i.low <= truth <= i.high for i in intervals)
    assert covered >= 68
    assert np.mean([i.high - i.low for i in intervals]) < 0.12


def test_the_bootstrap_draws_whole_subjects() -> None:
    """Copying every row of a subject ten times leaves the interval as wide as before; treating the copies as independent narrows it."""
    y, p, _, day = simulated(3, 600, digits=12, per_subject=1)
    own = np.arange(600, dtype=np.int32)
    wide = evaluate(y, p, own, day).auc_interval
    ten = [np.tile(v, 10) for v in (y, p, own, day)]
    copies = evaluate(*ten).auc_interval  # type: ignore[arg-type]
    free = evaluate(ten[0], ten[1], np.arange(6000, dtype=np.int32), ten[3]).auc_interval
    assert copies.high - copies.low == pytest.approx(wide.high - wide.low, rel=0.1)
    assert free.high - free.low < 0.5 * (wide.high - wide.low)


def test_equal_seed_equal_figures() -> None:
    """Evaluation is a function of its arguments."""
    data = simulated(1)
    assert evaluate(*data, seed=4) == evaluate(*data, seed=4)
    assert evaluate(*data, seed=4).auc_interval != evaluate(*data, seed=5).auc_interval


def test_a_calibrated_forecast_has_slope_one() -> None:
    """True probabilities give slope 1 and intercept 0; doubling their log-odds gives slope one half."""
    rng = np.random.default_rng(0)
    z = rng.normal(-1, 1.5, 60_000)
    y = (rng.random(60_000) < 1 / (1 + np.exp(-z))).astype(np.int8)
    own, day = np.arange(60_000, dtype=np.int32), np.full(60_000, 20_000, np.int32)
    true = evaluate(y, 1 / (1 + np.exp(-z)), own, day, replicates=2)
    sharp = evaluate(y, 1 / (1 + np.exp(-2 * z)), own, day, replicates=2)
    assert (true.calibration_slope, true.calibration_intercept) == pytest.approx((1, 0), abs=0.05)
    assert sharp.calibration_slope == pytest.approx(0.5, abs=0.03)
    assert all(b.low <= b.predicted <= b.high for b in true.calibration[2:8])
    assert not all(b.low <= b.predicted <= b.high for b in sharp.calibration[2:8])


def test_tables_account_for_every_row() -> None:
    """Bins and years hold all rows; capture rises with the share and reaches what sorting by hand gives."""
    y, p, subject, day = simulated(2, 3000, digits=12)
    e = evaluate(y, p, subject, day, replicates=2)
    assert sum(b.rows for b in e.calibration) == sum(item.rows for item in e.years) == 3000
    assert sum(item.positives for item in e.years) == e.positives == y.sum()
    years = np.array([date_of(int(d)).year for d in day])
    assert e.years[0].auc == pytest.approx(roc_auc_score(y[years == e.years[0].year], p[years == e.years[0].year]))
    captured = [item.captured for item in e.capture]
    assert captured == sorted(captured)
    top = np.argsort(-p)[:300]
    assert captured[2] == pytest.approx(y[top].sum() / y.sum())
    assert len(e.curves.true_positive) <= 201
    assert e.to_dict()["years"][0]["year"] == e.years[0].year


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 12))
def test_the_parts_of_the_brier_score_sum_to_it_exactly(seed: int, digits: int) -> None:
    """Reliability, resolution, uncertainty and the terms within bins give the score, however probabilities are tied."""
    y, p, subject, day = simulated(seed, 300, digits=digits)
    if not 0 < y.sum() < len(y):
        return
    e = evaluate(y, p, subject, day, replicates=2)
    parts = e.brier_parts
    total = parts.reliability - parts.resolution + parts.uncertainty + parts.within_variance - parts.within_covariance
    assert total == pytest.approx(e.brier, abs=1e-12)
    assert e.metrics()["brier_reliability"] == parts.reliability
    if len(np.unique(p)) == len(e.calibration):
        assert (parts.within_variance, parts.within_covariance) == pytest.approx((0, 0), abs=1e-12)


def test_a_constant_forecast_has_uncertainty_only() -> None:
    """Knowing the rate and nothing else is neither unreliable nor resolving."""
    y = np.tile(np.array([1, 0, 0, 0], np.int8), 50)
    e = evaluate(y, np.full(200, 0.25), np.arange(200, dtype=np.int32), np.zeros(200, np.int32), replicates=2)
    parts = e.brier_parts
    assert (parts.reliability, parts.resolution, parts.uncertainty) == pytest.approx((0, 0, 0.1875))
    assert e.brier_ratio == pytest.approx(1)


def test_capture_and_brier_ratio_stand_within_their_intervals() -> None:
    """In 60 worlds the intervals of capture and Brier ratio hold the figure of a very large one in at least 80 %."""
    truth = evaluate(*simulated(10**6, 150_000, digits=12), replicates=2)
    found = [evaluate(*simulated(seed, 900, digits=12), replicates=200) for seed in range(60)]
    for name, value in (("ratio", truth.brier_ratio), ("capture", truth.capture[2].captured)):
        intervals = [e.brier_ratio_interval if name == "ratio" else e.capture[2].interval for e in found]
        assert sum(i.low <= value <= i.high for i in intervals) >= 48, name


def test_precision_follows_from_gains() -> None:
    """Precision at each point is the positives found there over the rows inspected."""
    y, p, subject, day = simulated(2, 3000, digits=12)
    e = evaluate(y, p, subject, day, replicates=2)
    inspected, found, precision = (np.array(v)[1:] for v in (e.curves.inspected, e.curves.found, e.curves.precision))
    np.testing.assert_allclose(precision, found * e.positives / (inspected * e.rows), atol=1e-12)


def test_ties_at_the_border_of_the_top_count_in_proportion() -> None:
    """If everybody has the same probability the top tenth holds a tenth of the positives, in whatever order rows came."""
    y = np.array([1] * 50 + [0] * 50, np.int8)
    e = evaluate(y, np.full(100, 0.5), np.arange(100, dtype=np.int32), np.zeros(100, np.int32), replicates=2)
    assert [item.captured for item in e.capture] == pytest.approx([0.01, 0.05, 0.1, 0.2])
    assert (e.auc, e.ks) == (0.5, 0.0)


def test_what_cannot_be_evaluated_is_refused() -> None:
    """One outcome only, or a number that is no probability, is an error."""
    own = np.arange(4, dtype=np.int32)
    with pytest.raises(LearningError, match="CT-LEARN-030"):
        evaluate(np.zeros(4, np.int8), np.full(4, 0.5), own, own)
    with pytest.raises(LearningError, match="CT-LEARN-030"):
        evaluate(np.array([0, 1, 0, 1], np.int8), np.array([0.1, np.nan, 0.2, 0.3]), own, own)


@pytest.fixture(scope="module")
def evaluation(scorer: Scorer, parts: Parts) -> Evaluation:
    test = parts.test.frame
    return evaluate(test.y, scorer.score(test.x).probability, test.subject, test.as_of_day, replicates=200)


def test_yardsticks_are_measured_on_the_same_rows(parts: Parts, evaluation: Evaluation) -> None:
    """The logistic yardstick and a single feature are tested on the test part; the model beats the single feature."""
    line, alone = logistic(parts, replicates=20), single_feature(parts, "f0", replicates=20)
    assert line.evaluation.rows == alone.evaluation.rows == evaluation.rows
    assert evaluation.auc > alone.evaluation.auc + 0.05
    assert 0.7 < line.evaluation.auc < 0.95
    assert abs(np.log(line.evaluation.predicted_to_observed)) < 0.3
    with pytest.raises(LearningError, match=r"CT-LEARN-035 .*'nothing'"):
        single_feature(parts, "nothing")


def test_a_column_without_any_value_does_not_stop_the_yardstick(parts: Parts) -> None:
    """A feature that is never known in training leaves the logistic yardstick standing."""
    x = parts.train.frame.x.copy()
    x[:, 4] = np.nan
    empty = replace(parts, train=replace(parts.train, frame=replace(parts.train.frame, x=x)))
    assert logistic(empty, replicates=5).evaluation.auc > 0.7
    assert single_feature(empty, "f4", replicates=5).evaluation.auc < 0.6


def test_gates_say_which_one_failed(parts: Parts, evaluation: Evaluation) -> None:
    """Each missed gate is one fault; a passed gate is none; a yardstick that is better by chance only is no failure."""
    level = Comparison("f0", "某指标", 0.70, 0.71, -0.01, Interval(-0.03, 0.01))
    assert failed_gates(Gates(), evaluation, [level]) == ()
    assert failed_gates(Gates(min_auc=0.6, max_brier_ratio=1.0), evaluation, [level]) == ()
    better = replace(level, interval=Interval(-0.02, -0.001))
    faults = failed_gates(Gates(min_auc=0.999, max_brier_ratio=0.01), evaluation, [better])
    assert [f.code for f in faults] == ["CT-LEARN-036"] * 3
    assert failed_gates(Gates(not_below_yardstick=False), evaluation, [better]) == ()


def test_a_yardstick_that_is_always_a_little_better_fails_the_gate() -> None:
    """A model that blurs the yardstick is worse in every pair of draws, while the yardstick lies within the model's own interval."""
    y, p, subject, day = simulated(5, 1500)
    blurred = 1 / (1 + np.exp(-(np.log(p / (1 - p)) + np.random.default_rng(6).normal(0, 0.5, len(p)))))
    own = evaluate(y, blurred, subject, day, replicates=200)
    found = compare(("p", "概率"), y, blurred, p, subject, seed=1, replicates=200)
    assert own.auc_interval.low < found.other < own.auc_interval.high
    (fault,) = failed_gates(Gates(), own, [found])
    assert "below the yardstick p" in fault.what
    assert failed_gates(Gates(), own, [compare(("p", "概率"), y, p, blurred, subject, seed=1, replicates=200)]) == ()


def test_the_calibration_gate_fails_only_if_the_whole_interval_lies_outside(evaluation: Evaluation) -> None:
    """A ratio outside whose interval reaches in is not held against the model; one wholly outside is."""
    interval = evaluation.predicted_to_observed_interval
    reaching = Gates(predicted_to_observed=(interval.high - 1e-6, 9.0), not_below_yardstick=False)
    assert failed_gates(reaching, evaluation) == ()
    for bounds in ((interval.high + 1e-6, 9.0), (0.01, interval.low - 1e-6)):
        (fault,) = failed_gates(Gates(predicted_to_observed=bounds), evaluation)
        assert "预测/实际" in fault.what
    with pytest.raises(ValueError, match="the lower first"):
        Gates(predicted_to_observed=(1.2, 0.8))
