"""The published numbers are reproduced exactly."""

from __future__ import annotations

import json
from fractions import Fraction
from math import floor, isqrt
from pathlib import Path

import pytest

from credit_tier.sampling.allocate import Bounds, allocate, optimal_sizes, proportional, round_sizes
from credit_tier.sampling.inclusion import adjusted_lambdas, exact_inclusion, largest_gap
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


ALLOCATIONS = VECTORS.with_name("stratallo_small.json")
INCLUSION = VECTORS.with_name("pareto_exact_inclusion.json")


def bounded(a: list[Fraction], low: list[int], high: list[int], count: int) -> list[Fraction]:
    """Return the continuous optimum min(M, max(m, s A)) by bisection, the oracle of `sampling.md` F8."""
    down, up = Fraction(0), Fraction(max(high)) / min(a)
    for _ in range(80):
        middle = (down + up) / 2
        total = sum(min(Fraction(h), max(Fraction(m), middle * x)) for x, m, h in zip(a, low, high, strict=True))
        down, up = (middle, up) if total < count else (down, middle)
    return [min(Fraction(h), max(Fraction(m), up * x)) for x, m, h in zip(a, low, high, strict=True)]


def test_integer_allocation_is_that_of_the_vectors():
    """Where the published optimum is whole it is met exactly; the greedy vectors are met; elsewhere it is as good as any rounding."""
    if not ALLOCATIONS.exists():
        pytest.skip("shared vectors are not at hand")
    met = 0
    for case in json.loads(ALLOCATIONS.read_text(encoding="utf-8"))["cases"]:
        if "n" not in case or "A" not in case:
            continue
        a, count = [Fraction(str(value)) for value in case["A"]], case["n"]
        low = [max(1, m) for m in case.get("m") or [1] * len(a)]
        high = case.get("M") or [count] * len(a)
        found = optimal_sizes([x * x for x in a], count, low=low, high=high)
        assert sum(found) == count
        assert all(m <= x <= h for m, x, h in zip(low, found, high, strict=True))
        if "x_integer_greedy" in case:
            assert list(found) == case["x_integer_greedy"], case["id"]
            met += 1
        elif "x" in case:
            exact = bounded(a, low, high, count)
            assert [float(x) for x in exact] == pytest.approx(case["x"], rel=1e-9), case["id"]
            if all(float(x).is_integer() for x in case["x"]):
                assert list(found) == case["x"], case["id"]
                met += 1
            assert all(abs(x - e) < 2 for x, e in zip(found, exact, strict=True))
        if "x_oric" in case:
            loss = [sum(x * x / n for x, n in zip(a, sizes, strict=True)) for sizes in (found, case["x_oric"])]
            assert loss[0] <= loss[1]
    assert met >= 8


def test_exact_inclusion_is_that_of_the_vectors():
    """True Pareto probabilities and adjusted lambdas agree with the vectors to 1e-12, and sum to n."""
    if not INCLUSION.exists():
        pytest.skip("shared vectors are not at hand")
    seen = 0
    for case in json.loads(INCLUSION.read_text(encoding="utf-8"))["cases"].values():
        if "pi_exact_pareto" not in case:
            continue
        seen += 1
        found = exact_inclusion(case["lambda"], case["n"])
        assert found == pytest.approx(case["pi_exact_pareto"], abs=1e-12)
        assert sum(found) == pytest.approx(case["n"], abs=1e-12)
        assert largest_gap(case["lambda"], case["n"]) == pytest.approx(case["max_rel_error"], abs=1e-9)
        adjusted = adjusted_lambdas(case["lambda"], case["n"])
        assert exact_inclusion(adjusted, case["n"]) == pytest.approx(case["lambda"], abs=1e-12)
        if "working_lambda_adjusted_for_exact_pi" in case:
            assert adjusted == pytest.approx(case["working_lambda_adjusted_for_exact_pi"], abs=1e-9)
    assert seen == 4


def test_fractional_allocation_is_that_of_the_vectors():
    """Within box bounds the sizes of a total are the published optimum, and those of a total of costs the published cheapest ones."""
    if not ALLOCATIONS.exists():
        pytest.skip("shared vectors are not at hand")
    met = []
    for case in json.loads(ALLOCATIONS.read_text(encoding="utf-8"))["cases"]:
        if "A" not in case or "x" not in case:
            continue
        a = [Fraction(str(value)) for value in case["A"]]
        costs = [Fraction(str(value)) for value in case.get("unit_costs", [1] * len(a))]
        total = case["n"] if "n" in case else sum(c * Fraction(str(x)) for c, x in zip(costs, case["x"], strict=True))
        low = case.get("m") or [0] * len(a)
        high = case.get("M") or [total] * len(a)
        wishes = [Fraction(isqrt(floor(x * x / c * 10**24))) for x, c in zip(a, costs, strict=True)]
        bounds = [
            Bounds(int(most) + 1, wish, Fraction(least), Fraction(most), cost=cost)
            for wish, least, most, cost in zip(wishes, low, high, costs, strict=True)
        ]
        found = allocate(bounds, total=total)
        assert sum(c * x for c, x in zip(costs, found.sizes, strict=True)) == total
        assert [float(x) for x in found.sizes] == pytest.approx(case["x"], rel=1e-9), case["id"]
        met.append(case["id"])
    assert len(met) > 20
    assert "readme_optcost" in met
