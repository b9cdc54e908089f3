"""Edges between enterprises: who holds whom, who shares a legal representative or an address.

Like goes with like: joined enterprises resemble one another in what nobody sees, and shells crowd at one address.
An edge names two enterprises and never a person.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from credit_tier.data.city.chance import NEVER, Index, delay, stream
from credit_tier.data.city.columns import Period, dates, numbers, versions, words
from credit_tier.data.city.population import Population

if TYPE_CHECKING:
    import polars as pl

KINDS: Final = ("shareholder", "subsidiary", "legal_representative", "same_address")
HOLDINGS: Final = 0.15
SAME_PERSON: Final = 0.18
SAME_ADDRESS: Final = 0.15
"""Pairs per enterprise."""

_NEAR: Final = 12


def relations(people: Population, period: Period, *, seed: int) -> pl.DataFrame:
    """Return both sides of each edge, older ones with them, and a second version when it has ended."""
    import polars as pl

    rng = stream(seed, "relations")
    size = len(people)
    alike = np.argsort(people.frailty + 0.8 * rng.standard_normal(size), kind="stable")
    shells_first = np.lexsort((rng.random(size), ~people.is_shell, people.district))
    one, other = _pairs(alike, round(HOLDINGS * size), rng)
    is_parent = people.staff[one] >= people.staff[other]
    parent, child = np.where(is_parent, one, other), np.where(is_parent, other, one)
    person = _pairs(alike, round(SAME_PERSON * size), rng)
    place = _pairs(shells_first, round(SAME_ADDRESS * size), rng, weight=1 + 9 * people.is_shell[shells_first])
    same = people.district[place[0]] == people.district[place[1]]
    place = place[0][same], place[1][same]

    left = np.concatenate([parent, person[0], place[0]])
    right = np.concatenate([child, person[1], place[1]])
    kind = np.concatenate([np.full(len(parent), 1), np.full(len(person[0]), 2), np.full(len(place[0]), 3)])
    pairs = len(left)
    wait = np.where(rng.random(pairs) < 0.6, 0, delay(rng, pairs, median=500, spread=0.9))
    began = (np.maximum(people.established[left], people.established[right]) + wait).astype(np.int32)
    closed = np.minimum(people.closed[left], people.closed[right])
    ended = np.where(rng.random(pairs) < 0.2, began + delay(rng, pairs, median=500, spread=0.6), NEVER)
    ended = np.minimum(ended, closed).astype(np.int32)
    known = np.maximum(people.registered[left], people.registered[right])
    received = np.maximum(known, began + delay(rng, pairs, median=4, spread=0.7, late=0.01)).astype(np.int32)
    told = np.maximum(received + 1, ended + delay(rng, pairs, median=5, spread=0.7, late=0.02)).astype(np.int32)
    percent = np.where(kind == 1, np.ceil(100 * rng.beta(2.0, 1.0, pairs)), np.nan)

    row = np.flatnonzero((received < period.cutoff) & (began < ended))
    row = row[np.lexsort((left[row], began[row]))]
    both = np.repeat(row, 2)
    is_left = np.arange(len(both)) % 2 == 0
    side = np.where((kind[both] == 1) & ~is_left, 0, kind[both])
    columns = {
        "relation_no": numbers("GX", len(both)),
        "uscc": words(people.code, np.where(is_left, left[both], right[both])),
        "related_uscc": words(people.code, np.where(is_left, right[both], left[both])),
        "kind": words(KINDS, side),
        "share_percent": pl.Series(percent[both]).fill_nan(None),
        "began_on": dates(began[both]),
        "ended_on": dates(ended[both]),
    }
    return versions(
        columns,
        [
            (dates(received[both]), np.ones(len(both), dtype=np.bool_), ("ended_on",)),
            (dates(told[both]), told[both] < period.cutoff, ()),
        ],
        "relation_no",
    )


def _pairs(order: Index, count: int, rng: np.random.Generator, *, weight: Index | None = None) -> tuple[Index, Index]:
    """Return distinct pairs of enterprises that stand near one another in an order, first members drawn by weight."""
    size = len(order)
    if weight is None:
        at = rng.integers(0, size, count)
    else:
        edges = np.cumsum(weight)
        at = np.searchsorted(edges, rng.random(count) * edges[-1], side="right")
    near = (at + rng.integers(1, _NEAR + 1, count)) % size
    pair = np.unique(np.minimum(at, near) * size + np.maximum(at, near))
    return order[pair // size], order[pair % size]
