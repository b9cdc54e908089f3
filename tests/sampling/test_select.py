"""The order of the draw is the exact one, whatever doubles say."""

from __future__ import annotations

import hashlib
from fractions import Fraction

from hypothesis import given, settings
from hypothesis import strategies as st

from credit_tier.sampling.allocate import proportional
from credit_tier.sampling.select import exact_pareto_value, pareto_order


def digest(i: int, head: str = "") -> str:
    return head + hashlib.sha256(str(i).encode()).hexdigest()[len(head) :]


@given(st.lists(st.integers(1, 10**9), min_size=2, max_size=60), st.data())
@settings(max_examples=150, deadline=None)
def test_the_order_is_that_of_exact_fractions(sizes, data):
    """Sorting with doubles and near-tie rule equals sorting all units by (exact Q, digest)."""
    lambdas = proportional(sizes, data.draw(st.integers(1, len(sizes) - 1)))
    heads = data.draw(
        st.lists(
            st.sampled_from(["", "0000000000000", "fffffffffffff", "7ffffffffffff"]),
            min_size=len(sizes),
            max_size=len(sizes),
        )
    )
    digests = [digest(i, head) for i, head in enumerate(heads)]

    def key(i: int) -> tuple[Fraction, str]:
        return (Fraction(-1) if lambdas[i] == 1 else exact_pareto_value(digests[i], lambdas[i]), digests[i])

    assert pareto_order(digests, lambdas) == sorted(range(len(sizes)), key=key)


def test_equal_tickets_up_to_the_grid_are_ordered_by_the_full_digest():
    """Two tickets that agree in their first 52 bits are still ordered, by the digits that follow."""
    low, high = "8" * 13 + "1" * 51, "8" * 13 + "2" * 51
    lam = [Fraction(1, 2), Fraction(1, 2), Fraction(1, 3)]
    other = "f" * 64
    assert pareto_order([high, low, other], lam)[:2] == [1, 0]
    assert pareto_order([high, low], lam[:2]) == [1, 0]


def test_a_tie_across_different_lambdas_is_decided_by_fractions():
    """λ so close that doubles cannot tell them apart are ordered by the exact values."""
    ticket = "8" * 13 + "0" * 51
    near = [Fraction(1, 3), Fraction(1, 3) + Fraction(1, 10**20), Fraction(1, 3) - Fraction(1, 10**20)]
    digests = [ticket[:-1] + str(i) for i in range(3)]
    assert pareto_order(digests, near) == [1, 0, 2]


@given(st.permutations(range(30)))
@settings(max_examples=30, deadline=None)
def test_a_longer_draw_extends_a_shorter_one_and_place_does_not_matter(order):
    """With equal chances the first n of a longer list are the shorter list, wherever the units stand."""
    digests = [digest(i) for i in range(30)]
    short = [digests[i] for i in pareto_order(digests, [Fraction(1, 5)] * 30)]
    shuffled = [digests[i] for i in order]
    longer = [shuffled[i] for i in pareto_order(shuffled, [Fraction(1, 2)] * 30)]
    assert short == longer
