"""Licences and commitments: who holds which licence until when, what was promised, and whether it was kept.

The frail let licences lapse and break promises more often.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import date
from typing import TYPE_CHECKING, Final

import numpy as np

from credit_tier.data.city import places
from credit_tier.data.city.chance import NEVER, Days, Flags, Index, delay, pick, stream
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
from credit_tier.data.city.outcomes import KINDS, Penalties
from credit_tier.data.city.population import Population
from credit_tier.data.city.registers import arrivals
from credit_tier.data.city.supervision import departments_of, domains_of
from credit_tier.temporal import day_number

if TYPE_CHECKING:
    import polars as pl

LICENCE_KINDS: Final = ("ordinary", "approval", "recognition", "registration")
STATUSES: Final = ("valid", "expired", "cancelled", "taken_away")
TERMS: Final = (1096, 1826)
COMMITMENTS_FROM: Final = day_number(date(2020, 10, 27))
"""国办发〔2020〕42号: licences on commitment, outside food, health, safety and environment."""

OPEN_DOMAINS: Final = ("market", "labour", "other")
COMMITMENT_KINDS: Final = ("approval", "tolerance", "proof", "publicity", "industry", "repair")
FULFILMENTS: Final = ("full", "partial", "broken")
DUE_DAYS: Final = (90, 30, 60, 0, 0, 60)
"""Of each kind of commitment: days that are given at least to fulfil it, at most twice as many; 0 if it has no end."""


@dataclass(frozen=True)
class Licences:
    """Licences, one per row, with the day on which they end and as what."""

    subject: Index
    department: Index
    domain: Index
    kind: Index
    by_commitment: Flags
    decided: Days
    valid_to: Days
    received: Days
    ended: Days
    status: Index
    ended_received: Days


def draw_licences(people: Population, decided: Penalties, period: Period, *, seed: int) -> Licences:
    """Return all licences in force at some time in the period: chains of renewals that break where nobody renews."""
    rng = stream(seed, "licences")
    holder = np.flatnonzero(rng.random(len(people)) < np.where(people.is_key, 0.85, 0.22))
    size = len(holder)
    department = departments_of(people, holder, rng)
    domain = domains_of(people, holder, department)
    term = np.array(TERMS)[rng.integers(0, 2, size)]
    begins = people.established[holder] + 10 + delay(rng, size, median=40, spread=0.8)
    begins += np.maximum(0, period.first - begins) // term * term
    kind = pick(rng, [0.7, 0.15, 0.05, 0.1], size)
    is_open = np.isin(domain, [places.DOMAINS.index(name) for name in OPEN_DOMAINS])
    keeps = 0.93 - 0.15 * (people.frailty[holder] > 1) - 0.3 * people.is_shell[holder]
    revoked = np.full(len(people), NEVER)
    taken = decided.kinds == KINDS.index("revoke_permit")
    np.minimum.at(revoked, decided.subject[taken], decided.decided[taken])

    rounds = []
    for _ in range((period.cutoff - period.first) // min(TERMS) + 2):
        valid_to = begins + term - 1
        taken_away = np.where(revoked[holder] > begins, revoked[holder], NEVER)
        choices = np.stack([valid_to + 1, people.closed[holder], taken_away])
        status = np.argmin(choices, axis=0)
        ended = choices[status, np.arange(size)]
        received = (begins + delay(rng, size, median=5, spread=0.7, late=0.02)).astype(np.int32)
        told = np.maximum(received + 1, ended + delay(rng, size, median=5, spread=0.7, late=0.02))
        granted = Licences(
            subject=holder,
            department=department,
            domain=domain,
            kind=kind,
            by_commitment=is_open & (begins >= COMMITMENTS_FROM) & (rng.random(size) < 0.4),
            decided=begins.astype(np.int32),
            valid_to=valid_to.astype(np.int32),
            received=np.maximum(received, people.registered[holder]),
            ended=np.minimum(ended, NEVER).astype(np.int32),
            status=1 + status,
            ended_received=told.astype(np.int32),
        )
        lives = (begins < people.closed[holder]) & (begins < period.cutoff)
        rounds.append(Licences(*(getattr(granted, item.name)[lives] for item in fields(Licences))))
        lapse = np.where(rng.random(size) < keeps, 0, delay(rng, size, median=250, spread=0.8))
        begins = np.where(status == 2, NEVER, begins + term + lapse)
    return Licences(*(np.concatenate([getattr(part, item.name) for part in rounds]) for item in fields(Licences)))


def licences(people: Population, granted: Licences, period: Period) -> pl.DataFrame:
    """Return the licences, those granted before the period with them, and a second version when one ends."""
    stock = np.flatnonzero(granted.received < period.cutoff)
    stock = stock[np.lexsort((granted.subject[stock], granted.decided[stock]))]
    is_over = granted.ended_received[stock] < period.cutoff
    number = numbers("苏许", len(stock))
    at = np.concatenate([np.arange(len(stock)), np.flatnonzero(is_over)])
    later = np.arange(len(at)) >= len(stock)
    row = stock[at]
    return in_order(
        {
            "licence_no": number.gather(at),
            "uscc": words(people.code, granted.subject[row]),
            "decided_on": dates(granted.decided[row]),
            "licence_kind": words(LICENCE_KINDS, granted.kind[row]),
            "domain": words(places.DOMAINS, granted.domain[row]),
            "valid_from": dates(granted.decided[row]),
            "valid_to": dates(granted.valid_to[row]),
            "by_commitment": flags(granted.by_commitment[row]),
            "licence_status": words(STATUSES, np.where(later, granted.status[row], 0)),
            "status_on": dates(np.where(later, granted.ended[row], granted.decided[row])),
            "authority": authorities(people.district[granted.subject[row]], granted.department[row]),
            "received_on": dates(np.where(later, granted.ended_received[row], granted.received[row])),
        },
        "licence_no",
    )


def commitments(
    people: Population, granted: Licences, decided: Penalties, period: Period, *, seed: int
) -> pl.DataFrame:
    """Return commitments: with licences, for repair, and of one's own accord; most have a due day, four in five are checked months later."""
    rng = stream(seed, "commitments")
    licensed, repairing = np.flatnonzero(granted.by_commitment), np.flatnonzero(decided.committed < NEVER)
    willing, day = arrivals(people, np.full(len(people), 0.08), period.first, period.cutoff, rng)
    subject = np.concatenate([granted.subject[licensed], decided.subject[repairing], willing])
    committed = np.concatenate([granted.decided[licensed], decided.committed[repairing], day]).astype(np.int32)
    size = len(subject)
    free = 1 + pick(rng, [0.15, 0.15, 0.5, 0.2], len(willing))
    kind = np.concatenate(
        [np.zeros(len(licensed), dtype=np.int64), np.full(len(repairing), COMMITMENT_KINDS.index("repair")), free]
    )
    department = np.concatenate(
        [granted.department[licensed], decided.department[repairing], departments_of(people, willing, rng)]
    )
    received = np.maximum(people.registered[subject], committed + delay(rng, size, median=3, spread=0.7, late=0.01))
    given = np.array(DUE_DAYS)[kind] * (1 + stream(seed, "commitments due").random(size))
    due = np.where(given > 0, committed + np.ceil(given), NEVER).astype(np.int32)
    broken = 1 / (1 + np.exp(3.0 - 0.9 * people.frailty[subject] - 1.2 * people.is_shell[subject]))
    draw = rng.random(size)
    fulfilment = np.select([draw < broken, draw < 1.6 * broken], [2, 1], 0)
    checked = committed + delay(rng, size, median=120, spread=0.5)
    checked = np.where(rng.random(size) < 0.8, checked, NEVER).astype(np.int32)
    told = np.maximum(received + 1, checked + delay(rng, size, median=5, spread=0.7)).astype(np.int32)
    row = delivered_rows(subject, committed, received.astype(np.int32), period)
    columns = {
        "commitment_no": numbers("CN", len(row)),
        "uscc": words(people.code, subject[row]),
        "committed_on": dates(committed[row]),
        "kind": words(COMMITMENT_KINDS, kind[row]),
        "due_on": dates(due[row]),
        "fulfilment": words(FULFILMENTS, fulfilment[row]),
        "checked_on": dates(checked[row]),
        "authority": authorities(people.district[subject[row]], department[row]),
    }
    return versions(
        columns,
        [
            (dates(received[row]), np.ones(len(row), dtype=np.bool_), ("fulfilment", "checked_on")),
            (dates(told[row]), told[row] < period.cutoff, ()),
        ],
        "commitment_no",
    )
