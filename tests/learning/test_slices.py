"""Slices: sums and shares by hand, tiny parts are put together, a part treated otherwise is found, equal ones are not."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from credit_tier.learning.evaluate import auc_of
from credit_tier.learning.slices import REST, UNKNOWN, Attribute, selected, sliced

TITLES = [("甲", "first"), ("乙", "second"), ("丙", "third")]


def world(seed: int, n: int = 3000, *, parts: int = 3, lift: float = 0.0) -> tuple[np.ndarray, ...]:
    """Outcomes, predictions, subjects, parts; the log-odds of part 1 are `lift` higher than predicted."""
    rng = np.random.default_rng(seed)
    z = rng.normal(-2, 1, n)
    part = rng.integers(0, parts, n).astype(np.int32)
    y = (rng.random(n) < 1 / (1 + np.exp(-z - lift * (part == 1)))).astype(np.int8)
    return y, 1 / (1 + np.exp(-z)), rng.integers(0, n // 2, n).astype(np.int32), part


def cut(y: np.ndarray, p: np.ndarray, subject: np.ndarray, part: np.ndarray, **changed: object):
    given_ = {"budget": 0.1, "seed": 1, "replicates": 40} | changed
    return sliced(Attribute("部分", "part", part, TITLES), y, p, subject, **given_)


def test_figures_are_those_of_the_rows() -> None:
    """Counts, shares, AUC and selection of each part equal what sorting by hand gives."""
    y, p, subject, part = world(1)
    found = cut(y, p, subject, part)
    top = np.zeros(3000, bool)
    top[np.argsort(-p)[:300]] = True
    for number, item in enumerate(found.slices):
        rows = part == number
        assert (item.zh, item.en) == TITLES[number]
        assert (item.rows, item.positives, item.subjects) == (rows.sum(), y[rows].sum(), len(np.unique(subject[rows])))
        assert item.predicted == pytest.approx(p[rows].mean())
        assert item.auc == auc_of(y[rows], p[rows])
        assert item.selected == pytest.approx(top[rows].mean())
        assert item.ratio == pytest.approx(item.selected / 0.1)
        assert item.false_selection == pytest.approx(top[rows & (y == 0)].mean())
        assert item.missed == pytest.approx(1 - top[rows & (y == 1)].mean())
    assert found.left_out == 0


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 6), min_size=1, max_size=50), st.floats(0.01, 0.99))
def test_a_budget_is_spent_exactly_and_never_on_the_lower_first(values: list[int], budget: float) -> None:
    """Selected rows sum to the budget; a higher probability is never selected less; equal ones alike."""
    p = np.array(values) / 6
    taken = selected(p, budget)
    assert taken.sum() == pytest.approx(budget * len(p))
    order = np.argsort(p)
    assert (np.diff(taken[order]) >= 0).all()
    assert all(len(np.unique(taken[p == value])) == 1 for value in np.unique(p))


def test_tiny_parts_are_put_together_and_told_only_if_they_are_many() -> None:
    """Parts below 30 rows become the rest; a rest below 30 rows is counted, not told; unknown is a part of its own."""
    y, p, subject, part = world(2)
    few = part.copy()
    few[(part == 2) & (np.cumsum(part == 2) > 20)] = 0
    few[-50:] = -1
    found = cut(y, p, subject, few)
    assert [item.zh for item in found.slices] == ["甲", "乙", UNKNOWN[0]]
    assert found.left_out == (few == 2).sum() > 0
    assert sum(item.rows for item in found.slices) + found.left_out == 3000
    few[-50:] = 0
    few[-20:] = -1
    together = cut(y, p, subject, few)
    assert together.slices[-1].en == REST[1]
    assert together.slices[-1].rows == (few == 2).sum() + 20
    assert together.left_out == 0


def test_a_part_whose_risk_is_underestimated_is_named_and_equal_parts_are_not() -> None:
    """Log-odds 0.7 higher in one part are found in nearly all worlds and only there; without a difference 5 % of worlds suspect one."""
    named = [cut(*world(seed, lift=0.7), replicates=2).suspects for seed in range(60)]
    assert np.mean(["second" in {item.en for item in found} for found in named]) > 0.95
    clean = [cut(*world(1000 + seed), replicates=2).suspects for seed in range(300)]
    assert np.mean([found != () for found in clean]) < 0.1


def test_a_rare_outcome_has_no_auc_and_no_division_by_zero() -> None:
    """A part without a finding: no AUC, nothing missed, numbers elsewhere."""
    y, p, subject, part = world(3)
    y = np.where(part == 0, 0, y).astype(np.int8)
    item = cut(y, p, subject, part).slices[0]
    assert (item.auc, item.auc_interval, item.missed, item.positives) == (None, None, None, 0)
    assert item.p < 0.001
