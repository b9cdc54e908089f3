"""Changes of registered particulars: what enterprises have registered anew, and the capital that the register shows from then on.

Nobody moves to another district, so that a district's effect on the truth stays with its enterprises.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from credit_tier.data.city import places
from credit_tier.data.city.chance import Days, Index, delay, on_working_day, pick, stream
from credit_tier.data.city.columns import (
    Period,
    as_text,
    authorities,
    dates,
    delivered_rows,
    in_order,
    numbers,
    whole,
    words,
)
from credit_tier.data.city.population import FRAILTY_SPREAD, Population
from credit_tier.data.city.registers import arrivals

if TYPE_CHECKING:
    import polars as pl

ITEMS: Final[dict[str, tuple[float, float]]] = {
    "name": (0.05, 1.2),
    "address": (0.18, 2.0),
    "legal_representative": (0.14, 2.5),
    "capital": (0.10, 0.6),
    "scope": (0.22, 0.7),
    "shareholder": (0.12, 1.4),
    "entity_type": (0.02, 1.0),
    "operating_term": (0.03, 1.0),
    "officer": (0.11, 1.0),
    "other": (0.03, 1.0),
}
"""Item: share among plain enterprises, and how many times that among shells."""

YEARLY: Final = 0.22
_GROWTH: Final = (1.5, 2.0, 3.0, 5.0)


@dataclass(frozen=True)
class Changes:
    """Changes, one per row; an enterprise raises its capital at most once."""

    subject: Index
    changed: Days
    received: Days
    item: Index
    capital_after: Index
    """Capital in 万元 from then on; -1 unless the capital changed."""


def draw_changes(people: Population, period: Period, *, seed: int) -> Changes:
    """Return the changes of the period: more often where an enterprise is frail, most often at shells."""
    rng = stream(seed, "changes")
    yearly = YEARLY * np.exp(0.2 * people.frailty / FRAILTY_SPREAD) * np.where(people.is_shell, 1.8, 1.0)
    subject, day = arrivals(people, yearly, period.first, period.cutoff, rng)
    changed = on_working_day(day)
    size = len(subject)
    plain = pick(rng, [share for share, _ in ITEMS.values()], size)
    shells = pick(rng, [share * times for share, times in ITEMS.values()], size)
    item = np.where(people.is_shell[subject], shells, plain)
    received = (changed + delay(rng, size, median=3, spread=0.6, late=0.01)).astype(np.int32)
    before = people.capital[subject]
    after = np.round(before * rng.choice(_GROWTH, size)).astype(np.int64)
    is_capital = item == list(ITEMS).index("capital")
    first_of = np.full(len(people), size)
    np.minimum.at(first_of, subject[is_capital], np.flatnonzero(is_capital))
    can_grow = (first_of[subject] == np.arange(size)) & (before > 0) & (received < people.closed[subject])
    kept = (received > people.registered[subject]) & (~is_capital | can_grow)
    return Changes(subject[kept], changed[kept], received[kept], item[kept], np.where(is_capital, after, -1)[kept])


def enterprise_changes(people: Population, changes: Changes, period: Period) -> pl.DataFrame:
    """Return the changes as delivered, one version each."""
    row = delivered_rows(changes.subject, changes.changed, changes.received, period)
    subject, after = changes.subject[row], changes.capital_after[row]
    is_address = changes.item[row] == list(ITEMS).index("address")
    registrar = np.full(len(row), places.DEPARTMENTS.index("market_regulation"))
    return in_order(
        {
            "change_no": numbers("BG", len(row)),
            "uscc": words(people.code, subject),
            "changed_on": dates(changes.changed[row]),
            "change_item": words(tuple(ITEMS), changes.item[row]),
            "is_cross_district": whole(np.where(is_address, 0, -1)).cast(bool),
            "capital_before": as_text(whole(np.where(after < 0, -1, people.capital[subject]))),
            "capital_after": as_text(whole(after)),
            "authority": authorities(people.district[subject], registrar),
            "received_on": dates(changes.received[row]),
        },
        "change_no",
    )
