"""Registers beside inspections and penalties: abnormal listings, enforcement cases and tax arrears."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from credit_tier.data.city.chance import NEVER, Days, Flags, Index, Reals, after_working_days, delay, pick, stream
from credit_tier.data.city.filings import Filings
from credit_tier.data.city.population import Population
from credit_tier.data.city.supervision import RESULTS
from credit_tier.data.city.world import Visits

TAX_KINDS = ("vat", "income", "consumption", "land", "other")


@dataclass(frozen=True)
class Entries:
    """Entries of a register, one per row: opened, perhaps closed one day, and when this authority heard of either.

    `kind` and `closing` are positions in the vocabularies of the register; `amount` is whole yuan.
    """

    subject: Index
    opened: Days
    received: Days
    kind: Index
    amount: Index
    closed: Days
    closing: Index
    closed_received: Days


def listings(people: Population, filings: Filings, visits: Visits, *, seed: int) -> Entries:
    """Return abnormal listings; kind and closing are the official numbers of the reasons.

    Not filing (1) comes from the reports; the others (2 to 4) come from results of visits.
    A closed enterprise is removed with reason 7.
    """
    rng = stream(seed, "listings")
    unfiled = np.flatnonzero(filings.listed < NEVER)
    reason_of_result = np.zeros(len(RESULTS), dtype=np.int64)
    for result, number in (("other_publicity_missing", 2), ("false_publicity", 3), ("unreachable", 4)):
        reason_of_result[RESULTS.index(result)] = number
    visited = np.flatnonzero(reason_of_result[visits.result] > 0)
    visited = visited[rng.random(len(visited)) < 0.85]
    subject = np.concatenate([filings.subject[unfiled], visits.subject[visited]])
    reason = np.concatenate([np.ones(len(unfiled), dtype=np.int64), reason_of_result[visits.result[visited]]])
    found = visits.day[visited] + delay(rng, len(visited), median=18, spread=0.5)
    opened = np.concatenate([filings.listed[unfiled], found]).astype(np.int32)

    size = len(subject)
    cured = rng.random(size) < np.where(reason == 4, np.where(people.is_shell[subject], 0.2, 0.7), 0.85)
    cure = np.where(cured, opened + delay(rng, size, median=100, spread=0.9), NEVER)
    filed = np.concatenate([filings.filed[unfiled], np.full(len(visited), NEVER)])
    cure = np.where(reason == 1, filed, cure)
    removed = np.where(cure < NEVER, after_working_days(np.minimum(cure, NEVER), rng.integers(2, 6, size)), NEVER)
    is_dead = people.closed[subject] <= removed
    removed = np.where(is_dead, people.closed[subject], removed)
    closing = np.where(reason == 4, np.where(rng.random(size) < 0.4, 4, 5), reason)
    entries = _told(
        rng,
        subject=subject,
        opened=opened,
        kind=reason,
        amount=np.zeros(size, dtype=np.int64),
        closed=removed.astype(np.int32),
        closing=np.where(is_dead, 7, closing),
    )
    return _kept(entries, opened < people.closed[subject])


def judgments(people: Population, *, seed: int, first_day: int, last_day: int) -> Entries:
    """Return enforcement cases; kind 0 is plain enforcement, 1 failed to perform; closing is the situation (1 to 6)."""
    rng = stream(seed, "judgments")
    subject, opened = arrivals(people, 0.012 * np.exp(0.9 * people.distress), first_day, last_day, rng)
    size = len(subject)
    is_refusing = rng.random(size) < 0.28
    amount = np.round(np.exp(np.log(90_000.0) + 0.3 * np.log(people.staff[subject]) + 1.3 * rng.standard_normal(size)))
    performs = rng.random(size) < np.where(is_refusing, 0.35, 0.6)
    closed = np.where(performs, opened + delay(rng, size, median=160, spread=0.9), NEVER)
    return _told(
        rng,
        subject=subject,
        opened=opened,
        kind=is_refusing.astype(np.int64),
        amount=amount.astype(np.int64),
        closed=closed.astype(np.int32),
        closing=1 + pick(rng, [0.55, 0.02, 0.06, 0.3, 0.04, 0.03], size),
    )


def tax_arrears(people: Population, *, seed: int, first_day: int, last_day: int) -> Entries:
    """Return notices of arrears, made public in the middle of the month after each quarter; kind is the tax."""
    rng = stream(seed, "tax arrears")
    subject, arisen = arrivals(people, 0.010 * np.exp(0.8 * people.distress), first_day, last_day, rng)
    month = arisen.astype("datetime64[D]").astype("datetime64[M]").astype(np.int64)
    notice = ((month // 3 + 1) * 3).astype("datetime64[M]").astype("datetime64[D]").astype(np.int64) + 14
    size = len(subject)
    amount = np.round(np.exp(np.log(25_000.0) + 0.45 * np.log(people.staff[subject]) + 1.2 * rng.standard_normal(size)))
    pays = rng.random(size) < 0.7
    entries = _told(
        rng,
        subject=subject,
        opened=notice.astype(np.int32),
        kind=pick(rng, [0.5, 0.3, 0.02, 0.12, 0.06], size),
        amount=amount.astype(np.int64),
        closed=np.where(pays, notice + delay(rng, size, median=120, spread=0.8), NEVER).astype(np.int32),
        closing=np.zeros(size, dtype=np.int64),
    )
    return _kept(entries, entries.opened < people.closed[subject])


def arrivals(
    people: Population, yearly: Reals, first_day: int, last_day: int, rng: np.random.Generator
) -> tuple[Index, Days]:
    """Return enterprises and days of events that come at a yearly rate, from four months after establishment to closing."""
    start = np.maximum(people.established + 120, first_day)
    length = np.maximum(0, np.minimum(people.closed, last_day) - start)
    count = rng.poisson(yearly * length / 365.25)
    subject = np.repeat(np.arange(len(people)), count)
    day = start[subject] + np.floor(length[subject] * rng.random(len(subject)))
    return subject, day.astype(np.int32)


def _told(
    rng: np.random.Generator,
    *,
    subject: Index,
    opened: Days,
    kind: Index,
    amount: Index,
    closed: Days,
    closing: Index,
) -> Entries:
    size = len(subject)
    received = (opened + delay(rng, size, median=5, spread=0.9, late=0.03)).astype(np.int32)
    told = np.maximum(received + 1, closed + delay(rng, size, median=4, spread=0.9, late=0.02))
    return Entries(subject, opened, received, kind, amount, closed, closing, told.astype(np.int32))


def _kept(entries: Entries, which: Flags) -> Entries:
    return Entries(*(getattr(entries, name)[which] for name in Entries.__dataclass_fields__))
