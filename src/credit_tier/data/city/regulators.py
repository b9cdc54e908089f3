"""Grades that sector regulators give once a year, known weeks after the year: environment, food, labour, customs, building, transport.

All follow the hidden traits, with much noise; a bad grade is sometimes corrected, which is a second version.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Final

import numpy as np

from credit_tier.data.city import places
from credit_tier.data.city.chance import NEVER, Days, Flags, Index, Reals, delay, on_working_day, stream
from credit_tier.data.city.columns import Period, authorities, dates, in_order, words
from credit_tier.data.city.population import DIVISION_CODES, FRAILTY_SPREAD, Population
from credit_tier.temporal import date_of, day_number

if TYPE_CHECKING:
    import polars as pl

COLOURS: Final = ("green", "blue", "yellow", "red", "black")
COLOUR_POINTS: Final = (11, 6, 3, 1)
"""Least points of all colours but the last."""

POLLUTING: Final = ("17", "19", "22", "25", "26", "27", "28", "29", "30", "31", "32", "33", "39", "44", "77")
EVALUATED_SHARE: Final = 0.35
"""Divisions whose enterprises have an environmental grade, and how many of them."""

LETTERS: Final = ("A", "B", "C", "D")
CUSTOMS: Final = ("advanced_certified", "certified", "regular", "dishonest", "seriously_dishonest")


@dataclass(frozen=True)
class Sector:
    """A sector that grades: whom, into which words at which cuts of a scale where higher is worse, for how long, and who signs."""

    divisions: tuple[str, ...]
    least_staff: int
    share: float
    words: tuple[str, ...]
    cuts: tuple[float, ...]
    valid_days: int
    department: str


SECTORS: Final = {
    "food": Sector(places.FOOD_DIVISIONS, 1, 0.9, LETTERS, (-0.2, 1.2, 2.2), 0, "market_regulation"),
    "labour": Sector(DIVISION_CODES, 20, 0.5, LETTERS[:3], (0.8, 2.2), 365, "labour"),
    "customs": Sector((*DIVISION_CODES[12:43], "51"), 10, 0.2, CUSTOMS, (-2.3, -1.8, 2.4, 3.2), 0, "other"),
    "construction": Sector(("47", "48", "49", "50"), 3, 0.6, LETTERS, (-0.4, 1.0, 2.2), 365, "housing"),
    "transport": Sector(("54", "55", "58", "59"), 2, 0.6, LETTERS, (-0.3, 1.1, 2.2), 365, "transport"),
}


def environment_grades(people: Population, period: Period, *, seed: int) -> pl.DataFrame:
    """Return the colour of each year, from 12 points less what was deducted."""
    import polars as pl

    is_graded = _is_graded(people, POLLUTING, EVALUATED_SHARE, 1, stream(seed, "environment frame"))
    mean = np.exp(0.2 + 0.55 * people.frailty / FRAILTY_SPREAD + 0.25 * people.district_effect)
    department = places.DEPARTMENTS.index("environment")
    frames = []
    for year in _years(period):
        rng = stream(seed, "environment grades", year)
        round_ = _evaluated(people, is_graded, year, rng)
        points = 12 - rng.poisson(mean[round_.subject] * rng.gamma(1.5, 1 / 1.5, len(round_.subject)))
        points = np.maximum(points, -6)
        better = np.minimum(points + 3, 12)
        at, is_second = round_.versions(_corrected(round_, points < COLOUR_POINTS[1], rng), period)
        shown = np.where(is_second, better[at], points[at])
        frames.append(
            in_order(
                {
                    "uscc": words(people.code, round_.subject[at]),
                    "evaluated_on": dates(round_.evaluated[at]),
                    "environment_grade": words(COLOURS, (shown[:, None] < np.array(COLOUR_POINTS)).sum(axis=1)),
                    "environment_points": pl.Series(shown.astype(np.int64)),
                    "authority": authorities(people.district[round_.subject[at]], np.full(len(at), department)),
                    "received_on": dates(np.where(is_second, round_.told[at], round_.received[at])),
                },
                "uscc",
            )
        )
    return pl.concat(frames).sort("received_on", "uscc", "evaluated_on")


def sector_grades(people: Population, period: Period, *, seed: int) -> pl.DataFrame:
    """Return the grades of all sectors; customs words differ from the letters of the others."""
    import polars as pl

    frames = []
    for name, sector in SECTORS.items():
        is_graded = _is_graded(
            people, sector.divisions, sector.share, sector.least_staff, stream(seed, f"{name} frame")
        )
        department = places.DEPARTMENTS.index(sector.department)
        for year in _years(period):
            rng = stream(seed, f"{name} grades", year)
            round_ = _evaluated(people, is_graded, year, rng)
            subject = round_.subject
            grade = np.searchsorted(sector.cuts, _badness(people, subject) + 0.8 * rng.standard_normal(len(subject)))
            at, is_second = round_.versions(_corrected(round_, grade == len(sector.words) - 1, rng), period)
            until = round_.evaluated + sector.valid_days if sector.valid_days else np.full(len(subject), NEVER)
            frames.append(
                in_order(
                    {
                        "uscc": words(people.code, subject[at]),
                        "sector": words((name,), np.zeros(len(at), dtype=np.int64)),
                        "evaluated_on": dates(round_.evaluated[at]),
                        "sector_grade": words(sector.words, grade[at] - is_second),
                        "valid_to": dates(until[at]),
                        "authority": authorities(people.district[subject[at]], np.full(len(at), department)),
                        "received_on": dates(np.where(is_second, round_.told[at], round_.received[at])),
                    },
                    "uscc",
                )
            )
    return pl.concat(frames).sort("received_on", "uscc", "sector", "evaluated_on")


@dataclass(frozen=True)
class _Evaluated:
    """The enterprises of one year's evaluation; `told` is when this authority would hear of a correction."""

    subject: Index
    evaluated: Days
    received: Days
    told: Days

    def versions(self, is_corrected: Flags, period: Period) -> tuple[Index, Flags]:
        """Return positions of the delivered rows, and which of them are second versions."""
        delivered = period.holds(self.evaluated, self.received)
        first = np.flatnonzero(delivered)
        second = np.flatnonzero(delivered & is_corrected & (self.told < period.cutoff))
        at = np.concatenate([first, second])
        return at, np.arange(len(at)) >= len(first)


