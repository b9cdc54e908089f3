"""Grades that others give and this authority only receives: tax credit grades and public credit grades, once a year.

Both see the past only: a tax grade follows distress, a public credit grade the adverse records known on the day of the evaluation.
"""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Final

import numpy as np

from credit_tier.data.city.chance import Flags, Index, Reals, delay, on_working_day, stream
from credit_tier.data.city.columns import Period, dates, flags, in_order, whole, words
from credit_tier.data.city.outcomes import Penalties
from credit_tier.data.city.population import ENTITY_CODES, Population
from credit_tier.data.city.registers import Entries
from credit_tier.temporal import date_of, day_number

if TYPE_CHECKING:
    import polars as pl

TAX_GRADES: Final = ("A", "B", "M", "C", "D")
PUBLIC_GRADES: Final = ("A", "B", "C", "D")
PUBLIC_CUTS: Final = (-0.8, 0.9, 1.9)
"""Cuts of the national evaluation on a scale where higher is worse."""

NOT_EVALUATED: Final = ("2000", "4530", "4540")
"""Entities that are no legal persons have no public credit grade."""

MEMORY_DAYS: Final = 730


def tax_grades(people: Population, period: Period, *, seed: int) -> pl.DataFrame:
    """Return the grade of each year, given in April of the next; a bad grade may be repaired, which is a second version."""
    import polars as pl

    return pl.concat([_tax_year(people, period, year, seed=seed) for year in _years(period)]).sort(
        "received_on", "uscc", "tax_year"
    )


def _tax_year(people: Population, period: Period, year: int, *, seed: int) -> pl.DataFrame:
    rng = stream(seed, "tax grades", year)
    opening, april = day_number(date(year - 1, 1, 1)), day_number(date(year, 4, 1))
    subject = np.flatnonzero((people.registered < day_number(date(year, 1, 1))) & (people.closed > april + 30))
    size = len(subject)
    evaluated = on_working_day((april + rng.integers(10, 28, size)).astype(np.int32))
    distress, is_shell = people.distress[subject], people.is_shell[subject]
    wanted = 80 - 7 * distress - 2.5 * people.frailty[subject] - 14 * is_shell + 6 * rng.standard_normal(size)
    points = np.round(np.clip(wanted, 0, 100)).astype(np.int64)
    is_direct = rng.random(size) < 0.006 * np.exp(0.8 * distress) + 0.1 * is_shell
    is_idle = (people.established[subject] >= opening) | (is_shell & (rng.random(size) < 0.5))
    grade = np.select(
        [is_direct | (points < 40), points < 70, is_idle, points < 90],
        [TAX_GRADES.index(name) for name in ("D", "C", "M", "B")],
        TAX_GRADES.index("A"),
    )
    received = (evaluated + delay(rng, size, median=6, spread=0.6, late=0.01)).astype(np.int32)
    is_repaired = (grade >= TAX_GRADES.index("C")) & (rng.random(size) < 0.15)
    told = np.maximum(received + 1, evaluated + delay(rng, size, median=160, spread=0.5)).astype(np.int32)
    better = np.array([0, 1, 2, TAX_GRADES.index("B"), TAX_GRADES.index("C")])[grade]

    delivered = period.holds(evaluated, received)
    first = np.flatnonzero(delivered)
    later = np.flatnonzero(delivered & is_repaired & (told < period.cutoff))
    row = np.concatenate([first, later])
    return in_order(
        {
            "uscc": words(people.code, subject[row]),
            "tax_year": whole(np.full(len(row), year - 1)),
            "evaluated_on": dates(evaluated[row]),
            "tax_grade": words(TAX_GRADES, np.concatenate([grade[first], better[later]])),
            "tax_points": whole(np.where(is_direct, -1, points)[row]),
            "is_direct": flags(is_direct[row]),
            "received_on": dates(np.concatenate([received[first], told[later]])),
        },
        "uscc",
    )


def public_credit_grades(
    people: Population, decided: Penalties, listed: Entries, period: Period, *, seed: int
) -> pl.DataFrame:
    """Return the national grade of each legal person, given on one day in September and received weeks later."""
    import polars as pl

    frames = []
    for year in _years(period):
        rng = stream(seed, "public credit grades", year)
        day = day_number(date(year, 9, 15))
        is_judged = ~np.isin(people.entity_type, [ENTITY_CODES.index(code) for code in NOT_EVALUATED])
        subject = np.flatnonzero(is_judged & (people.registered < day - 180) & (people.closed > day + 30))
        size = len(subject)
        badness = _known_badness(people, decided, listed, day)[subject] + 0.8 * rng.standard_normal(size)
        evaluated = np.full(size, day, dtype=np.int32)
        received = (evaluated + delay(rng, size, median=25, spread=0.15)).astype(np.int32)
        row = np.flatnonzero(period.holds(evaluated, received))
        frames.append(
            in_order(
                {
                    "uscc": words(people.code, subject[row]),
                    "evaluated_on": dates(evaluated[row]),
                    "public_credit_grade": words(PUBLIC_GRADES, np.searchsorted(PUBLIC_CUTS, badness[row])),
                    "evaluator": words(("national",), np.zeros(len(row), dtype=np.int64)),
                    "received_on": dates(received[row]),
                },
                "uscc",
            )
        )
    return pl.concat(frames).sort("received_on", "uscc")


def _known_badness(people: Population, decided: Penalties, listed: Entries, day: int) -> Reals:
    """Return how bad each enterprise looks on a day, by what is known before it; repaired penalties do not count."""
    is_known = (decided.received < day) & (decided.decided >= day - MEMORY_DAYS) & (decided.repaired_received > day)
    is_listed = (listed.received < day) & (listed.closed_received > day)
    penalties, listings = _counts(people, decided.subject, is_known), _counts(people, listed.subject, is_listed)
    result: Reals = 0.35 * people.frailty + 0.25 * people.distress
    return result + 0.8 * np.minimum(penalties, 3) + 0.8 * np.minimum(listings, 2)


def _counts(people: Population, subject: Index, which: Flags) -> Index:
    return np.bincount(subject[which], minlength=len(people)).astype(np.int64)


def _years(period: Period) -> range:
    return range(date_of(period.first).year, date_of(period.cutoff).year + 1)
