"""Weights of evidence: bins that are optimal, monotone and say what their formulas say; optbinning's bins in the same table."""

from __future__ import annotations

import os
from importlib.util import find_spec
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from credit_tier.errors import MachineError
from credit_tier.learning import woe, woe_optbinning
from credit_tier.learning.evaluate import auc_of
from credit_tier.learning.scorecard import Scaling
from credit_tier.learning.splits import Parts
from credit_tier.learning.woe import Bins, Limits
from credit_tier.learning.woe_card import WoeCard
from credit_tier.learning.woe_fit import fit_card

LOOSE = Limits(prebins=8, most=4, share=0.1, events=2, nonevents=2)


@pytest.fixture(scope="module")
def library() -> None:
    """optbinning is there, or the test is left out; in CI its absence is a failure."""
    if find_spec("optbinning") is None:
        message = "optbinning is not installed: pip install 'credit-tier[woe]'"
        if os.environ.get("CI") == "true":
            pytest.fail(message)
        pytest.skip(message)


@st.composite
def rows(draw: st.DrawFn, most: int = 300) -> tuple[NDArray[np.float64], NDArray[np.int8]]:
    """Numbers with ties and gaps, and outcomes of both kinds that may go with them in any way."""
    n = draw(st.integers(30, most))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    x = rng.normal(size=n)
    if draw(st.booleans()):
        x = np.round(x * draw(st.integers(1, 4)))
    z = draw(st.sampled_from([-2.0, 0.0, 2.0])) * x + draw(st.sampled_from([0.0, 1.5])) * np.cos(3 * x)
    y = (rng.random(n) < 1 / (1 + np.exp(1.5 - z))).astype(np.int8)
    y[:2] = 0, 1
    x[rng.random(n) < draw(st.sampled_from([0.0, 0.2, 0.9]))] = np.nan
    return x, y


def is_ordered(bins: Bins, direction: int) -> bool:
    steps = np.diff(bins.woe[:-1])
    return bool((steps * direction >= 0).all()) if direction else bool((steps >= 0).all() or (steps <= 0).all())


def keeps(bins: Bins, limits: Limits) -> bool:
    r, e = np.array(bins.rows[:-1]), np.array(bins.events[:-1])
    return bool(
        len(r) <= limits.most
        and (r >= limits.share * r.sum()).all()
        and (e >= limits.events).all()
        and (r - e >= limits.nonevents).all()
    )


def plain_iv(x: NDArray[np.float64], y: NDArray[np.int8], edges: tuple[float, ...]) -> float:
    """The information value by its definition, bin by bin, the weights of evidence smoothed by one row of the rarer outcome."""
    everything, rest = int(y.sum()), int((1 - y).sum())
    inside = [np.isnan(x)]
    for low, high in zip((-np.inf, *edges), (*edges, np.inf), strict=True):
        inside.append((x >= low) & (x < high))
    total = 0.0
    for rows in inside:
        e, n = int(y[rows].sum()), int((1 - y[rows]).sum())
        more = np.array([everything, rest]) / min(everything, rest)
        weight = np.log((e + more[0]) / (n + more[1]) / (everything / rest))
        total += (e / everything - n / rest) * weight
    return float(total)


@settings(max_examples=80, deadline=None)
@given(rows(), st.sampled_from([-1, 0, 1]))
def test_bins_are_monotone_and_keep_the_limits(
    data: tuple[NDArray[np.float64], NDArray[np.int8]], direction: int
) -> None:
    """Every table goes one way, that of the feature if it has one, holds every row once, and no bin is too small."""
    x, y = data
    bins = woe.cut(x, y, direction=direction)
    assert is_ordered(bins, direction)
    assert len(bins.rows) == 2 or keeps(bins, woe.LIMITS)
    assert sum(bins.rows) == len(x)
    assert sum(bins.events) == y.sum()
    assert bins.rows[-1] == np.isnan(x).sum()
    assert bins.trend in ({0, direction} if direction else {-1, 0, 1})
    assert all(a < b for a, b in zip(bins.edges, bins.edges[1:], strict=False))


