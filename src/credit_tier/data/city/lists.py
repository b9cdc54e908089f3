"""Lists of seriously dishonest enterprises: heavy penalties, unpaid wages and taxes, and the way off the list again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from credit_tier.data.city import places
from credit_tier.data.city.chance import NEVER, Days, Index, after_working_days, delay, stream
from credit_tier.data.city.columns import Period, authorities, dates, delivered_rows, numbers, versions, words
from credit_tier.data.city.outcomes import KINDS, Penalties
from credit_tier.data.city.population import Population
from credit_tier.data.city.registers import arrivals

if TYPE_CHECKING:
    import polars as pl

PREFIX: Final = "YZ"
LISTS: Final = ("market", "tax", "wages", "work_safety", "other")
DOMAINS: Final = ("food", "drug", "quality", "competition", "other")
REMOVALS: Final = ("expired", "repaired", "deregistered")
HEAVY: Final = ("order_suspension;fine", "revoke_permit", "restrict_business")
HEAVY_FINE: Final = 200_000
"""Penalties that may lead to a list; the fine in yuan."""

_DEPARTMENT_OF_LIST: Final = ("market_regulation", "tax", "labour", "emergency", "other")
_LIST_OF_DEPARTMENT: Final = {
    "market_regulation": "market",
    "tax": "tax",
    "labour": "wages",
    **dict.fromkeys(("emergency", "fire", "housing", "transport"), "work_safety"),
}
_DOMAIN_OF: Final = {"food": "food", "drug": "drug", "special_equipment": "quality", "market": "competition"}


@dataclass(frozen=True)
class SeriousListings:
    """Listings, one per row; NEVER where it does not happen."""

    subject: Index
    listed: Days
    received: Days
    list_name: Index
    domain: Index
    applied: Days
    """Day of the application for early removal."""
    removed: Days
    removal: Index
    removed_received: Days

    @property
    def department(self) -> Index:
        """Return who decided on each listing."""
        return np.array([places.DEPARTMENTS.index(name) for name in _DEPARTMENT_OF_LIST])[self.list_name]


def draw_serious_listings(people: Population, decided: Penalties, period: Period, *, seed: int) -> SeriousListings:
    """Return the listings: half of the heavy penalties, and enterprises that owe wages or taxes.

    They end after three years, or by repair after one (总局令第44号), or with the enterprise.
    """
    rng = stream(seed, "serious listings")
    is_heavy = np.isin(decided.kinds, [KINDS.index(kinds) for kinds in HEAVY]) | (decided.fine >= HEAVY_FINE)
    heavy = np.flatnonzero(is_heavy)
    heavy = heavy[rng.random(len(heavy)) < 0.5]
    owing, owed_on = arrivals(people, 0.0016 * np.exp(people.distress), period.first - 1096, period.cutoff, rng)
    subject = np.concatenate([decided.subject[heavy], owing])
    size = len(subject)
    start = np.concatenate([decided.decided[heavy], owed_on])
    listed = (start + delay(rng, size, median=60, spread=0.4)).astype(np.int32)
    of_department = np.array([LISTS.index(_LIST_OF_DEPARTMENT.get(name, "other")) for name in places.DEPARTMENTS])
    list_name = np.concatenate(
        [of_department[decided.department[heavy]], np.where(rng.random(len(owing)) < 0.6, 2, 1)]
    ).astype(np.int64)
    of_domain = np.array([DOMAINS.index(_DOMAIN_OF.get(name, "other")) for name in places.DOMAINS])
    domain = np.concatenate([of_domain[decided.domain[heavy]], np.full(len(owing), DOMAINS.index("other"))])

    received = (listed + delay(rng, size, median=5, spread=0.8, late=0.02)).astype(np.int32)
    wanted = np.maximum(received, listed + 365) + delay(rng, size, median=60, spread=0.8)
    applies = (rng.random(size) < 0.4) & (wanted < listed + 1000)
    granted = after_working_days(wanted.astype(np.int32), rng.integers(6, 16, size))
    removed = np.where(applies, granted, listed + 1096)
    is_dead = people.closed[subject] <= removed
    removed = np.where(is_dead, people.closed[subject], removed).astype(np.int32)
    is_early = applies & ~is_dead
    told = np.maximum(received + 1, removed + delay(rng, size, median=4, spread=0.8))
    kept = listed < people.closed[subject]
    return SeriousListings(
        subject=subject[kept],
        listed=listed[kept],
        received=received[kept],
        list_name=list_name[kept],
        domain=domain[kept].astype(np.int64),
        applied=np.where(is_early, wanted, NEVER)[kept].astype(np.int32),
        removed=removed[kept],
        removal=np.select([is_dead, is_early], [2, 1], 0)[kept].astype(np.int64),
        removed_received=told[kept].astype(np.int32),
    )


def rows_of(listings: SeriousListings, period: Period) -> Index:
    """Return which listings are delivered, in the order of their numbers."""
    return delivered_rows(listings.subject, listings.listed, listings.received, period)


def serious_listings(people: Population, listings: SeriousListings, period: Period) -> pl.DataFrame:
    """Return the listings as delivered, with a second version at removal."""
    row = rows_of(listings, period)
    told = listings.removed_received[row]
    columns = {
        "listing_no": numbers(PREFIX, len(row)),
        "uscc": words(people.code, listings.subject[row]),
        "listed_on": dates(listings.listed[row]),
        "list_name": words(LISTS, listings.list_name[row]),
        "domain": words(DOMAINS, listings.domain[row]),
        "removed_on": dates(listings.removed[row]),
        "removal_reason": words(REMOVALS, listings.removal[row]),
        "authority": authorities(people.district[listings.subject[row]], listings.department[row]),
    }
    everyone = np.ones(len(row), dtype=np.bool_)
    return versions(
        columns,
        [
            (dates(listings.received[row]), everyone, ("removed_on", "removal_reason")),
            (dates(told), told < period.cutoff, ()),
        ],
        "listing_no",
    )
