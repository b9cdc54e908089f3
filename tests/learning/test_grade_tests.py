"""Tests of calibration keep their size, have power, and agree with scipy; seeded simulations judge them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom, binomtest, chi2

from credit_tier.learning.calibrate import logistic_line
from credit_tier.learning.grade_tests import (
    LEVEL,
    binomial_p,
    calibration_tests,
    equal_groups,
    hosmer_lemeshow,
    jeffreys_p,
    spiegelhalter,
)

TIMES = 4000
SIDES = ("under", "over", "both")


def band(times: int, size: float = LEVEL) -> tuple[float, float]:
    """Shares of rejections that a test of this size shows in so many simulations, but for one seed in ten thousand."""
    low, high = binom.ppf([0.00005, 0.99995], times, size) / times
    return float(low), float(high)


def logit(p: np.ndarray) -> np.ndarray:
    return np.log(p / (1 - p))


def expit(z: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-z))


def grades(seed: int, *, shift: float = 0.0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Grades of 300 to 3000 rows at rates of 2 to 20 %; the true log-odds lie `shift` above the stated ones."""
    rng = np.random.default_rng(seed)
    rows, rate = rng.integers(300, 3000, TIMES), rng.uniform(0.02, 0.2, TIMES)
    return rng.binomial(rows, expit(logit(rate) + shift)), rows, rate


@pytest.mark.parametrize("side", SIDES)
def test_the_binomial_test_never_exceeds_its_size_and_the_jeffreys_test_keeps_it(side: str) -> None:
    """Of grades whose rate is true about one in twenty is rejected: by the exact test at most, by Jeffreys' in the mean."""
    data = grades(1)
    low, high = band(TIMES)
    exact = np.mean(binomial_p(*data, side=side) <= LEVEL)  # type: ignore[arg-type]
    posterior = np.mean(jeffreys_p(*data, side=side) <= LEVEL)  # type: ignore[arg-type]
    assert 0.6 * low <= exact <= high
    assert low <= posterior <= high
    assert exact <= posterior + 0.002


@pytest.mark.parametrize("shift", [0.35, -0.35])
def test_a_grade_wrong_by_a_third_is_found(shift: float) -> None:
    """True log-odds 0.35 off (a rate of 7 % in place of 5 %, or 3.6 %) are found in most grades, by the right side only."""
    data = grades(2, shift=shift)
    right, wrong = ("under", "over") if shift > 0 else ("over", "under")
    for test in (binomial_p, jeffreys_p):
        assert np.mean(test(*data, side=right) <= LEVEL) > 0.8  # type: ignore[arg-type]
        assert np.mean(test(*data, side="both") <= LEVEL) > 0.7
        assert np.mean(test(*data, side=wrong) <= LEVEL) < 0.001  # type: ignore[arg-type]


@settings(max_examples=80, deadline=None)
@given(st.integers(1, 400), st.floats(0.001, 0.999), st.data())
def test_the_exact_test_is_that_of_scipy(rows: int, rate: float, data: st.DataObject) -> None:
    """One side equals scipy's binomial test; both sides reject exactly what lies outside the Clopper-Pearson interval."""
    hits = data.draw(st.integers(0, rows))
    for side, name in (("under", "greater"), ("over", "less")):
        assert binomial_p(hits, rows, rate, side=side) == pytest.approx(  # type: ignore[arg-type]
            binomtest(hits, rows, rate, alternative=name).pvalue, abs=1e-12
        )
    interval = binomtest(hits, rows).proportion_ci(0.95, method="exact")
    p = float(binomial_p(hits, rows, rate, side="both"))
    if abs(p - LEVEL) > 1e-9:
        assert (p > LEVEL) == (interval.low < rate < interval.high)


def rows_of_probability(rng: np.random.Generator, n: int) -> np.ndarray:
    return expit(rng.normal(-2.5, 1.0, n))


def statistics(y: np.ndarray, p: np.ndarray) -> np.ndarray:
    """Hosmer-Lemeshow p value, out of sample, of each simulated outcome; shape of y (times, n)."""
    group = equal_groups(p)
    member = (group[:, None] == np.arange(group.max() + 1)).astype(np.float64)
    rows = member.sum(axis=0)
    found = [hosmer_lemeshow(hits, rows, p @ member / rows) for hits in y @ member]
    assert {item.degrees for item in found} == {len(rows)}
    return np.array([[item.statistic, item.p] for item in found])


def test_hosmer_lemeshow_keeps_its_size_out_of_sample_only_with_as_many_degrees_as_groups() -> None:
    """2,000 true forecasts: g degrees of freedom reject 5 %; g - 2, which published kits use, reject nearly twice as many."""
    rng = np.random.default_rng(3)
    p = rows_of_probability(rng, 2500)
    found = statistics((rng.random((2000, 2500)) < p).astype(np.float64), p)
    low, high = band(2000)
    assert low <= np.mean(found[:, 1] <= LEVEL) <= high
    assert np.mean(chi2.sf(found[:, 0], 8) <= LEVEL) > high + 0.015


def test_hosmer_lemeshow_in_sample_loses_two_degrees() -> None:
    """Probabilities fitted by maximum likelihood on the same rows: g - 2 reject 5 %, g reject too few."""
    rng = np.random.default_rng(4)
    x = rng.normal(-2, 1, 1200)
    rejected = []
    for _ in range(700):
        y = (rng.random(1200) < expit(x)).astype(np.float64)
        a, b = logistic_line(x, y)
        p = expit(a + b * x)
        group = equal_groups(p)
        rows = np.bincount(group)
        facts = np.bincount(group, y), rows, np.bincount(group, p) / rows
        rejected.append([hosmer_lemeshow(*facts, fitted_on_these_rows=inside).p <= LEVEL for inside in (True, False)])
    low, high = band(700)
    inside, outside = np.mean(rejected, axis=0)
    assert low <= inside <= high
    assert outside < LEVEL < inside + 0.02


