"""What speaks for an enterprise: honours that others award, and intellectual property, pledged or lapsed as time goes by."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

import numpy as np

from credit_tier.data.city import places
from credit_tier.data.city.chance import NEVER, Flags, Index, delay, on_working_day, pick_within, stream
from credit_tier.data.city.columns import (
    Period,
    authorities,
    dates,
    delivered_rows,
    flags,
    in_order,
    numbers,
    versions,
    words,
)
from credit_tier.data.city.population import FRAILTY_SPREAD, SECTION_CODES, Population
from credit_tier.data.city.registers import arrivals

if TYPE_CHECKING:
    import polars as pl

HONOURS: Final = ("contract", "integrity", "quality", "specialised", "high_technology", "safety", "other")
LEVELS: Final = ("national", "provincial", "municipal", "district")
VALID_YEARS: Final = (2, 0, 0, 3, 3, 3, 0)
"""Of each kind of honour; 0 if it is open."""

_AWARDED_BY: Final = (*("market_regulation", "other", "market_regulation", "other", "tax", "emergency", "labour"),)
_HONOUR_SHARES: Final = {
    "C": (2.0, 1.0, 1.5, 2.5, 3.5, 3.0, 1.0),
    "E": (3.0, 1.5, 1.5, 0.2, 0.8, 3.0, 1.0),
    "I": (1.0, 1.0, 0.3, 2.0, 5.0, 0.1, 1.0),
    "M": (1.0, 1.0, 0.3, 1.5, 4.0, 0.2, 1.0),
    "": (3.0, 3.0, 0.7, 0.1, 0.1, 0.5, 2.0),
}
_LEVEL_SHARES: Final = {
    0: (0.0, 0.2, 0.5, 0.3),
    1: (0.02, 0.18, 0.4, 0.4),
    2: (0.02, 0.18, 0.5, 0.3),
    3: (0.08, 0.52, 0.4, 0.0),
    4: (1.0, 0.0, 0.0, 0.0),
    5: (0.05, 0.3, 0.5, 0.15),
    6: (0.05, 0.15, 0.4, 0.4),
}
"""Levels by position of the kind in `HONOURS`."""

RIGHTS: Final = ("invention", "utility_model", "design", "trademark", "software", "other")
RIGHTS_YEARLY: Final = {
    "A": 0.02,
    "C": 0.09,
    "E": 0.03,
    "F": 0.02,
    "H": 0.02,
    "I": 0.22,
    "M": 0.12,
    "R": 0.05,
    "": 0.01,
}
"""Rights granted a year to an enterprise of one person, by section; the empty key stands for all not named."""

_RIGHT_SHARES: Final = {
    "C": (1.5, 5.0, 1.5, 1.5, 0.8, 0.1),
    "E": (0.6, 4.0, 0.2, 1.0, 1.0, 0.1),
    "I": (0.8, 0.4, 0.2, 1.0, 7.0, 0.2),
    "M": (1.5, 2.5, 0.3, 1.0, 4.0, 0.2),
    "": (0.1, 0.2, 0.3, 6.0, 0.5, 0.2),
}
STOCK_DAYS: Final = 5 * 365
"""Rights are delivered with those granted so long before the period."""


def honours(people: Population, period: Period, *, seed: int) -> pl.DataFrame:
    """Return the honours of the period, fewer where an enterprise is frail, and a second version of those that are revoked."""
    rng = stream(seed, "honours")
    merit = np.exp(-0.45 * people.frailty / FRAILTY_SPREAD - 0.15 * people.distress)
    yearly = np.where(people.is_shell, 0.0, np.minimum(0.012 * merit * people.staff**0.4, 1.0))
    subject, day = arrivals(people, yearly, period.first, period.cutoff, rng)
    awarded = on_working_day(day)
    size = len(subject)
    kind = pick_within(rng, people.section[subject], _of_sections(_HONOUR_SHARES))
    level = pick_within(rng, kind, _LEVEL_SHARES)
    received = (awarded + delay(rng, size, median=40, spread=0.5, late=0.02)).astype(np.int32)
    years = np.array(VALID_YEARS)[kind]
    until = np.where(years > 0, awarded + 365 * years, NEVER).astype(np.int32)
    fails = rng.random(size) < 0.03 * np.exp(0.6 * people.frailty[subject] / FRAILTY_SPREAD)
    revoked = awarded + delay(rng, size, median=400, spread=0.5)
    revoked = np.where(fails & (revoked < np.minimum(until, people.closed[subject])), revoked, NEVER).astype(np.int32)
    told = np.maximum(received + 1, revoked + delay(rng, size, median=25, spread=0.5)).astype(np.int32)
    row = delivered_rows(subject, awarded, received, period)
    department = np.array([places.DEPARTMENTS.index(name) for name in _AWARDED_BY])[kind[row]]
    columns = {
        "honour_no": numbers("RY", len(row)),
        "uscc": words(people.code, subject[row]),
        "awarded_on": dates(awarded[row]),
        "kind": words(HONOURS, kind[row]),
        "honour_level": words(LEVELS, level[row]),
        "valid_to": dates(until[row]),
        "revoked_on": dates(revoked[row]),
        "authority": authorities(people.district[subject[row]], department),
    }
    return versions(
        columns,
        [
            (dates(received[row]), np.ones(len(row), dtype=np.bool_), ("revoked_on",)),
            (dates(told[row]), told[row] < period.cutoff, ()),
        ],
        "honour_no",
    )


def intellectual_property(people: Population, period: Period, *, seed: int) -> pl.DataFrame:
    """Return the rights, older ones with them: when granted, when pledged, when they lapse; few enterprises hold most of them."""
    rng = stream(seed, "intellectual property")
    of_section = np.array([RIGHTS_YEARLY.get(code, RIGHTS_YEARLY[""]) for code in SECTION_CODES])
    talent = rng.gamma(0.35, 1 / 0.35, len(people))
    merit = np.exp(-0.2 * people.frailty / FRAILTY_SPREAD - 0.2 * people.distress)
    yearly = np.minimum(of_section[people.section] * people.staff**0.35 * talent * merit, 12.0)
    yearly = np.where(people.is_shell, 0.0, yearly)
    subject, day = arrivals(people, yearly, period.first - STOCK_DAYS, period.cutoff, rng)
    granted = on_working_day(day)
    size = len(subject)
    kind = pick_within(rng, people.section[subject], _of_sections(_RIGHT_SHARES))
    received = np.maximum(people.registered[subject] + 1, granted + delay(rng, size, median=20, spread=0.4, late=0.01))
    pledged = granted + 200 + delay(rng, size, median=500, spread=0.5)
    is_pledged = (rng.random(size) < 0.04) & (pledged < people.closed[subject])
    pledged_received = np.maximum(received + 1, pledged + delay(rng, size, median=20, spread=0.5))
    pledged_received = np.where(is_pledged, pledged_received, NEVER)
    ended = granted + 365 + delay(rng, size, median=900, spread=0.5)
    lapses = (rng.random(size) < 0.2) & (ended < people.closed[subject]) & (ended > np.where(is_pledged, pledged, 0))
    ended = np.where(lapses, ended, NEVER)
    last = np.where(is_pledged, pledged_received, received)
    ended_received = np.maximum(last + 1, ended + delay(rng, size, median=20, spread=0.5))

    row = np.flatnonzero(received < period.cutoff)
    row = row[np.lexsort((subject[row], granted[row]))]
    stages: tuple[tuple[Index, Flags], ...] = (
        (received, np.ones(size, dtype=np.bool_)),
        (pledged_received, is_pledged),
        (ended_received, lapses),
    )
    at = [np.flatnonzero(happens[row] & (told[row] < period.cutoff)) for told, happens in stages]
    stage = np.repeat(np.arange(3), [len(positions) for positions in at])
    position = np.concatenate(at)
    which = row[position]
    told = np.select([stage == 0, stage == 1], [received[which], pledged_received[which]], ended_received[which])
    return in_order(
        {
            "ip_no": numbers("ZS", len(row)).gather(position),
            "uscc": words(people.code, subject[which]),
            "granted_on": dates(granted[which]),
            "kind": words(RIGHTS, kind[which]),
            "is_pledged": flags(stage == 1),
            "ended_on": dates(np.where(stage == 2, ended[which], NEVER)),
            "received_on": dates(told),
        },
        "ip_no",
    )


def _of_sections(shares: Mapping[str, tuple[float, ...]]) -> dict[int, tuple[float, ...]]:
    return {number: shares.get(code, shares[""]) for number, code in enumerate(SECTION_CODES)}
