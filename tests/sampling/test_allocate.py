"""Sizes are exact, keep floors and budgets, and are rounded without bias."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise, product
from math import ceil, floor

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from credit_tier.errors import DrawError
from credit_tier.sampling.allocate import Bounds, allocate, optimal_sizes, proportional, round_sizes

shares = st.fractions(min_value=Fraction(1, 1000), max_value=1, max_denominator=1000)
bounds = st.builds(
    lambda units, rate, least, extra, certain: Bounds.of(
        units, rate * units, least=least, cap=min(Fraction(1), rate + extra), certain=certain
    ),
    st.integers(1, 500),
    shares,
    st.integers(1, 5),
    shares,
    st.booleans(),
)
strata = st.lists(bounds, min_size=1, max_size=12)


@given(strata)
@settings(max_examples=150, deadline=None)
def test_without_budget_rates_hold_and_no_stratum_is_empty(items):
    """Each size is its rate unless a bound stands in the way, and never below 1 for a stratum of one and more."""
    found = allocate(items)
    assert found.factor == 1
    for item, size, why in zip(items, found.sizes, found.binding, strict=True):
        assert min(1, item.units) <= size <= item.units
        assert (why == "rate") == (not item.certain and size == item.wish)


@given(strata, st.fractions(min_value=0, max_value=1, max_denominator=97))
@settings(max_examples=200, deadline=None)
def test_a_budget_is_met_exactly_within_bounds(items, at):
    """Any whole budget between the sum of floors and the sum of caps is met exactly by one factor."""
    low, high = sum(item.low for item in items), sum(item.high for item in items)
    budget = ceil(low + at * (floor(high) - low)) if floor(high) >= ceil(low) else None
    if budget is None or budget > high:
        return
    found = allocate(items, total=budget)
    assert sum(found.sizes) == budget
    assert all(size == item.size(found.factor) for item, size in zip(items, found.sizes, strict=True))
    assert all(item.low <= size <= item.high for item, size in zip(items, found.sizes, strict=True))


def test_an_impossible_budget_says_what_would_do():
    """The refusal names what floors need and caps allow."""
    with pytest.raises(DrawError, match="floors and certain classes need 3, caps allow 100"):
        allocate([Bounds.of(100, Fraction(2), least=3)], total=2)


@given(
    st.lists(st.fractions(min_value=0, max_value=30, max_denominator=60), min_size=1, max_size=20),
    st.integers(0, 2**52 - 1),
)
@settings(max_examples=300, deadline=None)
def test_rounding_stays_within_one_for_every_block(sizes, grid):
    """Every run of neighbouring strata is rounded to one of the two whole numbers around its exact total."""
    counts = round_sizes(sizes, grid)
    for start in range(len(sizes)):
        for end in range(start + 1, len(sizes) + 1):
            assert abs(sum(counts[start:end]) - sum(sizes[start:end])) < 1


@given(st.lists(st.fractions(min_value=0, max_value=3, max_denominator=16), min_size=1, max_size=8))
@settings(max_examples=100, deadline=None)
def test_rounding_has_the_exact_mean(sizes):
    """Averaged over the pieces between which counts change, each count equals its exact size."""
    cuts = sorted({Fraction(0), Fraction(1)} | {(-sum(sizes[: i + 1])) % 1 for i in range(len(sizes))})
    means = [Fraction(0)] * len(sizes)
    for a, b in pairwise(cuts):
        counts = round_sizes(sizes, int((a + b) / 2 * 2**52))
        means = [m + (b - a) * c for m, c in zip(means, counts, strict=True)]
    assert means == list(sizes)


@given(st.lists(st.integers(1, 400), min_size=1, max_size=30), st.data())
@settings(max_examples=200, deadline=None)
def test_proportional_probabilities_sum_to_the_count(sizes, data):
    """They sum to the count, lie in (0, 1], and grow with size."""
    count = data.draw(st.integers(1, len(sizes)))
    lam = proportional(sizes, count)
    assert sum(lam) == count
    assert all(0 < value <= 1 for value in lam)
    assert all((a <= b) for (x, a) in zip(sizes, lam, strict=True) for (y, b) in zip(sizes, lam, strict=True) if x <= y)
    free = {value / size for size, value in zip(sizes, lam, strict=True) if value < 1}
    assert len(free) <= 1


@given(st.lists(st.integers(0, 50), min_size=1, max_size=4), st.integers(0, 8))
@settings(max_examples=60, deadline=None)
def test_integer_allocation_beats_every_other(a, extra):
    """Compared with all ways to allocate a small total, none has a smaller variance."""
    count = len(a) + extra
    high = [2 + i for i in range(len(a))]
    if count > sum(high):
        with pytest.raises(DrawError, match="CT-DRAW-005"):
            optimal_sizes([Fraction(x * x) for x in a], count, high=high)
        return

    def loss(sizes):
        return sum(Fraction(x * x, n) for x, n in zip(a, sizes, strict=True))

    found = optimal_sizes([Fraction(x * x) for x in a], count, high=high)
    every = [sizes for sizes in product(*(range(1, h + 1) for h in high)) if sum(sizes) == count]
    assert found in every
    assert loss(found) == min(map(loss, every))
