"""Social insurance at the end of each year: how many are insured, and what is owed; distress shows here early."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

import numpy as np

from credit_tier.data.city.chance import NEVER, delay, stream
from credit_tier.data.city.columns import Period, as_text, dates, versions, whole, words
from credit_tier.data.city.population import Population
from credit_tier.temporal import date_of, day_number

if TYPE_CHECKING:
    import polars as pl


def social_insurance(people: Population, period: Period, *, seed: int) -> pl.DataFrame:
    """Return the state at each year's end of every enterprise with at least two of staff, and again when arrears are paid."""
    import polars as pl

    years = range(date_of(period.first).year, date_of(period.cutoff).year + 1)
    return pl.concat([_year(people, period, year, seed=seed) for year in years]).sort("received_on", "uscc")


def _year(people: Population, period: Period, year: int, *, seed: int) -> pl.DataFrame:
    rng = stream(seed, "social insurance", year)
    end = day_number(date(year, 12, 31))
    subject = np.flatnonzero((people.registered <= end) & (people.closed > end) & (people.staff >= 2))
    size = len(subject)
    insured = np.floor(people.staff[subject] * rng.uniform(0.5, 1.0, size)).astype(np.int64)
    distress = people.distress[subject]
    owes = rng.random(size) < np.where(insured > 0, 1 / (1 + np.exp(3.6 - 1.1 * distress)), 0)
    months = np.where(owes, np.minimum(12, rng.geometric(0.45, size)), 0)
    arrears = np.round(months * insured * rng.uniform(900, 2200, size)).astype(np.int64)
    ended = np.full(size, end, dtype=np.int32)
    received = (ended + delay(rng, size, median=16, spread=0.3, late=0.01)).astype(np.int32)
    pays = owes & (rng.random(size) < 0.7)
    settled = np.where(pays, ended + delay(rng, size, median=120, spread=0.8), NEVER).astype(np.int32)
    told = np.maximum(received + 1, settled + delay(rng, size, median=6, spread=0.6)).astype(np.int32)
    row = np.flatnonzero(period.holds(ended, received))
    columns = {
        "uscc": words(people.code, subject[row]),
        "period_end_on": dates(ended[row]),
        "insured_staff": whole(insured[row]),
        "months_in_arrears": whole(months[row]),
        "arrears": as_text(whole(arrears[row])),
        "settled_on": dates(settled[row]),
    }
    return versions(
        columns,
        [
            (dates(received[row]), np.ones(len(row), dtype=np.bool_), ("settled_on",)),
            (dates(told[row]), told[row] < period.cutoff, ()),
        ],
        "uscc",
    )