def test_hosmer_lemeshow_finds_a_wrong_slope_and_a_wrong_level() -> None:
    """5,000 rows: log-odds half as steep, or 0.4 too low, are found nearly always."""
    rng = np.random.default_rng(5)
    p = rows_of_probability(rng, 5000)
    for true in (expit(-2.5 + 0.5 * (logit(p) + 2.5)), expit(logit(p) + 0.4)):
        found = statistics((rng.random((300, 5000)) < true).astype(np.float64), p)
        assert np.mean(found[:, 1] <= LEVEL) > 0.95


def spiegelhalter_rejects(y: np.ndarray, p: np.ndarray) -> float:
    return float(np.mean([spiegelhalter(row, p).p <= LEVEL for row in y]))


def test_spiegelhalter_by_rows_keeps_its_size() -> None:
    """Of 4,000 true sets of forecasts 5 % are rejected."""
    rng = np.random.default_rng(6)
    p = rows_of_probability(rng, 3000)
    low, high = band(TIMES)
    assert low <= spiegelhalter_rejects(rng.random((TIMES, 3000)) < p, p) <= high


def test_spiegelhalter_finds_by_rows_what_averages_of_grades_never_show() -> None:
    """3,000 rows, log-odds 0.4 too low: found by rows nearly always, by averages of five grades never."""
    rng = np.random.default_rng(7)
    p = rows_of_probability(rng, 3000)
    low = expit(logit(p) - 0.4)
    y = rng.random((400, 3000)) < p
    assert spiegelhalter_rejects(y, low) > 0.95
    assert np.mean([spiegelhalter(row, low).z for row in y]) > 3
    group = equal_groups(low, most=5)
    share = np.array([np.bincount(group, row) for row in y]) / np.bincount(group)
    assert spiegelhalter_rejects(share, np.bincount(group, low) / np.bincount(group)) == 0


def test_for_rare_outcomes_a_slope_off_around_the_mean_escapes_spiegelhalter_but_not_hosmer_lemeshow() -> None:
    """Log-odds half as steep again around a mean of 8 %: errors of both signs cancel in one test, not in the other."""
    rng = np.random.default_rng(8)
    p = rows_of_probability(rng, 3000)
    bold = expit(-2.5 + 1.5 * (logit(p) + 2.5))
    y = rng.random((300, 3000)) < p
    assert spiegelhalter_rejects(y, bold) < 0.3
    assert np.mean(statistics(y.astype(np.float64), bold)[:, 1] <= LEVEL) > 0.95


def simulated(rng: np.random.Generator, *, steps: tuple[float, ...] = (0, 0, 0, 0)) -> tuple[np.ndarray, ...]:
    p = rows_of_probability(rng, 4000)
    grade = equal_groups(p, most=4).astype(np.int8)
    return (rng.random(4000) < expit(logit(p) + np.array(steps)[grade])).astype(np.int8), p, grade


def test_a_sound_model_is_rarely_suspected_and_a_wrong_grade_is_named() -> None:
    """A model without fault has a suspect grade in one of twenty worlds at most; a grade twice as risky as stated is named."""
    rng = np.random.default_rng(7)
    clean = [calibration_tests(*simulated(rng), "ABCD").suspects != () for _ in range(600)]
    assert np.mean(clean) <= band(600)[1]
    named = [calibration_tests(*simulated(rng, steps=(0, 0, 0.7, 0)), "ABCD").suspects for _ in range(60)]
    assert np.mean(["C" in {grade.name for grade in found} for found in named]) > 0.9


def test_grades_hold_all_rows_and_an_order_turned_round_is_seen() -> None:
    """Rows and hits of the grades sum to those of the whole; an empty grade is left out; falling rates are not called rising."""
    rng = np.random.default_rng(8)
    y, p, grade = simulated(rng)
    found = calibration_tests(y, p, grade * 2, [*"ABCDEFG"])
    assert [item.name for item in found.grades] == ["A", "C", "E", "G"]
    assert sum(item.rows for item in found.grades) == found.portfolio.rows == 4000
    assert sum(item.hits for item in found.grades) == found.portfolio.hits == y.sum()
    assert found.is_rising
    assert not calibration_tests(y, p, (3 - grade).astype(np.int8), "ABCD").is_rising
    assert all(item.low <= item.observed <= item.high for item in found.grades)
    assert found.grades[0].jeffreys_both == pytest.approx(
        float(jeffreys_p(found.grades[0].hits, found.grades[0].rows, found.grades[0].predicted, side="both"))
    )


def test_extremes_are_no_error() -> None:
    """Nothing hit, everything hit, probabilities of 0 and 1, one value for all rows: numbers, not faults."""
    p = np.array([0.0, 1.0, 0.5, 0.2])
    for y in (np.zeros(4, np.int8), np.ones(4, np.int8)):
        found = calibration_tests(y, p, np.array([0, 1, 1, 0], np.int8), "AB")
        assert all(0 <= g.jeffreys_under <= 1 and g.low <= g.observed <= g.high for g in found.grades)
    same = calibration_tests(np.array([0, 1], np.int8), np.full(2, 0.3), np.zeros(2, np.int8), "A")
    assert same.hosmer_lemeshow.degrees == 1
