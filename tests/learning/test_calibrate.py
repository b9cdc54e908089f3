"""Calibration: increasing, repairs a shifted base rate, refuses a model that ranks the wrong way; bends leave points exact sums."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize
from scipy.special import log_expit
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression

from credit_tier.errors import LearningError
from credit_tier.learning.bend import GROUPS, LEAST, Beta, Knots, fit_beta, fit_knots
from credit_tier.learning.calibrate import Calibration, calibrate, choose, logistic_line, recalibrate
from credit_tier.learning.evaluate import evaluate
from credit_tier.learning.scorecard import Scorer
from credit_tier.learning.splits import TrainingFrame, split
from credit_tier.specs.model import ModelSpec


def test_calibration_repairs_a_shifted_base_rate(
    new_frame: Callable[..., TrainingFrame], new_spec: Callable[..., ModelSpec], new_scorer: Callable[..., Scorer]
) -> None:
    """Where risk rose after training, Platt's map lowers the Brier score and brings predicted/observed nearer to 1; the AUC stays."""
    frame = new_frame(shift=2.5)
    found = {}
    for method in ("none", "platt"):
        spec = new_spec(calibration=method)
        parts = split(frame, spec.split, spec.label)
        test = parts.test.frame
        probability = new_scorer(parts, spec).score(test.x).probability
        found[method] = evaluate(test.y, probability, test.subject, test.as_of_day, replicates=10)
    assert found["platt"].brier < found["none"].brier - 0.003
    assert abs(np.log(found["platt"].predicted_to_observed)) < abs(np.log(found["none"].predicted_to_observed)) / 2
    assert found["platt"].auc == pytest.approx(found["none"].auc, abs=1e-12)


def test_newton_agrees_with_scikit_learn() -> None:
    """The logistic line is the maximum-likelihood line."""
    rng = np.random.default_rng(0)
    x = rng.normal(3, 2, 4000)
    y = (rng.random(4000) < 1 / (1 + np.exp(1 - 0.7 * x))).astype(np.int8)
    other = LogisticRegression(C=1e9, tol=1e-10, max_iter=10_000).fit(x[:, None], y)
    a, b = logistic_line(x, y.astype(np.float64))
    assert (a, b) == pytest.approx((other.intercept_[0], other.coef_[0, 0]), abs=1e-5)


def test_separated_classes_keep_a_finite_slope() -> None:
    """Smoothed targets keep the slope finite where no raw score is shared by both outcomes."""
    raw = np.concatenate((np.linspace(-2, -1, 50), np.linspace(1, 2, 50)))
    found = calibrate(raw, np.repeat(np.array([0, 1], np.int8), 50), "platt")
    assert 0 < found.slope < 20


def test_a_model_that_ranks_the_wrong_way_is_refused() -> None:
    """A negative slope is an error with counts, never a silent flip."""
    raw = np.linspace(-1, 1, 200)
    y = (raw < 0).astype(np.int8)
    with pytest.raises(LearningError, match=r"CT-LEARN-020 .*200 rows, 100 positive"):
        calibrate(raw, y, "platt")


def expit(z: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-z))


