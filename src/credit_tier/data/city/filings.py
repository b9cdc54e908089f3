"""Annual reports: who files, when, and who is listed as abnormal for not filing.

Filing depends on frailty and on being a shell, so that a missing report says something about the truth without being it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import numpy as np

from credit_tier.data.city.chance import NEVER, Days, Flags, Index, delay, stream
from credit_tier.data.city.population import Population
from credit_tier.temporal import day_number


@dataclass(frozen=True)
class Filings:
    """Reports, one per row, and what follows from those that are missing."""

    subject: Index
    year: Index
    """Year reported on; the report is due on 30 June of the next."""
    filed: Days
    """Day of filing; NEVER if it was not filed before the period ended."""
    due: Days
    received: Days
    staff: Index
    """Insured staff as stated; -1 if not stated."""
    revenue: Index
    """Revenue in 万元; -1 if the enterprise keeps it to itself."""
    listed: Days
    """Day of listing as abnormal for not filing (reason 1); NEVER if not listed."""

    @property
    def is_late(self) -> Flags:
        """Return which reports came after the last day."""
        return self.filed > self.due


def draw_filings(people: Population, *, seed: int, years: range) -> Filings:
    """Return the reports on the given years, with listings by the authority in July and after."""
    parts = [_one_year(people, year, stream(seed, "filings", year)) for year in years]
    columns = ("subject", "year", "filed", "due", "received", "staff", "revenue", "listed")
    return Filings(*(np.concatenate([getattr(part, name) for part in parts]) for name in columns))


def _one_year(people: Population, year: int, rng: np.random.Generator) -> Filings:
    opening, due = day_number(date(year + 1, 1, 1)), day_number(date(year + 1, 6, 30))
    subject = np.flatnonzero((people.registered < opening) & (people.closed > due))
    size = len(subject)
    log_odds = -3.1 + 1.1 * people.frailty[subject] + 2.2 * people.is_shell[subject]
    log_odds += 0.5 * (people.established[subject] > opening - 365)
    is_missing = rng.random(size) < 1 / (1 + np.exp(-log_odds))
    in_time = opening + np.floor((due - opening + 1) * rng.beta(3.0, 1.6, size))
    gives_up = rng.random(size) < np.where(people.is_shell[subject], 0.75, 0.25)
    late = due + delay(rng, size, median=70, spread=1.0)
    filed = np.where(is_missing, np.where(gives_up, NEVER, late), in_time).astype(np.int32)
    filed = np.where(filed < people.closed[subject], filed, NEVER).astype(np.int32)
    listing = (due + 3 + np.floor(25 * rng.random(size))).astype(np.int32)
    is_listed = (filed > listing) & (listing < people.closed[subject]) & (rng.random(size) < 0.92)
    stated = np.floor(people.staff[subject] * rng.uniform(0.4, 1.0, size)).astype(np.int64)
    revenue = np.round(people.staff[subject] * np.exp(3.6 + 0.9 * rng.standard_normal(size))).astype(np.int64)
    return Filings(
        subject=subject,
        year=np.full(size, year),
        filed=filed,
        due=np.full(size, due, dtype=np.int32),
        received=(filed + delay(rng, size, median=2, spread=0.7, late=0.01)).astype(np.int32),
        staff=np.where(rng.random(size) < 0.15, -1, stated),
        revenue=np.where(rng.random(size) < 0.7, -1, revenue),
        listed=np.where(is_listed, listing, NEVER).astype(np.int32),
    )
