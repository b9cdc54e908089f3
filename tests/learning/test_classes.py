"""Classes never fall as the probability rises, ties stay together, shares are those of the policy."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from credit_tier.errors import LearningError
from credit_tier.learning.classes import Cuts, cuts_of, ranks_of
from credit_tier.specs.model import Tier, TiersSpec

SHARES = (0.0, 0.732, 0.919, 0.971)


def policy(by: str, cuts: tuple[float, ...] = SHARES) -> TiersSpec:
    tiers = tuple(Tier.model_validate({"tier": t, f"from_{by}": c}) for t, c in zip("ABCD", cuts, strict=True))
    return TiersSpec(title_zh="规则", model="m", cuts_by=by, tiers=tiers, reference="-", verified="false")


probabilities = st.lists(
    st.one_of(st.floats(0, 1), st.sampled_from([0.0, 0.1, 0.1 + 2**-50, 0.5, 1.0])), min_size=1, max_size=80
)


@settings(max_examples=150, deadline=None)
@given(probabilities, st.sampled_from(["probability", "quantile"]), st.randoms(use_true_random=False))
def test_classes_are_monotone_and_order_never_matters(values: list[float], by: str, rnd) -> None:  # type: ignore[no-untyped-def]
    """A higher probability never has a lower class, equal ones share it, and shuffling the enterprises changes nothing."""
    p = np.array(values)
    cuts = cuts_of(policy(by), p)
    ranks = cuts.ranks(p)
    order = np.argsort(p, kind="stable")
    assert (np.diff(ranks[order]) >= 0).all()
    for value in set(values):
        assert len(set(ranks[p == value])) == 1
    rnd.shuffle(values)
    assert cuts_of(policy(by), np.array(values)) == cuts


def test_a_row_on_a_cut_belongs_to_the_higher_class() -> None:
    """Cuts are the first probability of the higher class."""
    cuts = cuts_of(policy("probability", (0, 0.1, 0.2, 0.5)), np.zeros(0))
    p = np.array([np.nextafter(0.1, 0), 0.1, 0.2, np.nextafter(0.5, 0), 0.5, 1.0])
    assert [str(c) for c in cuts.classes(p)] == ["A", "B", "C", "C", "D", "D"]


def test_shares_are_exact_without_ties() -> None:
    """Of n different probabilities ceil(q n) lie below a class that starts at q: 732, 187, 52 and 29 of 1000."""
    p = np.random.default_rng(0).permutation(1000) / 1000
    ranks = cuts_of(policy("quantile"), p).ranks(p)
    assert np.bincount(ranks).tolist() == [732, 187, 52, 29]


def test_ties_go_up_together() -> None:
    """Ten enterprises, eight of them tied where B begins: all eight are B."""
    p = np.array([0.1] + [0.2] * 8 + [0.9])
    ranks = cuts_of(policy("quantile", (0, 0.5, 0.95, 0.99)), p).ranks(p)
    assert np.bincount(ranks, minlength=4).tolist() == [1, 9, 0, 0]


def test_a_missing_probability_has_no_class() -> None:
    """NaN is refused, never filed under D or A."""
    with pytest.raises(LearningError, match="CT-LEARN-026"):
        Cuts(0.1, 0.2, 0.3).ranks(np.array([0.1, np.nan]))
    with pytest.raises(LearningError, match="CT-LEARN-026"):
        cuts_of(policy("quantile"), np.zeros(0))
    with pytest.raises(LearningError, match="CT-LEARN-025"):
        Cuts(0.3, 0.2, 0.5)


@settings(max_examples=150, deadline=None)
@given(probabilities, st.sampled_from(["probability", "quantile"]), st.integers(0, 2**31))
def test_hysteresis_only_keeps_what_lies_near_a_cut(values: list[float], by: str, seed: int) -> None:
    """A class that changes has left the band; one that stays within it stays; nobody goes further than without hysteresis; no flapping."""
    p = np.array(values)
    steady = policy(by).model_copy(update={"hysteresis": 0.01})
    previous = np.random.default_rng(seed).integers(-1, 4, len(p)).astype(np.int8)
    cuts, ranks = ranks_of(steady, p, previous)
    plain = cuts.ranks(p)
    assert (ranks[previous < 0] == plain[previous < 0]).all()
    assert (ranks >= np.minimum(plain, previous))[previous >= 0].all()
    assert (ranks <= np.maximum(plain, previous))[previous >= 0].all()
    assert (ranks_of(steady, p, ranks)[1] == ranks).all()
    assert (ranks_of(policy(by), p, previous)[1] == plain).all()
    for rank in range(-1, 4):
        same = previous == rank
        assert (np.diff(ranks[same][np.argsort(p[same], kind="stable")]) >= 0).all()


def test_a_band_that_reaches_the_next_cut_is_refused() -> None:
    """Cuts at 0.919 and 0.971 leave room for less than 0.026 on either side."""
    with pytest.raises(ValueError, match="half way"):
        TiersSpec.model_validate({**policy("quantile").model_dump(), "verified": "false", "hysteresis": 0.026})