def world(
    seed: int, n: int, truth: Callable[[np.ndarray], np.ndarray] = lambda raw: raw
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Raw scores, outcomes of log-odds truth(raw), days over two years, subjects of three rows."""
    rng = np.random.default_rng(seed)
    raw = rng.normal(-1.5, 1.3, n)
    y = (rng.random(n) < expit(truth(raw))).astype(np.int8)
    day = np.sort(rng.integers(0, 730, n)).astype(np.int32)
    return raw, y, day, rng.integers(0, n // 3, n).astype(np.int32)


def log_loss(found: Calibration, raw: np.ndarray, y: np.ndarray) -> float:
    z = found.bent(found.log_odds(raw))
    return float(np.mean(np.logaddexp(0, z) - y * z))


def curved(raw: np.ndarray) -> np.ndarray:
    """Steep below, flat above: what a straight line cannot say."""
    return -3.5 * np.logaddexp(0, -(raw + 1)) + 0.3 * np.logaddexp(0, raw + 1) + 0.2


def test_beta_is_the_maximum_likelihood_of_its_family() -> None:
    """No other minimiser finds a lower loss, and known weights are found again."""
    raw, y, _, _ = world(1, 60_000, lambda x: 0.4 - 1.8 * np.logaddexp(0, -x) + 0.7 * np.logaddexp(0, x))
    found = fit_beta(raw, y.astype(np.float64))
    assert found is not None
    assert (found.intercept, found.low, found.high) == pytest.approx((0.4, 1.8, 0.7), abs=0.15)

    def loss(w: np.ndarray) -> float:
        z = w[0] - w[1] * np.logaddexp(0, -raw) + w[2] * np.logaddexp(0, raw)
        return float(-np.mean(y * log_expit(z) + (1 - y) * log_expit(-z)))

    other = minimize(loss, [0, 1, 1], method="Nelder-Mead", options={"xatol": 1e-7, "fatol": 1e-12, "maxiter": 4000})
    assert loss(np.array([found.intercept, found.low, found.high])) <= other.fun + 1e-10


def test_a_falling_end_is_held_up_and_a_falling_curve_refused() -> None:
    """Where risk falls again at the top the beta calibration is nearly flat there, never falling; where it only falls there is none."""
    raw, y, _, _ = world(2, 20_000, lambda x: 2 * np.minimum(x, 0) - 0.6 * np.maximum(x, 0))
    found = fit_beta(raw, y.astype(np.float64))
    assert found is not None
    assert (found.high, found.low > 1) == (LEAST, True)
    assert fit_beta(-raw, y.astype(np.float64)) is None


def test_knots_are_isotonic_regression_of_the_groups() -> None:
    """Pooled blocks equal scikit-learn's; each knot lies at the centre of its block."""
    raw, y, _, _ = world(3, 5000, curved)
    found = fit_knots(raw, (y + 0.5) / 2)
    group = np.searchsorted(np.quantile(raw, np.arange(1, GROUPS) / GROUPS, method="inverted_cdf"), raw, side="left")
    rows = np.bincount(group)
    share = np.bincount(group, (y + 0.5) / 2) / rows
    pooled = IsotonicRegression().fit_transform(np.arange(GROUPS), share, sample_weight=rows)
    assert 4 < len(found.z) <= GROUPS
    np.testing.assert_allclose(np.unique(pooled), expit(np.array(found.z)), atol=1e-12)
    centres = [raw[np.isin(group, np.flatnonzero(pooled == value))].mean() for value in np.unique(pooled)]
    np.testing.assert_allclose(found.x, centres, atol=1e-12)


BENDS = st.one_of(
    st.builds(Beta, st.floats(-3, 3), st.floats(LEAST, 5), st.floats(LEAST, 5)),
    st.lists(st.tuples(st.floats(0.01, 2), st.floats(0.01, 2)), min_size=1, max_size=GROUPS).map(
        lambda steps: Knots(*(tuple(np.cumsum([s[i] for s in steps]).tolist()) for i in (0, 1)))
    ),
)


@settings(max_examples=100, deadline=None)
@given(BENDS, st.floats(-2, 2), st.floats(0.2, 3))
def test_every_bend_increases_and_moves_with_its_scale(bend: Beta | Knots, shift: float, scale: float) -> None:
    """A higher score never loses its place, and a moved bend says the same on the moved scale, at both ends."""
    x = np.linspace(-15, 30, 700)
    z = bend(x)
    assert (np.diff(z) > 0).all()
    np.testing.assert_allclose(bend.moved(shift, scale)(shift + scale * x), shift + scale * z, atol=1e-9)


@pytest.mark.parametrize("method", ["beta", "isotonic"])
def test_a_curve_is_followed_where_a_line_cannot(method: str) -> None:
    """On later rows of a curved truth a bend lowers the log loss that Platt reaches; on a straight truth it costs next to nothing."""
    for truth, gain in ((curved, 0.002), (lambda x: 0.3 + 0.8 * x, -0.001)):
        raw, y, _, _ = world(4, 40_000, truth)
        half = slice(None, 20_000)
        bent, straight = (calibrate(raw[half], y[half], name) for name in (method, "platt"))  # type: ignore[arg-type]
        assert log_loss(straight, raw[20_000:], y[20_000:]) - log_loss(bent, raw[20_000:], y[20_000:]) > gain


@pytest.mark.parametrize("method", ["platt", "beta", "isotonic"])
def test_points_are_exact_sums_whatever_the_calibration(scorer: Scorer, frame: TrainingFrame, method: str) -> None:
    """Base and dimensions sum to the points to 1e-9, points fall strictly as the probability rises, and the bend is in the probability."""
    x = frame.x[:3000]
    raw = scorer.raw_score(x)
    found = replace(scorer, calibration=calibrate(raw, frame.y[:3000], method)).score(x)  # type: ignore[arg-type]
    np.testing.assert_allclose(found.base_points + found.dimension_points.sum(axis=1), found.points, rtol=0, atol=1e-9)
    np.testing.assert_allclose(
        found.base_log_odds + found.dimension_log_odds.sum(axis=1), found.log_odds, rtol=0, atol=1e-9
    )
    order = np.argsort(found.points)
    apart = np.diff(found.points[order]) > 1e-6
    assert (np.diff(found.probability[order])[apart] < 0).all()
    straight = np.abs(found.probability - expit(found.log_odds)).max()
    assert (straight == 0) if method == "platt" else (straight > 1e-3)


def chosen(seed: int, n: int, truth: Callable[[np.ndarray], np.ndarray], **changed: Any) -> str:
    raw, y, day, subject = world(seed, n, truth)
    return choose(raw, y, day, subject, gap_days=60, **changed).method


def test_the_choice_bends_for_a_curve_and_stays_straight_for_a_line() -> None:
    """Of 40 curved worlds nearly all choose a bend; of 40 straight ones at most a quarter do."""
    assert sum(chosen(seed, 8000, curved) != "platt" for seed in range(40)) >= 36
    assert sum(chosen(seed, 8000, lambda x: 0.2 + 0.9 * x) != "platt" for seed in range(40)) <= 10


def test_the_choice_looks_at_later_rows_and_keeps_the_gap() -> None:
    """Outcomes within the gap change nothing; where the later rows are straight again no bend is chosen; few outcomes choose nothing."""
    raw, y, day, subject = world(5, 8000, curved)
    before = choose(raw, y, day, subject, gap_days=60)
    cut = int(np.quantile(day, 0.6, method="inverted_cdf"))
    between = (day > cut - 60) & (day <= cut)
    assert between.sum() > 300
    assert choose(raw, np.where(between, 1 - y, y).astype(np.int8), day, subject, gap_days=60) == before
    assert before.earlier + before.later + between.sum() == 8000
    assert [trial.method for trial in before.trials] == ["platt", "beta", "isotonic"]
    assert before.trials[0].gain == before.trials[0].error == 0
    straight = (np.random.default_rng(1).random(8000) < expit(0.9 * raw - 0.5)).astype(np.int8)
    turned = choose(raw, np.where(day > cut, straight, y).astype(np.int8), day, subject, gap_days=60)
    assert turned.method == "platt"
    assert choose(raw[:200], y[:200], day[:200], subject[:200], gap_days=60).trials == ()


@pytest.mark.parametrize("method", ["platt", "beta", "isotonic"])
def test_recalibration_follows_a_drifting_base_rate(method: str) -> None:
    """Log-odds 0.8 higher than learned: after recalibration the mean probability is the rate, every probability's log-odds moved
    alike, points moved with them, and dimensions kept their values."""
    raw, y, _, _ = world(6, 30_000, curved)
    old = calibrate(raw, y, method)  # type: ignore[arg-type]
    late, now, _, _ = world(7, 6000, lambda x: curved(x) + 0.8)
    new = recalibrate(old, late, now)
    before, after = (c.bent(c.log_odds(late)) for c in (old, new))
    assert after - before == pytest.approx(np.full(6000, 0.8), abs=0.12)
    assert np.ptp(after - before) < 1e-9
    assert expit(after).mean() == pytest.approx(now.mean(), abs=1e-9)
    assert new.log_odds(late) - old.log_odds(late) == pytest.approx(after - before, abs=1e-9)
    assert (new.slope, new.method) == (old.slope, method)
    assert log_loss(new, late, now) < log_loss(old, late, now) - 0.01


def test_recalibration_of_the_slope_follows_a_scale_that_has_shrunk() -> None:
    """Log-odds 0.6 times as wide: the refitted slope finds it, the intercept alone does not."""
    raw, y, _, _ = world(8, 30_000)
    old = calibrate(raw, y, "beta")
    late, now, _, _ = world(9, 20_000, lambda x: 0.6 * x)
    line, level = (recalibrate(old, late, now, refit_slope=slope) for slope in (True, False))
    assert line.slope / old.slope == pytest.approx(0.6, abs=0.05)
    assert level.slope == old.slope
    assert log_loss(line, late, now) < log_loss(level, late, now) - 0.005
    assert Calibration.from_dict(json.loads(json.dumps(line.to_dict()))) == line


def test_recalibration_refuses_what_it_cannot_learn_from() -> None:
    """Too few outcomes are counted in the message; a model that now ranks the wrong way is refused."""
    raw, y, _, _ = world(10, 2000)
    old = calibrate(raw, y, "platt")
    with pytest.raises(LearningError, match=r"CT-LEARN-021 .*40 recent rows, 12 positive"):
        recalibrate(old, raw[:40], np.repeat(np.array([1, 0], np.int8), [12, 28]))
    with pytest.raises(LearningError, match="CT-LEARN-020"):
        recalibrate(old, -raw, y, refit_slope=True)


@pytest.mark.parametrize("method", ["none", "platt", "beta", "isotonic"])
def test_a_calibration_survives_its_file(method: str) -> None:
    """JSON and back gives the same map."""
    raw, y, _, _ = world(11, 3000, curved)
    found = calibrate(raw, y, method)  # type: ignore[arg-type]
    assert Calibration.from_dict(json.loads(json.dumps(found.to_dict()))) == found


HOSTILE: list[dict[str, Any]] = [
    {"method": "platt"},
    {"method": "pickle", "intercept": 0.0, "slope": 1.0},
    {"method": "platt", "intercept": 0.0, "slope": -1.0},
    {"method": "platt", "intercept": 0.0, "slope": True},
    {"method": "platt", "intercept": "0", "slope": 1.0},
    {"method": "platt", "intercept": float("inf"), "slope": 1.0},
    {"method": "platt", "intercept": 0.0, "slope": 1.0, "more": 1},
    {"method": "platt", "intercept": 0.0, "slope": 1.0, "bend": {"x": [0.0], "z": [0.0]}},
    {"method": "isotonic", "intercept": 0.0, "slope": 1.0},
    {"method": "isotonic", "intercept": 0.0, "slope": 1.0, "bend": {"x": [], "z": []}},
    {"method": "isotonic", "intercept": 0.0, "slope": 1.0, "bend": {"x": [0.0, 0.0], "z": [0.0, 1.0]}},
    {"method": "isotonic", "intercept": 0.0, "slope": 1.0, "bend": {"x": [0.0, 1.0], "z": [1.0, 0.0]}},
    {"method": "isotonic", "intercept": 0.0, "slope": 1.0, "bend": {"x": [0.0, 1.0], "z": [0.0]}},
    {"method": "isotonic", "intercept": 0.0, "slope": 1.0, "bend": [1.0]},
    {
        "method": "isotonic",
        "intercept": 0.0,
        "slope": 1.0,
        "bend": {"x": [float(i) for i in range(99)], "z": [float(i) for i in range(99)]},
    },
    {
        "method": "beta",
        "intercept": 0.0,
        "slope": 1.0,
        "bend": {"intercept": 0.0, "low": -1.0, "high": 1.0, "shift": 0.0, "scale": 1.0},
    },
    {
        "method": "beta",
        "intercept": 0.0,
        "slope": 1.0,
        "bend": {"intercept": 0.0, "low": 1.0, "high": 1.0, "shift": 0.0, "scale": 0.0},
    },
    {"method": "beta", "intercept": 0.0, "slope": 1.0, "bend": {"intercept": 0.0, "low": 0.0, "high": 0.0}},
    {
        "method": "beta",
        "intercept": 0.0,
        "slope": 1.0,
        "bend": {"intercept": 0.0, "low": 1.0, "high": 1.0, "code": 1.0},
    },
]


@pytest.mark.parametrize("facts", HOSTILE, ids=range(len(HOSTILE)))
def test_a_file_that_is_no_increasing_map_is_refused(facts: dict[str, Any]) -> None:
    """Whatever stands in calibration.json, only an increasing map comes of it; anything else is one of four plain errors."""
    with pytest.raises((TypeError, ValueError, LookupError, AttributeError)):
        Calibration.from_dict(facts)
