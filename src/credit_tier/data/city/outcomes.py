"""What follows a found violation: penalties, their publication, the duty fulfilled, the commitment and the repair."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from credit_tier.data.city import places
from credit_tier.data.city.chance import NEVER, Days, Flags, Index, Reals, after_working_days, delay, pick
from credit_tier.data.city.population import Population

KINDS: Final = (
    *("warning", "fine", "warning;fine", "confiscate_gains;fine", "confiscate_goods;fine"),
    *("circulated_criticism", "order_suspension;fine", "suspend_permit", "revoke_permit", "restrict_business"),
)
_SIMPLE_SHARES: Final = (0.55, 0.45, 0, 0, 0, 0, 0, 0, 0, 0)
_ORDINARY_SHARES: Final = (0, 0.55, 0.15, 0.14, 0.08, 0.02, 0.03, 0.01, 0.01, 0.01)
_HAS_FINE: Final = np.array(["fine" in kinds for kinds in KINDS])
_LONG_WAIT: Final = ("food", "drug", "special_equipment", "work_safety", "fire")


@dataclass(frozen=True)
class Penalties:
    """Decisions, one per row, with everything that will be known about them one day; NEVER where it does not happen."""

    subject: Index
    department: Index
    domain: Index
    kinds: Index
    is_simple: Flags
    fine: Index
    """Whole yuan."""
    decided: Days
    published: Days
    received: Days
    fulfilled: Days
    fulfilled_received: Days
    committed: Days
    repaired: Days
    repaired_received: Days


def is_penalised(trigger: Index, score: Index, rng: np.random.Generator) -> Flags:
    """Return which found problems end in a penalty: more often after a complaint or in a campaign, and for the known."""
    chance: Reals = 0.26 + 0.16 * (trigger > 0) + 0.12 * (score > 0)
    return rng.random(len(trigger)) < chance


def decide(
    people: Population, subject: Index, found_on: Days, *, department: Index, domain: Index, rng: np.random.Generator
) -> Penalties:
    """Return the penalties for found problems.

    A simple decision takes days, an ordinary one weeks; publication follows within 20 working days, receipt by this authority
    days later, and a few records arrive months late.
    """
    size = len(subject)
    staff = people.staff[subject]
    is_simple = rng.random(size) < 0.4
    kinds = np.where(is_simple, pick(rng, _SIMPLE_SHARES, size), pick(rng, _ORDINARY_SHARES, size))
    ordinary = np.exp(np.log(4000.0) + 0.22 * np.log(staff) + 1.2 * rng.standard_normal(size))
    fine = np.where(is_simple, 100 * rng.integers(1, 31, size), 100 * np.ceil(np.clip(ordinary, 500, 2e7) / 100))
    fine = np.where(_HAS_FINE[kinds], fine, 0).astype(np.int64)
    quick, slow = delay(rng, size, median=4, spread=0.7), delay(rng, size, median=45, spread=0.5)
    decided = (found_on + np.where(is_simple, quick, slow)).astype(np.int32)
    is_published = kinds != KINDS.index("warning")
    published = np.where(is_published, after_working_days(decided, rng.integers(3, 21, size)), NEVER).astype(np.int32)
    sent = np.where(is_published, published, decided + 7)
    received = (sent + delay(rng, size, median=4, spread=0.8, late=0.04)).astype(np.int32)

    is_fulfilled = rng.random(size) < 0.94 - 0.12 * (people.distress[subject] > 1)
    paying = np.where(is_simple, rng.integers(0, 6, size), delay(rng, size, median=20, spread=0.9))
    fulfilled = np.where(is_fulfilled, decided + paying, NEVER).astype(np.int32)
    told = np.maximum(received + 1, fulfilled + delay(rng, size, median=6, spread=0.8, late=0.02))
    fulfilled_received = np.where(fulfilled < received, received, np.where(is_fulfilled, told, NEVER)).astype(np.int32)

    wait = np.where(np.isin(domain, [places.DOMAINS.index(name) for name in _LONG_WAIT]), 365, 92)
    applies = is_fulfilled & is_published & (rng.random(size) < 0.45)
    ready = np.maximum(fulfilled_received, decided + wait)
    committed = np.where(applies, ready + delay(rng, size, median=35, spread=1.0), NEVER).astype(np.int32)
    granted = after_working_days(np.where(applies, committed, decided), rng.integers(4, 14, size))
    repaired = np.where(applies, granted, NEVER).astype(np.int32)
    repaired_received = np.where(applies, repaired + delay(rng, size, median=3, spread=0.6, late=0.02), NEVER)
    return Penalties(
        subject=subject,
        department=department,
        domain=domain,
        kinds=kinds,
        is_simple=is_simple,
        fine=fine,
        decided=decided,
        published=published,
        received=received,
        fulfilled=fulfilled,
        fulfilled_received=fulfilled_received,
        committed=committed,
        repaired=repaired,
        repaired_received=repaired_received.astype(np.int32),
    )
