"""Earlier visits lower a chance as declared, never below the floor, and the draws keep to it."""

from __future__ import annotations

from collections import Counter
from fractions import Fraction
from hashlib import sha256
from math import sqrt

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from credit_tier import draws
from credit_tier.errors import DrawError
from credit_tier.sampling.allocate import levels, proportional, round_sizes
from credit_tier.sampling.inclusion import exact_inclusion
from credit_tier.sampling.select import pareto_order


@given(
    st.lists(st.integers(1, 400), min_size=1, max_size=25),
    st.fractions(Fraction(1, 50), 1, max_denominator=50),
    st.data(),
)
@settings(max_examples=200, deadline=None)
def test_a_floor_lifts_the_low_and_keeps_the_sum(sizes, floor, data):
    """Probabilities sum to the count, none is below floor times the mean or above 1, and between the bounds they are proportional."""
    count = data.draw(st.integers(1, len(sizes)))
    least = floor * count / len(sizes)
    lam = proportional(sizes, count, floor=floor)
    assert sum(lam) == count
    assert all(least <= value <= 1 for value in lam)
    ratios = {value / size for size, value in zip(sizes, lam, strict=True) if least < value < 1}
    assert len(ratios) <= 1
    for t in ratios:
        assert all(value == min(1, max(least, t * size)) for size, value in zip(sizes, lam, strict=True))


def test_a_visit_halves_the_chance_down_to_the_floor(edited):
    """With the declared factor 1/2 and floor 1/5, chances of 0, 1, 2, 3 visits stand as 8 : 4 : 2 : 1, then the floor holds."""
    spec = edited("    size: staff\n", "    burden: {column: visits}\n").model_copy(update={"period": "x"})
    fire = spec.departments[1].model_copy(update={"budget": 24, "caps": {}, "exclusions": ()})
    spec = spec.model_copy(update={"departments": (fire,)})
    units = [{"code": f"U{i:04d}", "risk_class": "B", "visits": i % 6} for i in range(600)]
    (stratum,) = draws.plan(units, spec).planned.layouts[0].strata
    chance = dict(zip((unit["visits"] for unit in units), stratum.chances(), strict=True))
    assert chance[0] == 2 * chance[1] == 4 * chance[2] == 8 * chance[3]
    assert chance[4] == chance[5] == Fraction(1, 5) * Fraction(24, 600) > chance[3] / 2
    assert sum(stratum.chances()) == 24


def test_a_negative_number_of_visits_is_refused(edited):
    """The refusal names the column."""
    spec = edited("    size: staff\n", "    burden: {column: visits}\n")
    row = {"risk_class": "B", "district": "1", "status": "x", "staff": 3, "opened_on": None}
    units = [{**row, "code": f"U{i:03d}", "visits": i - 1} for i in range(800)]
    with pytest.raises(DrawError, match=r"units\.visits"):
        draws.plan(units, spec)


def test_inclusion_rates_with_burden_lie_within_the_band():
    """20,000 seeds on 40 units with 0 to 3 earlier visits, 15/2 to draw: all rates are those of the exact Pareto probabilities,
    and these lie within 2 per cent of the designed ones.

    40 rates are looked at within 4.5 standard errors; the seeds are fixed.
    """
    weights, floor, size, tries = [8 >> (i % 4) for i in range(40)], Fraction(1, 5), Fraction(15, 2), 20_000
    lambdas = {count: proportional(weights, count, floor=floor) for count in (7, 8)}
    exact = {count: exact_inclusion([float(value) for value in lambdas[count]], count) for count in (7, 8)}
    hits: Counter[int] = Counter()
    for number in range(tries):
        digests = [sha256(f"{number} {i}".encode()).hexdigest() for i in range(41)]
        (count,) = round_sizes([size], int(digests[40][:13], 16))
        hits.update(pareto_order(digests[:40], lambdas[count])[:count])
    for i, weight in enumerate(weights):
        chance = (exact[7][i] + exact[8][i]) / 2
        designed = float(sum(levels(Counter(weights), count, floor=floor)[weight] for count in (7, 8)) / 2)
        assert abs(chance / designed - 1) < 0.02
        assert abs(hits[i] / tries - chance) <= 4.5 * sqrt(chance * (1 - chance) / tries)