def _evaluated(people: Population, is_graded: Flags, year: int, rng: np.random.Generator) -> _Evaluated:
    """Return who is graded in the first weeks of a year for the year before."""
    opening = day_number(date(year, 1, 1))
    subject = np.flatnonzero(is_graded & (people.registered < opening - 90) & (people.closed > opening + 60))
    size = len(subject)
    evaluated = on_working_day((opening + rng.integers(8, 50, size)).astype(np.int32))
    received = (evaluated + delay(rng, size, median=18, spread=0.5, late=0.01)).astype(np.int32)
    told = (received + delay(rng, size, median=70, spread=0.5)).astype(np.int32)
    return _Evaluated(subject, evaluated, received, told)


def _corrected(round_: _Evaluated, is_bad: Flags, rng: np.random.Generator) -> Flags:
    return is_bad & (rng.random(len(round_.subject)) < 0.12)


def _is_graded(
    people: Population, divisions: Sequence[str], share: float, least_staff: int, rng: np.random.Generator
) -> Flags:
    inside = np.isin(people.division, [DIVISION_CODES.index(code) for code in divisions])
    result: Flags = inside & (people.staff >= least_staff) & (rng.random(len(people)) < share)
    return result


def _badness(people: Population, subject: Index) -> Reals:
    result: Reals = 0.6 * people.frailty[subject] / FRAILTY_SPREAD + 0.25 * people.distress[subject]
    return result


def _years(period: Period) -> range:
    return range(date_of(period.first).year, date_of(period.cutoff).year + 1)
