"""The published numbers are reproduced exactly."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path

import pytest

from credit_tier.sampling.allocate import proportional, round_sizes
from credit_tier.sampling.select import pareto_order, pareto_value
from credit_tier.sampling.tickets import exact_uniform, grid_number, salt_chain, seed_of, ticket_digest, uniform

VECTORS = Path(__file__).resolve().parents[2] / "../shared/vectors/credit_tier_prn_proposal.json"


@pytest.fixture(scope="module")
def vector() -> dict:
    if not VECTORS.exists():
        pytest.skip("shared vectors are not at hand")
    return json.loads(VECTORS.read_text(encoding="utf-8"))


def test_seed_and_tickets_are_those_of_the_vectors(vector):
    """Seed, digest, grid number, uniform and Q agree to the last bit."""
    assert seed_of(vector["commitment"], vector["beacon"], vector["salt"]) == vector["seed"]
    for unit in vector["units"]:
        digest = ticket_digest(vector["seed"], "enterprise", unit["id"])
        assert digest == unit["digest"]
        assert grid_number(digest) == unit["h52"]
        assert uniform(digest).hex() == unit["u_hex"]
        assert exact_uniform(digest) == Fraction(uniform(digest))
        if not unit["certainty"]:
            assert pareto_value(uniform(digest), float(Fraction(unit["lambda"]))) == unit["Q"]


def test_selection_and_reserve_order_are_those_of_the_vectors(vector):
    """Certain unit, drawn units and reserve order agree."""
    units = vector["units"]
    lambdas = proportional([unit["size"] for unit in units], vector["n"])
    assert [str(lam) for lam in lambdas] == [unit["lambda"] for unit in units]
    order = [units[i]["id"] for i in pareto_order([unit["digest"] for unit in units], lambdas)]
    assert set(order[: vector["n"]]) == {unit["id"] for unit in units if unit["selected"]}
    assert order[vector["n"] :] == vector["reserve_order_after_selected"]


def test_rounding_is_that_of_the_vectors(vector):
    """The systematic rounding example agrees."""
    case = vector["systematic_rounding"]
    digest = ticket_digest(vector["seed"], case["stream"], case["key"])
    assert uniform(digest) == case["r"]
    assert list(round_sizes([Fraction(x) for x in case["x"]], grid_number(digest))) == case["n_h"]


def test_proportional_with_certain_units():
    """Sizes 1 to 20, 12 to draw: 1/17 to 16/17, then four certain ones (`sampling.md` F5)."""
    assert proportional(list(range(1, 21)), 12) == (*(Fraction(i, 17) for i in range(1, 17)), *[Fraction(1)] * 4)


def test_the_salt_chain_hashes_bytes():
    """A link is the SHA-256 of the raw 32 bytes before it."""
    two = "2b32db6c2c0a6235fb1397e8225ea85e0f0e6e8c7b126d0016ccbde0e667151e"  # sha256(sha256(32 zero bytes))
    assert salt_chain("00" * 32, 2) == two
    with pytest.raises(ValueError, match="link"):
        salt_chain("zz", 1)