@settings(max_examples=60, deadline=None)
@given(rows(), st.sampled_from([-1, 0, 1]))
def test_no_other_division_of_the_groups_tells_more(
    data: tuple[NDArray[np.float64], NDArray[np.int8]], direction: int
) -> None:
    """Of all subsets of edges that keep limits and direction, tried one by one, none has a greater information value."""
    x, y = data
    edges = woe.prebin(x, most=LOOSE.prebins)
    best = woe.cut(x, y, direction=direction, limits=LOOSE)
    tried = [Bins.of(x, y, np.array(kept)) for size in range(LOOSE.most) for kept in combinations(edges.tolist(), size)]
    valid = [bins.iv for bins in tried if keeps(bins, LOOSE) and is_ordered(bins, direction)]
    if valid:
        assert best.iv == pytest.approx(max(valid), rel=1e-9, abs=1e-12)
    else:
        assert best.edges == ()


@settings(max_examples=60, deadline=None)
@given(rows())
def test_the_information_value_is_its_formula(data: tuple[NDArray[np.float64], NDArray[np.int8]]) -> None:
    """(share of events - share of others) times weight of evidence, summed over bins and missing values; never below 0."""
    x, y = data
    bins = woe.cut(x, y)
    assert bins.iv == pytest.approx(plain_iv(x, y, bins.edges), rel=1e-9, abs=1e-12)
    assert bins.iv >= 0
    rate = np.divide(bins.events, bins.rows, out=np.full(len(bins.rows), y.mean()), where=np.array(bins.rows) > 0)
    assert (np.sign(np.round(bins.woe, 12)) == np.sign(np.round(rate - y.mean(), 12))).all()


@settings(max_examples=40, deadline=None)
@given(rows(), st.integers(0, 2**32 - 1), st.sampled_from([-1, 0, 1]))
def test_a_weight_of_two_is_the_row_twice(
    data: tuple[NDArray[np.float64], NDArray[np.int8]], seed: int, direction: int
) -> None:
    """Edges, counts and weights of evidence are the same whether a row counts twice or stands twice."""
    x, y = data
    twice = np.random.default_rng(seed).random(len(x)) < 0.5
    weighted = woe.cut(x, y, direction=direction, weight=1.0 + twice)
    doubled = woe.cut(np.concatenate([x, x[twice]]), np.concatenate([y, y[twice]]), direction=direction)
    assert weighted == doubled


@settings(max_examples=30, deadline=None)
@given(rows(), st.integers(0, 2**32 - 1))
def test_the_order_of_rows_does_not_matter(data: tuple[NDArray[np.float64], NDArray[np.int8]], seed: int) -> None:
    """Tied numbers with different outcomes stay together, so any order of rows gives the same bins."""
    x, y = data
    order = np.random.default_rng(seed).permutation(len(x))
    assert woe.cut(x[order], y[order]) == woe.cut(x, y)


def test_columns_that_tell_nothing_are_one_bin() -> None:
    """A constant, a column of missing values and one with a single known row have no edge; a bin of nothing weighs 0."""
    y = (np.arange(200) % 5 == 0).astype(np.int8)
    nowhere = np.full(200, np.nan)
    one = nowhere.copy()
    one[7] = 3.0
    for column, missing in ((np.zeros(200), 0), (nowhere, 200), (one, 199)):
        bins = woe.cut(column, y)
        assert bins.edges == ()
        assert bins.rows == (200 - missing, missing)
        assert bins.trend == 0
    assert woe.cut(np.zeros(200), y).woe.tolist() == [0.0, 0.0]
    assert woe.cut(nowhere, y).woe.tolist() == [0.0, 0.0]
    assert woe.cut(np.zeros(200), y).iv == 0.0


def test_a_missing_value_is_a_bin_with_a_risk_of_its_own() -> None:
    """Where all rows without a value have the event, they get a high, finite weight; known numbers are placed by their edges."""
    x = np.where(np.arange(400) % 4 == 0, np.nan, np.arange(400) % 7)
    y = (np.isnan(x) | (x >= 5)).astype(np.int8)
    y[[1, 2, 3, 5, 6]] = 1 - y[[1, 2, 3, 5, 6]]
    bins = woe.cut(x, y)
    assert np.isfinite(bins.woe).all()
    assert bins.woe[-1] > 3
    assert bins.values(np.array([np.nan, 0.0, 6.0, -9.0, 99.0])).tolist() == [
        bins.woe[-1],
        bins.woe[0],
        bins.woe[-2],
        bins.woe[0],
        bins.woe[-2],
    ]


def test_groups_are_about_equal_and_never_part_ties() -> None:
    """All-distinct numbers fall into groups of equal size; a number that half of the rows share is alone in its group."""
    rng = np.random.default_rng(5)
    x = rng.permutation(4000) / 7
    sizes = np.diff([0, *np.searchsorted(np.sort(x), woe.prebin(x, most=20)), 4000])
    assert sizes.tolist() == [200] * 20
    x[:2000] = -1.0
    edges = woe.prebin(x, most=20)
    assert -1.0 < edges[0] <= np.sort(x)[2000]
    assert len(edges) in {9, 10}


def test_edges_are_short_numbers() -> None:
    """Counts are parted at whole numbers, shares where a person would part them."""
    assert woe.prebin(np.array([0.0, 1.0, 2.0])).tolist() == [1.0, 2.0]
    shares = np.float32([0.0, 0.1, 1 / 3, 0.5]).astype(np.float64)
    assert woe.prebin(shares).tolist() == [0.1, 0.3, 0.5]
    assert woe.prebin(np.array([4120.0, 4382.0])).tolist() == [4380.0]
    near = np.array([1.0, np.nextafter(1.0, 2.0)])
    assert woe.prebin(near).tolist() == [near[1]]


@pytest.mark.parametrize("direction", [-1, 0, 1])
@pytest.mark.parametrize("strength", [0.0, 0.4, 1.5])
@pytest.mark.usefixtures("library")
def test_no_bins_of_optbinning_tell_more(direction: int, strength: float) -> None:
    """From the same groups and limits optbinning finds what the search built in finds, and never anything better."""
    rng = np.random.default_rng(8)
    x = rng.normal(size=3000)
    y = (rng.random(3000) < 1 / (1 + np.exp(2 - strength * x))).astype(np.int8)
    ours = woe.cut(x, y, direction=direction)
    theirs = woe_optbinning.cut(x, y, direction=direction)
    assert is_ordered(theirs, direction)
    assert theirs.iv <= ours.iv + 1e-12
    assert theirs.iv >= 0.9 * ours.iv


@pytest.mark.usefixtures("library")
def test_optbinning_gives_the_same_table() -> None:
    """Missing values, constants and weights stand in its table as in ours."""
    rng = np.random.default_rng(9)
    x = np.round(rng.normal(size=2000) * 2)
    x[rng.random(2000) < 0.1] = np.nan
    y = (rng.random(2000) < 1 / (1 + np.exp(1.5 - np.nan_to_num(x)))).astype(np.int8)
    found = woe_optbinning.cut(x, y, direction=1, weight=np.full(2000, 2.0))
    assert found == Bins.of(x, y, np.array(found.edges), np.full(2000, 2.0))
    assert found.rows[-1] == 2 * np.isnan(x).sum()
    assert found.edges == woe_optbinning.cut(x, y, direction=1).edges
    for nothing in (np.zeros(2000), np.full(2000, np.nan)):
        assert woe_optbinning.cut(nothing, y) == woe.cut(nothing, y)


@pytest.mark.usefixtures("library")
def test_bins_of_optbinning_stand_in_the_same_file(parts: Parts) -> None:
    """The file says whose bins they are; it is read and applied as any other."""
    card = fit_card(parts.train.frame, model="m", scaling=Scaling(600.0, 20.0, 50.0), optbinning=True)
    again = WoeCard.from_bytes(card.to_bytes())
    assert again.provenance.startswith("optbinning ")
    assert np.array_equal(again.points(parts.test.frame.x), card.points(parts.test.frame.x))
    assert auc_of(parts.test.frame.y, card.log_odds(parts.test.frame.x)) > 0.75


def test_without_optbinning_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """Asking for its bins where it is not installed names the extra, before anything is computed."""
    from importlib import metadata

    def missing(name: str) -> str:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "version", missing)
    with pytest.raises(MachineError, match=r"CT-LEARN-038.*credit-tier\[woe\]"):
        woe_optbinning.cut(np.zeros(3), np.array([0, 1, 1], np.int8))
